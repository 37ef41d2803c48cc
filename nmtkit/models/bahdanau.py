"""The decoder of Bahdanau, Cho and Bengio (2015): look first, then let the context into the cell.

Shape key: B sentences, S source positions, W hypotheses per sentence, N = B·W, T target positions, E embedding width,
U units, Z width of a unit's state, D context width, G gates of all units, Q columns of the query.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmtkit.models.cells import Cell
from nmtkit.models.focus import Place
from nmtkit.models.fused.shared_matrix import SharedMatrix
from nmtkit.models.recurrent_decoder import (
    DecoderSizes,
    Factors,
    Outputs,
    RecurrentDecoder,
    RecurrentMemory,
    RecurrentState,
    Stack,
    gather,
)
from nmtkit.models.source_attention import Look, SourceAttention


class BahdanauDecoder(RecurrentDecoder):
    """The query of step t is s_{t−1} of the lowest layer; its context enters the cell of step t and the read-out.

    The read-out is tanh over [s_t; y_{t−1}; c_t], with s_t of the highest layer; Bahdanau et al. 2015, appendix A.2.2,
    have a maxout layer over [s_{t−1}; y_{t−1}; c_t].
    """

    def __init__(self, sizes: DecoderSizes, attention: SourceAttention) -> None:
        super().__init__(sizes)
        self.attention = attention
        self.cell = Cell(sizes.kind, sizes.embedding, sizes.context, sizes.units, attention.columns)
        self.upper = Stack(sizes, sizes.units, sizes.layers - 1)
        self.readout = nn.Linear(sizes.units + sizes.embedding + sizes.context, sizes.embedding)

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention.prepare(annotations_BSD)

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        lowest_NZ, *above = state.layers
        alone = Factors(self.cell.alone(), memory.values_BHSC)
        lowest_NZ, look = self._advance(self.cell.word(words_NE), lowest_NZ, state.read_N[:1], memory, alone)
        hidden_N1U, layers = self.upper(lowest_NZ[:, None, : self.units], above, dropped=True)
        output_NE = self._read_out(hidden_N1U.squeeze(1), words_NE, look.context_BWD.flatten(0, 1))
        return output_NE, RecurrentState((lowest_NZ, *layers), state.fed_NE, state.read_N + 1)

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        lowest_NZ, *above = self.start(memory, words_NTE.shape[0]).layers
        shared, states, looks = Factors(self.cell.shared(), SharedMatrix(memory.values_BHSC)), [], []
        positions = torch.arange(words_NTE.shape[1], device=words_NTE.device).split(1)
        for word_gates_NG, position in zip(self.cell.word(words_NTE).unbind(1), positions, strict=True):
            lowest_NZ, look = self._advance(word_gates_NG, lowest_NZ, position, memory, shared)
            states.append(lowest_NZ[:, : self.units])
            looks.append(look)
        hidden_NTU, _ = self.upper(torch.stack(states, dim=1), above, dropped=True)
        context_NTD = torch.stack([look.context_BWD.flatten(0, 1) for look in looks], dim=1)
        return gather(self._read_out(hidden_NTU, words_NTE, context_NTD), looks)

    def _advance(
        self, word_gates_NG: Tensor, state_NZ: Tensor, position: Tensor, memory: RecurrentMemory, factors: Factors
    ) -> tuple[Tensor, Look]:
        """The lowest layer's next state, and the look before it: the part of a step that must run step by step."""
        state_gates_NG, query_NQ = self.cell.project(state_NZ, factors.products)
        hidden_BWU = state_NZ[:, : self.units].unflatten(0, (memory.size(), -1))
        query_BWQ = query_NQ.unflatten(0, (memory.size(), -1)) if self.attention.columns else hidden_BWU
        place = Place(hidden_BWU, position)
        look = self.attention.look(query_BWQ, place, memory.keys_BHSK, factors.values_BHSC, memory.mask_BS)
        context_ND = look.context_BWD.flatten(0, 1)
        return self.cell.advance(word_gates_NG, context_ND, state_gates_NG, state_NZ, factors.products), look

    def _read_out(self, hidden: Tensor, words: Tensor, context: Tensor) -> Tensor:
        joined = torch.cat((self.dropout(hidden), words, context), dim=-1)
        output: Tensor = self.dropout(torch.tanh(self.readout(joined)))
        return output
