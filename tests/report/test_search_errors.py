"""What the search missed, as a terminal shows it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from support.blame_toys import SMALL, record

from nmtkit.blame.findings import Bounds, Proofs, Report
from nmtkit.blame.records import Parting
from nmtkit.report.search_errors import bounds, certificates, render


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
        Parting("pruned", 3, 7, -1.0, 10),
        Parting("pruned", 4, 9, -3.0, None),
        Parting("pruned", 1, 6, -0.5, 10),
        Parting("stopped", 2, 1, 0.5, None),
        Parting("too long", 19, 1, 0.0, None),
        Parting("other prefix", 2, 5, -1.0, None),
    ]
    verdicts = ["beam", "beam", "beam", "model", "unreachable", "unreachable"]
    records = tuple(
        replace(record(number, verdict), parting=loss)
        for number, (verdict, loss) in enumerate(zip(verdicts, losses, strict=True), start=1)
    )
    text = printed(replace(SMALL, records=records))
    words = " ".join(text.split())
    assert "of 6 errors: 3 pruned, 1 still alive when the search stopped, 1 longer than the limit, 1 not as" in words
    assert "1 not as the prefix forces." in words
    rows = [line.split() for line in text.splitlines() if "█" in line]
    assert [row[:4] for row in rows] == [["1", "1", "6", "-0.50"], ["3–4", "2", "8", "-2.00"]]
    assert len(rows[1][4]) == 2 * len(rows[0][4])
    assert "of the 3 beam verdicts is reached first: 2 at width 10, 1 at none of 10, 20, 50." in words
    assert printed(replace(SMALL, records=tuple(replace(one, parting=None) for one in records))) == ""


def test_bounds_over_all_come_before_what_was_proved() -> None:
    """20 found, 10 of them proved; 12 of the 40 open: 20 to 32 are errors, whatever the share among the proved is."""
    proofs = Proofs(
        asked=40,
        proved=18,
        errors=Bounds(20, 32, 40, 0.35, 0.9),
        proved_errors=10,
        empty=Bounds(3, 25, 40, 0.02, 0.77),
        gain=0.1234,
        length_ratio=0.5,
        steps=9,
    )
    first, second, proved, last = certificates(proofs)
    share = "at least 20 and at most 32 of 40 (50.0 to 80.0 %, 95 % Wilson interval 35.0 to 90.0 %)."
    assert first == f"Search errors, outputs that are not the model's best within the length limit: {share}"
    share = "at least 3 and at most 25 of 40 (7.5 to 62.5 %, 95 % Wilson interval 2.0 to 77.0 %)."
    assert second == f"The model's best is the empty translation: {share}"
    assert "proved for 18 of 40, the easier ones, which do not speak for the others: 10 of these outputs" in proved
    assert (
        "3 of the best translations are empty" in proved and "0.50 times as many pieces" in proved and "%" not in proved
    )
    assert "at most 32 of these 40 could gain in J" in last and "at most 0.123." in last
    assert "20 and at most 32 of 40" in " ".join(printed(replace(SMALL, proofs=proofs)).split())
    *_, apart, last = certificates(replace(proofs, other_pieces=2))
    assert apart.startswith("In 2 of the 18 proved the output is the text of the best in other pieces with a lower J")
    assert "at most 34 of these 40 could gain in J" in last


def test_where_nothing_or_all_is_proved() -> None:
    nothing = Proofs(4, 0, Bounds(0, 4, 4, 0.0, 1.0), 0, Bounds(0, 4, 4, 0.0, 1.0), 0.5, 0.0, 9)
    assert len(certificates(nothing)) == 3 and "proved" not in " ".join(certificates(nothing))
    known = Bounds(1, 1, 4, 0.05, 0.7)
    assert bounds(known) == "1 of 4 (25.0 %, 95 % Wilson interval 5.0 to 70.0 %)"
    text = " ".join(certificates(Proofs(4, 4, known, 1, Bounds(0, 0, 4, 0.0, 0.49), 0.5, 0.8, 9)))
    assert "The best is proved for all 4; the best translations have 0.80 times" in text and "at least" not in text


@pytest.mark.parametrize("widths", [(), (50,)])
def test_widths_none_of_which_helped(widths: tuple[int, ...]) -> None:
    lost = replace(record(1, "beam"), parting=Parting("pruned", 3, 7, -1.0))
    text = " ".join(
        printed(replace(SMALL, records=(lost,), provenance=replace(SMALL.provenance, widths=widths))).split()
    )
    assert ("1 at none of 50." if widths else "1: no wider beam was tried.") in text
