"""Recurrent encoder-decoder with additive attention (Bahdanau, Cho and Bengio 2015), gated recurrent units.

The query of step t is the decoder state s_{t−1}; its context enters the cell of step t. Over known targets everything
that does not hang on that recurrence (embeddings into gates, upper layers, read-out) runs for all positions at once.

Shape key: B sentences, S source positions, W hypotheses of a sentence, N = B·W, T target positions, E embedding width,
U units of the decoder, D = annotation width, A attention width, L layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmtkit.models.attention import AdditiveScore, masked_softmax
from nmtkit.models.fused import SharedMatrix, gated_unit
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


class GatedLayer(nn.Module):
    """Gated recurrent units (Cho et al. 2014, in the form of `nn.GRU`) over known inputs, left to right."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(inputs, 3 * units), nn.Linear(units, 3 * units)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(units**-0.5), units**-0.5)

    def forward(self, vectors_NTE: Tensor, hidden_NU: Tensor) -> Tensor:
        """The state after each position, (N, T, U), from the state before the first."""
        shared, states = SharedMatrix(self.state.weight.t()), []
        for gates_NG in self.input(vectors_NTE.transpose(0, 1)).unbind(0):
            hidden_NU = gated_unit(gates_NG, shared.times(hidden_NU, self.state.bias), hidden_NU)
            states.append(hidden_NU)
        return torch.stack(states).transpose(0, 1)


class BidirectionalLayer(nn.Module):
    """One layer that reads from the left and one that reads from the right; padding touches neither."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.left, self.right = GatedLayer(inputs, units), GatedLayer(inputs, units)
        self.units = units

    def forward(self, vectors_BSE: Tensor, mask_BS: Tensor) -> Tensor:
        """States of both directions side by side, (B, S, 2U)."""
        turned_BS = _turned(mask_BS)
        first_BU = vectors_BSE.new_zeros(vectors_BSE.shape[0], self.units)
        from_right = _reordered(self.right(_reordered(vectors_BSE, turned_BS), first_BU), turned_BS)
        return torch.cat((self.left(vectors_BSE, first_BU), from_right), dim=2)


def _turned(mask_BS: Tensor) -> Tensor:
    """The positions of each sentence from last to first, those of padding where they are; undoes itself."""
    position_S = torch.arange(mask_BS.shape[1], device=mask_BS.device)
    return torch.where(mask_BS, mask_BS.sum(1, keepdim=True) - 1 - position_S, position_S)


def _reordered(vectors_BSE: Tensor, order_BS: Tensor) -> Tensor:
    return vectors_BSE.gather(1, order_BS.unsqueeze(2).expand_as(vectors_BSE))


class GatedCell(nn.Module):
    """A gated recurrent unit fed by the last word and the context.

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

    def split(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """The state's share of the gates (N, 3U) and the projected attention query (N, A), out of `state(hidden)`."""
        gates, query = projected.split((3 * self.units, self.attention), dim=1)
        return gates, query


class Products(NamedTuple):
    """The products that every step of the attending layer makes: with the weights for state and context, and with the
    annotations. Over many known steps they are `SharedMatrix` products, whose gradients are formed once."""

    of_state: Callable[[Tensor], Tensor]
    of_context: Callable[[Tensor], Tensor]
    with_annotations: Callable[[Tensor], Tensor]


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
        self.encoder = nn.ModuleList(
            BidirectionalLayer(annotation if layer else embedding, units) for layer in range(encoder_layers)
        )
        self.bridge = nn.Linear(units, decoder_layers * units)
        self.score = AdditiveScore(annotation, attention)
        self.cell = GatedCell(embedding, annotation, units, attention)
        self.upper = nn.ModuleList(GatedLayer(units, units) for _ in range(decoder_layers - 1))
        self.readout = nn.Linear(units + embedding + annotation, embedding)

    def encode(self, source: Tensor, mask_BS: Tensor) -> RecurrentMemory:
        annotations = self.front(source)
        for layer in self.encoder:
            annotations = layer(self.dropout(annotations), mask_BS)
        backward_at_first_word = annotations[:, 0, self.bridge.in_features :]
        first = torch.tanh(self.bridge(backward_at_first_word))  # equation 7 of the appendix
        annotations = self.dropout(annotations)
        layers = 1 + len(self.upper)
        return RecurrentMemory(mask_BS, annotations, self.score.prepare(annotations), first.unflatten(-1, (layers, -1)))

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        return RecurrentState(memory.first_BLU)

    def _advance(
        self, word_gates: Tensor, hidden_NU: Tensor, memory: RecurrentMemory, products: Products
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the attending layer: state (N, U), context (N, D), weights (N, S)."""
        state_gates, query_NA = self.cell.split(products.of_state(hidden_NU))
        energies_BWS = self.score.score(query_NA.unflatten(0, (memory.size(), -1)), memory.keys_BSA)
        weights_BWS = masked_softmax(energies_BWS, memory.mask_BS)
        context_ND = products.with_annotations(weights_BWS).flatten(0, 1)
        next_NU = gated_unit(word_gates + products.of_context(context_ND), state_gates, hidden_NU)
        return next_NU, context_ND, weights_BWS.flatten(0, 1)

    def step(self, token_N: Tensor, state: RecurrentState, memory: RecurrentMemory) -> tuple[LogProbs, RecurrentState]:
        words_NE = self.dropout(self.target_embedding(token_N))
        products = Products(self.cell.state, self.cell.context, lambda weights: weights @ memory.annotations_BSD)
        word_gates, hidden_NU = self.cell.word(words_NE), state.hidden_NLU[:, 0]
        hidden_NU, context_ND, _ = self._advance(word_gates, hidden_NU, memory, products)
        hidden = [hidden_NU]
        for layer, upper in enumerate(self.upper, start=1):
            below_N1U = self.dropout(hidden[-1]).unsqueeze(1)
            hidden.append(upper(below_N1U, state.hidden_NLU[:, layer]).squeeze(1))
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
        state, context = self.cell.state, self.cell.context
        products = Products(
            partial(SharedMatrix(state.weight.t()).times, bias=state.bias),
            SharedMatrix(context.weight.t()).times,
            SharedMatrix(memory.annotations_BSD).times,
        )
        hidden_NU = first_NLU[:, 0]
        states, contexts, weights = [], [], []
        for word_gates in self.cell.word(words_NTE).unbind(1):
            hidden_NU, context_ND, weights_NS = self._advance(word_gates, hidden_NU, memory, products)
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
            hidden_NTU = upper(self.dropout(hidden_NTU), first_NLU[:, layer])
        return ProjectedLogProbs(self._read_out(hidden_NTU, words_NTE, context_NTD), self.output_weight)

    def attention(self, memory: RecurrentMemory, target_in_NT: Tensor) -> Maps:
        words_NTE = self.target_embedding(target_in_NT)
        _, _, weights = self._unroll(memory, words_NTE, self._first(memory, target_in_NT.shape[0]))
        return Maps((torch.stack(weights, dim=1).unsqueeze(1),))
