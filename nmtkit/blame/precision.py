"""What the precision of an engine changed: a third cause of errors, beside the search and the model."""

from __future__ import annotations

from collections.abc import Sequence

from nmtkit.blame.findings import Changed, Precision, Row
from nmtkit.blame.records import Record, Twin, Verdict
from nmtkit.blame.rule import Rule, same_text
from nmtkit.evaluation.significance import wilson


def count_changes(records: Sequence[Record], rows: Sequence[Row], rule: Rule) -> Precision:
    """Count the outputs that float32 would not have chosen, among all and among the errors of each row."""
    changed = {
        record.number: (record, record.twin) for record in records if record.twin and _other(record, record.twin)
    }
    pairs = list(changed.values())
    losses = (record.twin.output.score - record.output.score for record in records if record.twin)
    return Precision(
        outputs=len(records),
        changed=len(pairs),
        lower=sum(rule.higher(twin.output, record.output) for record, twin in pairs),
        higher=sum(rule.higher(record.output, twin.output) for record, twin in pairs),
        loss=sum(losses) / len(records),
        rows=tuple(_changed(row, changed.keys() & set(row.numbers)) for row in rows),
        made=sum(record.verdict != Verdict.EQUAL == twin.verdict for record, twin in pairs),
        spared=sum(record.verdict == Verdict.EQUAL != twin.verdict for record, twin in pairs),
        beam=sum(record.verdict == Verdict.BEAM for record in records),
        cleared=sum(record.verdict == Verdict.BEAM != twin.verdict for record, twin in pairs),
    )


def _other(record: Record, twin: Twin) -> bool:
    return not same_text(twin.output.text, record.output.text)


def _changed(row: Row, numbers: set[int]) -> Changed:
    return Changed(row.kind, len(numbers), row.errors, *wilson(len(numbers), row.errors))
