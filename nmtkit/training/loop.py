"""The training loop: updates, snapshots, validations, saves.

`Position`, the weights and the optimiser determine all that follows, so a run that starts again from its saved state
makes the same updates, on any number of processes. What is trained is a `Task`.
"""

from __future__ import annotations

import copy
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from pathlib import Path

import torch

from nmtkit.checkpoint import load_weights, unique_weights
from nmtkit.console import Progress, note, stderr_console
from nmtkit.files import write_text
from nmtkit.interrupts import INTERRUPTED
from nmtkit.models.interface import Model
from nmtkit.training.averaging import make_average
from nmtkit.training.feed import Feed, Work
from nmtkit.training.history import HISTORY, read_history
from nmtkit.training.options import TrainingOptions
from nmtkit.training.overfitting import begins
from nmtkit.training.position import Meter, Position
from nmtkit.training.precision import named
from nmtkit.training.ranks import ALONE, Ranks
from nmtkit.training.state import RunState
from nmtkit.training.task import Scores, Task, TaskLoss
from nmtkit.training.updater import Updater
from nmtkit.words import counted

Weights = Mapping[str, torch.Tensor]
READ_EVERY = 10
"""Updates between looks at what a GPU has measured; on a CPU each update looks."""


class Trainer:
    """One run in one folder.

    Args:
        task: the task to train. It is validated on a second copy of the model, which holds the averaged weights.
        keep: called after each validation with weights, scores, the step, and whether they are the best so far; only
            in the first process, like all that writes files.
        run: identifies the run; a state of another run is refused.
        ranks: the processes that make the updates together.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        options: TrainingOptions,
        folder: Path,
        keep: Callable[[Weights, Scores, int, bool], None],
        run: str = "",
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.task, self.options, self.ranks = model, task, options, ranks
        self.averaged = copy.deepcopy(model).to(model.device).eval().requires_grad_(False)  # .to: for cuDNN
        self.keep, self.history = keep, folder / HISTORY
        self.state = RunState(folder / "training", run)
        self.average = make_average(model, options, self.state, ranks.first)
        self.updater = Updater(TaskLoss(model, task, named(options.precision)), options, ranks)
        self.optimizer = self.updater.optimizer
        self._more = {f"average.{name}": tensor for name, tensor in self.average.tensors.items()}
        self._more |= {f"loss_scale.{name}": tensor for name, tensor in self.updater.scale.tensors.items()}
        self.position = Position()
        self._unread = 0
        self._every = 1 if model.device.type == "cpu" else READ_EVERY

    def resume(self) -> None:
        """Go on from the saved state, if there is one; nothing is written before `run`.

        Raises:
            ValueError: if no state can be used.
        """
        if not self.state.exists():
            return
        self.position = self.state.load(self.model, self.optimizer, self._more)
        if not self.position.history:  # the state of an older version does not hold it
            lines = (line for line in read_history(self.history) if line["step"] <= self.position.step)
            self.position.history = list(map(json.dumps, lines))

    def agree(self) -> None:
        """Let all processes begin with the weights and the position of the first.

        Raises:
            ValueError: if they have resumed from different states.
        """
        steps = self.ranks.gather(self.position.step)
        if len(set(steps)) > 1:
            raise ValueError(
                f"{self.state.folder}: the processes find states of the updates {', '.join(map(str, steps))}: put the "
                "model folder on a file system that all machines share"
            )
        self.ranks.copy_([*unique_weights(self.model).values(), *self._more.values()])
        self.position = self.ranks.from_first(lambda: self.position)

    def over(self) -> str:
        """The reason why there is nothing left to do, or an empty string."""
        position, options = self.position, self.options
        if options.patience and position.stale >= options.patience:
            return f"no better {options.best_by} in {counted(position.stale, 'validation')}"
        return f"{counted(position.step, 'update')} made" if position.step >= options.updates else ""

    def run(self) -> None:
        """Train until the last update or until patience ends; Ctrl-C saves the state first."""
        options, position = self.options, self.position
        if self.ranks.first:
            self._open()
        if self.over():
            return
        self.model.train()
        feed = Feed(self.task, position.place, options.accumulate, self.ranks.share, self.model.device.type == "cuda")
        with (
            interruptible(not self.ranks.several) as interrupted,
            feed,
            Progress(options.updates, "training") as progress,
        ):
            for work in feed:
                self._update(work)
                position.waited(feed.take_waited())
                validating = position.step % options.validate_every == 0 or position.step == options.updates
                saving = validating or position.step % options.save_every == 0
                logging = position.step % options.log_every == 0
                if saving or logging or position.step % self._every == 0:
                    self._read()
                    progress.update(position.step, **position.meter.shown())
                if logging:
                    self._log(progress)
                self.average.add(position, self.updater.failed, validating)
                if validating:
                    self._validate(progress)
                stopping = self.ranks.any(interrupted())
                if stopping:
                    self._read()
                if saving or stopping:
                    self.ranks.from_first(self._save)
                if stopping:
                    raise KeyboardInterrupt if self.ranks.first else SystemExit(INTERRUPTED)
                if self.over():
                    return

    def baseline(self) -> None:
        """Validate the weights with which the run begins, as of update 0, unless that has been done."""
        if self.position.step or self.position.best is not None:
            return
        if self.ranks.first:
            self._open()
        with Progress(self.options.updates, "training") as progress:
            self._validate(progress, {name: tensor.clone() for name, tensor in unique_weights(self.model).items()})
        self.ranks.from_first(self._save)

    def validate(self, weights: Weights, ranks: Ranks = ALONE) -> tuple[Scores, Sequence[str]]:
        """Scores and samples of the task with the first process's weights; all processes share the work."""
        if ranks.first:
            load_weights(self.averaged, weights)
        ranks.copy_(list(unique_weights(self.averaged).values()))
        parts = ranks.together(lambda: self.task.validate(self.averaged, ranks.share), list)
        facts = reduce(add, parts)
        warming = self.position.step < self.options.warmup
        return ranks.together(lambda: self.task.score(facts, warming)), self.task.samples(facts)

    def _open(self) -> None:
        """Write the first state, and the history as the state knows it."""
        if not self.state.exists():
            self._save()
        lines = "".join(f"{line}\n" for line in self.position.history)
        if not self.history.exists() or self.history.read_bytes() != lines.encode():
            write_text(self.history, lines)

    def _update(self, work: Work) -> None:
        """One update of the weights."""
        started = time.perf_counter()
        position = self.position
        rate = self.updater.update(work, position.step + 1)
        position.step += 1
        position.place = work.after
        self._unread += 1
        position.spent(time.perf_counter() - started)
        position.meter.add(sum(size.read for size in work.sizes), rate)

    def _read(self) -> None:
        """Take over what the updates have measured; a GPU first ends those that wait for it."""
        started = time.perf_counter()
        self.position.meter.take(self.updater.read(self.position.step, self._unread))
        self.position.spent(time.perf_counter() - started)
        self._unread = 0

    def _log(self, progress: Progress) -> None:
        meter, self.position.meter = self.position.meter, Meter()
        step = self.position.step
        left = (self.options.updates - step) * (meter.seconds + meter.waited) / meter.updates / 60
        if not stderr_console().is_terminal:
            text = "  ".join(f"{name} {value}" for name, value in meter.shown().items())
            progress.line(f"update {step}/{self.options.updates}  {text}  {left:.0f} min left")
        self._record(meter.facts())

    def _validate(self, progress: Progress, weights: Weights | None = None) -> None:
        """Score the average of the weights, or given weights, and count the validations since the best one."""
        position, started = self.position, time.perf_counter()
        if weights is None:
            weights = self.average.weights(position) if self.ranks.first else {}
        scores, samples = self.validate(weights, self.ranks)
        better = self._better(scores)
        position.stale = 0 if better else position.stale + 1
        self._keep(weights, scores, better)
        position.seconds += time.perf_counter() - started
        self._record({f"dev_{name}": value for name, value in scores.items()})
        verdict = "the best so far" if better else f"best was update {position.best_step}"
        spent = f"{position.seconds / 60:.1f} min"
        progress.line(f"validation at update {position.step}: {self.task.shown(scores)} ({verdict}; {spent})")
        for text in samples:
            progress.excerpt(text)
        if found := begins([json.loads(line) for line in position.history]):
            progress.line(f"hint: {found}")

    def _better(self, scores: Scores) -> bool:
        """Whether a validation is better than the best so far; the lower loss decides between equal scores."""
        position = self.position
        if position.best is None:
            return True
        score, loss = self._score(scores), scores["loss"]
        return score > position.best or (
            score == position.best and position.best_loss is not None and loss < position.best_loss
        )

    def _score(self, scores: Scores) -> float:
        """The score that decides which validation is best; higher is better."""
        score = scores[self.options.best_by]
        return -score if self.options.best_by == "loss" else score

    def _keep(self, weights: Weights, scores: Scores, best: bool) -> None:
        """Record a best validation, and pass on the validated weights."""
        if best:
            position = self.position
            position.best, position.best_loss, position.best_step = self._score(scores), scores["loss"], position.step
            position.best_snapshots = list(position.snapshots)
        if self.ranks.first:
            self.keep(weights, scores, self.position.step, best)

    def forget_best(self) -> None:
        """Forget the best weights, which are lost: those of the next validation become the best."""
        self.position.best = self.position.best_loss = None

    def restore(self) -> None:
        """Validate and keep the current weights once more; they are the best if there is no other."""
        weights = self.average.weights(self.position)
        self._keep(weights, self.validate(weights)[0], self.position.best is None)
        self._save()

    def _save(self) -> None:
        self.state.save(self.model, self.optimizer, self.position, self._more)

    def _record(self, facts: dict[str, float]) -> None:
        """Append a line to the history."""
        position = self.position
        when = {"step": position.step, "epoch": position.epoch, "seconds": round(position.seconds, 1)}
        position.history.append(json.dumps({**when, **facts}))
        if not self.ranks.first:
            return
        with self.history.open("a", encoding="utf-8") as stream:
            stream.write(position.history[-1] + "\n")


@contextmanager
def interruptible(twice: bool = True) -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C (or SIGTERM) only makes the yielded function true; the second interrupts.

    Args:
        twice: whether the second interrupts. A scheduler signals torchrun and its processes, so each gets two.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: object) -> None:
        if asked.is_set() and twice:
            raise KeyboardInterrupt
        if not asked.is_set():
            note("interrupted: saving the state (once more to stop at once)" if twice else "stopping after this update")
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
