"""A task, as the trainer sees it: batches, their loss, and the scores of a validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from nmtkit.models.interface import Model
from nmtkit.training.precision import reduced
from nmtkit.training.ranks import Share

Scores = Mapping[str, float]
"""Scores of a validation by name. `loss` is always among them, and lower is better; for all others higher is better."""


@dataclass(frozen=True)
class Size:
    """The size of a batch.

    Attributes:
        items: number of items, between which the batch can be split.
        predicted: number of pieces that the loss is a sum over; `load` may change it.
        read: number of pieces that also go through the model.
    """

    items: int
    predicted: int
    read: int


class Task(Protocol):
    """A task to train. The type of a batch is up to the task; the trainer only passes batches back to it."""

    @property
    def item(self) -> str:
        """The name of an item of a batch, in the singular."""

    @property
    def at_once(self) -> int:
        """The number of batches that are loaded faster at the same time than one after another."""

    def windows(self, epoch: int) -> int:
        """The number of windows, at least one, that an epoch is cut into so that their batches fit into memory."""

    def batches(self, epoch: int, window: int) -> Sequence[Any]:
        """All batches of a window in the order of their use, always the same for the same epoch and window."""

    def size(self, batch: Any) -> Size:
        """The size of a batch, before it is loaded."""

    def halves(self, batch: Any) -> Sequence[Any]:
        """The batch in two halves, for a GPU that cannot hold it whole; a batch of one item stays as it is."""

    def load(self, batch: Any, epoch: int, pin: bool = False) -> Any:
        """The content of a batch, for `loss`; other threads call it.

        Args:
            pin: whether its tensors are in page-locked memory, from which a GPU can fetch them.
        """

    def loss(self, model: Model, content: Any) -> tuple[Tensor, int]:
        """The summed loss of a loaded batch in nats, and the number of pieces it is a sum over."""

    def validate(self, model: Model, share: Share) -> Any:
        """Facts about a model in evaluation mode on a share of the dev set. The facts of all shares add up with +."""

    def score(self, facts: Any, warming: bool = False) -> Scores:
        """The scores that follow from the facts of a whole dev set.

        Args:
            warming: whether the learning rate is still growing, so that bad scores are no cause for a warning.
        """

    def shown(self, scores: Scores) -> str:
        """The scores as people read them."""

    def samples(self, facts: Any) -> Sequence[str]:
        """Lines that show people what the model puts out, from the facts of a whole dev set; may be empty."""


class TaskLoss(nn.Module):
    """Model and task as one module whose forward pass is the loss, in some precision of the products."""

    def __init__(self, model: Model, task: Task, precision: str = "float32") -> None:
        super().__init__()
        self.model, self.task, self.precision = model, task, precision

    def forward(self, content: Any) -> tuple[Tensor, int]:
        with reduced(self.precision, self.model.device):
            return self.task.loss(self.model, content)
