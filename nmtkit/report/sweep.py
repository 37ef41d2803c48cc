"""A sweep over settings of the search in a terminal: a table with the curve, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.analysis.sweep import Setting, Sweep, advice

BAR = 10
"""Characters of the longest bar, from the lowest BLEU of the sweep to the highest."""


def render(made: Sweep) -> Iterator[Text | Table]:
    """Print one by one."""
    yield Text(
        f"settings measured on {made.sentences} sentences: > now, * highest BLEU; missed: of the "
        "outputs that differ, those with J(y*) > J(ŷ); length: ŷ / y*; ms: a sentence"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("", "beam", "α", "BLEU (95 %)", "chrF", "missed", "length", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    values = [one.bleu.value for one in made.settings]
    low, high = min(values), max(values)
    for index, one in enumerate(made.settings):
        bar = "█" * round(BAR * (one.bleu.value - low) / (high - low)) if high > low else ""
        mark = (">" if index == made.current else "") + ("*" if index == made.best else "")
        table.add_row(mark, *_cells(one), bar or "▏")
    yield table
    for sentence in advice(made):
        yield Text(f"• {sentence}")


def _cells(one: Setting) -> list[str]:
    return [
        str(one.beam),
        f"{one.alpha:g}",
        f"{one.bleu.value:.1f} ({one.bleu.low:.1f}–{one.bleu.high:.1f})",
        f"{one.chrf.value:.1f}",
        f"{one.beam_errors}/{one.different}",
        f"{one.length_ratio:.2f}",
        f"{1000 * one.seconds:.1f}",
    ]
