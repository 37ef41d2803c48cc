"""The decoder of Luong, Pham and Manning (2015): go one step first, then look, then combine both.

Without input feeding no step depends on the output of the one before, so all positions of a known target go through
layers and attention at once.

Shape key: B sentences, S source positions, W hypotheses per sentence, N = B·W, T target positions, E embedding width,
U units, Z width of a unit's state, D context width, G gates of all units.
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


class LuongDecoder(RecurrentDecoder):
    """The query of step t is s_t of the highest layer; h̃_t = tanh(W_c [c_t; s_t]) is the output.

    h̃ is as wide as the embeddings; in Luong et al. 2015 it is as wide as the states.

    Args:
        feeding: h̃_{t−1} enters the lowest layer of step t beside the word (input feeding).
    """

    def __init__(self, sizes: DecoderSizes, attention: SourceAttention, feeding: bool) -> None:
        super().__init__(sizes)
        self.attention = attention
        embedding, units = sizes.embedding, sizes.units
        self.cell = Cell(sizes.kind, embedding, embedding, units, 0) if feeding else None
        self.stack = Stack(sizes, units if feeding else embedding, sizes.layers - feeding)
        self.query = nn.Linear(units, attention.columns) if attention.columns else None
        self.combine = nn.Linear(sizes.context + units, embedding, bias=False)
        self.fed, self.lasting = (embedding if feeding else 0), feeding

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention.prepare(annotations_BSD)

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        if self.cell is None:
            hidden_N1U, layers = self.stack(words_NE.unsqueeze(1), state.layers)
            output_N1E, _ = self._look(hidden_N1U, state.read_N[:1], memory, memory.values_BHSC)
            return output_N1E.squeeze(1), RecurrentState(layers, state.fed_NE, state.read_N + 1)
        alone = Factors(self.cell.alone(), memory.values_BHSC)
        state, _ = self._step_fed(self.cell, self.cell.word(words_NE), state, memory, alone)
        return state.fed_NE, state

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        state = self.start(memory, words_NTE.shape[0])
        if self.cell is None:
            hidden_NTU, _ = self.stack(words_NTE, state.layers)
            positions = torch.arange(words_NTE.shape[1], device=words_NTE.device)
            output_NTE, look = self._look(hidden_NTU, positions, memory, memory.values_BHSC)
            return gather(output_NTE, [look])
        shared, outputs, looks = Factors(self.cell.shared(), SharedMatrix(memory.values_BHSC)), [], []
        for word_gates_NG in self.cell.word(words_NTE).unbind(1):
            state, look = self._step_fed(self.cell, word_gates_NG, state, memory, shared)
            outputs.append(state.fed_NE)
            looks.append(look)
        return gather(torch.stack(outputs, dim=1), looks)

    def _step_fed(
        self, cell: Cell, word_gates_NG: Tensor, state: RecurrentState, memory: RecurrentMemory, factors: Factors
    ) -> tuple[RecurrentState, Look]:
        """One step that reads the output of the one before."""
        lowest_NZ, *above = state.layers
        state_gates_NG, _ = cell.project(lowest_NZ, factors.products)
        lowest_NZ = cell.advance(word_gates_NG, state.fed_NE, state_gates_NG, lowest_NZ, factors.products)
        hidden_N1U, layers = self.stack(lowest_NZ[:, None, : self.units], above, dropped=True)
        output_N1E, look = self._look(hidden_N1U, state.read_N[:1], memory, factors.values_BHSC)
        return RecurrentState((lowest_NZ, *layers), output_N1E.squeeze(1), state.read_N + 1), look

    def _look(
        self, hidden_NTU: Tensor, positions_T: Tensor, memory: RecurrentMemory, values_BHSC: Tensor | SharedMatrix
    ) -> tuple[Tensor, Look]:
        """Outputs (N, T, E); the T queries of the W hypotheses of a sentence stand in one row of W·T."""
        rows, length = hidden_NTU.shape[:2]
        hidden_BWU = self.dropout(hidden_NTU).reshape(memory.size(), -1, self.units)
        query_BWQ = self.query(hidden_BWU) if self.query is not None else hidden_BWU
        place = Place(hidden_BWU, positions_T.repeat(hidden_BWU.shape[1] // length))
        look = self.attention.look(query_BWQ, place, memory.keys_BHSK, values_BHSC, memory.mask_BS)
        combined = torch.tanh(self.combine(torch.cat((look.context_BWD, hidden_BWU), dim=2)))
        return self.dropout(combined).reshape(rows, length, -1), look
