"""The one narrow interface between models and everything that searches, scores or explains them.

Shape key: B sentences, S source positions, N hypotheses or targets, T target positions, D hidden width, V vocabulary,
M selected rows. N = W × B with the same W for every sentence; hypothesis n belongs to sentence n // W.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from nmtkit.models.distribution import LogProbs
from nmtkit.models.matrices import LARGE


class Rows:
    """A value whose tensors all have the sentence or the hypothesis as dimension 0.

    Subclasses are frozen dataclasses of tensors, other `Rows`, and tuples of either.
    """

    def select(self, rows_M: Tensor) -> Self:
        """The rows `rows_M` (int64), in that order, repeats allowed: expands, reorders, drops and branches."""
        return type(self)(*(_select(getattr(self, field.name), rows_M) for field in fields(self)))  # type: ignore[arg-type]

    def size(self) -> int:
        """The number of rows."""
        return _size(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]


def _select(value: Any, rows_M: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, rows_M)
    if isinstance(value, tuple):
        return tuple(_select(item, rows_M) for item in value)
    return value.select(rows_M)


def _size(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.shape[0]
    if isinstance(value, tuple):
        return _size(value[0])
    return int(value.size())


Memory = TypeVar("Memory", bound=Rows)
State = TypeVar("State", bound=Rows)


@dataclass(frozen=True)
class Maps:
    """The attention weights of a model: what it looked at.

    Attributes:
        cross: for each layer, (N, heads, T, S): weight of source position s for target position t.
        decoder: for each layer, (N, heads, T, T): self-attention of the target; empty if the family has none.
    """

    cross: tuple[Tensor, ...]
    decoder: tuple[Tensor, ...] = ()


class Stepper(Protocol[Memory, State]):
    """An encoder-decoder as searches, forced passes and analyses see it, wherever its distributions come from.

    Memory and state are values: passed in, returned, never kept by the stepper.
    """

    @property
    def device(self) -> torch.device:
        """The device of its tensors and of those that it reads."""

    @property
    def longest(self) -> int | None:
        """Most positions on either side, end of sentence counted; None: any number."""

    @property
    def attends(self) -> tuple[frozenset[str], ...]:
        """The kinds of attention that it has ("cross", "decoder", "encoder"), for each member of an ensemble."""

    @abstractmethod
    def encode(self, source: Tensor, mask_BS: Tensor) -> Memory:
        """All that depends on the source alone, one row per sentence.

        Args:
            source: ids (B, S) or feature vectors (B, S, F).
            mask_BS: True where there is a source position; each row has at least one, and its first is True.
        """

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state of the empty prefix, one row per sentence."""

    @abstractmethod
    def step(self, token_N: Tensor, state: State, memory: Memory) -> tuple[LogProbs, State]:
        """Read one token per hypothesis; the distributions of the next token (N) and the new state. Inference only."""

    @abstractmethod
    def decode(self, memory: Memory, target_in_NT: Tensor) -> LogProbs:
        """All positions at once, given the true prefixes (BOS first): (N, T) distributions."""

    @abstractmethod
    def attention(self, memory: Memory, target_in_NT: Tensor) -> Maps:
        """The attention weights of a forced pass over `target_in_NT`; may be slow."""

    @abstractmethod
    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        """For each layer of self-attention in the encoder, (B, heads, S, S): weight of position s′ for position s.

        Takes what `encode` takes, since memory keeps no trace of it; may be slow. Rows of padding mean nothing. Empty
        if the encoder has no self-attention.
        """


class Model(nn.Module, Stepper[Any, Any]):
    """A stepper with weights that can be trained. Each family has a memory and a state of its own type.

    Attributes:
        longest: most positions on either side, end of sentence counted; None: any number.
        attends: the kinds of attention that it has ("cross", "decoder", "encoder"), for each member of an ensemble.
    """

    longest: int | None = None
    attends: tuple[frozenset[str], ...] = (frozenset({"cross"}),)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def lay_out(self, precision: str) -> bool:
        """Lay the large matrices out for inference; they must not change any more. Gradients do not see the layout.

        Args:
            precision: one of `matrices.PRECISIONS`.

        Returns:
            Whether any matrix is large enough for it.

        Raises:
            ValueError: for a precision that does not exist, or that the device does not have.
        """
        return False

    def lowered(self, precision: str) -> Self:
        """A model with the same weights whose large products are computed in a lower precision; inference only.

        Raises:
            ValueError: as `lay_out`, and if no matrix is large enough for the precision to change anything.
        """
        shared = {id(parameter): parameter for parameter in self.parameters()}
        model = copy.deepcopy(self, shared)  # its modules anew, its weights not
        if not model.lay_out(precision) and precision != "float32":
            raise ValueError(
                f"precision = {precision!r} would change nothing: it is for matrices of {LARGE:,} weights and more, "
                "and this model has none; leave it out"
            )
        return model

    def tables(self) -> dict[str, tuple[Tensor, ...]]:
        """The tensors with a row for each piece of a vocabulary, by side: "source" or "target".

        Models of one kind list them in the same order; a shared tensor stands in several places.
        """
        return {"source": (), "target": ()}

    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        """As in `Stepper`; empty unless the family's encoder has self-attention."""
        return ()
