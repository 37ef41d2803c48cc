"""Two texts that belong together line by line, read in blocks, from the start or from where a reading was stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from nmtkit.batches.pool import Block
from nmtkit.encoding import not_utf8
from nmtkit.files import STANDARD, each_line, open_text, raw_lines, unequal
from nmtkit.words import counted

LINES = 4096
"""Most pairs of a block."""
BYTES = 4_000_000
"""Bytes of the source side that end a block early."""


def blocks_of_files(
    source: Path, target: Path, read: int, offsets: tuple[int, int], stack: ExitStack, lines: int = LINES
) -> Iterator[Block]:
    """The blocks of two files.

    Args:
        read: number of pairs that were read before.
        offsets: the bytes of each file that they take; 0 for a packed file, which is read from its beginning.
        stack: closes the files.
        lines: most pairs of a block.

    Raises:
        ValueError: if the files have different numbers of lines.
    """
    streams = [stack.enter_context(open_text(path)) for path in (source, target)]
    for stream, offset in zip(streams, offsets, strict=True):
        if offset:
            stream.seek(offset)
        else:
            next(islice(stream, read, read), None)
    texts = [raw_lines(stream, str(path), read) for stream, path in zip(streams, (source, target), strict=True)]
    while True:
        own = list(_limited(texts[0], lines))
        other = list(islice(texts[1], len(own) or 1))
        if len(own) != len(other):
            counts = [read + len(part) + sum(1 for _ in text) for part, text in zip((own, other), texts, strict=True)]
            raise unequal(zip((source, target), counts, strict=True))
        if not own:
            return
        read += len(own)
        yield Block(b"\n".join(own), b"\n".join(other), len(own), (_offset(streams[0]), _offset(streams[1])))


def blocks_of_columns(stream: BinaryIO, name: str, lines: int = LINES) -> Iterator[Block]:
    """The blocks of a text whose lines hold source, tab and target; ValueError for a line that does not."""
    read, text = 0, raw_lines(stream, name)
    while own := list(_limited(text, lines)):
        for number, line in enumerate(own, start=read + 1):
            if line.count(b"\t") != 1:
                raise ValueError(
                    f"{name}, line {number}: has {counted(line.count(bytes([9])), 'tab')}; write source, tab, target"
                )
        source, target = (b"\n".join(line.split(b"\t")[side] for line in own) for side in (0, 1))
        read += len(own)
        yield Block(source, target, len(own))


def invalid(block: Block, read: int, source: Path, target: Path) -> ValueError:
    """The error of a block with a line that is not UTF-8: where it is, and what to do about it.

    Args:
        read: number of pairs before the block.
        source, target: the files; both are "-" for columns from standard input.
    """
    if str(source) == STANDARD:
        for number, pair in enumerate(zip(block.source.split(b"\n"), block.target.split(b"\n"), strict=True), read + 1):
            line = b"\t".join(pair)
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return ValueError(f"standard input, line {number}: {not_utf8(line, (), True)}")
    try:
        for path in (source, target):
            for _ in each_line(path):
                pass
    except ValueError as error:
        return error
    return ValueError(f"{source} and {target}: have changed while they were read; run the same command again")


def standard_input() -> BinaryIO:
    """The bytes of standard input as they arrive."""
    return sys.stdin.buffer


def _limited(lines: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The next lines, `most` at most, fewer if they are long."""
    size = 0
    for line in islice(lines, most):
        yield line
        size += len(line)
        if size > BYTES:
            return


def _offset(stream: BinaryIO) -> int:
    """The place in a file; 0 in a packed one."""
    return stream.tell() if stream.seekable() else 0
