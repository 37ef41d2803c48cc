"""Pieces that tables share: how texts, numbers and shares are shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.console import printable

CONTEXT = 30
"""Characters shown before the first difference of two long texts."""


def shown(text: str, most: int = 160, beside: str | None = None) -> Text:
    """A text without markup, with control characters written as escapes, and cut where it is too long.

    Args:
        most: characters that are shown.
        beside: a text to compare with; where the text is too long, the words that both begin with are left out.
    """
    if not text.strip():
        return Text("(white space)" if text else "(empty)")
    if beside is not None and len(text) > most:
        pairs = enumerate(zip(text, beside, strict=False))
        common = next((place for place, pair in pairs if pair[0] != pair[1]), min(len(text), len(beside)))
        start = text.rfind(" ", 0, max(0, common - CONTEXT)) + 1
        text = f"… {text[start:]}" if start else text
    safe = printable(text)
    return Text(safe if len(safe) <= most else safe[: most - 1] + "…")


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of numbers, aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def bullets(sentences: Iterable[str]) -> Table:
    """A list of sentences with bullets and hanging indents."""
    table = Table.grid(padding=(0, 1))
    for sentence in sentences:
        table.add_row("•", Text(sentence))
    return table


def number(value: float, digits: int = 2) -> str:
    """A number with a fixed number of decimals; −∞ as a sign."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ("−∞" if value < 0 else "?")


def short_hash(model: str) -> str:
    """The short hash of a model folder, or of each member of an ensemble."""
    return " + ".join(member[:12] for member in model.split("+")) or "without a folder"


def percent(share: float) -> str:
    """A share in per cent with one decimal: 21.8 %."""
    return f"{100 * share:.1f} %"
