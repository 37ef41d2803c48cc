"""Counts in words: 1 line, 2 lines."""

from __future__ import annotations


def plural(number: float, singular: str, many: str = "") -> str:
    """The noun for a number: `singular` for 1, otherwise `many`, or by default `singular` with an s."""
    return singular if number == 1 else many or f"{singular}s"


def counted(number: int, singular: str, many: str = "") -> str:
    """A number and its noun: "1 line", "2,000 lines"."""
    return f"{number:,} {plural(number, singular, many)}"
