"""The feed: what is loaded, errors of the thread, and that closing it leaves no thread behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from nmtkit.training.feed import AHEAD, Feed, Place
from nmtkit.training.task import Size


@dataclass
class Numbers:
    """A batch is a number; an epoch has two windows of three and two batches."""

    loaded: list[tuple[int, int, bool]] = field(default_factory=list)
    fails: int | None = None
    seconds: float = 0.0
    item: str = "number"
    at_once: int = 1

    def windows(self, epoch: int) -> int:
        return 2

    def batches(self, epoch: int, window: int) -> Sequence[int]:
        return [100 * epoch + 10 * window + batch for batch in range(3 - window)]

    def size(self, batch: int) -> Size:
        return Size(1, 1, 1)

    def load(self, batch: int, epoch: int, pin: bool = False) -> str:
        if batch == self.fails:
            raise ValueError(f"{batch} cannot be read")
        time.sleep(self.seconds)
        self.loaded.append((batch, epoch, pin))
        return str(batch)


def feed(task: Any, start: Place = Place(), accumulate: int = 2, **more: Any) -> Feed:  # noqa: B008
    return Feed(task, start, accumulate, **more)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_updates_end_with_their_window() -> None:
    with feed(Numbers()) as works:
        found = [(list(work.batches), work.after) for work, _ in zip(works, range(6), strict=False)]
    assert found == [
        ([0, 1], Place(0, 0, 2)),
        ([2], Place(0, 0, 3)),
        ([10, 11], Place(0, 1, 2)),
        ([100, 101], Place(1, 0, 2)),
        ([102], Place(1, 0, 3)),
        ([110, 111], Place(1, 1, 2)),
    ]


@pytest.mark.parametrize("start", [Place(0, 0, 3), Place(0, 1, 0)])
def test_a_used_up_window_is_the_start_of_the_next(start: Place) -> None:
    with feed(Numbers(), start) as works:
        assert list(next(iter(works)).batches) == [10, 11]


def test_what_is_loaded_is_told_epoch_and_pin() -> None:
    task = Numbers()
    with feed(task, Place(3, 1, 1), pin=True) as works:
        [part] = next(iter(works)).own
    assert (part.number, part.batch, part.content) == ((0,), 311, "311") and task.loaded[0] == (311, 3, True)


def test_no_more_is_loaded_ahead_than_is_said() -> None:
    task = Numbers()
    with feed(task, accumulate=1) as works:
        next(iter(works))
        time.sleep(0.2)
        assert len(task.loaded) == 1 + AHEAD + 1  # used, in the queue, in the thread's hand


def test_an_error_of_the_thread_arrives_where_its_update_would_be() -> None:
    with feed(Numbers(fails=11)) as works:
        found = iter(works)
        assert [list(next(found).batches) for _ in range(2)] == [[0, 1], [2]]
        with pytest.raises(ValueError, match="11 cannot be read"):
            next(found)


@dataclass
class Together(Numbers):
    """Three loads wait for each other; the first of them takes longest."""

    at_once: int = 3
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(3, timeout=10))

    def load(self, batch: int, epoch: int, pin: bool = False) -> str:
        if self.barrier.wait() and batch % 10 == 0:
            time.sleep(0.02)
        return super().load(batch, epoch, pin)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_of_several_updates_are_loaded_at_once_and_come_in_order(accumulate: int) -> None:
    with feed(Numbers(), accumulate=accumulate) as works:
        expected = [works for works, _ in zip(works, range(12), strict=False)]
    with feed(Together(), accumulate=accumulate) as works:
        found = [works for works, _ in zip(works, range(12), strict=False)]
        works.task.barrier.abort()  # or those that are loaded ahead would wait for others
    assert found == expected
    assert all(part.content == str(part.batch) for work in found for part in work.own)


def test_a_feed_is_closed_while_batches_are_loaded() -> None:
    before, task = threads(), Numbers(seconds=0.3, at_once=2)
    started = time.perf_counter()
    with feed(task, accumulate=3):
        time.sleep(0.1)
    assert time.perf_counter() - started < 2 and threads() == before
    assert len(task.loaded) == 2, "those that had begun"


def test_a_closed_feed_leaves_no_thread_behind() -> None:
    before = threads()
    for taken in (0, 1, 5):
        with feed(Numbers()) as works:
            for _, _ in zip(works, range(taken), strict=False):
                pass
    assert threads() == before


def test_time_without_data_is_counted() -> None:
    with feed(Numbers(seconds=0.05), accumulate=2) as works:
        found = iter(works)
        for _ in range(3):
            next(found)
        assert 0.1 < works.take_waited() < 1
        time.sleep(0.5)
        works.take_waited()
        next(found)
        assert works.take_waited() < 0.05
