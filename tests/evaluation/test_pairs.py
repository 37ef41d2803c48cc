"""All pairs against sacreBLEU, a pair at a time."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmtkit.evaluation import pairs
from nmtkit.evaluation.metric import Reading
from nmtkit.evaluation.metrics import METRICS, find_metric

SCORERS = {
    "bleu": BLEU(effective_order=True),
    "chrf": CHRF(),
    "chrf++": CHRF(word_order=2),
    "ter": TER(),
}
words = st.sampled_from(["a", "Ein", "ein", "Mann", "geht.", ".", "«»", "aaaa", "ﬁ", "\u3000", "Haus,", "(hi)", "😀"])
texts = st.lists(words, max_size=9).map(" ".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
few = settings(deadline=None, max_examples=80, derandomize=True, database=None)


@few
@given(
    outputs=st.lists(texts, min_size=1, max_size=4),
    references=st.lists(texts, min_size=1, max_size=4),
    name=st.sampled_from(sorted(METRICS)),
)
def test_every_pair_has_the_score_of_sacrebleu(outputs: list[str], references: list[str], name: str) -> None:
    found = list(METRICS[name].pairwise(outputs, references))
    assert len(found) == len(outputs)
    for output, row in zip(outputs, found, strict=True):
        expected = [score(name, output, reference) for reference in references]
        assert row == pytest.approx([min(score, METRICS[name].within.high) for score in expected], abs=1e-9)


def score(name: str, output: str, reference: str) -> float:
    """sacreBLEU's, but for two blank texts."""
    if not output.strip() and not reference.strip():
        return 0 if name == "ter" else 100
    return SCORERS[name].sentence_score(output, [reference]).score


@pytest.mark.parametrize("name", ["bleu", "chrf", "chrf++"])
def test_every_text_is_counted_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are scored at one time."""
    counted: list[str] = []
    count = pairs._info
    monkeypatch.setattr(pairs, "ROWS", 2)
    monkeypatch.setattr(pairs, "_info", lambda scorer, text: counted.append(text) or count(scorer, text))
    lines = [f"Mann {number}" for number in range(7)]
    rows = list(METRICS[name].pairwise([*lines, "heim"], lines))
    assert sorted(counted) == sorted([*lines, "heim"]) and [len(row) for row in rows] == [7] * 8


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_reading_is_kept(name: str) -> None:
    """In small letters, both are the same."""
    metric = find_metric(name, Reading(lowercase=True))
    ((score,),) = metric.pairwise(["EIN MANN GEHT HEIM"], ["ein Mann geht heim"])
    assert score == pytest.approx(metric.sentence_scores(["EIN MANN GEHT HEIM"], [["ein Mann geht heim"]])[0])
    assert score == pytest.approx(100 if name != "ter" else 0)


counts = st.lists(
    st.dictionaries(st.integers(0, 9), st.integers(1, 5), max_size=6).map(Counter), min_size=1, max_size=5
)


@few
@given(ours=counts, theirs=counts, block=st.sampled_from([1, 7, 10**6]))
def test_matches_are_the_lower_counts(ours: list[Counter[int]], theirs: list[Counter[int]], block: int) -> None:
    """However many features are held at one time."""
    usual, pairs.BLOCK = pairs.BLOCK, block
    try:
        found = pairs.Index(theirs).matches(ours).tolist()  # type: ignore[arg-type]
    finally:
        pairs.BLOCK = usual
    assert found == [[(own & other).total() for other in theirs] for own in ours]


def test_pairs_of_256_texts_take_well_under_a_second() -> None:
    """All 65,536 scores of chrF; sacreBLEU alone needs half a minute. In seconds of the processor."""
    lines = [
        f"Ein Mann in Rot{number} geht mit {number % 7} Hunden durch die {number * 31} Straßen."
        for number in range(256)
    ]
    list(METRICS["chrf"].pairwise(lines[:2], lines[:2]))
    started = time.process_time()
    list(METRICS["chrf"].pairwise(lines, lines))
    assert time.process_time() - started < 1
