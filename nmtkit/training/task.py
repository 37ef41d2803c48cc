"""A task: what is trained, as the trainer sees it. Batches, their loss, and what a validation comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from nmtkit.models.interface import Model

Scores = Mapping[str, float]
"""What a validation came to, by name. `loss` is always among them, lower is better; of all others higher is."""


@dataclass(frozen=True)
class Size:
    """How much is in a batch.

    Attributes:
        items: what it can be split into.
        predicted: pieces that the loss is a sum over.
        read: pieces that go through the model besides.
    """

    items: int
    predicted: int
    read: int


class Task(Protocol):
    """What is trained. A batch is whatever the task makes of it; the trainer hands it back as it came."""

    @property
    def item(self) -> str:
        """What a batch has several of, in the singular."""

    def batches(self, epoch: int) -> Sequence[Any]:
        """All batches of an epoch in the order of their use, always the same for the same epoch."""

    def size(self, batch: Any) -> Size:
        """How much is in a batch; `predicted` is the count that `loss` gives."""

    def halves(self, batch: Any) -> Sequence[Any]:
        """The batch in two, for a GPU that cannot hold it whole; a batch of one item as it is."""

    def loss(self, model: Model, batch: Any) -> tuple[Tensor, int]:
        """The summed loss of a batch in nats, and how many pieces it is a sum over."""

    def validate(self, model: Model) -> Any:
        """Facts about a model in evaluation mode. Those of two parts of the dev set add up with +."""

    def score(self, facts: Any) -> Scores:
        """What the facts of a whole dev set come to."""

    def shown(self, scores: Scores) -> str:
        """The scores as people read them."""


class TaskLoss(nn.Module):
    """Model and task as one module whose forward pass is the loss: what is wrapped to train on several devices."""

    def __init__(self, model: Model, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, batch: Any) -> tuple[Tensor, int]:
        return self.task.loss(self.model, batch)
