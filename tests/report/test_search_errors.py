"""What the search missed, as a terminal shows it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from blame_toys import SMALL, record
from rich.console import Console

from nmtkit.analysis.records import Loss, Proofs, Rate, Report
from nmtkit.report.search_errors import certificates, rate, render


def printed(report: Report) -> str:
    console = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
    for part in render(report):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    assert max(map(len, stream.getvalue().splitlines()), default=0) <= 80
    return stream.getvalue()


def test_where_when_and_which_width() -> None:
    """Counts by ending; steps in bins with medians; widths of the beam verdicts."""
    losses = [
        Loss("pruned", 3, 7, -1.0, 10),
        Loss("pruned", 4, 9, -3.0, None),
        Loss("pruned", 1, 6, -0.5, 10),
        Loss("stopped", 2, 1, 0.5, None),
        Loss("too long", 19, 1, 0.0, None),
    ]
    verdicts = ["beam", "beam", "beam", "model", "unreachable"]
    records = tuple(
        replace(record(number, verdict), loss=loss)
        for number, (verdict, loss) in enumerate(zip(verdicts, losses, strict=True), start=1)
    )
    text = printed(replace(SMALL, records=records))
    words = " ".join(text.split())
    assert "of 5 errors: 3 pruned, 1 still alive when the search stopped, 1 longer than the limit." in words
    rows = [line.split() for line in text.splitlines() if "█" in line]
    assert [row[:4] for row in rows] == [["1", "1", "6", "-0.50"], ["3–4", "2", "8", "-2.00"]]
    assert len(rows[1][4]) == 2 * len(rows[0][4])
    assert "of the 3 beam verdicts is reached first: 2 at width 10, 1 at none of 10, 20, 50." in words
    assert printed(replace(SMALL, records=tuple(replace(one, loss=None) for one in records))) == ""


def test_what_was_proved() -> None:
    proofs = Proofs(
        proved=Rate(30, 40, 0.6, 0.86),
        errors=Rate(12, 30, 0.25, 0.58),
        found=Rate(20, 40, 0.35, 0.65),
        open=Rate(22, 40, 0.4, 0.7),
        gain=0.1234,
        empty=Rate(3, 30, 0, 1),
        length_ratio=0.5,
        steps=9,
    )
    text = " ".join(certificates(proofs))
    assert "30 of 40 (75.0 %, 60.0 to 86.0 %) sentences" in text
    assert "a search error, in 12 of 30 (40.0 %, 25.0 to 58.0 %)" in text
    assert "empty translation in 3 of 30" in text and "0.50 times as many pieces" in text
    assert "found for 20 of 40 (50.0 %, 35.0 to 65.0 %)" in text
    assert (
        "at most 22 of these 40 could gain in J (of all sentences 40.0 to 70.0 %)" in text and "at most 0.123." in text
    )
    assert "other pieces" not in text
    apart = " ".join(certificates(replace(proofs, other_pieces=2)))
    assert "In 2 of 30 the output is the text of the best in other pieces with a lower J: no search error" in apart
    none = Rate(0, 0, 0, 0)
    nothing = Proofs(Rate(0, 4, 0, 0.5), none, Rate(0, 4, 0, 0.5), Rate(4, 4, 0.5, 1), 0.5, none, 0.0, 9)
    assert len(certificates(nothing)) == 2 and rate(nothing.errors) == "0 of 0"
    assert "30 of 40" in printed(replace(SMALL, proofs=proofs))


@pytest.mark.parametrize("widths", [(), (50,)])
def test_widths_none_of_which_helped(widths: tuple[int, ...]) -> None:
    lost = replace(record(1, "beam"), loss=Loss("pruned", 3, 7, -1.0))
    text = " ".join(
        printed(replace(SMALL, records=(lost,), provenance=replace(SMALL.provenance, widths=widths))).split()
    )
    assert ("1 at none of 50." if widths else "1: no wider beam was tried.") in text
