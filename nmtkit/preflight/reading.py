"""Parallel text in blocks of lines, as text and as arrays of code points; what is in memory does not grow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt

from nmtkit.encoding import foreign
from nmtkit.files import BYTE_ORDER_MARK, open_text, raw_lines, unequal
from nmtkit.preflight.characters import Codes, codes, flags
from nmtkit.preflight.findings import Layout
from nmtkit.words import counted

Rows = npt.NDArray[np.intp]
"""Numbers of lines in a block, from 0."""

LINES, BYTES, STEP = 4096, 1 << 21, 64
"""The most lines of a block, the number of bytes after which a block ends, and the lines that are read at a time."""


@dataclass(frozen=True)
class Side:
    """One side of a block: lines that are neither blank nor invalid.

    Attributes:
        raw: the bytes of each line.
        lines: each line as text.
    """

    raw: Sequence[bytes]
    lines: Sequence[str]

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def text(self) -> str:
        """All lines, each with a newline."""
        return "\n".join(self.lines) + "\n"

    @cached_property
    def codes(self) -> Codes:
        """The code points of `text`."""
        return codes(self.text)

    @cached_property
    def flags(self) -> npt.NDArray[np.uint8]:
        """What is odd about each character of `text`, in bits."""
        return flags()[self.codes]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Characters of each line."""
        return np.fromiter(map(len, self.lines), np.int64, len(self.lines))

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each line begins in `text`."""
        return np.concatenate([[0], np.cumsum(self.lengths[:-1] + 1)]) if len(self) else self.lengths

    def rows(self, places: Any) -> Rows:
        """The lines in which places of `text` are, each once, ascending."""
        return np.unique(np.searchsorted(self.starts, places, side="right") - 1)


@dataclass(frozen=True)
class Block:
    """Pairs that follow each other, without those that have a blank or invalid side.

    Attributes:
        first: the number of the first pair of the block, from 0.
        pairs: pairs of the block, with those left out.
        numbers: the numbers of the pairs that are here.
        blank: for each side the pairs, as rows of the whole block, in which it is blank.
        invalid: for each side the pairs in which it is not valid UTF-8.
    """

    first: int
    pairs: int
    numbers: npt.NDArray[np.int64]
    source: Side
    target: Side
    blank: tuple[Rows, Rows]
    invalid: tuple[Rows, Rows]


class File:
    """The lines of a text file as bytes, while it is watched how they end."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self._stream = path, stream
        self._lines = self._crlf = self._blank = 0
        self._mark = self._unfinished = False

    def take(self, lines: int) -> list[bytes]:
        """The next lines without their ends; fewer at the end of the file or when they are long."""
        taken: list[bytes] = []
        size = 0
        while len(taken) < lines and size < BYTES:
            more = list(islice(self._stream, min(STEP, lines - len(taken))))
            if more and not self._lines and not taken:
                more[0] = self._beginning(more[0])
                if not more[0]:  # the file holds the mark and nothing else
                    break
            if not more:
                break
            taken += more
            size += sum(map(len, more))
        if not taken:
            return taken
        self._lines += len(taken)
        self._unfinished = not taken[-1].endswith(b"\n")
        content = b"".join(taken)
        texts = content.removesuffix(b"\n").split(b"\n")
        if b"\r\n" in content:
            ended = [line.endswith(b"\r\n") for line in taken]
            self._crlf += sum(ended)
            texts = [line[:-1] if crlf else line for line, crlf in zip(texts, ended, strict=True)]
        last = next((place for place, line in enumerate(reversed(texts)) if line.strip()), None)
        self._blank = self._blank + len(texts) if last is None else last
        return texts

    def _beginning(self, line: bytes) -> bytes:
        """The first line without a byte order mark; ValueError if the file is no UTF-8 text at all."""
        if reason := foreign(line):
            raise ValueError(f"{self.path}: {reason}")
        self._mark = line.startswith(BYTE_ORDER_MARK)
        return line.removeprefix(BYTE_ORDER_MARK)

    @property
    def layout(self) -> Layout:
        """What the file looks like as far as it was read."""
        return Layout(self.path, self._lines, self._crlf, self._mark, self._blank, self._unfinished)


