"""Two analyses compared: counts by hand, McNemar's test by enumeration, scores by sacreBLEU itself."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from support.report_toys import AFTER, BEFORE, KINDS, RIGHT, TRUE, WORDS, of, one, report, scored, swept

from nmtkit.blame.findings import Errors
from nmtkit.blame.records import Verdict
from nmtkit.comparison.reports import Changed, Counts, Shift, Unpromised, compare_reports, mcnemar
from nmtkit.evaluation.metrics import USUAL
from nmtkit.evaluation.significance import paired_bootstrap


def enumerated(gone: int, new: int) -> Fraction:
    """Of all ways in which fair coins fall, the share of those at least as far from the middle as what was seen."""
    ways = list(product((0, 1), repeat=gone + new))
    far = [way for way in ways if abs(2 * sum(way) - len(way)) >= abs(gone - new)]
    return Fraction(len(far), len(ways))


@pytest.mark.parametrize(("gone", "new"), [(a, b) for a in range(8) for b in range(8) if a + b <= 11])
def test_mcnemar_by_enumeration(gone: int, new: int) -> None:
    assert mcnemar(gone, new) == pytest.approx(float(enumerated(gone, new)), abs=1e-15)


def test_mcnemar_of_many() -> None:
    """By symmetry, by the first tail, and for numbers whose powers no float holds."""
    assert mcnemar(0, 0) == mcnemar(2000, 2000) == 1.0
    assert mcnemar(0, 20) == mcnemar(20, 0) == 2 * 0.5**20
    tail = sum(Fraction(math.comb(3000, k), 2**3000) for k in range(1401))
    assert mcnemar(1400, 1600) == mcnemar(1600, 1400) == pytest.approx(float(2 * tail), rel=1e-12)


def test_the_transitions_counted_by_hand() -> None:
    found = compare_reports(BEFORE, AFTER, None, resamples=20)
    assert found.sentences == 8
    # rows: equal, beam, model, unreachable before; columns the same after
    assert found.transitions == ((1, 1, 0, 0), (1, 1, 1, 0), (1, 0, 1, 0), (0, 0, 1, 0))
    assert found.changed == (1, 2, 5, 6, 8) and found.rewritten == 5 and found.same_output == 0
    assert found.counts == (
        Counts(Verdict.EQUAL, 2, 3),
        Counts(Verdict.BEAM, 3, 2),
        Counts(Verdict.MODEL, 2, 3),
        Counts(Verdict.UNREACHABLE, 1, 0),
    )
    # errors: 1 and 5 gone, 8 new: P(at most 1 of 3 heads) = 4/8, twice is 1; beam errors: 1 and 2 gone, 8 new
    assert found.shifts[0] == Shift(Errors.DIFFERENT, 6, 5, 2, 1, 1.0)
    assert found.shifts[2] == Shift(Errors.MISSED, 3, 2, 2, 1, 1.0)


def test_errors_below_the_sentence_score_are_counted_apart() -> None:
    old = report(*(one(number, "model", below=True) for number in range(1, 9)))
    new = report(*(one(number, "model", below=number == 8) for number in range(1, 9)))
    found = compare_reports(old, new, None, resamples=20)
    assert found.shifts[1] == Shift(Errors.WORSE, 8, 1, 7, 0, 2 / 2**7) and found.shifts[1].decided
    assert found.shifts[0].gone == found.shifts[0].new == 0 and not found.shifts[0].decided


def test_a_verdict_may_turn_without_its_output() -> None:
    old, new = report(one(1, "beam"), one(2, "model")), report(one(1, "model", text=WORDS["beam"]), one(2, "model"))
    found = compare_reports(old, new, None, resamples=20)
    assert (found.changed, found.same_output, found.rewritten) == ((1,), 1, 0)


def test_the_scores_are_sacrebleus_and_the_sets_stand_as_they_stood() -> None:
    """Both sets count: outputs that are in the first set only have the full score."""
    first = report(*(one(number, kind, text="felines were there") for number, kind in enumerate(KINDS, start=1)))
    found = compare_reports(first, of(*KINDS), None, resamples=50)
    sets = [["felines were there"] * 4, [RIGHT] * 4]
    outputs = [["felines were there"] * 4, [WORDS[kind] for kind in KINDS]]
    for made, metric, name in zip(found.scores, (BLEU(force=True), CHRF()), USUAL, strict=True):
        plain = [min(100.0, metric.corpus_score(lines, sets).score) for lines in outputs]
        assert (made.baseline, made.system) == (pytest.approx(plain[0], abs=1e-9), pytest.approx(plain[1], abs=1e-9))
        assert [made] == paired_bootstrap(name, outputs[0], outputs[1:], sets, resamples=50)
        assert "nrefs:2|bs:50" in made.signature
    assert found.scores[1].baseline == 100 > found.scores[1].system


verdicts = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(verdicts)
def test_whatever_the_verdicts_the_counts_agree(pairs: list[tuple[str, str]]) -> None:
    before, after = of(*(old for old, _ in pairs)), of(*(new for _, new in pairs))
    found, back = compare_reports(before, after, None, resamples=2), compare_reports(after, before, None, resamples=2)
    assert sum(map(sum, found.transitions)) == len(pairs)
    for place, (row, column) in enumerate(zip(found.transitions, zip(*found.transitions, strict=True), strict=True)):
        assert (sum(row), sum(column)) == (found.counts[place].before, found.counts[place].after)
        assert found.counts[place].before == sum(old == KINDS[place] for old, _ in pairs)
    assert list(found.changed) == [number for number, (old, new) in enumerate(pairs, start=1) if old != new]
    assert tuple(zip(*back.transitions, strict=True)) == found.transitions
    for shift, other in zip(found.shifts, back.shifts, strict=True):
        assert shift.after == shift.before - shift.gone + shift.new
        assert (shift.gone, shift.new, shift.p_value) == (other.new, other.gone, other.p_value)
    wrong = [(old != "equal", new != "equal") for old, new in pairs]
    assert (found.shifts[0].gone, found.shifts[0].new) == (wrong.count((True, False)), wrong.count((False, True)))
    missed = [(old == "beam", new == "beam") for old, new in pairs]
    assert (found.shifts[2].gone, found.shifts[2].new) == (missed.count((True, False)), missed.count((False, True)))
    assert found.shifts[2].p_value == pytest.approx(float(enumerated(found.shifts[2].gone, found.shifts[2].new)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
def test_a_report_with_itself_changes_nothing(kinds: list[str]) -> None:
    """And nothing is beyond chance."""
    found = compare_reports(of(*kinds), of(*kinds), None, resamples=30)
    assert found.settings == found.changed == () and found.rewritten == 0 and found.j_change == 0
    assert [found.transitions[place][place] for place in range(4)] == [kinds.count(kind) for kind in KINDS]
    assert [shift.p_value for shift in found.shifts] == [1.0] * 3
    assert [(score.delta, score.p_value) for score in found.scores] == [(0.0, 1.0)] * 2


def test_the_settings_that_differ() -> None:
    """Hashes of the texts and what was measured are none."""
    found = compare_reports(
        BEFORE,
        of(*KINDS, *KINDS, model="e" * 64, beam=20, patience=2.0, widths=(50,), listed=(3,), rescoring_difference=1.0),
        None,
        resamples=2,
    )
    assert found.settings == (
        Changed("model", "f" * 64, "e" * 64),
        Changed("beam", 5, 20),
        Changed("patience", None, 2.0),
        Changed("widths", (10, 20, 50), (50,)),
        Changed("listed", (), (3,)),
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"sources_sha256": "other"}, ["source texts", "--source"]),
        ({"references_sha256": ("r", "p")}, ["references", "--reference", "same order"]),
        ({"references_sha256": ("q", "r")}, ["references", "same order"]),
        ({"sentence_metric": "bleu"}, ["below chrF 60 and below BLEU 60", "--errors-below"]),
        ({"sentence_threshold": 55.5}, ["below chrF 60 and below chrF 55.5", "--errors-below"]),
    ],
)
def test_what_cannot_be_compared_is_refused(facts: dict[str, Any], words: list[str]) -> None:
    other = replace(AFTER, provenance=replace(AFTER.provenance, **facts))
    with pytest.raises(ValueError, match="the reports") as caught:
        compare_reports(BEFORE, other, None)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_another_number_of_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="8 and 1 sentence\\)"):
        compare_reports(BEFORE, of("equal"), None)


def test_the_mean_change_of_j() -> None:
    found = compare_reports(scored(-1.0, -2.0, -4.0), scored(-0.5, -2.0, -3.0, beam=20), None, resamples=2)
    assert found.j_change == pytest.approx(0.5)
    back = compare_reports(scored(-0.5, -2.0, -3.0, beam=20), scored(-1.0, -2.0, -4.0), None, resamples=2)
    assert back.j_change == pytest.approx(-0.5)


@pytest.mark.parametrize(
    "facts", [{"model": "e" * 64}, {"length_alpha": 0.6}, {"length_penalty": "gnmt"}, {"prefixes_sha256": "p"}]
)
def test_j_of_another_function_is_not_compared(facts: dict[str, Any]) -> None:
    assert compare_reports(scored(-1.0), scored(-0.5, **facts), None, resamples=2).j_change is None


def test_j_of_models_without_a_folder_is_not_compared() -> None:
    """They have no hash by which to know that they are the same."""
    assert compare_reports(scored(-1.0, model=""), scored(-0.5, model=""), None, resamples=2).j_change is None


@pytest.mark.parametrize(("off", "kept"), [(0.0, True), (0.004, True), (-0.004, True), (0.006, False), (-3.0, False)])
def test_the_promise_of_the_sweep(off: float, kept: bool) -> None:
    """BLEU by sacreBLEU against that of the setting of AFTER, not of the best or the present one."""
    after = replace(AFTER, provenance=replace(AFTER.provenance, beam=20, tolerance=0.5, widths=(50,)))
    found = compare_reports(BEFORE, after, swept(TRUE.score + off), resamples=20)
    assert found.promise is not None and found.unpromised is None
    assert (found.promise.beam, found.promise.alpha, found.promise.chosen) == (20, 0.7, False)
    assert found.promise.measured == TRUE.score + off and found.promise.found == pytest.approx(TRUE.score, abs=1e-9)
    assert found.promise.kept == kept


def test_what_was_chosen_on_this_text_needs_another() -> None:
    after = replace(AFTER, provenance=replace(AFTER.provenance, beam=20))
    found = compare_reports(BEFORE, after, swept(TRUE.score, best=2), resamples=20)
    assert found.promise and found.promise.chosen


@pytest.mark.parametrize(
    ("facts", "others"),
    [
        ({"beam": 10}, ()),
        ({"length_alpha": 1.0}, ()),
        ({"model": "e" * 64}, ("model",)),
        ({"prefixes_sha256": "p"}, ("prefixes_sha256",)),
        ({"engine": "nmtkit, bfloat16"}, ("engine",)),
        ({"length_limit": "60", "patience": 1.0}, ("length_limit", "patience")),
    ],
)
def test_why_a_sweep_promised_nothing(facts: dict[str, Any], others: tuple[str, ...]) -> None:
    after = replace(AFTER, provenance=replace(AFTER.provenance, **facts))
    found = compare_reports(BEFORE, after, swept(30.0), resamples=2)
    place = (after.provenance.beam, after.provenance.length_alpha)
    assert found.promise is None and found.unpromised == Unpromised(*place, True, others)
    assert compare_reports(BEFORE, after, None, resamples=2).unpromised == Unpromised(*place, False)
