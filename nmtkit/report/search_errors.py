"""What the search missed, in a terminal: where it lost the references, which width finds them, what was proved."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.blame.findings import Bounds, Proofs, Report
from nmtkit.blame.records import Parting, Record, Verdict
from nmtkit.report.tables import percent
from nmtkit.words import counted

STEPS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 10**9))
"""Bins of the histogram: first and last step."""
BAR = 24
"""Characters of the longest bar of the histogram."""


def render(report: Report) -> Iterator[Text | Table]:
    """Sentences and a histogram; nothing where no output is wrong."""
    partings = [record.parting for record in report.records if record.parting is not None]
    if partings:
        yield Text(_partings(partings))
        if bins := histogram(report):
            yield _histogram(bins)
        if missed := [record for record in report.records if record.verdict == Verdict.BEAM]:
            yield Text(_widths(missed, report.provenance.widths))
    if report.proofs:
        for sentence in certificates(report.proofs):
            yield Text(sentence)


def certificates(proofs: Proofs) -> list[str]:
    """What exact search says, in sentences; the bounds over all sentences that were searched come first."""
    errors, empty = proofs.errors, proofs.empty
    sentences = [
        f"Search errors, outputs that are not the model's best within the length limit: {bounds(errors)}.",
        f"The model's best is the empty translation: {bounds(empty)}.",
    ]
    if 0 < proofs.proved < proofs.asked:
        empties = f"{empty.least} of the best translations are empty"
        sentences.append(
            f"The best is proved for {proofs.proved} of {proofs.asked}, the easier ones, which do not speak for the "
            f"others: {proofs.proved_errors} of these outputs are search errors, {empties}, "
            f"and together they have {proofs.length_ratio:.2f} times as many pieces as the references."
        )
    elif proofs.proved:
        sentences.append(
            f"The best is proved for all {proofs.asked}; the best translations have {proofs.length_ratio:.2f} times "
            "as many pieces as the references."
        )
    if proofs.other_pieces:
        sentences.append(
            f"In {proofs.other_pieces} of the {proofs.proved} proved the output is the text of the best in other "
            "pieces with a lower J: no search error, since the text is found."
        )
    sentences.append(
        f"At any width, run or not, at most {errors.most + proofs.other_pieces} of these {errors.of} could gain in J, "
        f"and their mean J could rise by at most {proofs.gain:.3f}."
    )
    return sentences


def bounds(counts: Bounds) -> str:
    """At least 12 and at most 30 of 40, or 12 of 40 where no case is open; with shares and interval."""
    interval = f"95 % Wilson interval {100 * counts.low:.1f} to {percent(counts.high)}"
    if counts.least == counts.most:
        return f"{counts.least} of {counts.of} ({percent(counts.least / counts.of)}, {interval})"
    share = f"{100 * counts.least / counts.of:.1f} to {percent(counts.most / counts.of)}"
    return f"at least {counts.least} and at most {counts.most} of {counts.of} ({share}, {interval})"


def _partings(partings: Sequence[Parting]) -> str:
    counts = Counter(parting.ending for parting in partings)
    words = {
        "pruned": "pruned",
        "stopped": "still alive when the search stopped",
        "finished": "among the finished but not the best",
        "too long": "longer than the limit",
        "forbidden": "forbidden by a rule",
        "other prefix": "not as the prefix forces",
    }
    parts = [f"{counts[ending]} {text}" for ending, text in words.items() if counts[ending]]
    return f"Where the beam lost the reference, of {counted(len(partings), 'error')}: {', '.join(parts)}."


def histogram(report: Report) -> list[tuple[str, int, float, float]]:
    """The pruned references by the step that pruned them: name of the bin, count, median rank and median margin."""
    partings = [record.parting for record in report.records if record.parting and record.parting.ending == "pruned"]
    bins = []
    for first, last in STEPS:
        if inside := [parting for parting in partings if first <= parting.step <= last]:
            name = f"{first}" if first == last else f"{first}–{last}" if last < 10**9 else f"{first} and later"
            rank = statistics.median(parting.rank for parting in inside)
            bins.append((name, len(inside), rank, statistics.median(parting.margin for parting in inside)))
    return bins


def _histogram(bins: Sequence[tuple[str, int, float, float]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("lost at step", "n", "rank", "margin"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max(number for _, number, *_ in bins)
    for name, number, rank, margin in bins:
        bar = "█" * max(1, round(BAR * number / most))
        table.add_row(name, str(number), f"{rank:,.0f}", f"{margin:.2f}", bar)
    return table


def _widths(missed: Sequence[Record], widths: Sequence[int]) -> str:
    reached = Counter(record.parting.width for record in missed if record.parting)
    parts = [f"{reached[width]} at width {width}" for width in widths if reached[width]]
    if reached[None]:
        tried = f"none of {', '.join(map(str, widths))}" if widths else "no wider beam was tried"
        parts.append(f"{reached[None]} at {tried}" if widths else f"{reached[None]}: {tried}")
    return f"J(y*) of the {counted(len(missed), 'beam verdict')} is reached first: {', '.join(parts)}."
