"""Counts in words: 1 line, 2 lines."""

from __future__ import annotations


def plural(number: float, one: str, many: str = "") -> str:
    """The word that belongs to a number: `one` to 1, otherwise `many`, or `one` with an s."""
    return one if number == 1 else many or f"{one}s"


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its word: "1 line", "2 lines"."""
    return f"{number} {plural(number, one, many)}"
