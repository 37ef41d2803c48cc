"""The batches of every update, in order and without end, loaded by threads while the updates before are made."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Self

from nmtkit.training.ranks import WHOLE, Share
from nmtkit.training.task import Size, Task

AHEAD = 3
"""Number of updates that are loaded ahead."""


@dataclass(frozen=True)
class Place:
    """A place in the data.

    Attributes:
        epoch: number of passes over the data, from 0.
        window: number of windows of this epoch that are used up.
        batch: number of batches of the window that are used.
    """

    epoch: int = 0
    window: int = 0
    batch: int = 0


@dataclass(frozen=True)
class Loaded:
    """A batch of an update.

    Attributes:
        number: its place in the update, over all processes; a half of it has one number more.
        batch: the batch as the task names it.
        content: the batch as the task loads it.
    """

    number: tuple[int, ...]
    batch: Any
    content: Any


@dataclass(frozen=True)
class Work:
    """The work of an update.

    Attributes:
        after: the place in the data after the update.
        batches: the batches of all processes.
        own: those of this process, loaded.
        sizes: the sizes of the batches.
    """

    after: Place
    batches: Sequence[Any]
    own: Sequence[Loaded]
    sizes: Sequence[Size]


Planned = tuple[Work, Sequence[Future[Any]]]
"""The work of an update, whose own batches have no content yet, and their contents."""


class Feed:
    """The work of one update after another; which work, depends on the task and the place alone.

    Args:
        accumulate: number of batches of an update; the last update of a window may have fewer.
        share: of the batches of an update, process r of N takes numbers r, r + N, r + 2N, …
        pin: whether the content is for a GPU.
    """

    def __init__(self, task: Task, start: Place, accumulate: int, share: Share = WHOLE, pin: bool = False) -> None:
        self.task, self.start, self.accumulate, self.share, self.pin = task, start, accumulate, share, pin
        self._waited = 0.0
        self._queue: queue.Queue[Planned | Exception] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get(timeout=0.01)

    def __iter__(self) -> Iterator[Work]:
        while True:
            started = time.perf_counter()
            planned = self._queue.get()
            if isinstance(planned, Exception):
                raise planned
            work, contents = planned
            own = [replace(part, content=content.result()) for part, content in zip(work.own, contents, strict=True)]
            self._waited += time.perf_counter() - started
            yield replace(work, own=own)

    def take_waited(self) -> float:
        """The seconds that updates have waited for their data since the last call."""
        waited, self._waited = self._waited, 0.0
        return waited

    def _fill(self) -> None:
        """What the thread does: have work loaded until the feed is closed, or pass on what prevents it."""
        loaders = ThreadPoolExecutor(self.task.at_once)
        try:
            for planned in self._plan(loaders):
                self._put(planned)
                if self._closed.is_set():
                    return
        except Exception as error:
            self._put(error)
        finally:
            loaders.shutdown(cancel_futures=self._closed.is_set())

    def _put(self, planned: Planned | Exception) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(planned, timeout=0.1)
                return

    def _plan(self, loaders: ThreadPoolExecutor) -> Iterator[Planned]:
        accumulate, share = self.accumulate, self.share
        with ThreadPoolExecutor(1) as pool:  # orders the next window while this one is used
            places = self._windows()
            place = next(places)
            batches = self.task.batches(place.epoch, place.window)
            while True:
                following = next(places)
                ordered = pool.submit(self.task.batches, following.epoch, following.window)
                for start in range(place.batch, len(batches), accumulate):
                    chosen = batches[start : start + accumulate]
                    own = [Loaded((n,), chosen[n], None) for n in range(share.rank, len(chosen), share.size)]
                    contents = [loaders.submit(self.task.load, part.batch, place.epoch, self.pin) for part in own]
                    after = Place(place.epoch, place.window, start + len(chosen))
                    yield Work(after, chosen, own, [self.task.size(batch) for batch in chosen]), contents
                place, batches = following, ordered.result()

    def _windows(self) -> Iterator[Place]:
        """The windows from the start on, the first of them without the batches that are used."""
        place = self.start
        for epoch in count(place.epoch):
            windows = self.task.windows(epoch)
            for window in range(place.window if epoch == place.epoch else 0, windows):
                yield place if (epoch, window) == (place.epoch, place.window) else Place(epoch, window)
