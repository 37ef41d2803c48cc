"""Decoders of the recurrent family: without attention, and with it in Bahdanau's or in Luong's order.

Over known targets all that does not hang on the step before runs for all positions at once: without attention and in
Luong's order without input feeding that is everything.

Shape key: B sentences, S source positions, N = B·W hypotheses, T target positions, E embedding width, U units, Z width
of a unit's state, L layers, D context width, H heads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nmtkit.models.cells import UNITS, Cell, Layer
from nmtkit.models.focus import Place
from nmtkit.models.fused import SharedMatrix
from nmtkit.models.interface import Rows
from nmtkit.models.layers import Dropout
from nmtkit.models.source_attention import Look, SourceAttention


@dataclass(frozen=True)
class RecurrentMemory(Rows):
    """Source mask, attention keys (B, H, S, K) and values (B, H, S, C), and the decoder's first state (B, L, Z)."""

    mask_BS: Tensor
    keys_BHSK: Tensor
    values_BHSC: Tensor
    first_BLZ: Tensor


@dataclass(frozen=True)
class RecurrentState(Rows):
    """After the tokens read so far: every layer's state, the output that is fed to the next step (N, E or 0), and how
    many tokens those were."""

    layers_NLZ: Tensor
    fed_NE: Tensor
    read_N: Tensor


@dataclass(frozen=True)
class Outputs:
    """Of a decoder over known targets.

    Attributes:
        hidden_NTE: what the output embeddings are multiplied by.
        weights_NHTS: attention; None: the decoder has none.
        log_p_NT, entropy_NT: of drawn positions; None: nothing was drawn.
    """

    hidden_NTE: Tensor
    weights_NHTS: Tensor | None = None
    log_p_NT: Tensor | None = None
    entropy_NT: Tensor | None = None


@dataclass(frozen=True)
class Sizes:
    """Of a decoder.

    Attributes:
        kind: of unit.
        embedding, context, units: E, D and U; the context is what attention returns, 0 without one.
        layers: L.
        dropout: probability.
    """

    kind: str
    embedding: int
    context: int
    units: int
    layers: int
    dropout: float


class RecurrentDecoder(nn.Module, ABC):
    """What reads target words.

    Attributes:
        fed: width of the output that is fed to the next step; 0: none is.
        lasting: whether what is looked at in a step bears on later steps.
        attends: whether it looks at the source at all.
        state_width, depth: Z and L.
    """

    fed = 0
    lasting = True
    attends = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.depth, self.units = sizes.layers, sizes.units
        self.state_width = UNITS[sizes.kind].parts * sizes.units
        self.dropout = Dropout(sizes.dropout)

    @abstractmethod
    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the annotations."""

    @abstractmethod
    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        """One word: the output (N, E) and the next state."""

    @abstractmethod
    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        """All words."""


Sums = Callable[[Tensor], Tensor]
"""From weights (B, H, W, S) to sums of the values (B, H, W, C)."""


def _first(memory: RecurrentMemory, rows: int) -> Tensor:
    return memory.first_BLZ.repeat_interleave(rows // memory.size(), dim=0)


def _sums(values_BHSC: Tensor, weights_BHWS: Tensor) -> Tensor:
    return weights_BHWS @ values_BHSC


class _Stack(nn.Module):
    """Layers over known inputs, dropout between them."""

    def __init__(self, sizes: Sizes, inputs: int, layers: int) -> None:
        super().__init__()
        kind, units = sizes.kind, sizes.units
        self.layers = nn.ModuleList(Layer(kind, units if layer else inputs, units) for layer in range(layers))
        self.dropout = Dropout(sizes.dropout)

    def forward(self, vectors_NTE: Tensor, states_NLZ: Tensor, dropped: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Outputs of the last layer (N, T, U), and each layer's state after the last input.

        Args:
            dropped: whether the first layer's inputs are dropped out, too.
        """
        last = []
        for number, layer in enumerate(self.layers):
            inputs = self.dropout(vectors_NTE) if number or dropped else vectors_NTE
            vectors_NTE, state_NZ = layer(inputs, states_NLZ[:, number])
            last.append(state_NZ)
        return vectors_NTE, last


class PlainDecoder(RecurrentDecoder):
    """Without attention: all it knows of the source is its first state (Sutskever et al. 2014)."""

    attends = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.stack = _Stack(sizes, sizes.embedding, sizes.layers)
        self.readout = nn.Linear(sizes.units + sizes.embedding, sizes.embedding)

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        nothing = annotations_BSD[:, None, :, :0]
        return nothing, nothing

    def _read_out(self, hidden: Tensor, words: Tensor) -> Tensor:
        output: Tensor = self.dropout(torch.tanh(self.readout(torch.cat((self.dropout(hidden), words), dim=-1))))
        return output

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        hidden_N1U, last = self.stack(words_NE.unsqueeze(1), state.layers_NLZ)
        next_state = RecurrentState(torch.stack(last, dim=1), state.fed_NE, state.read_N + 1)
        return self._read_out(hidden_N1U.squeeze(1), words_NE), next_state

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        hidden_NTU, _ = self.stack(words_NTE, _first(memory, words_NTE.shape[0]))
        return Outputs(self._read_out(hidden_NTU, words_NTE))


