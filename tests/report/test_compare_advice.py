"""The advice on two analyses: what it says of figures, and of what is undecided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.report_toys import AFTER, BEFORE, KINDS, TRUE, WORDS, of, one, report, scored, swept

from nmtkit.blame.findings import Errors
from nmtkit.comparison.reports import Difference, Shift, compare_reports
from nmtkit.evaluation import metrics
from nmtkit.evaluation.significance import Comparison
from nmtkit.report.compare_advice import advice, in_words, title, why_unpromised


def test_fewer_and_more_errors() -> None:
    old = report(*(one(number, "model", below=True) for number in range(1, 9)))
    new = report(*(one(number, "model", below=number == 8) for number in range(1, 9)))
    found = advice(compare_reports(old, new, None, resamples=20))
    assert "Errors below chrF 60: 8 before, 1 after (7 gone, 0 new, p = 0.016): fewer beyond chance." in found
    assert "more beyond chance" in advice(compare_reports(new, old, None, resamples=20))[4]


def test_a_verdict_may_turn_without_its_output() -> None:
    old, new = report(one(1, "beam"), one(2, "model")), report(one(1, "model", text=WORDS["beam"]), one(2, "model"))
    found = advice(compare_reports(old, new, None, resamples=20))
    assert any("Of the 1 verdict that changed, 1 has the same output" in text for text in found)


def test_a_report_with_itself_changes_nothing() -> None:
    said = " ".join(advice(compare_reports(of(*KINDS), of(*KINDS), None, resamples=30)))
    assert "Changed: no setting. 0 of" in said and "beyond chance" not in said and said.count("no difference") == 5


def test_the_settings_that_differ() -> None:
    after = of(*KINDS, *KINDS, model="e" * 64, beam=20, patience=2.0, widths=(50,), listed=(3,))
    said = "Changed: the model, beam 5 → 20, patience none → 2. 7 of 8 outputs are"
    assert advice(compare_reports(BEFORE, after, None, resamples=2))[0].startswith(said)
    assert title("length_alpha") == "α" and title("free_eos") == "free eos"
    assert [in_words(value) for value in (True, False, 0.7, 1e-4, "power")] == ["yes", "no", "0.7", "0.0001", "power"]


def test_the_mean_change_of_j() -> None:
    low, high = scored(-1.0, -2.0, -4.0), scored(-0.5, -2.0, -3.0, beam=20)
    rises, falls = (advice(compare_reports(*pair, None, resamples=2)) for pair in ((low, high), (high, low)))
    assert "Mean J rises by 0.5000: the search finds text that the model scores higher." in rises
    assert "Mean J falls by 0.5000: the search finds text that the model scores lower." in falls


def test_words_follow_the_direction() -> None:
    """Of TER a fall is a gain, and an error of the second row is above the threshold."""
    old, new = (scored(-2.0, **more) for more in ({}, {"beam": 20}))
    low, high = (replace(one, provenance=replace(one.provenance, sentence_metric="ter")) for one in (old, new))
    found = compare_reports(low, replace(high, records=scored(-1.0).records), None, resamples=2)
    assert "Errors with TER above 60: 0 before, 0 after (0 gone, 0 new, p = 1.000): no difference." in advice(found)
    score = Comparison(metrics.METRICS["ter"], 40.0, 42.0, 2.0, 0.01, "s")
    said = advice(replace(found, scores=(score,)))
    assert said[1] == "TER 40.00 before, 42.00 after (+2.00, p = 0.010): worse beyond chance."
    assert "Likelier is not better: mean J rises by 1.0000, yet TER rises by 2.00 (p = 0.010)." in said
    assert "better beyond chance" in advice(replace(found, scores=(replace(score, system=38.0, delta=-2.0),)))[1]


@pytest.mark.parametrize(("off", "kept"), [(0.0, True), (0.006, False)])
def test_the_promise_of_the_sweep(off: float, kept: bool) -> None:
    after = replace(AFTER, provenance=replace(AFTER.provenance, beam=20))
    said = advice(compare_reports(BEFORE, after, swept(TRUE.score + off), resamples=20))[-1]
    assert said.startswith("As promised: for beam 20, α 0.7" if kept else "Not what was promised: ")
    assert (
        f"BLEU {TRUE.score + off:.2f}, and these outputs have {TRUE.score:.2f}" in said and "another, too" not in said
    )
    chosen = advice(compare_reports(BEFORE, after, swept(TRUE.score, best=2), resamples=20))[-1]
    assert "chosen on this text: evaluate it on another, too" in chosen


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"beam": 10}, "the sweep did not measure beam 10 with α 0.7"),
        ({"length_alpha": 1.0}, "the sweep did not measure beam 5 with α 1"),
        ({"model": "e" * 64}, "the sweep measured with another model"),
        ({"length_limit": "60", "patience": 1.0}, "the sweep measured with another length limit and another patience"),
        ({"length_penalty": "gnmt"}, "another length penalty"),
        ({"free_eos": True}, "another free eos"),
        ({"forbid_unk": True}, "another forbid unk"),
        ({"max_source": 10}, "another limit of source pieces"),
    ],
)
def test_why_a_sweep_promised_nothing(facts: dict[str, Any], reason: str) -> None:
    after = replace(AFTER, provenance=replace(AFTER.provenance, **facts))
    found = compare_reports(BEFORE, after, swept(30.0), resamples=2)
    assert reason in why_unpromised(found)
    assert advice(found)[-1] == f"The outcome cannot be compared with a sweep: {why_unpromised(found)}."
    assert why_unpromised(compare_reports(BEFORE, after, None, resamples=2)) == "the first report has no sweep"


def difference(delta: float = 0.0, p_value: float = 1.0, beams: tuple[int, int] = (9, 9), **more: Any) -> Difference:
    deciding = Comparison(metrics.BLEU, 40.0, 40.0 + delta, delta, p_value, "s")
    shift = Shift(Errors.MISSED, *beams, max(0, beams[0] - beams[1]), max(0, beams[1] - beams[0]), 0.25)
    made = compare_reports(BEFORE, AFTER, None, resamples=2)
    return replace(made, scores=(deciding, made.scores[1]), shifts=(*made.shifts[:2], shift), **more)


@pytest.mark.parametrize(
    ("delta", "p_value", "said"),
    [
        (1.5, 0.01, "BLEU 40.00 before, 41.50 after (+1.50, p = 0.010): better beyond chance."),
        (1.5, 0.0001, "(+1.50, p < 0.001): better beyond chance."),
        (-1.5, 0.049, "38.50 after (-1.50, p = 0.049): worse beyond chance."),
        (1.5, 0.05, "p = 0.050): undecided, the difference may be chance."),
        (-1.5, 0.9, "undecided"),
        (0.0, 1.0, "no difference"),
    ],
)
def test_advice_is_undecided_where_chance_may_decide(delta: float, p_value: float, said: str) -> None:
    assert said in advice(difference(delta, p_value))[1]


@pytest.mark.parametrize(
    ("delta", "p_value", "beams", "j_change", "said"),
    [
        (-2.0, 0.01, (9, 2), None, "Fewer beam errors are not better translations: beam errors fall from 9 to 2, yet"),
        (-2.0, 0.25, (9, 9), 0.125, "mean J rises by 0.1250, yet BLEU falls by 2.00 (undecided, p = 0.250)."),
        (-2.0, 0.01, (9, 2), 0.125, "mean J rises by 0.1250 and beam errors fall from 9 to 2, yet BLEU falls"),
        (-2.0, 0.01, (9, 2), 0.0, "Likelier is not better: beam errors fall from 9 to 2, yet BLEU falls by 2.00 (p"),
        (-2.0, 0.01, (9, 9), 0.00004, ""),
        (2.0, 0.01, (9, 2), 0.125, ""),
        (-2.0, 0.01, (2, 9), -0.125, ""),
        (0.0, 1.0, (9, 2), None, ""),
    ],
)  # fmt: skip
def test_likelier_is_not_better(
    delta: float, p_value: float, beams: tuple[int, int], j_change: float | None, said: str
) -> None:
    text = " ".join(advice(difference(delta, p_value, beams, j_change=j_change)))
    assert (said in text) if said else ("not better" not in text and "0.0000" not in text)
