"""Samplers in processes of their own, so that training need not wait. They need no torch."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from nmtkit.tokenizer.sampling import Sampler
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.workers import Worker


class Samplers:
    """Processes that draw what a `Sampler` draws, within a `with` block; several threads may use them at once.

    Attributes:
        at_once: the number of processes.
    """

    def __init__(self, sampler: Sampler, processes: int) -> None:
        self.sampler, self.at_once = sampler, processes
        self.workers: list[Worker] = []
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        sampler, fix = self.sampler, "the same command goes on from the last saved state"
        for _ in range(self.at_once):
            worker = Worker(
                *("draws segmentations", fix, _drawer),
                *(sampler.tokenizer.files(), sampler.alpha, sampler.seed, sampler.most),
            )
            self.workers.append(worker)
            self._idle.put(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stop()

    def draw(self, side: int, epoch: int, numbers: Sequence[int], sequences: Sequence[list[int]]) -> list[list[int]]:
        """As `Sampler.draw`; an error of the process is raised here."""
        worker = self._idle.get()
        try:
            worker.send((side, epoch, [*numbers], [*sequences]))
            drawn: list[list[int]] = worker.receive()
        finally:
            self._idle.put(worker)
        return drawn


def _drawer(
    files: Mapping[str, bytes], alpha: float, seed: int, most: tuple[int, int]
) -> Callable[[tuple[Any, ...]], list[list[int]]]:
    """What a process does with each order, the arguments of `Sampler.draw`."""
    sampler = Sampler(Tokenizer.of_files(files), alpha, seed, most)
    return lambda order: sampler.draw(*order)
