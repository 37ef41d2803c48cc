"""A sweep over settings of the search in a terminal: a table with the curve; its advice stands with that of blame."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from nmtkit.blame.sweep import Sweep
from nmtkit.report.tables import grid
from nmtkit.words import counted

BAR = 8
"""Characters of the longest bar, from the lowest BLEU of the sweep to the highest."""


def render(made: Sweep) -> Iterator[Text | Table]:
    """Print one by one."""
    yield Text(heading(made))
    headings, rows = table(made)
    values = [one.bleu.value for one in made.settings]
    low, high = min(values), max(values)
    bars = ["█" * round(BAR * (value - low) / (high - low)) if high > low else "" for value in values]
    drawn = grid([*headings, ""], [[*row, bar or "▏"] for row, bar in zip(rows, bars, strict=True)])
    drawn.columns[-1].justify = "left"
    yield drawn


def heading(made: Sweep) -> str:
    """What the columns say."""
    return (
        f"settings measured on {counted(made.sentences, 'sentence')}: > now, * highest BLEU; in brackets 95 % "
        f"percentile intervals; p: of no difference from now, corrected for the choice among {len(made.settings)}; "
        "missed: beam verdicts, of the outputs that differ; length: pieces of ŷ / y*; ms: a sentence"
    )


def table(made: Sweep) -> tuple[list[str], list[list[str]]]:
    """A setting a line: headings and rows."""
    rows = [
        [
            (">" if index == made.current else "") + ("*" if index == made.best else ""),
            str(one.beam),
            f"{one.alpha:g}",
            f"{one.bleu.value:.1f} ({one.bleu.low:.1f}–{one.bleu.high:.1f})",
            "" if one.p_value is None else f"{one.p_value:.3f}",
            f"{one.chrf.value:.1f}",
            f"{one.beam_errors}/{one.different}",
            f"{one.length_ratio:.2f}",
            f"{1000 * one.seconds:.1f}",
        ]
        for index, one in enumerate(made.settings)
    ]
    return ["", "beam", "α", "BLEU (95 %)", "p", "chrF", "missed", "length", "ms"], rows
