"""What is remembered of every pair, in a file: marks of what was found, ratio of lengths, scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight.findings import PROBLEM_BITS, Kind
from nmtkit.preflight.repeats import Numbers

COLUMN = np.dtype([("marks", "<u4"), ("ratio", "<i2"), ("source", "u1"), ("target", "u1")])
"""Bits of the kinds that were found; the ratio as `outliers` has it; the scripts of both sides."""
PART = 1 << 20
"""Pairs that are in memory at a time."""


class Columns:
    """One row for each pair. All rows are written in order, then read and changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("wb")
        self.pairs = 0
        self._rows: npt.NDArray[Any] = np.empty(0, dtype=COLUMN)

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write the next rows."""
        self._stream.write(rows.tobytes())
        self.pairs += len(rows)

    def finish(self) -> None:
        """End the writing; the rows can be read from now on."""
        self._stream.close()
        if self.pairs:
            self._rows = np.memmap(self._path, dtype=COLUMN, mode="r+")

    def mark(self, kind: Kind, numbers: Numbers) -> None:
        """Note that a kind was found in these pairs."""
        self._rows["marks"][numbers] |= np.uint32(kind.bit)

    def parts(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """The rows in parts, which may be changed, each with the number of its first pair."""
        for first in range(0, self.pairs, PART):
            yield first, self._rows[first : first + PART]

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
        self._rows = np.empty(0, dtype=COLUMN)


def clean(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which rows have no problem."""
    without: npt.NDArray[np.bool_] = (rows["marks"] & np.uint32(PROBLEM_BITS)) == 0
    return without
