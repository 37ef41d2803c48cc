"""history.jsonl of a model folder: one line for each line of progress and each validation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from nmtkit.console import warn

HISTORY = "history.jsonl"
MOST = 1e100
"""No finite number is as large."""


def read_history(path: Path) -> list[dict[str, float]]:
    """The lines of a history file, without an unfinished last line and, with a warning, without damaged ones."""
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], start=1):
        line = _facts(text)
        if line is None:
            warn(f"{path}, line {number}: damaged; left out")
        else:
            lines.append(line)
    return lines


def _facts(text: str) -> dict[str, float] | None:
    """The facts of a line of a history, or None for any other text."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    numbers = isinstance(line, dict) and all(map(_is_number, line.values()))
    return line if numbers and type(line.get("step")) is int else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and not MOST <= abs(value) < math.inf
