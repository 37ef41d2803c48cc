"""Where the model lost the references, in a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from nmtkit.blame.findings import Fit, Frequency, Report
from nmtkit.blame.model_errors import buckets, turns
from nmtkit.blame.records import Divergence, Verdict
from nmtkit.report.evaluation import figure
from nmtkit.report.tables import grid, number, percent, shown
from nmtkit.words import counted

SHOWN = 5
"""The most pieces of the references that are named."""


def render(report: Report) -> Iterator[Text | Table]:
    """The first differences, other exponents, source lengths and the training text."""
    turned = [record.divergence for record in report.records if record.verdict == Verdict.MODEL and record.divergence]
    if turned:
        yield Text(_turning(turned))
        frequent = [turn for turn in turns(report.records, SHOWN) if turn.count > 1]
        if frequent:
            places = ", ".join(
                f"{shown(turn.piece)} {turn.count} times ({number(turn.deficit)} nats)" for turn in frequent
            )
            yield Text(f"It turned most often where the reference has {places}.")
    for flip in report.flips:
        if flip.to_beam or flip.to_model:
            yield Text(
                f"Under α = {flip.alpha:g} the same outputs would turn {flip.to_beam} of the verdicts from model to "
                f"beam and {flip.to_model} from beam to model."
            )
    if len(report.records) >= 20:
        yield grid(*lengths(report))
    if report.fit:
        yield Text(known(report.fit))
        yield grid(*frequencies(report.fit))


def _turning(turned: Sequence[Divergence]) -> str:
    """Where the model turned away, by how many nats, and how the rest of the sentence changed this."""
    step, deficit, rest = (
        statistics.median(getattr(divergence, name) for divergence in turned) for name in ("step", "deficit", "rest")
    )
    early = sum(divergence.step == 1 for divergence in turned)
    shrank = sum(divergence.deficit + divergence.rest < 0 for divergence in turned)
    return (
        f"Where the model turned from the reference, in {counted(len(turned), 'model verdict')}: at piece "
        f"{step:.0f} (median; {early} at the first), where its own piece is {number(abs(deficit))} nats "
        f"{'likelier' if deficit >= 0 else 'less likely'} (median) than the reference's; after that the output "
        f"{'gains' if rest >= 0 else 'loses'} {number(abs(rest))} {'more ' if rest >= 0 else ''}(median)"
        f"{f', and loses all of it in {shrank}' if shrank else ''}."
    )


def known(fit: Fit) -> str:
    """The loss on the references and on the training text, in a sentence."""
    share = f"{percent(fit.share)} of the loss ({100 * fit.low:.1f} to {percent(fit.high)})"
    return (
        f"A piece of the references costs {fit.loss:.2f} nats, one of the training text {fit.train_loss:.2f} "
        f"({counted(fit.pairs, 'pair')}): {share} comes from text that the model has not seen."
    )


def often(frequency: Frequency) -> str:
    """How often the training text has the pieces, for example 10–99."""
    if frequency.most is None:
        return f"{frequency.least:,} and more"
    return f"{frequency.least}–{frequency.most}" if frequency.most else "never"


def frequencies(fit: Fit) -> tuple[list[str], list[list[str]]]:
    """What rare pieces cost: headings and rows."""
    rows = [
        [
            often(frequency),
            f"{frequency.pieces:,}",
            f"{frequency.loss:.2f}",
            f"{frequency.turned} ({percent(frequency.turned / frequency.pieces)})",
        ]
        for frequency in fit.frequencies
    ]
    return ["times in training", "pieces of y*", "nats a piece", "turned away there"], rows


def lengths(report: Report) -> tuple[list[str], list[list[str]]]:
    """Verdicts and scores by source length: headings and rows."""
    scale = report.provenance.scale
    rows = []
    for bucket in buckets(report.records):
        name = f"{bucket.first}" if bucket.first == bucket.last else f"{bucket.first}–{bucket.last}"
        counts = (bucket.sentences, bucket.equal, bucket.beam, bucket.model, bucket.unreachable)
        rows.append([name, *map(str, counts), figure(bucket.score, scale)])
    return ["source pieces", "sentences", "equal", "beam", "model", "unreachable", f"mean {scale.title}"], rows
