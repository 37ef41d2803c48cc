"""Encodes blocks of lines in processes of their own: python -m nmtkit.batches.workers.

A process reads pickled blocks from its standard input and answers each on its standard output. It ends when its input
ends, so none outlives the process that started it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Self

from nmtkit.batches.encoding import Encoded, encode_pairs
from nmtkit.tokenizer.tokenizer import Tokenizer

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


class LostProcessError(ValueError):
    """A process has ended before its work was done."""


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


class Workers:
    """Encodes blocks in several processes, or in this one if one is enough; the results come in order."""

    def __init__(self, work: Work, tokenizer: Tokenizer, processes: int) -> None:
        self._work, self._tokenizer = work, tokenizer
        self._processes: list[_Process] = []
        try:
            for _ in range(processes if processes > 1 else 0):
                self._processes.append(_Process(work))
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
            LostProcessError: if a process has ended.
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


class _Process:
    """A process that encodes blocks."""

    def __init__(self, work: Work) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        words = (work.folder, work.max_source, work.max_target)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nmtkit.batches.workers", *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # a Ctrl-C in the terminal is for the process that started this one
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout

    def send(self, block: Block) -> None:
        try:
            pickle.dump(block, self._input)
            self._input.flush()
        except OSError:
            raise self._ended() from None

    def receive(self) -> Encoded:
        try:
            answer = pickle.load(self._output)
        except (EOFError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(answer, Exception):
            raise answer
        encoded: Encoded = answer
        return encoded

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output):
            try:
                stream.close()
            except OSError:  # what it could not be sent any more
                continue

    def _ended(self) -> LostProcessError:
        code = self._process.wait()
        reason = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return LostProcessError(
            f"a process that encodes text {reason}, perhaps for lack of memory: run the same command again, with fewer "
            "--workers if it happens again"
        )


def _received(block: Block, result: Callable[[], Encoded]) -> tuple[Block, Encoded]:
    try:
        return block, result()
    except UnicodeDecodeError:
        raise InvalidBlockError(block) from None


def main(folder: str, max_source: str, max_target: str) -> None:
    """Answer blocks until the input ends."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else gets between the answers
    work, blocks = Work(Path(folder), int(max_source), int(max_target)), SimpleQueue[Any]()
    tokenizer = Tokenizer.load(folder)

    def read() -> None:
        try:
            while True:
                blocks.put(pickle.load(sys.stdin.buffer))
        except (EOFError, pickle.UnpicklingError):
            blocks.put(None)

    threading.Thread(target=read, daemon=True).start()  # so that the sender never waits for an answer to be taken
    while (block := blocks.get()) is not None:
        answer: Encoded | Exception
        try:
            answer = work.encode(block, tokenizer)
        except (ValueError, MemoryError, RuntimeError) as error:
            answer = error
        try:
            pickle.dump(answer, output)
            output.flush()
        except BrokenPipeError:
            os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
