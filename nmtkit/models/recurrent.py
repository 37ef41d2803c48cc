"""Recurrent encoder-decoder with additive attention (Bahdanau, Cho and Bengio 2015), gated recurrent units.

The query of step t is the decoder state s_{t−1}; its context enters the cell of step t. Over known targets everything
that does not hang on that recurrence (embeddings into gates, upper layers, read-out) runs for all positions at once.

Shape key: B sentences, S source positions, W hypotheses of a sentence, N = B·W, T target positions, E embedding width,
U units of the decoder, D = annotation width, A attention width, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.attention import AdditiveScore, masked_softmax
from nmtkit.models.interface import LogProbs, Maps, Model, ProjectedLogProbs, Rows
from nmtkit.models.layers import Dropout


@dataclass(frozen=True)
class RecurrentMemory(Rows):
    """Source mask, annotations, attention keys, and the decoder's first state (B, L, U)."""

    mask_BS: Tensor
    annotations_BSD: Tensor
    keys_BSA: Tensor
    first_BLU: Tensor


@dataclass(frozen=True)
class RecurrentState(Rows):
    """The decoder's state after the tokens read so far, (N, L, U)."""

    hidden_NLU: Tensor


class GatedCell(nn.Module):
    """A gated recurrent unit (Cho et al. 2014, in the form of `nn.GRU`) fed by the last word and the context.

    The word's share of the gates is computed for all steps beforehand; the state's share comes with the attention
    query out of one product.
    """

    def __init__(self, embedding: int, context: int, units: int, attention: int) -> None:
        super().__init__()
        self.word = nn.Linear(embedding, 3 * units)
        self.context = nn.Linear(context, 3 * units, bias=False)
        self.state = nn.Linear(units, 3 * units + attention)
        for linear in (self.word, self.context, self.state):
            nn.init.xavier_uniform_(linear.weight)
        for block in self.state.weight.data[: 3 * units].split(units):
            nn.init.orthogonal_(block)
        self.units, self.attention = units, attention

    def query(self, hidden_NU: Tensor) -> tuple[Tensor, Tensor]:
        """The state's share of the gates (N, 3U) and the projected attention query (N, A)."""
        projected: Tensor = self.state(hidden_NU)
        gates, query = projected.split((3 * self.units, self.attention), dim=1)
        return gates, query

    def forward(self, word_gates: Tensor, context_ND: Tensor, state_gates: Tensor, hidden_NU: Tensor) -> Tensor:
        """The next state (N, U)."""
        both, last = (word_gates + self.context(context_ND)).split((2 * self.units, self.units), dim=1)
        both_of_state, last_of_state = state_gates.split((2 * self.units, self.units), dim=1)
        reset, update = torch.sigmoid(both + both_of_state).chunk(2, dim=1)
        candidate = torch.tanh(torch.addcmul(last, reset, last_of_state))
        return torch.lerp(candidate, hidden_NU, update)


