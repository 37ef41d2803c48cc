"""Appends encoded pairs to the columns of a prepared corpus; a journal lets a stopped preparation go on.

The journal is written whole, after the columns have reached the disk. What stands in them beyond it is cut off when the
preparation goes on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from nmtkit.batches.encoding import Encoded
from nmtkit.batches.shards import COLUMNS, JOURNAL
from nmtkit.files import write_json
from nmtkit.settings import from_mapping, to_mapping

SECONDS = 10.0
"""Time between two journals."""


@dataclass(frozen=True)
class Done:
    """How far a preparation is.

    Attributes:
        pairs, empty, overlong: as in `Counts`.
        source_offset, target_offset: bytes read of each file; 0 for a packed one.
        source_positions, target_positions: ids in the columns.
    """

    pairs: int = 0
    empty: int = 0
    overlong: int = 0
    source_offset: int = 0
    target_offset: int = 0
    source_positions: int = 0
    target_positions: int = 0

    @property
    def kept(self) -> int:
        return self.pairs - self.empty - self.overlong

    def sizes(self) -> tuple[int, ...]:
        """Numbers in each column."""
        return self.source_positions, self.kept + 1, self.target_positions, self.kept + 1, self.kept

    def after(self, encoded: Encoded, offsets: tuple[int, int]) -> Done:
        """How far it is with another block."""
        return Done(
            self.pairs + encoded.pairs,
            self.empty + encoded.empty,
            self.overlong + encoded.overlong,
            *offsets,
            self.source_positions + len(encoded.source),
            self.target_positions + len(encoded.target),
        )


def begun(folder: Path, job: Mapping[str, Any]) -> bool | None:
    """Whether a folder holds the beginning of what a job makes; None if it holds the beginning of nothing."""
    written = _read(folder)
    return None if "job" not in written else bool(written["job"] == job)


def _read(folder: Path) -> dict[str, Any]:
    """What the journal of a folder says; nothing if it has none or a damaged one."""
    with suppress(OSError, ValueError, RecursionError):
        written = json.loads((folder / JOURNAL).read_bytes())
        return written if isinstance(written, dict) else {}
    return {}


class Columns:
    """The columns of a folder while they are written.

    Args:
        kinds: type of each column, as of `shards.dtypes`.
        job: what the columns are made of; a journal of another job is of no use.
        resumable: whether to keep a journal.

    Attributes:
        done: how far the preparation is.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, str], job: Mapping[str, Any], resumable: bool = True) -> None:
        self._folder, self._kinds, self._job, self._resumable = folder, kinds, dict(job), resumable
        self.done = self._journal() if resumable else Done()
        self._saved = time.monotonic()
        self._streams: dict[str, BinaryIO] = {}
        try:
            self._open()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            refused = isinstance(error, OSError)  # by a disk, which may have lost what was written before, too
            if error is None or (self._resumable and not refused):
                self.save()
        finally:
            self._close()

    def append(self, encoded: Encoded, offsets: tuple[int, int]) -> None:
        """Append the pairs of a block that ends at `offsets` of the files."""
        done = self.done
        source_ends = done.source_positions + np.cumsum(encoded.source_lengths)
        target_ends = done.target_positions + np.cumsum(encoded.target_lengths)
        columns: list[NDArray[Any]] = [encoded.source, source_ends, encoded.target, target_ends, encoded.hashes]
        for name, column in zip(COLUMNS, columns, strict=True):
            self._write(name, column)
        self.done = done.after(encoded, offsets)
        if self._resumable and time.monotonic() - self._saved >= SECONDS:
            self.save()

    def save(self) -> None:
        """Wait until the columns have reached the disk, then write the journal."""
        for name, stream in self._streams.items():
            try:
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._folder / name)) from None
        if self._resumable:
            write_json(self._folder / JOURNAL, {"job": self._job, "done": to_mapping(self.done)})
        self._saved = time.monotonic()

    def _journal(self) -> Done:
        """How far an earlier preparation came; the beginning if there is none that is of use."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            written = _read(self._folder)
            done = from_mapping(Done, written["done"], JOURNAL)
            sizes = zip(self._kinds.items(), done.sizes(), strict=True)
            long_enough = all(
                (self._folder / name).stat().st_size >= size * np.dtype(kind).itemsize for (name, kind), size in sizes
            )
            if written["job"] == self._job and long_enough:
                return done
        return Done()

    def _open(self) -> None:
        """Open the columns, cut to what is done."""
        for (name, kind), size in zip(self._kinds.items(), self.done.sizes(), strict=True):
            path = self._folder / name
            path.touch()
            stream = self._streams[name] = path.open("r+b")
            if self.done == Done():
                stream.truncate(0)
                if name.endswith(".ends"):
                    self._write(name, np.zeros(1, np.int64))
            else:
                stream.truncate(size * np.dtype(kind).itemsize)
            stream.seek(0, os.SEEK_END)

    def _write(self, name: str, column: NDArray[Any]) -> None:
        try:
            self._streams[name].write(column.astype(self._kinds[name]).tobytes())
        except OSError as error:  # without the name of the file
            raise OSError(error.errno, error.strerror, str(self._folder / name)) from None

    def _close(self) -> None:
        for stream in self._streams.values():
            with suppress(OSError):
                stream.close()
