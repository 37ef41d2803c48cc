"""The recurrent family: an encoder of recurrent layers, a bridge, and a decoder with or without attention.

The classics are among its combinations: without attention (Sutskever et al. 2014; Cho et al. 2014), Bahdanau, Cho and
Bengio (2015), Luong, Pham and Manning (2015), and the hard attention of Xu et al. (2015). With attention the decoder
starts, as in Bahdanau's paper, from a tanh map of what the encoder's top layer ended with (from right to left where it
reads both ways); in Luong's each layer takes over the state of its layer in an encoder that reads one way.

Shape key: B sentences, S source positions, N = B·W hypotheses, T target positions, E embedding width, D annotation
width, L layers of the decoder, Z width of a unit's state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmtkit.models.cells import Encoder
from nmtkit.models.hard import SampledLogProbs
from nmtkit.models.interface import LogProbs, Maps, Model, ProjectedLogProbs
from nmtkit.models.layers import Dropout
from nmtkit.models.recurrent_decoders import RecurrentDecoder, RecurrentMemory, RecurrentState


class Recurrent(Model):
    """Encoder layers, bridge and decoder.

    Args:
        front: source ids or features to vectors of width `embedding`.
        target_embedding: V × embedding table of the decoder's input.
        output_weight: V × embedding output embeddings (the same parameter as the table's when tied).
        units: of each direction of the encoder.
        whole: the bridge reads the last states of both directions; otherwise that of the direction that ended at the
            first word, if there are two (Bahdanau et al. 2015, appendix A.2.2).
        reward_weight, entropy_weight: of hard attention, see `SampledLogProbs`.
    """

    def __init__(
        self,
        front: nn.Module,
        target_embedding: nn.Embedding,
        output_weight: nn.Parameter,
        decoder: RecurrentDecoder,
        *,
        kind: str,
        embedding: int,
        units: int,
        layers: int,
        bidirectional: bool,
        whole: bool,
        dropout: float,
        reward_weight: float,
        entropy_weight: float,
    ) -> None:
        super().__init__()
        annotation = units * (1 + bidirectional)
        self.front, self.target_embedding, self.output_weight = front, target_embedding, output_weight
        self.dropout, self.units = Dropout(dropout), units
        self.reward_weight, self.entropy_weight = reward_weight, entropy_weight
        self.bidirectional, self.whole = bidirectional, whole
        self.encoder = nn.ModuleList(
            Encoder(kind, annotation if layer else embedding, units, bidirectional) for layer in range(layers)
        )
        self.bridge = nn.Linear(annotation if whole else units, decoder.depth * decoder.state_width)
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
        """What the encoder ended with, (B, D) or (B, units)."""
        rows = torch.arange(mask_BS.shape[0], device=mask_BS.device)
        from_left = annotations_BSD[rows, mask_BS.sum(1) - 1, : self.units]
        if not self.bidirectional:
            return from_left
        from_right = annotations_BSD[:, 0, self.units :]
        return torch.cat((from_left, from_right), dim=1) if self.whole else from_right

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        rows = memory.size()
        fed = memory.first_BLZ.new_zeros(rows, self.decoder.fed)
        return RecurrentState(memory.first_BLZ, fed, torch.zeros(rows, dtype=torch.int64, device=fed.device))

    def step(self, token_N: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[LogProbs, RecurrentState]:
        output_NE, next_state = self.decoder.step(self.dropout(self.target_embedding(token_N)), state, memory)
        return ProjectedLogProbs(output_NE, self.output_weight), next_state

    def decode(self, memory: RecurrentMemory, target_in_NT: Tensor) -> LogProbs:
        found = self.decoder.unroll(self.dropout(self.target_embedding(target_in_NT)), memory)
        if found.log_p_NT is None or found.entropy_NT is None:
            return ProjectedLogProbs(found.hidden_NTE, self.output_weight)
        return SampledLogProbs(
            found.hidden_NTE,
            self.output_weight,
            found.log_p_NT,
            found.entropy_NT,
            reward_weight=self.reward_weight,
            entropy_weight=self.entropy_weight,
            lasting=self.decoder.lasting,
        )

    def attention(self, memory: RecurrentMemory, target_in_NT: Tensor) -> Maps:
        weights_NHTS = self.decoder.unroll(self.target_embedding(target_in_NT), memory).weights_NHTS
        return Maps(() if weights_NHTS is None else (weights_NHTS,))
