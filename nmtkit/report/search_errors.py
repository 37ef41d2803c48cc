"""What the search missed, in a terminal: where it lost the references, which width finds them, what was proved."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.analysis.records import Loss, Proofs, Rate, Record, Report, Verdict
from nmtkit.report.tables import percent
from nmtkit.words import counted, plural

STEPS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 10**9))
"""Bins of the histogram: first and last step."""
BAR = 24
"""Characters of its longest bar."""


def render(report: Report) -> Iterator[Text | Table]:
    """Nothing where no output is wrong."""
    losses = [record.loss for record in report.records if record.loss is not None]
    if losses:
        yield Text(_partings(losses))
        if bins := histogram(report):
            yield _histogram(bins)
        if missed := [record for record in report.records if record.verdict == Verdict.BEAM]:
            yield Text(_widths(missed, report.provenance.widths))
    if report.proofs:
        for sentence in certificates(report.proofs):
            yield Text(sentence)


def certificates(proofs: Proofs) -> list[str]:
    """What exact search says, in sentences."""
    sentences = [
        f"Exact search proved the best within the length limit for {rate(proofs.proved)} "
        f"{plural(proofs.proved.of, 'sentence')}."
    ]
    if proofs.proved.count:
        sentences.append(
            f"Of these the output is not the best, a search error, in {rate(proofs.errors)}; the best is the empty "
            f"translation in {proofs.empty.count} of {proofs.empty.of}, and all bests together have "
            f"{proofs.length_ratio:.2f} times as many pieces as the references."
        )
    if proofs.other_pieces:
        sentences.append(
            f"In {proofs.other_pieces} of {proofs.proved.count} the output is the text of the best in other pieces "
            "with a lower J: no search error, since the text is found."
        )
    if proofs.found.count > proofs.errors.count:
        sentences.append(f"Proved or not, something better than the output was found for {rate(proofs.found)}.")
    sentences.append(
        f"So at any width, run or not, at most {proofs.open.count} of these {proofs.open.of} could gain in J (of all "
        f"sentences {100 * proofs.open.low:.1f} to {percent(proofs.open.high)}), and the mean J of these could rise by "
        f"at most {proofs.gain:.3f}."
    )
    return sentences


def rate(one: Rate) -> str:
    """12 of 40 (30.0 %, 18.1 to 45.4 %)."""
    if not one.of:
        return f"{one.count} of 0"
    return f"{one.count} of {one.of} ({percent(one.count / one.of)}, {100 * one.low:.1f} to {percent(one.high)})"


def _partings(losses: Sequence[Loss]) -> str:
    counts = Counter(loss.ending for loss in losses)
    words = {
        "pruned": "pruned",
        "stopped": "still alive when the search stopped",
        "finished": "among the finished but not the best",
        "too long": "longer than the limit",
        "forbidden": "forbidden by a rule",
    }
    parts = [f"{counts[ending]} {text}" for ending, text in words.items() if counts[ending]]
    return f"Where the beam lost the reference, of {counted(len(losses), 'error')}: {', '.join(parts)}."


def histogram(report: Report) -> list[tuple[str, int, float, float]]:
    """The references that were pruned by the step at which: name of the bin, how many, median rank and margin."""
    losses = [record.loss for record in report.records if record.loss and record.loss.ending == "pruned"]
    bins = []
    for first, last in STEPS:
        if inside := [loss for loss in losses if first <= loss.step <= last]:
            name = f"{first}" if first == last else f"{first}–{last}" if last < 10**9 else f"{first} and later"
            rank = statistics.median(loss.rank for loss in inside)
            bins.append((name, len(inside), rank, statistics.median(loss.margin for loss in inside)))
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
    reached = Counter(record.loss.width for record in missed if record.loss)
    parts = [f"{reached[width]} at width {width}" for width in widths if reached[width]]
    if reached[None]:
        tried = f"none of {', '.join(map(str, widths))}" if widths else "no wider beam was tried"
        parts.append(f"{reached[None]} at {tried}" if widths else f"{reached[None]}: {tried}")
    return f"J(y*) of the {counted(len(missed), 'beam verdict')} is reached first: {', '.join(parts)}."