class Pairs:
    """The pairs of two files in blocks.

    Attributes:
        layouts: what the files look like, once all blocks were read.
        whole: whether the files have no more pairs than were read.
    """

    def __init__(self, source: File, target: File, most: int | None = None) -> None:
        """`most` pairs at most are read; None: all."""
        self._files = (source, target)
        self._most = most
        self.layouts = (source.layout, target.layout)
        self.whole = True

    def __iter__(self) -> Iterator[Block]:
        """ValueError, at the end, if one file has more lines than the other or both have none."""
        source, target = self._files
        number = 0
        left: list[bytes] = []  # lines of the source whose partners come with the next block
        while True:
            size = LINES if self._most is None else min(LINES, self._most - number)
            if size <= 0:
                self.layouts = (source.layout, target.layout)
                self.whole = not (left or source.take(1) or target.take(1))
                return
            left = left or source.take(size)
            texts = target.take(min(size, len(left)) or 1)
            pairs = min(len(left), len(texts))
            if not pairs:
                break
            yield block(number, left[:pairs], texts)
            number += pairs
            left = left[pairs:]
        if left or texts:
            self._refuse()
        self.layouts = (source.layout, target.layout)
        if not number:
            raise ValueError(f"{source.path} and {target.path} have 0 lines; give at least one line")

    def _refuse(self) -> NoReturn:
        """ValueError that says how the two files differ, all lines of both counted."""
        for file in self._files:
            while file.take(LINES):
                pass
        layouts = [file.layout for file in self._files]
        ends = [
            f"{layout.path} ends in {counted(layout.blank_at_end, 'blank line')}"
            for layout in layouts
            if layout.blank_at_end
        ]
        more = f" ({', '.join(ends)})" if ends else ""
        raise unequal(((layout.path, layout.lines) for layout in layouts), more)


@contextmanager
def pairs(source: Path, target: Path, most: int | None = None) -> Iterator[Pairs]:
    """The pairs of two files; ValueError if one cannot be read."""
    with ExitStack() as stack:
        first, second = (File(path, stack.enter_context(open_text(path))) for path in (source, target))
        yield Pairs(first, second, most)


def block(first: int, sources: Sequence[bytes], targets: Sequence[bytes]) -> Block:
    """A block of pairs; the number of the first is `first`."""
    decoded = [_decoded(lines) for lines in (sources, targets)]
    invalid = [bad for _, bad in decoded]
    blank = [[row for row, line in enumerate(lines) if not line.strip()] for lines, _ in decoded]
    out = set().union(*invalid, *blank)
    kept = [row for row in range(len(sources)) if row not in out] if out else range(len(sources))
    sides = [
        Side([raw[row] for row in kept], [lines[row] for row in kept]) if out else Side(raw, lines)
        for raw, (lines, _) in zip((sources, targets), decoded, strict=True)
    ]
    numbers = first + np.asarray(kept, dtype=np.int64)
    blank_source, blank_target, invalid_source, invalid_target = (
        np.array(rows, dtype=np.intp) for rows in (*blank, *invalid)
    )
    source, target = sides
    return Block(
        first,
        len(sources),
        numbers,
        source,
        target,
        (blank_source, blank_target),
        (invalid_source, invalid_target),
    )


def _decoded(lines: Sequence[bytes]) -> tuple[list[str], list[int]]:
    """The lines as text, and which of them are not valid UTF-8."""
    try:
        return b"\n".join(lines).decode("utf-8").split("\n"), []
    except UnicodeDecodeError:
        texts = [line.decode("utf-8", errors="replace") for line in lines]
    bad = []
    for row, line in enumerate(lines):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            bad.append(row)
    return texts, bad


def lines_of(path: str | os.PathLike[str], numbers: Sequence[int]) -> dict[int, str]:
    """The lines of these numbers, counted from 1; bytes that are not UTF-8 become U+FFFD."""
    wanted = {*numbers}
    with open_text(path) as stream:
        lines = islice(enumerate(raw_lines(stream, str(path)), start=1), max(wanted, default=0))
        return {number: line.decode("utf-8", errors="replace") for number, line in lines if number in wanted}