class BahdanauDecoder(RecurrentDecoder):
    """The query of step t is s_{t−1} of the lowest layer; its context enters the cell of step t and the read-out.

    The read-out is tanh over [s_t; y_{t−1}; c_t], with s_t of the highest layer; Bahdanau et al. 2015, appendix A.2.2,
    have a maxout layer over [s_{t−1}; y_{t−1}; c_t].
    """

    def __init__(self, sizes: Sizes, attention: SourceAttention) -> None:
        super().__init__(sizes)
        self.attention = attention
        self.cell = Cell(sizes.kind, sizes.embedding, sizes.context, sizes.units, attention.columns)
        self.upper = _Stack(sizes, sizes.units, sizes.layers - 1)
        self.readout = nn.Linear(sizes.units + sizes.embedding + sizes.context, sizes.embedding)

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention.prepare(annotations_BSD)

    def _read_out(self, hidden: Tensor, words: Tensor, context: Tensor) -> Tensor:
        joined = torch.cat((self.dropout(hidden), words, context), dim=-1)
        output: Tensor = self.dropout(torch.tanh(self.readout(joined)))
        return output

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        products, sums = self.cell.alone(), partial(_sums, memory.values_BHSC)
        state_NZ = state.layers_NLZ[:, 0]
        gates, query = self.cell.project(state_NZ, products)
        look = self._look(query, state_NZ, state.read_N[:1], memory, sums)
        context_ND = look.context_BWD.flatten(0, 1)
        state_NZ = self.cell.advance(self.cell.word(words_NE), context_ND, gates, state_NZ, products)
        lowest_N1U = state_NZ[:, None, : self.units]
        hidden_N1U, last = self.upper(lowest_N1U, state.layers_NLZ[:, 1:], dropped=True)
        output = self._read_out(hidden_N1U.squeeze(1), words_NE, context_ND)
        return output, RecurrentState(torch.stack([state_NZ, *last], dim=1), state.fed_NE, state.read_N + 1)

    def _look(self, query_NQ: Tensor, state_NZ: Tensor, position: Tensor, memory: RecurrentMemory, sums: Sums) -> Look:
        hidden_BWU = state_NZ[:, : self.units].unflatten(0, (memory.size(), -1))
        query_BWQ = query_NQ.unflatten(0, (memory.size(), -1)) if self.attention.columns else hidden_BWU
        place = Place(hidden_BWU, position)
        return self.attention.look(query_BWQ, place, memory.keys_BHSK, memory.mask_BS, sums)

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        products, values = self.cell.shared(), SharedMatrix(memory.values_BHSC)
        first_NLZ = _first(memory, words_NTE.shape[0])
        state_NZ, states, looks = first_NLZ[:, 0], [], []
        for t, word_gates in enumerate(self.cell.word(words_NTE).unbind(1)):
            gates, query = self.cell.project(state_NZ, products)
            position = torch.full((1,), t, device=state_NZ.device)
            look = self._look(query, state_NZ, position, memory, values.times)
            context_ND = look.context_BWD.flatten(0, 1)
            state_NZ = self.cell.advance(word_gates, context_ND, gates, state_NZ, products)
            states.append(state_NZ[:, : self.units])
            looks.append(look)
        hidden_NTU, _ = self.upper(torch.stack(states, dim=1), first_NLZ[:, 1:], dropped=True)
        context_NTD = torch.stack([look.context_BWD.flatten(0, 1) for look in looks], dim=1)
        return _outputs(self._read_out(hidden_NTU, words_NTE, context_NTD), looks)


