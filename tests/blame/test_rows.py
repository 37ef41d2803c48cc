"""Shares against counts made by hand and Wilson's interval worked out on paper."""

from __future__ import annotations

import pytest

from nmtkit.blame.findings import Errors
from nmtkit.blame.records import Candidate, Record, Verdict
from nmtkit.blame.rows import count


def record(number: int, verdict: str, *, below: bool = False, listed: bool = False) -> Record:
    one = Candidate("text", -1.0, 2, -0.5)
    return Record(number, "source", one, (one,), 0, 9, Verdict(verdict), 50.0, below, listed)


RECORDS = [
    record(1, "equal", listed=True),
    record(2, "beam", below=True),
    record(3, "beam", below=True, listed=True),
    record(4, "model", listed=True),
    record(5, "equal"),
    record(6, "unreachable", below=True),
]


def test_each_row_counts_its_errors_and_no_others() -> None:
    rows = count(RECORDS, judged=True)
    assert [row.kind for row in rows] == [Errors.DIFFERENT, Errors.WORSE, Errors.LISTED]
    assert [row.numbers for row in rows] == [(2, 3, 4, 6), (2, 3, 6), (3, 4)]
    assert [[share.count for share in row.shares] for row in rows] == [[2, 1, 1], [2, 0, 1], [1, 1, 0]]
    assert [[share.share for share in row.shares] for row in rows] == [
        [0.5, 0.25, 0.25],
        [2 / 3, 0, 1 / 3],
        [0.5] * 2 + [0],
    ]
    assert rows[0].of(Verdict.MODEL).count == 1
    assert len(count(RECORDS, judged=False)) == 2


def test_intervals() -> None:
    """z = 1.959964. 2 of 4: centre 0.5, half = (z / (1 + z²/4)) · √(0.25/4 + z²/64) = 0.999795 · 0.350032."""
    beam, model, _ = count(RECORDS, judged=False)[0].shares
    assert (beam.low, beam.high) == pytest.approx((0.150039, 0.849961), abs=2e-6)
    # 1 of 4: centre = (0.25 + z²/8) / (1 + z²/4) = 0.730182 / 1.960365, half = 0.999795 · √(0.1875/4 + z²/64)
    assert (model.low, model.high) == pytest.approx((0.045587, 0.699358), abs=2e-6)


def test_no_errors() -> None:
    rows = count([record(1, "equal")], judged=True)
    assert [row.errors for row in rows] == [0, 0, 0]
    assert {(share.count, share.share, share.low, share.high) for share in rows[0].shares} == {(0, 0.0, 0.0, 1.0)}
