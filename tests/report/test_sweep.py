"""A sweep as a terminal shows it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.metrics import Score
from nmtkit.report.sweep import BAR, render


def setting(beam: int, bleu: float, p_value: float | None) -> Setting:
    score = Score("BLEU", bleu, bleu - 10, bleu + 10, "s")
    return Setting(beam, 0.75, score, Score("chrF", 61.25, 0, 0, "s"), 924, 117, 1.043, 0.1234, p_value)


@pytest.mark.parametrize("width", [80, 120])
def test_table_curve_and_marks(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    settings = setting(1, 30.0, None), setting(20, 40.0, 0.0312), setting(100, 35.0, 1.0)
    for part in render(Sweep(settings, 1014, 0, 1, 70.0)):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "measured on 1014 sentences" in lines[0]
    words = " ".join(" ".join(lines).split())
    assert "95 % percentile intervals; p: of no difference from now, corrected for the choice among 3" in words
    rows = [line.split() for line in lines if "117/924" in line]
    assert [row[:-1] for row in rows] == [
        [">", "1", "0.75", "30.0", "(20.0–40.0)", "61.2", "117/924", "1.04", "123.4"],
        ["*", "20", "0.75", "40.0", "(30.0–50.0)", "0.031", "61.2", "117/924", "1.04", "123.4"],
        ["100", "0.75", "35.0", "(25.0–45.0)", "1.000", "61.2", "117/924", "1.04", "123.4"],
    ]
    assert [row[-1].count("█") for row in rows] == [0, BAR, BAR // 2]
