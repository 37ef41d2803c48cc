"""Where the model lost the references, in a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.analysis.model_errors import buckets, turns
from nmtkit.analysis.records import Report, Verdict
from nmtkit.report.tables import number, shown

SHOWN = 5
"""Pieces of the references that are named."""


def render(report: Report) -> Iterator[Text | Table]:
    """The first difference, other exponents, source lengths; nothing where the model is blamed for nothing."""
    blamed = [record for record in report.records if record.verdict == Verdict.MODEL and record.divergence]
    turned = [record.divergence for record in blamed if record.divergence]
    if not turned:
        return
    early = sum(one.step == 1 for one in turned)
    shrank = sum(one.deficit + one.rest < 0 for one in turned)
    yield Text(
        f"Where the model turned from the reference, in {len(turned)} model verdicts: at piece "
        f"{statistics.median(one.step for one in turned):.0f} (median; {early} at the first), where its own piece is "
        f"{number(statistics.median(one.deficit for one in turned))} nats likelier (median) than the reference's; "
        f"behind that the output gains {number(statistics.median(one.rest for one in turned))} more (median)"
        f"{f', and loses all of it in {shrank}' if shrank else ''}."
    )
    often = [turn for turn in turns(report.records, SHOWN) if turn.count > 1]
    if often:
        said = ", ".join(f"{shown(one.piece)} {one.count} times ({number(one.deficit)} nats)" for one in often)
        yield Text(f"It turned most often where the reference has {said}.")
    for flip in report.flips:
        if flip.to_beam or flip.to_model:
            yield Text(
                f"Under α = {flip.alpha:g} the same outputs would turn {flip.to_beam} of the verdicts from model to "
                f"beam and {flip.to_model} from beam to model."
            )
    if len(report.records) >= 20:
        yield _lengths(report)


def _lengths(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    metric = {"chrf": "chrF", "bleu": "BLEU"}[report.provenance.sentence_metric]
    for heading in ("source pieces", "sentences", "equal", "beam", "model", "unreachable", f"mean {metric}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in buckets(report.records):
        name = f"{one.first}" if one.first == one.last else f"{one.first}–{one.last}"
        counts = (one.sentences, one.equal, one.beam, one.model, one.unreachable)
        table.add_row(name, *map(str, counts), f"{one.score:.1f}")
    return table
