"""What the precision of an engine changed, in words."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from nmtkit.blame.findings import Precision, Report
from nmtkit.report.rows import title
from nmtkit.report.tables import percent
from nmtkit.words import counted, plural


def render(report: Report) -> Iterator[Text]:
    """The sentences, if an engine made the outputs."""
    precision, facts = report.precision, report.provenance
    if precision is None:
        return
    engine = facts.engine or ""
    same = precision.outputs - precision.changed
    if not precision.changed:
        yield Text(f"Precision: nmtkit's own search in float32 gives the same {counted(same, 'output')} as {engine}.")
        return
    changed = counted(precision.changed, "output")
    yield Text(
        f"Precision, a third cause: {engine} returned another text than nmtkit's own search in float32 does in "
        f"{precision.changed} of {counted(precision.outputs, 'output')}: J is lower in {precision.lower} of them and "
        f"higher in {precision.higher}; mean J over all is {_direction(precision.loss)}."
    )
    shares = (
        f"{changes.count} of {changes.of} ({percent(changes.count / changes.of)}, {100 * changes.low:.1f} to "
        f"{100 * changes.high:.1f} %) in the row “{title(row, facts)}”"
        for row, changes in zip(report.rows, precision.rows, strict=True)
        if changes.of
    )
    if listed := "; ".join(shares):
        yield Text(f"Errors whose output float32 would not have chosen: {listed}.")
    yield Text(_verdicts(precision, changed))


def _direction(loss: float) -> str:
    return f"{abs(loss):.6f} {'lower' if loss >= 0 else 'higher'}"


def _verdicts(precision: Precision, changed: str) -> str:
    cleared = (
        f" In {precision.cleared} of {counted(precision.beam, 'beam verdict')} the search in float32 reaches J(y*): "
        f"there the precision is to blame, not the beam."
        if precision.cleared
        else ""
    )
    are = plural(precision.made, "is an error where float32's is none", "are errors where float32's are none")
    return f"Of these {changed}, {precision.made} {are}; {precision.spared} the other way round.{cleared}"
