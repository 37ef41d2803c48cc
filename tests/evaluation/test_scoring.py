"""Corpus scores and their intervals against sacreBLEU itself, and for any text."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from support.metric_toys import MISSING

from nmtkit.evaluation import metrics
from nmtkit.evaluation.metric import Reading
from nmtkit.evaluation.scoring import evaluate, segmentation_marks

REFERENCE = [
    "A man in an orange hat is starring at something.",
    "A Boston Terrier is running on lush green grass.",
    "A girl in karate uniform breaking a stick with a front kick.",
    "Five people wearing winter jackets and helmets stand in the snow.",
    "People are fixing the roof of a house.",
]
OTHER = [line.replace("A ", "One ").replace("is", "was") for line in REFERENCE]
HYPOTHESIS = [
    "A man in an orange hat stares at something.",
    "A terrier is running on green grass.",
    "A girl in a uniform breaks a stick.",
    "Five people in winter jackets stand in the snow.",
    "people fix the roof of a house.",
]
LINES = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=6)


@pytest.mark.parametrize("references", [[REFERENCE], [REFERENCE, OTHER]])
@pytest.mark.parametrize("lowercase", [False, True])
def test_corpus_scores_are_those_of_sacrebleu(references, lowercase):
    bleu, chrf = evaluate(HYPOTHESIS, references, metrics.with_usual(how=Reading(lowercase)), resamples=50)
    assert bleu.value == sacrebleu.corpus_bleu(HYPOTHESIS, references, lowercase=lowercase).score
    assert chrf.value == sacrebleu.CHRF(lowercase=lowercase).corpus_score(HYPOTHESIS, references).score
    assert (bleu.metric.title, chrf.metric.title) == ("BLEU", "chrF")
    case = "lc" if lowercase else "mixed"
    assert f"nrefs:{len(references)}|bs:50|seed:12345|case:{case}" in bleu.signature
    assert f"version:{sacrebleu.__version__}" in chrf.signature and "bs:50|seed:12345" in chrf.signature
    if not lowercase:
        assert metrics.bleu(HYPOTHESIS, references) == bleu.value


def test_the_interval_is_that_of_the_percentiles_of_resampled_corpora():
    """The sentences that sacreBLEU draws, scored as corpora by sacreBLEU; quantiles by NumPy."""
    found = evaluate(HYPOTHESIS, [REFERENCE, OTHER], resamples=40, seed=7)
    draws = np.random.default_rng(7).choice(5, size=(40, 5), replace=True)
    for score, corpus in zip(found, (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf), strict=True):
        drawn = [
            corpus([HYPOTHESIS[i] for i in draw], [[lines[i] for i in draw] for lines in (REFERENCE, OTHER)]).score
            for draw in draws
        ]
        assert (score.low, score.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9)


def test_the_seed_decides_and_the_environment_does_not(monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "99")
    first, again, other = (evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=seed) for seed in (1, 1, 2))
    assert first == again and first[0].low != other[0].low and first[0].value == other[0].value
    assert "seed:1|" in first[0].signature and os.environ["SACREBLEU_SEED"] == "99"
    zero = evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=0)
    assert zero == evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=0) and "seed:0|" in zero[0].signature


def test_resamples_that_score_zero_do_not_disturb():
    bleu, chrf = evaluate(["zzzz", "a b c d", "zzzz"], [["x", "a b c d", "y"]], resamples=50)
    assert (bleu.low, bleu.high) == (0.0, pytest.approx(100.0)), "neither is rare: each line is left out by 8 of 27"
    assert chrf.low == 0.0 < chrf.value <= chrf.high


def test_one_sentence():
    for score in evaluate(["a b c d e"], [["a b c d f"]], resamples=10):
        assert 0 < score.value < 100
        assert score.low == score.value == score.high


def test_perfect_is_one_hundred():
    assert [(s.value, s.low, s.high) for s in evaluate(REFERENCE, [REFERENCE], resamples=20)] == [
        (100.0, pytest.approx(100, abs=1e-9), 100.0)
    ] * 2


@settings(deadline=None)
@given(pairs=LINES)
def test_any_text_has_scores_within_bounds(pairs):
    hypotheses, references = (list(side) for side in zip(*pairs, strict=True))
    for score in evaluate(hypotheses, [references], resamples=3):
        assert 0.0 <= score.low <= score.high <= 100.0 and 0.0 <= score.value <= 100.0
    scores = [metrics.bleu(hypotheses, [references])]
    for metric in metrics.USUAL:
        scores += metric.sentence_scores(hypotheses, [references])
    assert len(scores) == 1 + 2 * len(pairs) and all(0.0 <= score <= 100.0 for score in scores)


def test_what_cannot_be_scored():
    for function in (evaluate, metrics.bleu, metrics.CHRF.sentence_scores):
        with pytest.raises(ValueError, match="reference 2 has 1 line but the hypothesis has 2"):
            function(["a", "b"], [["a", "b"], ["a"]])
        with pytest.raises(ValueError, match="nothing to score"):
            function([], [[]])
        with pytest.raises(ValueError, match="no references"):
            function(["a"], [])
    with pytest.raises(ValueError, match="resamples = 1 is not possible: choose from 2 to 100,000, usually 1000"):
        evaluate(["a"], [["a"]], resamples=1)
    with pytest.raises(ValueError, match="resamples = 100,001 is not possible|resamples = 100001 is not possible"):
        evaluate(["a"], [["a"]], resamples=100_001)
    with pytest.raises(ValueError, match="seed = -1 is not possible: choose from 0 to 4,294,967,295"):
        evaluate(["a"], [["a"]], seed=-1)


def test_segmentation_marks():
    assert segmentation_marks([]) is None
    assert segmentation_marks(["a@@b", "me@@example.org", "@", "@@@ x"[:1]]) is None
    assert segmentation_marks(["fine", "▁a ▁dog", "x@@ y"]).startswith("line 2 still has the subword mark ▁: '▁a")
    assert "line 2 still has the subword mark @@: 'x@@ y'" in segmentation_marks(["fine", "x@@ y"])
    assert segmentation_marks(["low@@"]).startswith("line 1 ")
    assert len(segmentation_marks(["▁" + "x" * 10_000])) < 300


@given(lines=st.lists(st.text()))
def test_segmentation_marks_of_any_text(lines):
    marked = [i for i, line in enumerate(lines, start=1) if "▁" in line or "@@ " in line or line.endswith("@@")]
    found = segmentation_marks(lines)
    assert (found is None) == (not marked)
    assert found is None or found.startswith(f"line {marked[0]} ")


def test_any_metric_is_scored_and_resampled():
    """One that stands in no list: of 3 words 1 is missing, of the resamples of two lines none, a third, or a half."""
    (found,) = evaluate(["a", "b"], [["a", "b c"]], [MISSING], resamples=200)
    assert (found.metric, found.value, found.low, found.high) == (MISSING, pytest.approx(100 / 3), 0.0, 50.0)
    assert found.signature == "missing|nrefs:1"


def test_evaluation_loads_neither_torch_nor_sentencepiece():
    code = (
        "import sys\n"
        "from nmtkit.evaluation import metrics, scoring, significance\n"
        "scoring.evaluate(['a'], [['a']], resamples=2)\n"
        "significance.paired_bootstrap(metrics.CHRF, ['a'], [['b']], [['a']], resamples=2)\n"
        "sys.exit(str(sorted({'torch', 'sentencepiece'} & set(sys.modules))) if "
        "{'torch', 'sentencepiece'} & set(sys.modules) else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
