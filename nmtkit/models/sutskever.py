"""A decoder without attention (Sutskever, Vinyals and Le 2014): it knows the source only by its first state.

Shape key: B sentences, S source positions, N hypotheses, T target positions, E embedding width, U units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmtkit.models.recurrent_decoder import (
    DecoderSizes,
    Outputs,
    RecurrentDecoder,
    RecurrentMemory,
    RecurrentState,
    Stack,
)


class SutskeverDecoder(RecurrentDecoder):
    """Recurrent layers; the read-out is tanh over [s_t; y_{t−1}]."""

    attends = False

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__(sizes)
        self.stack = Stack(sizes, sizes.embedding, sizes.layers)
        self.readout = nn.Linear(sizes.units + sizes.embedding, sizes.embedding)

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        nothing = annotations_BSD[:, None, :, :0]
        return nothing, nothing

    def step(self, words_NE: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[Tensor, RecurrentState]:
        hidden_N1U, layers = self.stack(words_NE.unsqueeze(1), state.layers)
        return self._read_out(hidden_N1U.squeeze(1), words_NE), RecurrentState(layers, state.fed_NE, state.read_N + 1)

    def unroll(self, words_NTE: Tensor, memory: RecurrentMemory) -> Outputs:
        hidden_NTU, _ = self.stack(words_NTE, self.start(memory, words_NTE.shape[0]).layers)
        return Outputs(self._read_out(hidden_NTU, words_NTE))

    def _read_out(self, hidden: Tensor, words: Tensor) -> Tensor:
        output: Tensor = self.dropout(torch.tanh(self.readout(torch.cat((self.dropout(hidden), words), dim=-1))))
        return output
