"""The training loop: batches in, updates, snapshots, validations, saves.

`Position`, the weights, the optimiser and torch's generator determine all that follows, so a run that
starts again from its saved state makes the same updates. What is trained is a `Task`.
"""

from __future__ import annotations

import copy
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nmtkit.checkpoint import load_weights
from nmtkit.console import Progress, note, stderr_console, warn
from nmtkit.files import write_text
from nmtkit.models.interface import Model
from nmtkit.training.history import HISTORY, read_history
from nmtkit.training.options import TrainingOptions
from nmtkit.training.schedule import learning_rate
from nmtkit.training.state import Meter, Position, RunState
from nmtkit.training.task import Scores, Task, TaskLoss
from nmtkit.words import counted

Weights = Mapping[str, torch.Tensor]


class Trainer:
    """One run in one folder.

    Args:
        task: the task to train. It is validated on a second copy of the model, which holds the averaged weights.
        keep: called after each validation with weights, scores, the step, and whether they are the best so far.
        run: identifies the run; a state of another run is refused.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        options: TrainingOptions,
        folder: Path,
        keep: Callable[[Weights, Scores, int, bool], None],
        run: str = "",
    ) -> None:
        self.model, self.task, self.options = model, task, options
        self.loss, self.averaged = TaskLoss(model, task), copy.deepcopy(model).eval()
        self.keep, self.history = keep, folder / HISTORY
        self.state = RunState(folder / "training", run)
        self.optimizer = make_optimizer(model, options)
        self.position = Position()

    def resume(self) -> None:
        """Go on from the saved state, if there is one; nothing is written before `run`.

        Raises:
            ValueError: if no state can be used.
        """
        if not self.state.exists():
            return
        self.position = self.state.load(self.model, self.optimizer)
        if not self.position.history:  # the state of an older version does not hold it
            lines = (line for line in read_history(self.history) if line["step"] <= self.position.step)
            self.position.history = list(map(json.dumps, lines))

    def over(self) -> str:
        """The reason why there is nothing left to do, or an empty string."""
        position, options = self.position, self.options
        if options.patience and position.stale >= options.patience:
            return f"no better {options.best_by} in {counted(position.stale, 'validation')}"
        return f"{counted(position.step, 'update')} made" if position.step >= options.updates else ""

    def run(self) -> None:
        """Train until the last update or until patience ends; Ctrl-C saves the state first."""
        options, position = self.options, self.position
        if not self.state.exists():
            self.state.save(self.model, self.optimizer, position)
        lines = "".join(f"{line}\n" for line in position.history)
        if not self.history.exists() or self.history.read_bytes() != lines.encode():
            write_text(self.history, lines)
        if self.over():
            return
        self.model.train()
        with interruptible() as interrupted, Progress(options.updates, "training") as progress:
            for batches in self._updates():
                self._update(batches)
                progress.update(position.step, **position.meter.shown())
                validating = position.step % options.validate_every == 0 or position.step == options.updates
                if position.step % options.log_every == 0:
                    self._log(progress)
                if position.step % options.snapshot_every == 0 or validating:
                    self.state.take_snapshot(self.model, position, options.average)
                if validating:
                    self._validate(progress)
                stopping = interrupted()
                if validating or stopping or position.step % options.save_every == 0:
                    self.state.save(self.model, self.optimizer, position)
                if stopping:
                    raise KeyboardInterrupt
                if self.over():
                    return

    def validate(self, weights: Weights) -> Scores:
        """The scores of the task with these weights."""
        load_weights(self.averaged, weights)
        return self.task.score(self.task.validate(self.averaged))

    def _updates(self) -> Iterator[Sequence[Any]]:
        """The batches of every update, from the position on, without end."""
        position = self.position
        while True:
            batches = self.task.batches(position.epoch)
            while position.batch < len(batches):
                chosen = batches[position.batch : position.batch + self.options.accumulate]
                position.batch += len(chosen)
                yield chosen
            position.epoch, position.batch = position.epoch + 1, 0

    def _update(self, batches: Sequence[Any]) -> None:
        """One update of the weights."""
        started = time.perf_counter()
        options, step = self.options, self.position.step + 1
        loss = add_gradients(self.loss, batches)
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss} at update {step}: lower learning_rate = {options.learning_rate}")
        limit = options.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)
        if not math.isfinite(norm):
            raise ValueError(f"the gradient is {norm} at update {step}: lower learning_rate = {options.learning_rate}")
        rate = learning_rate(step, options.learning_rate, options.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.position.step = step
        spent = time.perf_counter() - started
        self.position.seconds += spent
        sizes = [self.task.size(batch) for batch in batches]
        predicted, read = sum(size.predicted for size in sizes), sum(size.read for size in sizes)
        self.position.meter.add(loss, predicted, read, spent, rate)

    def _log(self, progress: Progress) -> None:
        meter, self.position.meter = self.position.meter, Meter()
        step = self.position.step
        left = (self.options.updates - step) * meter.seconds / meter.updates / 60
        if not stderr_console().is_terminal:
            text = "  ".join(f"{name} {value}" for name, value in meter.shown().items())
            progress.line(f"update {step}/{self.options.updates}  {text}  {left:.0f} min left")
        facts = {"train_loss": meter.mean_loss(), "tokens_per_second": meter.speed()}
        self._record({**facts, "learning_rate": meter.rate})

    def _validate(self, progress: Progress) -> None:
        """Score the mean of the last snapshots, and count the validations since the best one."""
        position, started = self.position, time.perf_counter()
        weights = self.state.mean_of_snapshots(position)
        scores = self.validate(weights)
        better = self._better(scores)
        position.stale = 0 if better else position.stale + 1
        self._keep(weights, scores, better)
        position.seconds += time.perf_counter() - started
        self._record({f"dev_{name}": value for name, value in scores.items()})
        verdict = "the best so far" if better else f"best was update {position.best_step}"
        spent = f"{position.seconds / 60:.1f} min"
        progress.line(f"validation at update {position.step}: {self.task.shown(scores)} ({verdict}; {spent})")

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
        self.keep(weights, scores, self.position.step, best)

    def forget_best(self) -> None:
        """Forget the best weights, which are lost: those of the next validation become the best."""
        self.position.best = self.position.best_loss = None

    def restore(self) -> None:
        """Validate and keep the current weights once more; they are the best if there is no other."""
        if not self.position.snapshots:
            self.state.take_snapshot(self.model, self.position, 1)
        weights = self.state.mean_of_snapshots(self.position)
        self._keep(weights, self.validate(weights), self.position.best is None)
        self.state.save(self.model, self.optimizer, self.position)

    def _record(self, facts: dict[str, float]) -> None:
        """Append a line to the history."""
        position = self.position
        when = {"step": position.step, "epoch": position.epoch, "seconds": round(position.seconds, 1)}
        position.history.append(json.dumps({**when, **facts}))
        with self.history.open("a", encoding="utf-8") as stream:
            stream.write(position.history[-1] + "\n")


def make_optimizer(model: Model, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, in one fused kernel."""
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.AdamW(
        model.parameters(), options.learning_rate, betas, eps=1e-9, weight_decay=options.weight_decay, fused=True
    )


def add_gradients(loss: TaskLoss, batches: Sequence[Any]) -> float:
    """The mean loss per piece over all batches, in nats; its gradient is added to that of the parameters.

    If the GPU runs out of memory, all batches are split in two and tried again from the start.
    """
    sizes = [loss.task.size(batch) for batch in batches]
    pieces = sum(size.predicted for size in sizes)
    try:
        total = 0.0
        for batch, size in zip(batches, sizes, strict=True):
            summed, count = loss(batch)
            assert count == size.predicted
            mean = summed / pieces
            mean.backward()
            total += mean.item()
        return total
    except torch.OutOfMemoryError:
        if all(size.items == 1 for size in sizes):
            raise
    largest = counted(max(size.items for size in sizes), loss.task.item)
    warn(f"out of memory: a batch of {largest} is split in two")
    loss.zero_grad(set_to_none=True)
    return add_gradients(loss, [half for batch in batches for half in loss.task.halves(batch)])


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C (or SIGTERM) only makes the yielded function true; the second interrupts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        note("interrupted: saving the state (once more to stop at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
