"""Scores against sacreBLEU itself, against hand calculation, and for any text."""

import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.evaluation import metrics

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
    bleu, chrf = metrics.evaluate(HYPOTHESIS, references, lowercase=lowercase, resamples=50)
    assert bleu.value == sacrebleu.corpus_bleu(HYPOTHESIS, references, lowercase=lowercase).score
    assert chrf.value == sacrebleu.CHRF(lowercase=lowercase).corpus_score(HYPOTHESIS, references).score
    assert (bleu.metric, chrf.metric) == ("BLEU", "chrF")
    case = "lc" if lowercase else "mixed"
    assert f"nrefs:{len(references)}|bs:50|seed:12345|case:{case}" in bleu.signature
    assert f"version:{sacrebleu.__version__}" in chrf.signature and "bs:50|seed:12345" in chrf.signature
    if not lowercase:
        assert metrics.bleu(HYPOTHESIS, references) == bleu.value


def ngrams(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def test_bleu_by_hand():
    """Clipped n-gram precisions and brevity penalty as Papineni et al. define them."""
    hypothesis, reference = "the cat sat on the mat today", "the cat sat on a mat and slept here"
    total = 0.0
    for n in range(1, 5):
        found, wanted = ngrams(hypothesis.split(), n), ngrams(reference.split(), n)
        total += math.log((found & wanted).total() / found.total()) / 4
    expected = 100 * math.exp(1 - 9 / 7) * math.exp(total)
    assert metrics.bleu([hypothesis], [[reference]]) == pytest.approx(expected, abs=1e-9)
    assert metrics.sentence_scores("bleu", [hypothesis], [[reference]]) == [pytest.approx(expected, abs=1e-9)]


def test_chrf_by_hand():
    """The mean over orders 1 to 6 of character precision and recall, F with beta 2, spaces left out."""
    hypothesis, reference = "der hund rennt", "der hund läuft weg"
    precisions, recalls = [], []
    for n in range(1, 7):
        found = ngrams(hypothesis.replace(" ", ""), n)
        wanted = ngrams(reference.replace(" ", ""), n)
        precisions.append((found & wanted).total() / found.total())
        recalls.append((found & wanted).total() / wanted.total())
    precision, recall = sum(precisions) / 6, sum(recalls) / 6
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    assert metrics.sentence_scores("chrf", [hypothesis], [[reference]]) == [pytest.approx(expected, abs=1e-9)]


def test_the_interval_is_that_of_the_percentiles_of_resampled_corpora():
    """The sentences that sacreBLEU draws, scored as corpora by sacreBLEU; quantiles by NumPy."""
    found = metrics.evaluate(HYPOTHESIS, [REFERENCE, OTHER], resamples=40, seed=7)
    draws = np.random.default_rng(7).choice(5, size=(40, 5), replace=True)
    for score, corpus in zip(found, (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf), strict=True):
        drawn = [
            corpus([HYPOTHESIS[i] for i in draw], [[lines[i] for i in draw] for lines in (REFERENCE, OTHER)]).score
            for draw in draws
        ]
        assert (score.low, score.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9)


def test_the_seed_decides_and_the_environment_does_not(monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "99")
    first, again, other = (metrics.evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=seed) for seed in (1, 1, 2))
    assert first == again and first[0].low != other[0].low and first[0].value == other[0].value
    assert "seed:1|" in first[0].signature and os.environ["SACREBLEU_SEED"] == "99"
    zero = metrics.evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=0)
    assert zero == metrics.evaluate(HYPOTHESIS, [REFERENCE], resamples=30, seed=0) and "seed:0|" in zero[0].signature


def test_the_signature_is_the_one_sacrebleu_prints():
    """Of the same number of resamples with the same seed; the middle of its interval, the mean, lies in ours."""
    found = metrics.evaluate(HYPOTHESIS, [REFERENCE], resamples=100)
    for score, metric in zip(found, (sacrebleu.BLEU(), sacrebleu.CHRF()), strict=True):
        theirs = metric.corpus_score(HYPOTHESIS, [REFERENCE], n_bootstrap=100)
        assert score.signature == str(metric.get_signature())
        assert score.low < theirs._mean < score.high


def test_resamples_that_score_zero_do_not_disturb():
    bleu, chrf = metrics.evaluate(["zzzz", "a b c d", "zzzz"], [["x", "a b c d", "y"]], resamples=50)
    assert (bleu.low, bleu.high) == (0.0, pytest.approx(100.0)), "neither is rare: each line is left out by 8 of 27"
    assert chrf.low == 0.0 < chrf.value <= chrf.high


def test_one_sentence():
    for score in metrics.evaluate(["a b c d e"], [["a b c d f"]], resamples=10):
        assert 0 < score.value < 100
        assert score.low == score.value == score.high


def test_perfect_is_one_hundred():
    assert [(s.value, s.low, s.high) for s in metrics.evaluate(REFERENCE, [REFERENCE], resamples=20)] == [
        (100.0, pytest.approx(100, abs=1e-9), 100.0)
    ] * 2


@settings(deadline=None)
@given(pairs=LINES)
def test_any_text_has_scores_within_bounds(pairs):
    hypotheses, references = (list(side) for side in zip(*pairs, strict=True))
    for score in metrics.evaluate(hypotheses, [references], resamples=3):
        assert 0.0 <= score.low <= score.high <= 100.0 and 0.0 <= score.value <= 100.0
    scores = [metrics.bleu(hypotheses, [references])]
    for metric in metrics.METRICS:
        scores += metrics.sentence_scores(metric, hypotheses, [references])
    assert len(scores) == 1 + 2 * len(pairs) and all(0.0 <= score <= 100.0 for score in scores)