class Recurrent(Model):
    """Bidirectional encoder, attending decoder.

    Args:
        front: source ids or features to vectors of width `embedding`.
        target_embedding: V × embedding table of the decoder's input.
        output_weight: V × embedding output embeddings (the same parameter as the table's when tied).
    """

    def __init__(
        self,
        front: nn.Module,
        target_embedding: nn.Embedding,
        output_weight: nn.Parameter,
        *,
        embedding: int,
        units: int,
        attention: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        annotation = 2 * units
        self.front, self.target_embedding, self.output_weight = front, target_embedding, output_weight
        self.dropout = Dropout(dropout)
        between = dropout if encoder_layers > 1 else 0.0
        self.encoder = nn.GRU(embedding, units, encoder_layers, batch_first=True, bidirectional=True, dropout=between)
        self.bridge = nn.Linear(units, decoder_layers * units)
        self.score = AdditiveScore(annotation, attention)
        self.cell = GatedCell(embedding, annotation, units, attention)
        self.upper = nn.ModuleList(nn.GRU(units, units, batch_first=True) for _ in range(decoder_layers - 1))
        self.readout = nn.Linear(units + embedding + annotation, embedding)

    def encode(self, source: Tensor, mask_BS: Tensor) -> RecurrentMemory:
        vectors = self.dropout(self.front(source))
        lengths = mask_BS.sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        output, final = self.encoder(packed)
        annotations, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=mask_BS.shape[1])
        first = torch.tanh(self.bridge(final[-1]))  # backward state at the first word: equation 7 of the appendix
        annotations = self.dropout(annotations)
        layers = 1 + len(self.upper)
        return RecurrentMemory(mask_BS, annotations, self.score.prepare(annotations), first.unflatten(-1, (layers, -1)))

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        return RecurrentState(memory.first_BLU)

    def _attend(self, query_NA: Tensor, memory: RecurrentMemory) -> tuple[Tensor, Tensor]:
        """Context (N, D) and weights (N, S)."""
        sentences = memory.mask_BS.shape[0]
        energies_BWS = self.score.score(query_NA.unflatten(0, (sentences, -1)), memory.keys_BSA)
        weights_BWS = masked_softmax(energies_BWS, memory.mask_BS)
        return (weights_BWS @ memory.annotations_BSD).flatten(0, 1), weights_BWS.flatten(0, 1)

    def _advance(self, word_gates: Tensor, hidden_NU: Tensor, memory: RecurrentMemory) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the attending layer: state (N, U), context (N, D), weights (N, S)."""
        state_gates, query_NA = self.cell.query(hidden_NU)
        context_ND, weights_NS = self._attend(query_NA, memory)
        return self.cell(word_gates, context_ND, state_gates, hidden_NU), context_ND, weights_NS

    def step(self, token_N: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[LogProbs, RecurrentState]:
        words_NE = self.dropout(self.target_embedding(token_N))
        hidden_NU, context_ND, _ = self._advance(self.cell.word(words_NE), state.hidden_NLU[:, 0], memory)
        hidden = [hidden_NU]
        for layer, upper in enumerate(self.upper, start=1):
            below_N1U = self.dropout(hidden[-1]).unsqueeze(1)
            _, final = upper(below_N1U, state.hidden_NLU[:, layer].unsqueeze(0).contiguous())
            hidden.append(final[0])
        output = self._read_out(hidden[-1], words_NE, context_ND)
        return ProjectedLogProbs(output, self.output_weight), RecurrentState(torch.stack(hidden, dim=1))

    def _read_out(self, hidden: Tensor, words: Tensor, context: Tensor) -> Tensor:
        joined = torch.cat((self.dropout(hidden), words, context), dim=-1)
        output: Tensor = self.dropout(torch.tanh(self.readout(joined)))
        return output

    def _unroll(
        self, memory: RecurrentMemory, words_NTE: Tensor, first_NLU: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The attending layer over known targets: states (N, T, U), contexts (N, T, D), weights per step."""
        hidden_NU = first_NLU[:, 0]
        states, contexts, weights = [], [], []
        for word_gates in self.cell.word(words_NTE).unbind(1):
            hidden_NU, context_ND, weights_NS = self._advance(word_gates, hidden_NU, memory)
            states.append(hidden_NU)
            contexts.append(context_ND)
            weights.append(weights_NS)
        return torch.stack(states, dim=1), torch.stack(contexts, dim=1), weights

    def _first(self, memory: RecurrentMemory, rows: int) -> Tensor:
        return memory.first_BLU.repeat_interleave(rows // memory.size(), dim=0)

    def decode(self, memory: RecurrentMemory, target_in_NT: Tensor) -> LogProbs:
        words_NTE = self.dropout(self.target_embedding(target_in_NT))
        first_NLU = self._first(memory, target_in_NT.shape[0])
        hidden_NTU, context_NTD, _ = self._unroll(memory, words_NTE, first_NLU)
        for layer, upper in enumerate(self.upper, start=1):
            hidden_NTU, _ = upper(self.dropout(hidden_NTU), first_NLU[:, layer].unsqueeze(0).contiguous())
        return ProjectedLogProbs(self._read_out(hidden_NTU, words_NTE, context_NTD), self.output_weight)

    def attention(self, memory: RecurrentMemory, target_in_NT: Tensor) -> Maps:
        words_NTE = self.target_embedding(target_in_NT)
        _, _, weights = self._unroll(memory, words_NTE, self._first(memory, target_in_NT.shape[0]))
        return Maps((torch.stack(weights, dim=1).unsqueeze(1),))
