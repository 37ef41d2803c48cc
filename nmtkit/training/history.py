"""history.jsonl of a model folder: a line for each log and each validation."""

from __future__ import annotations

import json
from pathlib import Path

from nmtkit.console import warn

HISTORY = "history.jsonl"


def read_history(path: Path) -> list[dict[str, float]]:
    """The lines of a history file; what a killed run left unfinished is dropped, and a damaged line with a warning."""
    if not path.exists():
        return []
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], start=1):
        line = _facts(text)
        if line is None:
            warn(f"{path}, line {number}: damaged; left out")
        else:
            found.append(line)
    return found


def _facts(text: str) -> dict[str, float] | None:
    """A line of a history, or None for what is none."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    numbers = isinstance(line, dict) and all(type(value) in (int, float) for value in line.values())
    return line if numbers and type(line.get("step")) is int else None
