"""A sweep as a terminal shows it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from support.sweep_toys import scores

from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.scoring import Score
from nmtkit.report.sweep import BAR, advice, heading, more, render, table, to_json


def measured(beam: int, bleu: float, p_value: float | None) -> Setting:
    return Setting(beam, 0.75, scores(bleu, 61.25, 10, 10), 924, 117, 1.043, 0.1234, p_value)


def setting(beam: int, alpha: float, bleu: float, p_value: float | None = None, seconds: float = 0.01) -> Setting:
    return Setting(beam, alpha, scores(bleu, bleu), 9, 1, 1.0, seconds, p_value)


@pytest.mark.parametrize("width", [80, 120])
def test_table_curve_and_marks(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    settings = measured(1, 30.0, None), measured(20, 40.0, 0.0312), measured(100, 35.0, 1.0)
    for part in render(Sweep(settings, 1014, 0, 1, 70.0)):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "measured on 1,014 sentences" in lines[0]
    words = " ".join(" ".join(lines).split())
    assert "95 % percentile intervals; p: of no difference from now, corrected for the choice among 3" in words
    rows = [line.split() for line in lines if "117/924" in line]
    assert [row[:-1] for row in rows] == [
        [">", "1", "0.75", "30.0", "(20.0–40.0)", "61.2", "117/924", "1.04", "123.4"],
        ["*", "20", "0.75", "40.0", "(30.0–50.0)", "0.031", "61.2", "117/924", "1.04", "123.4"],
        ["100", "0.75", "35.0", "(25.0–45.0)", "1.000", "61.2", "117/924", "1.04", "123.4"],
    ]
    assert [row[-1].count("█") for row in rows] == [0, BAR, BAR // 2]


@pytest.mark.parametrize(
    ("p_value", "start"),
    [
        (0.01, "Use beam 5, α 1: BLEU 31.0 against 30.0 with beam 1"),
        (0.2, "Keep the present setting, undecided whether beam 5, α 1 is better: BLEU 31.0 against 30.0 with beam 1"),
    ],
)
def test_advice_is_undecided_where_chance_may_decide(p_value: float, start: str) -> None:
    curve = (setting(1, 1.0, 30.0), setting(5, 1.0, 31.0, p_value), setting(10, 1.0, 30.95, 0.3, seconds=0.03))
    said = advice(Sweep(curve, 100, 0, 1, 40.0))
    assert said[0].startswith(start) and f"(p = {p_value:.3f}, corrected for the choice among 3)" in said[0]
    assert "Beyond beam 5" in said[1] and "3.0 times" in said[1]
    assert "the 5 best" in said[-1] and "40.0" in said[-1]


def test_words_follow_the_direction() -> None:
    """TER decides, as another project might have it: the lowest is the best, and a wider beam does not let it fall."""
    ter = METRICS["ter"]
    curve = tuple(
        replace(one, scores=(replace(one.deciding, metric=ter, value=100 - one.deciding.value), one.scores[1]))
        for one in (setting(1, 1.0, 30.0), setting(5, 1.0, 31.0, 0.01), setting(10, 1.0, 30.95, 0.3))
    )
    made = Sweep(curve, 100, 0, 1, 40.0)
    said = advice(made)
    assert said[0].startswith("Use beam 5, α 1: TER 69.0 against 70.0 with beam 1")
    assert said[1].startswith("Beyond beam 5 TER does not fall by more than 0.1 at α 1")
    assert (
        "* lowest TER" in heading(made) and "none of the other 2 has a lower TER." in advice(replace(made, best=0))[0]
    )


def test_more_metrics_stand_in_a_table_of_their_own() -> None:
    extra = Score(METRICS["ter"], 80.04, 70.0, 90.0, "s")
    curve = tuple(
        replace(one, scores=(*one.scores, extra)) for one in (setting(1, 0.5, 30.0), setting(5, 1.0, 31.0, 0.2))
    )
    made = Sweep(curve, 100, 0, 1, 40.0)
    assert table(made) == table(replace(made, settings=tuple(replace(one, scores=one.scores[:2]) for one in curve)))
    assert more(made) == (
        ["", "beam", "α", "TER (95 %)"],
        [[">", "1", "0.5", "80.0 (70.0–90.0)"], ["*", "5", "1", "80.0 (70.0–90.0)"]],
    )
    first = to_json(made)["settings"][0]
    assert list(first)[:6] == ["beam", "alpha", "bleu", "chrf", "ter", "different"] and first["ter"]["value"] == 80.04


def test_advice_to_keep_what_is_best() -> None:
    curve = (setting(1, 1.0, 30.0), setting(5, 1.0, 29.0, 0.2), setting(10, 1.0, 28.0, 0.06))
    said = advice(Sweep(curve, 100, 0, 0, 40.0))
    assert said[0].startswith("Keep the present setting (beam 1, α 1, BLEU 30.0): none of the other 2 has a higher")
    assert said[0].endswith("Undecided whether any is worse (lowest p = 0.060, corrected for the choice among 3).")
    sure = advice(Sweep((*curve[:2], replace(curve[2], p_value=0.01)), 100, 0, 0, 40.0))
    assert "Worse beyond chance (p < 0.05, corrected for the choice among 3): beam 10, α 1 (BLEU 28.0)" in sure[0]
    assert sure[0].endswith("; undecided for the other 1.")
    both = advice(Sweep((curve[0], *(replace(one, p_value=0.01) for one in curve[1:])), 100, 0, 0, 40.0))
    assert both[0].endswith("beam 5, α 1 (BLEU 29.0), beam 10, α 1 (BLEU 28.0).")
    assert advice(Sweep(curve[:1], 100, 0, 0, 40.0))[0].startswith("Only the present setting was measured")
