"""The recurrent family: an encoder of recurrent layers, a bridge, and a decoder with or without attention.

Its combinations include the classics: without attention (Sutskever et al. 2014; Cho et al. 2014), Bahdanau, Cho and
Bengio (2015), Luong, Pham and Manning (2015), and the hard attention of Xu et al. (2015). With attention the decoder
starts, as in Bahdanau's paper, from a tanh map of the last output of the encoder's top layer (from right to left if it
reads both ways); in Luong's paper each layer takes over the state of its layer in an encoder that reads one way.

Shape key: B sentences, S source positions, N = B·W hypotheses, T target positions, E embedding width, D annotation
width, L layers of the decoder, Z width of a unit's state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmtkit.models.cells import Encoder
from nmtkit.models.distribution import LogProbs
from nmtkit.models.dropout import Dropout
from nmtkit.models.fronts import EmbeddingModel, Embeddings
from nmtkit.models.hard import Rewards, SampledLogProbs
from nmtkit.models.interface import Maps
from nmtkit.models.modules import Modules
from nmtkit.models.options import RecurrentOptions
from nmtkit.models.recurrent_decoder import RecurrentDecoder, RecurrentMemory, RecurrentState


class Recurrent(EmbeddingModel):
    """The recurrent model: encoder layers, bridge and decoder."""

    def __init__(self, embeddings: Embeddings, options: RecurrentOptions, decoder: RecurrentDecoder) -> None:
        super().__init__(embeddings)
        self.units, self.bidirectional = options.encoder_units or options.units, options.bidirectional
        self.whole = options.order == "none"
        """The bridge reads what both directions ended with; otherwise the one that ended at the first word, if there
        are two (Bahdanau et al. 2015, appendix A.2.2)."""
        self.dropout, self.rewards = Dropout(options.dropout), Rewards(options.reward_weight, options.entropy_weight)
        widths = [options.embedding] + [options.annotation] * (options.encoder_layers - 1)
        self.encoder = Modules(Encoder(options.cell, width, self.units, self.bidirectional) for width in widths)
        ended = options.annotation if self.whole else self.units
        self.bridge = nn.Linear(ended, decoder.depth * decoder.state_width)
        self.decoder = decoder
        self.attends = (frozenset({"cross"} if decoder.attends else ()),)

    def encode(self, source: Tensor, mask_BS: Tensor) -> RecurrentMemory:
        annotations = self.front(source)
        for layer in self.encoder:
            annotations = layer(self.dropout(annotations), mask_BS)
        first = torch.tanh(self.bridge(self._last(annotations, mask_BS)))
        keys, values = self.decoder.prepare(self.dropout(annotations))
        return RecurrentMemory(mask_BS, keys, values, first.unflatten(-1, (self.decoder.depth, -1)))

    def _last(self, annotations_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """The last outputs of the encoder, (B, D) or (B, units)."""
        rows = torch.arange(mask_BS.shape[0], device=mask_BS.device)
        from_left = annotations_BSD[rows, mask_BS.sum(1) - 1, : self.units]
        if not self.bidirectional:
            return from_left
        from_right = annotations_BSD[:, 0, self.units :]
        return torch.cat((from_left, from_right), dim=1) if self.whole else from_right

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        return self.decoder.start(memory, memory.size())

    def step(self, token_N: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[LogProbs, RecurrentState]:
        output_NE, next_state = self.decoder.step(self.dropout(self.target_embedding(token_N)), state, memory)
        return self.next_tokens(output_NE), next_state

    def decode(self, memory: RecurrentMemory, target_in_NT: Tensor) -> LogProbs:
        outputs = self.decoder.unroll(self.dropout(self.target_embedding(target_in_NT)), memory)
        if outputs.draws is None:
            return self.next_tokens(outputs.hidden_NTE)
        lasting = self.decoder.lasting
        return SampledLogProbs(outputs.hidden_NTE, self.output_weight, outputs.draws, self.rewards, lasting)

    def attention(self, memory: RecurrentMemory, target_in_NT: Tensor) -> Maps:
        weights_NHTS = self.decoder.unroll(self.target_embedding(target_in_NT), memory).weights_NHTS
        return Maps(() if weights_NHTS is None else (weights_NHTS,))
