"""Count the verdicts: the same records under every answer to "which outputs are errors?"."""

from __future__ import annotations

from collections.abc import Sequence

from nmtkit.blame.findings import Errors, Row, Share
from nmtkit.blame.records import BLAMED, Record, Verdict
from nmtkit.evaluation.significance import wilson


def count(records: Sequence[Record], *, judged: bool) -> tuple[Row, ...]:
    """The rows of a report: outputs that differ; of these, those with a bad score and, if `judged`, those listed."""
    wrong = [record for record in records if record.verdict != Verdict.EQUAL]
    rows = [
        _row(Errors.DIFFERENT, wrong),
        _row(Errors.WORSE, [record for record in wrong if record.below]),
    ]
    if judged:
        rows.append(_row(Errors.LISTED, [record for record in wrong if record.listed]))
    return tuple(rows)


def _row(kind: Errors, errors: Sequence[Record]) -> Row:
    return Row(kind, tuple(record.number for record in errors), tuple(_share(kind, errors) for kind in BLAMED))


def _share(verdict: Verdict, errors: Sequence[Record]) -> Share:
    number = sum(record.verdict == verdict for record in errors)
    low, high = wilson(number, len(errors))
    return Share(verdict, number, number / len(errors) if errors else 0.0, low, high)
