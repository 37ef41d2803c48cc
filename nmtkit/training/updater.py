"""An update of the weights: gradients of all batches, added up over the processes, clipped, one step of Adam.

The random numbers of dropout depend on the seed, the update, and the number of the batch in it, whichever process
computes it. What is measured stays on the device until `read`, so that a GPU never waits for Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nmtkit.console import warn
from nmtkit.memory import ran_out
from nmtkit.models.interface import Model
from nmtkit.training.feed import Loaded, Work
from nmtkit.training.freezing import freeze
from nmtkit.training.options import TrainingOptions
from nmtkit.training.precision import LossScale, step_unless, tf32
from nmtkit.training.ranks import Ranks
from nmtkit.training.schedule import learning_rate
from nmtkit.training.task import TaskLoss
from nmtkit.words import counted

IN_A_ROW = 20
"""Number of updates that may fail one after another: float16 needs some to find the scale of its gradients."""


@dataclass(frozen=True)
class Reading:
    """Sums over the updates since the last reading.

    Attributes:
        loss: summed over the pieces predicted, in nats.
        predicted: number of pieces predicted.
        norm: norms of the gradients, before they were clipped.
        skipped: number of updates left out because loss or gradient was not finite; they add to no other sum.
    """

    loss: float
    predicted: int
    norm: float
    skipped: int


class Updater:
    """Makes the updates of a run, but not of its frozen parameters.

    Args:
        loss: model and task.

    Attributes:
        failed: whether the last update was left out, on the model's device.
    """

    def __init__(self, loss: TaskLoss, options: TrainingOptions, ranks: Ranks) -> None:
        self.loss, self.options, self.ranks = loss, options, ranks
        freeze(loss.model, options.freeze)
        self.optimizer = make_optimizer(loss.model, options)
        self.scale = LossScale(loss.precision, loss.model.device)
        self._sums = torch.zeros(4, dtype=torch.float64, device=loss.model.device)
        self.failed = torch.zeros((), dtype=torch.bool, device=loss.model.device)
        self._in_a_row = torch.zeros((), dtype=torch.int64, device=loss.model.device)

    def update(self, work: Work, step: int) -> float:
        """Make update number `step`, or none if loss or gradient is not finite; returns the learning rate."""
        options, model = self.options, self.loss.model
        with tf32(options.tf32, model.device):
            loss, pieces = self._gradients(work, step)
        limit = options.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit, foreach=True)
        self.failed = failed = ~(torch.isfinite(norm) & torch.isfinite(loss))
        rate = learning_rate(step, options.learning_rate, options.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        step_unless(failed, self.optimizer)
        self.scale.update(failed)
        self.optimizer.zero_grad(set_to_none=True)
        good = (~failed).double()
        sums = torch.stack((loss.nan_to_num(0, 0, 0) * pieces, good * pieces, norm.double().nan_to_num(0, 0, 0), good))
        self._sums += sums * good
        self._in_a_row = (self._in_a_row + 1) * failed
        return rate

    def read(self, step: int, updates: int) -> Reading:
        """What has been measured since the last reading, `updates` updates ago.

        Raises:
            ValueError: if the last updates were all left out.
        """
        loss, predicted, norm, good = self._sums.tolist()
        self._sums.zero_()
        if (failed := int(self._in_a_row)) >= IN_A_ROW:
            raise ValueError(
                f"{failed} updates in a row up to update {step} had a loss or a gradient that is not finite: lower "
                f"learning_rate = {self.options.learning_rate}"
            )
        return Reading(loss, int(predicted), norm, updates - int(good))

    def _gradients(self, work: Work, step: int) -> tuple[Tensor, int]:
        """The mean loss per piece of an update, whose gradient the parameters get, and the number of pieces.

        Both are the same in all processes. The number that the sizes of the batches promise, which all know before, may
        differ from that of the pieces predicted, which all know after.
        """
        planned = sum(size.predicted for size in work.sizes)
        loss, count = add_gradients(self.loss, work, planned, (self.options.seed, step), self.scale.up)
        parameters = trained(self.loss.model)
        if self.ranks.several:
            numbers = torch.tensor([count, *(int(parameter.grad is not None) for parameter in parameters)])
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            self.ranks.sum_([*gradients, loss, numbers])
            count, *used = numbers.tolist()
            for parameter, gradient, users in zip(parameters, gradients, used, strict=True):
                parameter.grad = gradient if users else None
        self.scale.down(parameters)
        if count != planned:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            torch._foreach_mul_([*gradients, loss], planned / count)
        return loss, count


def make_optimizer(model: Model, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, in one fused kernel."""
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.AdamW(
        trained(model), options.learning_rate, betas, eps=1e-9, weight_decay=options.weight_decay, fused=True
    )


def trained(model: Model) -> list[Tensor]:
    """The parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def add_gradients(
    loss: TaskLoss,
    work: Work,
    pieces: int,
    seed: tuple[int, int],
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> tuple[Tensor, int]:
    """This process's share of the loss in nats, divided by `pieces`, and the number of pieces that it is a sum over.

    The loss is on the model's device; its gradient is added.

    If memory runs out, the batches are split in two and tried again from the start.

    Args:
        pieces: number of pieces that the update predicts in all processes, by the sizes of the batches.
        seed: seed of the run, and number of the update.
        scaled: multiplies a loss by the factor that its gradient is to have.
    """
    try:
        return _add_all(loss, work, pieces, seed, scaled)
    except (RuntimeError, MemoryError) as error:
        sizes = [loss.task.size(part.batch).items for part in work.own]
        if not ran_out(error) or max(sizes) == 1:
            raise
    warn(f"out of memory: a batch of {counted(max(sizes), loss.task.item)} is split in two", everywhere=False)
    loss.zero_grad(set_to_none=True)
    halves = [
        Loaded((*part.number, side), half, loss.task.load(half, work.after.epoch))
        for part in work.own
        for side, half in enumerate(loss.task.halves(part.batch))
    ]
    return add_gradients(loss, replace(work, own=halves), pieces, seed, scaled)


def _add_all(
    loss: TaskLoss, work: Work, pieces: int, seed: tuple[int, int], scaled: Callable[[Tensor], Tensor]
) -> tuple[Tensor, int]:
    """As `add_gradients`, in one go. When it fails, nothing holds the memory of the batch that was too large."""
    total = torch.zeros((), dtype=torch.float64, device=loss.model.device)
    count = 0
    for part in work.own:
        seed_dropout(*seed, *part.number)
        summed, predicted = loss(part.content)
        count += predicted
        mean = summed / pieces
        scaled(mean).backward()
        total += mean.detach()
    return total, count


def seed_dropout(*numbers: int) -> None:
    """Let torch's random numbers follow from these numbers, on the CPU and on all GPUs."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
