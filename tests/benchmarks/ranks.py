"""Several processes against one, the exchange of gradients, and the thread that loads batches ahead.

    make bench                                   # Multi30k where MULTI30K names its folder, else the embedded corpus

Prints tokens/s of one process with all threads and of two with half of them each, for the same updates; then the same
two processes with PyTorch's DistributedDataParallel (which sends gradients while the backward pass goes on) in place
of one exchange after it; then the share of time that updates wait for data with the thread and without it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from speed import load

from nmtkit.memory import keep_freed_memory
from nmtkit.models.build import build
from nmtkit.models.options import preset
from nmtkit.training.feed import Feed, Loaded, Place, Work
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import Ranks, joined
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import Updater, seed_dropout
from nmtkit.training.validation import DevSet

OPTIONS = TrainingOptions(accumulate=2)


class Overlapping(Updater):
    """The same updates by DistributedDataParallel, whose mean over the processes is turned into the sum."""

    def __init__(self, loss: TaskLoss, options: TrainingOptions, ranks: Ranks) -> None:
        super().__init__(loss, options, ranks)
        self.wrapped = torch.nn.parallel.DistributedDataParallel(loss)

    def _gradients(self, work: Work, step: int) -> tuple[torch.Tensor, int]:
        pieces = sum(size.predicted for size in work.sizes)
        total = torch.zeros((), dtype=torch.float64)
        for part in work.own:
            last = part is work.own[-1]
            seed_dropout(self.options.seed, step, *part.number)
            with nullcontext() if last else self.wrapped.no_sync():
                summed, _ = self.wrapped(part.content)
                mean = summed * self.ranks.share.size / pieces
                mean.backward()
            total += mean.detach() / self.ranks.share.size
        self.ranks.sum_([total])
        return total, pieces


def updates(
    ranks: Ranks, task: TranslationTask, name: str, count: int, kind: type[Updater], source: type[Feed] = Feed
) -> tuple[float, float]:
    """Tokens a second of whole updates, and the share of time that they waited for data."""
    torch.manual_seed(1)
    size = task.tokenizer.source.size
    model = build(replace(preset(name), tie_source=True), source_size=size, target_size=size).train()
    updater = kind(TaskLoss(model, task), OPTIONS, ranks)
    tokens = 0
    with source(task, Place(), OPTIONS.accumulate, ranks.share) as feed:
        for step, work in enumerate(feed, start=1):
            if step == count // 4:  # the heap has grown
                tokens, started = 0, time.perf_counter()
                feed.take_waited()
            updater.update(work, step)
            tokens += sum(size.predicted + size.read for size in work.sizes)
            if step == count:
                break
    seconds = time.perf_counter() - started
    return tokens / seconds, feed.take_waited() / seconds


def load_task() -> tuple[TranslationTask, str]:
    """The text as a task, and its name."""
    multi30k = os.environ.get("MULTI30K")
    corpus, tokenizer, title = load(Path(multi30k) if multi30k else None)
    return TranslationTask(corpus, DevSet([], [], corpus), tokenizer, OPTIONS), title


def several(rank: int, size: int, port: int, folder: str, arguments: Any) -> None:
    """What each process does."""
    task, _ = load_task()
    torch.set_num_threads(max(1, arguments.threads // size))
    keep_freed_memory()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = str(port)
    kinds = (Updater, Overlapping) if size > 1 else (Updater,)
    with joined() as ranks:
        speeds = [updates(ranks, task, arguments.preset, arguments.updates, kind) for kind in kinds]
    if rank == 0:
        Path(folder, "speeds").write_text(json.dumps(speeds))


def measured(size: int, arguments: Any) -> list[tuple[float, float]]:
    """Speed and share of waiting with so many processes, for each kind of exchange."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.close()
        torch.multiprocessing.spawn(several, (size, port, folder, arguments), nprocs=size)
        return [(speed, waited) for speed, waited in json.loads(Path(folder, "speeds").read_text())]


class Inline(Feed):
    """Loads each update when it is asked for."""

    def __enter__(self) -> Inline:  # type: ignore[override]
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Any:
        for place in self._windows():
            batches = self.task.batches(place.epoch, place.window)
            for first in range(0, len(batches), self.accumulate):
                started = time.perf_counter()
                chosen = batches[first : first + self.accumulate]
                own = [Loaded((n,), batch, self.task.load(batch, place.epoch)) for n, batch in enumerate(chosen)]
                self._waited += time.perf_counter() - started
                after = Place(place.epoch, place.window, first + len(chosen))
                yield Work(after, chosen, own, [self.task.size(batch) for batch in chosen])


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="transformer-tiny")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    task, title = load_task()
    print(f"{title}, {arguments.preset}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    [(alone, _)] = measured(1, arguments)
    (exchange, _), (overlapping, _) = measured(2, arguments)
    half = max(1, arguments.threads // 2)
    print(f"1 process × {arguments.threads} threads: {alone:,.0f} source+target pieces/s")
    print(f"2 processes × {half} threads: {exchange:,.0f} ({exchange / alone:.2f} ×)")
    print(f"the same with DistributedDataParallel: {overlapping:,.0f} ({overlapping / exchange:.2f} × of that)")
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    speed, waiting = updates(Ranks(), task, arguments.preset, arguments.updates, Updater)
    print(f"batches loaded by a thread: {speed:,.0f} pieces/s, {100 * waiting:.2f} % of the time without data")
    speed, waiting = updates(Ranks(), task, arguments.preset, arguments.updates, Updater, Inline)
    print(f"batches loaded when they are needed: {speed:,.0f} pieces/s, {100 * waiting:.2f} % of the time without data")


if __name__ == "__main__":
    main()
