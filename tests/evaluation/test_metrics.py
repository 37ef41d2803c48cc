"""Metrics against sacreBLEU itself, against hand calculation, and for any text."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from support.metric_toys import SACREBLEUS

from nmtkit.evaluation import metrics
from nmtkit.evaluation.metric import Direction, Reading
from nmtkit.evaluation.scoring import evaluate

TEXT = st.text(max_size=30) | st.lists(st.sampled_from(["a", "b", "c.", "d"]), max_size=9).map(" ".join)
LINES = st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6)
ALL = pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=metrics.METRICS)


@ALL
@settings(deadline=None, max_examples=60)
@given(lines=LINES)
def test_summed_statistics_have_the_score_of_the_corpus(metric, lines):
    """sacreBLEU's of the whole text, with two references, from counts of lone sentences."""
    outputs, *references = (list(side) for side in zip(*lines, strict=True))
    alone = [
        metric.statistics([output], [[line] for line in others])[0]
        for output, *others in zip(outputs, *references, strict=True)
    ]
    assert metric.statistics(outputs, references) == alone
    sums = [[sum(column) for column in zip(*alone, strict=True)]]
    expected = SACREBLEUS[metric.name]().corpus_score(outputs, references).score
    assert metric.score(sums * 2) == [pytest.approx(expected, abs=1e-9)] * 2
    assert metric.corpus_score(outputs, references) == metric.score(sums)[0]
    assert metric.score(sums)[0] in metric.within


@ALL
@settings(deadline=None, max_examples=60)
@given(lines=LINES)
def test_sentence_scores_are_those_of_sacrebleu_one_by_one(metric, lines):
    outputs, *references = (list(side) for side in zip(*lines, strict=True))
    scorer = BLEU(effective_order=True) if metric is metrics.BLEU else SACREBLEUS[metric.name]()
    expected = [scorer.sentence_score(one, others).score for one, *others in zip(outputs, *references, strict=True)]
    assert metric.sentence_scores(outputs, references) == [min(score, metric.within.high) for score in expected]


@ALL
def test_the_signature_is_the_one_sacrebleu_prints(metric):
    """Of the same number of references and resamples with the same seed, whether or not the metric counted before."""
    scorer = SACREBLEUS[metric.name]()
    scorer.corpus_score(["a b"], [["a c"], ["b"]], n_bootstrap=7)
    assert metric.signature(2, 7, 12345) == str(scorer.get_signature())
    assert "nrefs:3|bs:9|seed:0|" in metric.signature(3, 9, 0)


def test_which_scores_are_better():
    """Only of TER, of which a perfect text has none, and a long wrong one more than 100."""
    assert [metric.name for metric in metrics.METRICS.values() if metric.direction is Direction.LOWER] == ["ter"]
    for metric in metrics.METRICS.values():
        perfect, wrong = (metric.corpus_score([text], [["a b c d e"]]) for text in ("a b c d e", "x " * 20))
        assert metric.direction.gain(perfect, wrong) > 0 > metric.direction.gain(wrong, perfect)
        assert perfect == pytest.approx(0 if metric.name == "ter" else 100)
    assert metrics.METRICS["ter"].corpus_score(["x " * 20], [["a b c d e"]]) == 400


def test_metrics_by_name():
    assert metrics.find_metric("bleu") is metrics.BLEU and metrics.find_metric("chrf") is metrics.CHRF
    assert [metric.title for metric in metrics.with_usual()] == ["BLEU", "chrF"]
    more = metrics.with_usual(["ter", "bleu", "chrf++", "ter"])
    assert [metric.title for metric in more] == ["BLEU", "chrF", "TER", "chrF++"], "each once"
    with pytest.raises(ValueError, match=r"unknown metric 'blue'; did you mean 'bleu'\?"):
        metrics.find_metric("blue")


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
    assert metrics.BLEU.sentence_scores([hypothesis], [[reference]]) == [pytest.approx(expected, abs=1e-9)]


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
    assert metrics.CHRF.sentence_scores([hypothesis], [[reference]]) == [pytest.approx(expected, abs=1e-9)]


def test_ter_by_hand():
    """Snover et al.'s example: a shift of two words and three edits of thirteen words, with the case left out."""
    reference = "SAUDI ARABIA denied THIS WEEK information published in the AMERICAN new york times"
    output = "THIS WEEK THE SAUDIS denied information published in the new york times"
    (found,) = metrics.METRICS["ter"].sentence_scores([output.lower()], [[reference]])
    assert found == pytest.approx(100 * 4 / 13)


def test_chrf_plus_plus_by_hand():
    """chrF's six orders of characters with two of words beside them, of which punctuation stands apart."""
    hypothesis, reference = "der hund rennt.", "der hund läuft."
    precisions, recalls = [], []
    for tokens, orders in ((lambda line: line.replace(" ", ""), 6), (lambda line: [*line[:-1].split(), "."], 2)):
        for n in range(1, orders + 1):
            found, wanted = ngrams(tokens(hypothesis), n), ngrams(tokens(reference), n)
            precisions.append((found & wanted).total() / found.total())
            recalls.append((found & wanted).total() / wanted.total())
    precision, recall = sum(precisions) / 8, sum(recalls) / 8
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    assert metrics.METRICS["chrf++"].corpus_score([hypothesis], [[reference]]) == pytest.approx(expected, abs=1e-9)


def test_lower_case_and_warnings_are_a_matter_of_reading(caplog):
    lines = (["A b C d ."] * 100, [["a b c d ."] * 100])
    for name in metrics.METRICS:
        plain, lower = (metrics.find_metric(name, Reading(choice)).corpus_score(*lines) for choice in (False, True))
        assert lower == pytest.approx(0 if name == "ter" else 100)
        assert plain == lower if name == "ter" else plain < lower
    assert not caplog.messages
    metrics.find_metric("bleu", Reading(warns=True)).corpus_score(*lines)
    assert "tokenized period" in caplog.messages[0]


def test_a_tokenisation_that_cannot_run_is_one_clear_line(monkeypatch):
    for error in (RuntimeError("install\n\n  it"), SystemExit(1), OSError("no network")):

        def fail(*args, error=error, **kwargs):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(BLEU, "__init__", fail)
            with pytest.raises(ValueError, match="'spm' does not work here") as caught:
                evaluate(["a"], [["a"]], metrics.with_usual(how=Reading(tokenize="spm")))
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"unknown BLEU tokenisation '13b'; did you mean '13a'\?"):
        evaluate(["a"], [["a"]], metrics.with_usual(how=Reading(tokenize="13b")))


def test_tokenisation_is_used_and_shown():
    texts = ["你好世界吗"], [["你好世界啊"]]
    (plain, _), (chinese, _) = (
        evaluate(*texts, metrics.with_usual(how=Reading(tokenize=name)), resamples=2) for name in (None, "zh")
    )
    assert plain.value == 0.0 and chinese.value > 50 and "tok:zh" in chinese.signature