@settings(deadline=None)
@given(pairs=LINES)
def test_sentence_scores_are_those_of_sacrebleu_one_by_one(pairs):
    hypotheses, references = (list(side) for side in zip(*pairs, strict=True))
    others = references[::-1]
    for name, function in (("bleu", sacrebleu.sentence_bleu), ("chrf", sacrebleu.sentence_chrf)):
        expected = [function(h, [r, o]).score for h, r, o in zip(hypotheses, references, others, strict=True)]
        found = metrics.sentence_scores(name, hypotheses, [references, others])
        assert found == [min(score, 100.0) for score in expected]


def test_what_cannot_be_scored():
    for function in (metrics.evaluate, metrics.bleu, lambda h, r: metrics.sentence_scores("chrf", h, r)):
        with pytest.raises(ValueError, match="reference 2 has 1 line but the hypothesis has 2"):
            function(["a", "b"], [["a", "b"], ["a"]])
        with pytest.raises(ValueError, match="nothing to score"):
            function([], [[]])
        with pytest.raises(ValueError, match="no references"):
            function(["a"], [])
    with pytest.raises(ValueError, match=r"unknown BLEU tokenisation '13b'; did you mean '13a'\?"):
        metrics.evaluate(["a"], [["a"]], tokenize="13b")
    with pytest.raises(ValueError, match=r"unknown metric 'blue'; did you mean 'bleu'\?"):
        metrics.sentence_scores("blue", ["a"], [["a"]])
    with pytest.raises(ValueError, match="resamples = 1 is not possible: choose from 2 to 100,000, usually 1000"):
        metrics.evaluate(["a"], [["a"]], resamples=1)
    with pytest.raises(ValueError, match="resamples = 100,001 is not possible|resamples = 100001 is not possible"):
        metrics.evaluate(["a"], [["a"]], resamples=100_001)
    with pytest.raises(ValueError, match="seed = -1 is not possible: choose from 0 to 4,294,967,295"):
        metrics.evaluate(["a"], [["a"]], seed=-1)


def test_a_tokenisation_that_cannot_run_is_one_clear_line(monkeypatch):
    for error in (RuntimeError("install\n\n  it"), SystemExit(1), OSError("no network")):

        def fail(*args, error=error, **kwargs):
            raise error

        fail.TOKENIZERS = metrics.BLEU.TOKENIZERS
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "BLEU", fail)
            with pytest.raises(ValueError, match="'spm' does not work here") as caught:
                metrics.evaluate(["a"], [["a"]], tokenize="spm")
        assert "\n" not in str(caught.value)


def test_tokenisation_is_used_and_shown():
    plain, _ = metrics.evaluate(["你好世界吗"], [["你好世界啊"]], resamples=2)
    chinese, _ = metrics.evaluate(["你好世界吗"], [["你好世界啊"]], tokenize="zh", resamples=2)
    assert plain.value == 0.0 and chinese.value > 50 and "tok:zh" in chinese.signature


def test_segmentation_marks():
    assert metrics.segmentation_marks([]) is None
    assert metrics.segmentation_marks(["a@@b", "me@@example.org", "@", "@@@ x"[:1]]) is None
    assert metrics.segmentation_marks(["fine", "▁a ▁dog", "x@@ y"]).startswith(
        "line 2 still has the subword mark ▁: '▁a"
    )
    assert "line 2 still has the subword mark @@: 'x@@ y'" in metrics.segmentation_marks(["fine", "x@@ y"])
    assert metrics.segmentation_marks(["low@@"]).startswith("line 1 ")
    assert len(metrics.segmentation_marks(["▁" + "x" * 10_000])) < 300


@given(lines=st.lists(st.text()))
def test_segmentation_marks_of_any_text(lines):
    marked = [i for i, line in enumerate(lines, start=1) if "▁" in line or "@@ " in line or line.endswith("@@")]
    found = metrics.segmentation_marks(lines)
    assert (found is None) == (not marked)
    assert found is None or found.startswith(f"line {marked[0]} ")


def test_thresholds():
    assert metrics.parse_threshold("chrf:60") == ("chrf", 60.0)
    assert metrics.parse_threshold("bleu:0.5") == ("bleu", 0.5)
    for text in ("", "chrf", "60", "chrf:", "chrf:x", "ter:60", "chrf:-1", "chrf:101", "chrf:nan", "chrf:6:0"):
        with pytest.raises(ValueError, match="is no threshold; write bleu:N or chrf:N"):
            metrics.parse_threshold(text)


@given(text=st.text(), value=st.floats(0, 100), metric=st.sampled_from(metrics.METRICS))
def test_any_text_is_a_threshold_or_a_clear_error(text, value, metric):
    assert metrics.parse_threshold(f"{metric}:{value!r}") == (metric, value)
    for candidate in (text, f"{metric}:{text}"):
        try:
            name, number = metrics.parse_threshold(candidate)
            assert name in metrics.METRICS and 0 <= number <= 100
        except ValueError as error:
            assert "is no threshold" in str(error)


def test_evaluation_loads_neither_torch_nor_sentencepiece():
    code = (
        "import sys\n"
        "from nmtkit.evaluation import metrics, significance\n"
        "metrics.evaluate(['a'], [['a']], resamples=2)\n"
        "significance.paired_bootstrap('chrf', ['a'], [['b']], [['a']], resamples=2)\n"
        "sys.exit(str(sorted({'torch', 'sentencepiece'} & set(sys.modules))) if "
        "{'torch', 'sentencepiece'} & set(sys.modules) else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