class LuongDecoder(RecurrentDecoder):
    """The query of step t is s_t of the highest layer; h̃_t = tanh(W_c [c_t; s_t]) is the output.

    h̃ is as wide as the embeddings; in Luong et al. 2015 as the states.

    Args:
        feeding: h̃_{t−1} enters the lowest layer of step t beside the word (input feeding).
    """

    def __init__(self, sizes: Sizes, attention: SourceAttention, feeding: bool) -> None:
        super().__init__(sizes)
        self.attention = attention
        embedding, units = sizes.embedding, sizes.units
        self.cell = Cell(sizes.kind, embedding, embedding, units, 0) if feeding else None
        self.stack = _Stack(sizes, units if feeding else embedding, sizes.layers - feeding)
        self.query = nn.Linear(units, attention.columns) if attention.columns else None
        self.combine = nn.Linear(sizes.context + units, embedding, bias=False)
        self.fed, self.lasting = (embedding if feeding else 0), feeding

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention.prepare(annotations_BSD)

    def _look(self, hidden_NTU: Tensor, positions: Tensor, memory: RecurrentMemory, sums: Sums) -> tuple[Tensor, Look]:
        """Outputs (N, T, E); the T queries of the W hypotheses of a sentence stand in one row of W·T."""
        rows, length = hidden_NTU.shape[:2]
        hidden_BWU = self.dropout(hidden_NTU).reshape(memory.size(), -1, self.units)
        query = self.query(hidden_BWU) if self.query is not None else hidden_BWU
        place = Place(hidden_BWU, positions.repeat(hidden_BWU.shape[1] // length))
        look = self.attention.look(query, place, memory.keys_BHSK, memory.mask_BS, sums)
        combined = torch.tanh(self.combine(torch.cat((look.context_BWD, hidden_BWU), dim=2)))
        return self.dropout(combined).reshape(rows, length, -1), look

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        sums, states = partial(_sums, memory.values_BHSC), state.layers_NLZ
        inputs, own = words_NE.unsqueeze(1), []
        if self.cell is not None:
            products = self.cell.alone()
            gates, _ = self.cell.project(states[:, 0], products)
            lowest_NZ = self.cell.advance(self.cell.word(words_NE), state.fed_NE, gates, states[:, 0], products)
            inputs, own, states = lowest_NZ[:, None, : self.units], [lowest_NZ], states[:, 1:]
        hidden_N1U, last = self.stack(inputs, states, dropped=self.cell is not None)
        output_N1E, _ = self._look(hidden_N1U, state.read_N[:1], memory, sums)
        output_NE = output_N1E.squeeze(1)
        fed = output_NE if self.fed else state.fed_NE
        return output_NE, RecurrentState(torch.stack([*own, *last], dim=1), fed, state.read_N + 1)

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        if self.cell is not None:
            return self._unroll_fed(self.cell, words_NTE, memory)
        hidden_NTU, _ = self.stack(words_NTE, _first(memory, words_NTE.shape[0]))
        positions = torch.arange(words_NTE.shape[1], device=words_NTE.device)
        output_NTE, look = self._look(hidden_NTU, positions, memory, partial(_sums, memory.values_BHSC))
        return _outputs(output_NTE, [look])

    def _unroll_fed(self, cell: Cell, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        """Step by step, since every step reads the output of the one before."""
        products, values = cell.shared(), SharedMatrix(memory.values_BHSC)
        states = _first(memory, words_NTE.shape[0])
        lowest_NZ, above = states[:, 0], states[:, 1:]
        fed_NE, outputs, looks = words_NTE.new_zeros(words_NTE.shape[0], self.fed), [], []
        for t, word_gates in enumerate(cell.word(words_NTE).unbind(1)):
            gates, _ = cell.project(lowest_NZ, products)
            lowest_NZ = cell.advance(word_gates, fed_NE, gates, lowest_NZ, products)
            hidden_N1U, last = self.stack(lowest_NZ[:, None, : self.units], above, dropped=True)
            above = torch.stack(last, dim=1) if last else above
            position = torch.full((1,), t, device=words_NTE.device)
            output_N1E, look = self._look(hidden_N1U, position, memory, values.times)
            fed_NE = output_N1E.squeeze(1)
            outputs.append(fed_NE)
            looks.append(look)
        return _outputs(torch.stack(outputs, dim=1), looks)


def _outputs(hidden_NTE: Tensor, looks: list[Look]) -> Outputs:
    """The looks of all steps, or of all positions at once, side by side."""
    rows, length = hidden_NTE.shape[:2]

    def joined(parts: list[Tensor | None], dim: int) -> Tensor | None:
        kept = [part for part in parts if part is not None]
        if not kept:
            return None
        if len(kept) == 1:  # (B, …, W·T, …)
            apart: Tensor = kept[0].unflatten(dim, (-1, length))
            return apart
        return torch.stack(kept, dim=dim + 1)  # T parts (B, …, W, …)

    weights_BHWTS = joined([look.weights_BHWS for look in looks], 2)
    assert weights_BHWTS is not None
    weights_NHTS = weights_BHWTS.transpose(1, 2).flatten(0, 1)
    drawn = [joined([getattr(look, name) for look in looks], 1) for name in ("log_p_BW", "entropy_BW")]
    log_p_NT, entropy_NT = (None if part is None else part.reshape(rows, length) for part in drawn)
    return Outputs(hidden_NTE, weights_NHTS, log_p_NT, entropy_NT)
