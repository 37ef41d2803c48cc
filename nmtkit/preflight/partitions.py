"""Equal lines in any number of lines: hashes of 128 bits, sorted in memory or, where there are many, in parts on disk.

The parts are those of a hash join (Shapiro 1986): equal hashes have equal first bytes, so they lie in one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RECORD = np.dtype([("key", "<u8", 2), ("other", "<u8", 2), ("number", "<i8")])
"""A line's hash, that of its partner, and the number of the pair."""
PARTS = 256

Records = npt.NDArray[Any]


def digests(lines: Sequence[bytes]) -> list[bytes]:
    """A hash of 16 bytes for each line."""
    return [blake2b(line, digest_size=16).digest() for line in lines]


def as_numbers(hashes: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Hashes as two numbers each."""
    return np.frombuffer(b"".join(hashes), dtype="<u8").reshape(-1, 2)


class Partitions:
    """Records by the hash of one side.

    Args:
        folder: an existing folder for the parts, in which no other partitions write.
        in_memory: records that are kept in memory before they are written to the parts.
    """

    def __init__(self, folder: Path, in_memory: int) -> None:
        self._folder, self._in_memory = folder, in_memory
        self._waiting: list[Records] = []
        self._size = 0
        self._on_disk = False

    def add(self, keys: Any, others: Any, numbers: Any) -> None:
        """Take the hashes of lines, (n, 2) each, and the numbers of their pairs, (n,)."""
        records = np.empty(len(numbers), dtype=RECORD)
        records["key"], records["other"], records["number"] = keys, others, numbers
        self._waiting.append(records)
        self._size += len(records)
        if self._size > self._in_memory:
            self._spill()

    def _spill(self) -> None:
        """Append what is in memory to the parts."""
        records = self._taken()
        part_of = records["key"][:, 0] % PARTS
        records = records[np.argsort(part_of, kind="stable")]
        ends = np.cumsum(np.bincount(part_of.astype(np.intp), minlength=PARTS))
        for part, piece in enumerate(np.split(records, ends[:-1])):
            if len(piece):
                with open(self._folder / f"{part}", "ab") as stream:
                    stream.write(piece.tobytes())
        self._on_disk = True

    def _taken(self) -> Records:
        records = np.concatenate([np.empty(0, dtype=RECORD), *self._waiting])
        self._waiting, self._size = [], 0
        return records

    def __iter__(self) -> Iterator[Records]:
        """The records in parts, each sorted by key, partner and number; all records of one key are in one part."""
        if not self._on_disk:
            yield _sorted(self._taken())
            return
        self._spill()
        for path in sorted(self._folder.iterdir()):
            records = np.fromfile(path, dtype=RECORD)
            path.unlink()
            yield _sorted(records)


def _sorted(records: Records) -> Records:
    key, other = records["key"], records["other"]
    return records[np.lexsort((records["number"], other[:, 1], other[:, 0], key[:, 1], key[:, 0]))]
