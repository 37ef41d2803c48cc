"""What the recurrent decoders of Sutskever et al. (2014), Bahdanau et al. (2015) and Luong et al. (2015) share.

That is memory, state, layers over known inputs, and the joining of the looks of all steps. A decoder reads one
word (`step`) or all words of known targets (`unroll`); there, whatever does not depend on the step before is computed
for all positions at once.

Shape key: B sentences, S source positions, N = B·W hypotheses, T target positions, E embedding width, U units, Z width
of a unit's state, L layers, D context width, H heads, K key width and C value width of a head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.cells import UNITS, Layer, Products
from nmtkit.models.dropout import Dropout
from nmtkit.models.fused.shared_matrix import SharedMatrix
from nmtkit.models.hard import Draws
from nmtkit.models.interface import Rows
from nmtkit.models.modules import Modules
from nmtkit.models.source_attention import Look


@dataclass(frozen=True)
class RecurrentMemory(Rows):
    """Source mask, attention keys (B, H, S, K) and values (B, H, S, C), and the decoder's first state (B, L, Z)."""

    mask_BS: Tensor
    keys_BHSK: Tensor
    values_BHSC: Tensor
    first_BLZ: Tensor


@dataclass(frozen=True)
class RecurrentState(Rows):
    """The state after the words read so far.

    Attributes:
        layers: state of each layer, (N, Z).
        fed_NE: the output that is fed to the next step; of width 0 without input feeding.
        read_N: number of these words.
    """

    layers: tuple[Tensor, ...]
    fed_NE: Tensor
    read_N: Tensor


@dataclass(frozen=True)
class Outputs:
    """The outputs of a decoder over known targets.

    Attributes:
        hidden_NTE: the states to multiply by the output embeddings.
        weights_NHTS: attention weights; None without attention.
        draws: facts about drawn positions, (N, T); None if nothing was drawn.
    """

    hidden_NTE: Tensor
    weights_NHTS: Tensor | None = None
    draws: Draws | None = None


@dataclass(frozen=True)
class DecoderSizes:
    """The sizes of a decoder.

    Attributes:
        kind: kind of recurrent unit.
        embedding: E.
        context: D, the width of what attention returns; 0 without attention.
        units: U.
        layers: L.
        dropout: probability of dropout.
    """

    kind: str
    embedding: int
    context: int
    units: int
    layers: int
    dropout: float


@dataclass(frozen=True)
class Factors:
    """The factors in the products of a step: the matrices themselves, or those shared by all steps of a loop.

    Attributes:
        products: the products of the cell.
        values_BHSC: the values that attention sums.
    """

    products: Products
    values_BHSC: Tensor | SharedMatrix


class RecurrentDecoder(nn.Module, ABC):
    """A recurrent decoder: reads target words.

    Attributes:
        fed: width of the output that is fed to the next step; 0 without input feeding.
        attends: whether it looks at the source at all.
        lasting: whether the look of a step affects later steps.
        state_width, depth: Z and L.
    """

    fed = 0
    attends = True
    lasting = True

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.depth, self.units = sizes.layers, sizes.units
        self.state_width = UNITS[sizes.kind].parts * sizes.units
        self.dropout = Dropout(sizes.dropout)

    @abstractmethod
    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the annotations."""

    def start(self, memory: RecurrentMemory, rows: int) -> RecurrentState:
        """The state before the first word, with `rows` rows: the same number for every sentence."""
        first_NLZ = memory.first_BLZ
        if rows != memory.size():
            first_NLZ = first_NLZ.repeat_interleave(rows // memory.size(), dim=0)
        read_N = torch.zeros(rows, dtype=torch.int64, device=first_NLZ.device)
        return RecurrentState(first_NLZ.unbind(1), first_NLZ.new_zeros(rows, self.fed), read_N)

    @abstractmethod
    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        """Read one word; returns the output (N, E) and the next state."""

    @abstractmethod
    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        """Read all words."""


class Stack(nn.Module):
    """Layers over known inputs, with dropout between them.

    Args:
        inputs: width of the input of the first layer.
        layers: number of layers, which may be smaller than that of the decoder, or 0.
    """

    def __init__(self, sizes: DecoderSizes, inputs: int, layers: int) -> None:
        super().__init__()
        kind, units = sizes.kind, sizes.units
        self.layers = Modules(Layer(kind, units if layer else inputs, units) for layer in range(layers))
        self.dropout = Dropout(sizes.dropout)

    def forward(
        self, vectors_NTE: Tensor, states: Sequence[Tensor], dropped: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs of the last layer (N, T, U), and each layer's state after the last input.

        Args:
            states: the state of each layer before the first input, (N, Z).
            dropped: whether dropout also applies to the inputs of the first layer.
        """
        last = []
        for number, (layer, state_NZ) in enumerate(zip(self.layers, states, strict=True)):
            inputs = self.dropout(vectors_NTE) if number or dropped else vectors_NTE
            vectors_NTE, after_NZ = layer(inputs, state_NZ)
            last.append(after_NZ)
        return vectors_NTE, tuple(last)


def gather(hidden_NTE: Tensor, looks: Sequence[Look]) -> Outputs:
    """The outputs, with the looks of T steps (W queries per sentence each) or of all positions at once (W·T)."""
    rows, length = hidden_NTE.shape[:2]

    def by_step(parts: list[Tensor], dim: int) -> Tensor:
        """From T parts (B, …, W, …) or one (B, …, W·T, …) to (B, …, W, T, …); `dim` is that of the queries."""
        apart: Tensor = torch.stack(parts, dim + 1) if len(parts) > 1 else parts[0].unflatten(dim, (-1, length))
        return apart

    weights_NHTS = by_step([look.weights_BHWS for look in looks], 2).transpose(1, 2).flatten(0, 1)
    drawn = [look.draws for look in looks if look.draws is not None]
    if not drawn:
        return Outputs(hidden_NTE, weights_NHTS)
    log_p_BWT, entropy_BWT = (by_step(parts, 1) for parts in ([d.log_p for d in drawn], [d.entropy for d in drawn]))
    draws = Draws(log_p_BWT.reshape(rows, length), entropy_BWT.reshape(rows, length))
    return Outputs(hidden_NTE, weights_NHTS, draws)
