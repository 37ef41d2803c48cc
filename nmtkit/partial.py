"""A text file that is written part by part and can go on after an interruption; it appears when it is complete.

Until then its beginning lies beside it in FILE.partial, and FILE.partial.journal says how far that is: a first line
with the work that it is part of, then a line for each part, written when the part has reached the disk. What a crash
leaves after the last whole part is cut off.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from nmtkit.files import check_replaceable, put_in_place, sync
from nmtkit.locks import lock_file

BLOCK = 1 << 20
"""Number of bytes that are read at a time."""


class Partial:
    """The text file; within the block it is locked. After an error it remains as far as it is, to go on with.

    Args:
        path: the file that it becomes.
        work: everything that decides the content, by the names that error messages give it: plain values of JSON. The
            names of options begin with "--".

    Attributes:
        done: what `commit` was last told, by this process or by one before it; empty at the beginning.

    Raises:
        ValueError: if another process writes the file, if it was begun with other work, or if something else has its
            name.
    """

    def __init__(self, path: Path, work: Mapping[str, Any]) -> None:
        self._target = Path(os.path.realpath(path))
        self.path, self.journal = parts(path)
        self._work = json.loads(json.dumps(dict(work)))
        self.done: dict[str, Any] = {}
        self._bytes, self._checksum = 0, 0

    def __enter__(self) -> Self:
        for path in (self._target, self.path, self.journal):
            check_replaceable(path)
            if path.exists() and not path.is_file():
                raise ValueError(f"{path}: is no ordinary file, so nothing can go on with it; name another output")
        handle = lock_file(self.journal)
        if handle is None:
            raise ValueError(f"{self._target}: another process writes it; wait for its end or name another output")
        with ExitStack() as stack:
            self._entries: BinaryIO = stack.enter_context(os.fdopen(handle, "r+b"))
            stack.callback(self._remove_empty)
            new = not self.path.exists()
            self._file: BinaryIO = stack.enter_context(open(self.path, "w+b" if new else "r+b"))
            self._go_on()
            sync(self.path.parent)
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Put the file in its place, unless there was an error. The journal, which is the lock, goes last."""
        try:
            if kind is None:
                self._file.flush()
                put_in_place(self.path, self._target)
            elif not self.done:
                self.path.unlink()
            if kind is None or not self.done:
                self.journal.unlink()
        finally:
            for stream in (self._file, self._entries):
                with suppress(OSError):  # what a full disk did not take
                    stream.close()

    def writelines(self, lines: Iterable[str]) -> None:
        """Write text, which does not count before `commit`."""
        for line in lines:
            data = line.encode("utf-8", "backslashreplace")
            self._file.write(data)
            self._bytes += len(data)
            self._checksum = zlib.crc32(data, self._checksum)

    def commit(self, done: Mapping[str, Any]) -> None:
        """End a part: from now on the work goes on after it.

        Args:
            done: how far the work is, as plain values of JSON.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done = dict(done)
        self._note({"bytes": self._bytes, "checksum": self._checksum, "done": self.done})

    def _note(self, entry: Mapping[str, Any]) -> None:
        """Add a line to the journal, which then has reached the disk."""
        self._entries.write(json.dumps(entry).encode() + b"\n")
        self._entries.flush()
        os.fsync(self._entries.fileno())

    def _go_on(self) -> None:
        """Take up what is there, and cut off everything after the last part that is whole."""
        known = 0
        if os.fstat(self._file.fileno()).st_size:
            (end, before), *entries = [*_lines(self._entries)] or [(0, {})]
            if not isinstance(before.get("work"), dict):
                raise ValueError(f"{self.path}: has no journal that says what it is; rename or delete it")
            if reason := difference(before["work"], self._work):
                raise ValueError(f"{self.path}: was begun {reason}; delete it to start over, or go on as it was begun")
            known = self._last_of(entries) or end
        for stream, size in ((self._file, self._bytes), (self._entries, known)):
            stream.seek(size)
            stream.truncate()
        if not known:
            self._note({"work": self._work})

    def _remove_empty(self) -> None:
        """Remove the journal if locking has made it."""
        if not os.fstat(self._entries.fileno()).st_size:
            self.journal.unlink()

    def _last_of(self, entries: Iterable[tuple[int, dict[str, Any]]]) -> int:
        """Find the last part up to which the file holds what was written, and where its line in the journal ends."""
        place = checksum = known = 0
        for end, entry in entries:
            size = entry.get("bytes", -1)
            while place < size and (block := self._file.read(min(BLOCK, size - place))):
                place, checksum = place + len(block), zlib.crc32(block, checksum)
            if (place, checksum) != (size, entry.get("checksum")):
                break
            self._bytes, self._checksum, self.done, known = place, checksum, entry["done"], end
        return known


def parts(path: Path) -> tuple[Path, Path]:
    """The beginning of a file and its journal, both beside the file itself."""
    target = Path(os.path.realpath(path))
    return target.with_name(f"{target.name}.partial"), target.with_name(f"{target.name}.partial.journal")


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing in which two works differ, in words: how the work before was done; empty if they are equal."""
    for name in [*now, *(name for name in before if name not in now)]:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if not name.startswith("--"):
            return f"with another {name} ({_short(old)}, not {_short(new)})"
        if old is None or old is False:
            return f"without {name}"
        return f"with {name}" if old is True else f"with {name} {old}{'' if new is None else f', not {new}'}"
    return ""


def _short(value: Any) -> str:
    """A value as people read it; of a hash, or of several that are joined, the beginning."""
    return "none" if value is None else "+".join(part[:12] for part in str(value).split("+"))


def _lines(journal: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a journal, each with where it ends, up to the first that a crash has cut off."""
    end = 0
    with suppress(ValueError):
        for line in journal:
            end += len(line)
            if line.endswith(b"\n") and isinstance(entry := json.loads(line), dict):
                yield end, entry
