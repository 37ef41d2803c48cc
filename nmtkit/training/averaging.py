"""What is validated and kept: an average of the weights after several updates, since single ones are noisier.

It is the mean of the last snapshots (Vaswani et al. 2017, 6.1), which are files, or an exponential moving average
(Polyak and Juditsky 1992; Tarvainen and Valpola 2017), which is a part of the state.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nmtkit.checkpoint import unique_weights
from nmtkit.models.interface import Model
from nmtkit.training.options import TrainingOptions
from nmtkit.training.position import Position
from nmtkit.training.state import RunState


class Average(Protocol):
    """An average of weights.

    Attributes:
        tensors: what it keeps in memory, by name: a part of the state, from which it is restored in place.
    """

    tensors: dict[str, Tensor]

    def add(self, position: Position, failed: Tensor, validating: bool) -> None:
        """Take an update into account, unless it failed; all processes call this after each.

        Args:
            failed: whether the update was left out, on the model's device.
            validating: whether a validation follows.
        """

    def weights(self, position: Position) -> dict[str, Tensor]:
        """The average; only the first process asks for it."""


class MeanOfSnapshots:
    """The mean of the last snapshots.

    Args:
        writes: whether this process takes the snapshots.
    """

    def __init__(self, model: Model, options: TrainingOptions, state: RunState, writes: bool) -> None:
        self.model, self.options, self.state, self.writes = model, options, state, writes
        self.tensors: dict[str, Tensor] = {}

    def add(self, position: Position, failed: Tensor, validating: bool) -> None:
        if self.writes and (validating or position.step % self.options.snapshot_every == 0):
            self.state.take_snapshot(self.model, position, self.options.average)

    def weights(self, position: Position) -> dict[str, Tensor]:
        if not position.snapshots:
            self.state.take_snapshot(self.model, position, 1)
        return self.state.mean_of_snapshots(position)


class MovingAverage:
    """a ← a + (1 − d) · (w − a) after each update, with d = min(decay, (1 + step) / (10 + step)).

    The smaller decay of the first updates lets the average forget the weights that the training began with.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay, self.current = decay, list(unique_weights(model).values())
        self.tensors = {name: tensor.clone() for name, tensor in unique_weights(model).items()}

    @torch.no_grad()
    def add(self, position: Position, failed: Tensor, validating: bool) -> None:
        averages, step = list(self.tensors.values()), position.step
        part = (1 - min(self.decay, (1 + step) / (10 + step))) * (~failed).to(averages[0].dtype)
        steps = torch._foreach_sub(self.current, averages)
        torch._foreach_mul_(steps, part)
        torch._foreach_add_(averages, steps)

    def weights(self, position: Position) -> dict[str, Tensor]:
        return self.tensors


def make_average(model: Model, options: TrainingOptions, state: RunState, writes: bool) -> Average:
    """The average that the options ask for."""
    if options.ema:
        return MovingAverage(model, options.ema)
    return MeanOfSnapshots(model, options, state, writes)
