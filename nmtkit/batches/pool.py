"""Encodes blocks of lines in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from nmtkit.batches.encoding import Encoded, encode_pairs
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.workers import Workers


@dataclass(frozen=True)
class Block:
    """Neighbouring pairs of lines as bytes, without line ends.

    Attributes:
        source, target: lines joined by newlines.
        pairs: their number.
        offsets: where the block ends in the files, in bytes; 0 where that is not known.
    """

    source: bytes
    target: bytes
    pairs: int
    offsets: tuple[int, int] = (0, 0)


class InvalidBlockError(ValueError):
    """A block has a line that is not UTF-8."""

    def __init__(self, block: Block) -> None:
        super().__init__("a line is not valid UTF-8")
        self.block = block


@dataclass(frozen=True)
class Work:
    """How pairs are encoded.

    Attributes:
        folder: where the tokenizer is.
    """

    folder: Path
    max_source: int
    max_target: int

    def encode(self, block: Block, tokenizer: Tokenizer) -> Encoded:
        """The pairs of a block as ids; UnicodeDecodeError if a line is not UTF-8."""
        source, target = (side.decode("utf-8").split("\n") for side in (block.source, block.target))
        return encode_pairs(source, target, tokenizer, self.max_source, self.max_target)


class Pool:
    """Encodes blocks in several processes, or in this one if one is enough; the results come in order."""

    def __init__(self, work: Work, tokenizer: Tokenizer, processes: int) -> None:
        self._work, self._tokenizer = work, tokenizer
        fix = "run the same command again; if it happens again, nmtkit prepare with --workers 1 needs least memory"
        self._workers = Workers(processes, "encodes text", fix, _encoder, work) if processes > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._workers is not None:
            self._workers.__exit__(*error)

    def encode(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Encoded]]:
        """Each block with its pairs as ids; few blocks are in memory at a time.

        Raises:
            InvalidBlockError: if a line is not UTF-8.
            LostWorkerError: if a process has ended.
        """
        if self._workers is None:
            for block in blocks:
                yield _received(block, lambda: self._work.encode(block, self._tokenizer))  # noqa: B023
            return
        for block, result in self._workers.answers(blocks):
            yield _received(block, result)


def _received(block: Block, result: Callable[[], Encoded]) -> tuple[Block, Encoded]:
    try:
        return block, result()
    except UnicodeDecodeError:
        raise InvalidBlockError(block) from None


def _encoder(work: Work) -> Callable[[Block], Encoded]:
    """What a process does with each block."""
    return partial(work.encode, tokenizer=Tokenizer.load(work.folder))
