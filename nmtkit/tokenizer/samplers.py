"""Samplers in processes of their own, so that training need not wait: python -m nmtkit.tokenizer.samplers.

A process reads from its standard input what to draw, until that ends, as it also does when the training is killed. It
needs no torch.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from nmtkit.tokenizer.sampling import Sampler
from nmtkit.tokenizer.tokenizer import Tokenizer

PATIENCE = 10
"""Seconds that a process has to end."""


class Samplers:
    """Processes that draw what a `Sampler` draws, within a `with` block; several threads may use them at once.

    Attributes:
        at_once: the number of processes.
    """

    def __init__(self, sampler: Sampler, processes: int) -> None:
        self.sampler, self.at_once = sampler, processes
        self._processes: list[subprocess.Popen[bytes]] = []
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        sampler = self.sampler
        for _ in range(self.at_once):
            process = _start()
            self._processes.append(process)
            _send(process, (sampler.tokenizer.files(), sampler.alpha, sampler.seed, sampler.most))
            self._idle.put(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin
            with suppress(OSError):
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout
            process.stdout.close()

    def draw(self, side: int, epoch: int, numbers: Sequence[int], sequences: Sequence[list[int]]) -> list[list[int]]:
        """As `Sampler.draw`; ValueError if the process fails."""
        process = self._idle.get()
        try:
            _send(process, (side, epoch, [*numbers], [*sequences]))
            assert process.stdout
            drawn, failure = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            drawn, failure = [], _end(process)
        finally:
            self._idle.put(process)
        if failure:
            raise ValueError(f"a process that draws segmentations {failure}")
        result: list[list[int]] = drawn
        return result


def _start() -> subprocess.Popen[bytes]:
    """A process that finds modules where this one does; Ctrl-C in the terminal does not reach it."""
    paths = [str(Path(path).absolute()) for path in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "nmtkit.tokenizer.samplers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    )


def _send(process: subprocess.Popen[bytes], message: Any) -> None:
    """The process is told if it still lives; that it does not is seen when it should answer."""
    assert process.stdin
    with suppress(OSError):
        process.stdin.write(pickle.dumps(message))
        process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> str:
    """How a process ended that should have answered."""
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return "does not answer; the same command goes on from the last saved state"
    how = f"was killed by signal {-code} (out of memory?)" if code < 0 else f"has ended with exit code {code}"
    return f"{how}; the same command goes on from the last saved state"


def main() -> None:
    """What a process does; signals to stop are the training's business."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        files, *options = pickle.load(orders)
        sampler = Sampler(Tokenizer.of_files(files), *options)
        while True:
            order = pickle.load(orders)
            try:
                answer = (sampler.draw(*order), "")
            except Exception as error:
                answer = ([], f"failed: {type(error).__name__}: {' '.join(str(error).split())}")
            pickle.dump(answer, answers)
            answers.flush()


if __name__ == "__main__":
    main()
