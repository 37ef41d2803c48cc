"""Encodes blocks of lines in several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from nmtkit.batches.encoding import Encoded, encode_pairs
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.workers import Worker

AHEAD = 2
"""Blocks that a process has at a time: one that it works on, and the next."""


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
        self._processes: list[Worker] = []
        fix = "run the same command again; if it happens again, nmtkit prepare with --workers 1 needs least memory"
        try:
            for _ in range(processes if processes > 1 else 0):
                self._processes.append(Worker("encodes text", fix, _encoder, work))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def encode(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Encoded]]:
        """Each block with its pairs as ids; few blocks are in memory at a time.

        Raises:
            InvalidBlockError: if a line is not UTF-8.
            LostWorkerError: if a process has ended.
        """
        waiting: deque[tuple[Block, Callable[[], Encoded]]] = deque()
        most = max(1, AHEAD * len(self._processes))
        for number, block in enumerate(blocks):
            waiting.append((block, self._begin(number, block)))
            if len(waiting) == most:
                yield _received(*waiting.popleft())
        while waiting:
            yield _received(*waiting.popleft())

    def _begin(self, number: int, block: Block) -> Callable[[], Encoded]:
        """A function that returns the result; a process works on it from now on."""
        if not self._processes:
            return lambda: self._work.encode(block, self._tokenizer)
        process = self._processes[number % len(self._processes)]
        process.send(block)
        return process.receive

    def _stop(self) -> None:
        for process in self._processes:
            process.stop()


def _received(block: Block, result: Callable[[], Encoded]) -> tuple[Block, Encoded]:
    try:
        return block, result()
    except UnicodeDecodeError:
        raise InvalidBlockError(block) from None


def _encoder(work: Work) -> Callable[[Block], Encoded]:
    """What a process does with each block."""
    return partial(work.encode, tokenizer=Tokenizer.load(work.folder))
