"""Pieces that tables share: how texts, numbers and shares are shown."""

from __future__ import annotations

import math

from rich.text import Text

JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling in Persian, Hindi and others, and of emoji."""


def shown(text: str, most: int = 160) -> Text:
    """A text as it is, no markup, with what could change the terminal written as an escape, and cut if too long."""
    safe = "".join(
        character if character.isprintable() or character in JOINERS else _escape(character) for character in text
    )
    return Text(safe if len(safe) <= most else safe[: most - 1] + "…")


def number(value: float, digits: int = 2) -> str:
    """A fixed number of digits; −∞ as such."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ("−∞" if value < 0 else "?")


def percent(share: float) -> str:
    """With one digit, 21.8 %."""
    return f"{100 * share:.1f} %"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
