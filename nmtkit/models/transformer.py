"""Transformer (Vaswani et al. 2017), with layer norm after each sublayer as there, or before (Xiong et al. 2020).

Shape key: B sentences, S source positions, N = W·B hypotheses, T target positions, D width, H heads, C head channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.attention import MultiHeadAttention, neighbours
from nmtkit.models.fused import rectified_network
from nmtkit.models.interface import LogProbs, Maps, Model, ProjectedLogProbs, Rows
from nmtkit.models.layers import Cache, Dropout
from nmtkit.models.norms import NORMS, Norm, PreNorm
from nmtkit.models.positions import make_positions


@dataclass(frozen=True)
class TransformerMemory(Rows):
    """Source mask and, per decoder layer, cross-attention keys and values (B, H, S, C)."""

    mask_BS: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


@dataclass(frozen=True)
class TransformerState(Rows):
    """Per decoder layer, the past keys and values of the self-attention."""

    caches: tuple[Cache, ...]


@dataclass(frozen=True)
class LayerSizes:
    """Of a layer.

    Attributes:
        width, feedforward, heads: D, the width of the feed-forward network's hidden layer, and H.
        dropout, attention_dropout, activation_dropout: probabilities.
        norm: what stands around each sublayer.
    """

    width: int
    feedforward: int
    heads: int
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    norm: Norm = PreNorm


class FeedForward(nn.Module):
    """max(0, x W₁ + b₁) W₂ + b₂. Vaswani et al. 2017, equation 2."""

    def __init__(self, width: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.dropout = Dropout(dropout)
        for linear in (self.inner, self.outer):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        mask = self.dropout.scaled_mask(vectors, *vectors.shape[:-1], self.inner.out_features)
        return rectified_network(vectors, self.inner, self.outer, mask)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with layer norm and a skip connection around."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.self_norm, self.feedforward_norm = sizes.norm(width), sizes.norm(width)
        self.self_attention = MultiHeadAttention(width, sizes.heads, sizes.attention_dropout)
        self.feedforward = FeedForward(width, sizes.feedforward, sizes.activation_dropout)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, vectors_BSD: Tensor, mask: Tensor | None) -> Tensor:
        """Args: mask: True where attention may go, broadcastable to (B, H, S, S)."""
        return self._feed(self._mix(vectors_BSD, mask))

    def self_weights(self, vectors_BSD: Tensor, mask: Tensor) -> Tensor:
        """The weights of the self-attention, (B, H, S, S)."""
        query, keys, _ = self.self_attention.project(self.self_norm.before(vectors_BSD))
        return self.self_attention.weights(query, keys, mask)

    def _mix(self, vectors_BSD: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        projected = self.self_attention.project(self.self_norm.before(vectors_BSD))
        mixed_BSD = self.self_attention.attend(*projected, mask=mask, causal=causal)
        return self.self_norm.after(self.dropout.add(vectors_BSD, mixed_BSD))

    def _feed(self, vectors_BSD: Tensor) -> Tensor:
        norm = self.feedforward_norm
        return norm.after(self.dropout.add(vectors_BSD, self.feedforward(norm.before(vectors_BSD))))


class DecoderLayer(EncoderLayer):
    """An encoder layer with cross-attention between its two sublayers; its self-attention looks back only."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__(sizes)
        self.cross_norm = sizes.norm(sizes.width)
        self.cross_attention = MultiHeadAttention(sizes.width, sizes.heads, sizes.attention_dropout)

    def parallel(
        self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask_BS: Tensor, past_TT: Tensor | None = None
    ) -> Tensor:
        """All target positions at once. `past_TT`: where the self-attention may go; None: the whole past."""
        return self._after_self_attention(self.look_back(vectors_NTD, past_TT), keys, values, mask_BS)

    def look_back(self, vectors_NTD: Tensor, past_TT: Tensor | None = None) -> Tensor:
        """All target positions behind the self-attention."""
        return self._mix(vectors_NTD, past_TT, causal=past_TT is None)

    def step(
        self,
        vectors_N1D: Tensor,
        cache: Cache,
        keys: Tensor,
        values: Tensor,
        mask_BS: Tensor,
        recent: slice = slice(None),
    ) -> tuple[Tensor, Cache]:
        """One target position, given the cache of those before, of which (itself among them) it sees the `recent`."""
        query_NH1C, pair_N2HC = self.self_attention.project_one(self.self_norm.before(vectors_N1D))
        cache = cache.append(pair_N2HC)
        past = cache.keys()[:, :, recent], cache.values()[:, :, recent]
        vectors_N1D = self.self_norm.after(vectors_N1D + self.self_attention.attend(query_NH1C, *past))
        return self._after_self_attention(vectors_N1D, keys, values, mask_BS), cache

    def cross_query(self, vectors_NTD: Tensor, sentences: int) -> Tensor:
        """Queries of all positions of all hypotheses of a sentence in one row: (B, H, W·T, C)."""
        read_NTD = self.cross_norm.before(vectors_NTD)
        return self.cross_attention.query(read_NTD.reshape(sentences, -1, read_NTD.shape[-1]))

    def _after_self_attention(self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask_BS: Tensor) -> Tensor:
        query = self.cross_query(vectors_NTD, mask_BS.shape[0])
        mixed = self.cross_attention.attend(query, keys, values, mask=mask_BS[:, None, None])
        vectors_NTD = self.cross_norm.after(self.dropout.add(vectors_NTD, mixed.reshape(vectors_NTD.shape)))
        return self._feed(vectors_NTD)


def readout(width: int, embedding: int) -> nn.Linear:
    """From the stack to vectors as wide as the output embeddings, where these are narrower."""
    linear = nn.Linear(width, embedding)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class Transformer(Model):
    """Encoder and decoder stacks.

    Args:
        front: source ids or features to vectors as wide as the embeddings.
        target_embedding: V × E table of the decoder's input. E = width, or less where positions are concatenated.
        output_weight: V × E output embeddings (the same parameter as the table's when tied).
        norm: and all below: see `TransformerOptions`.
    """

    attends = (frozenset({"cross", "decoder", "encoder"}),)

    def __init__(
        self,
        front: nn.Module,
        target_embedding: nn.Embedding,
        output_weight: nn.Parameter,
        *,
        width: int,
        feedforward: int,
        heads: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
        norm: str,
        positions: str,
        position_width: int,
        max_positions: int,
        neighbourhood: int | None,
    ) -> None:
        super().__init__()
        around, last = NORMS[norm]
        self.front, self.target_embedding, self.output_weight = front, target_embedding, output_weight
        embedding = target_embedding.embedding_dim
        self.source_positions, self.target_positions = (
            make_positions(positions, embedding, position_width, max_positions) for _ in range(2)
        )
        self.dropout = Dropout(dropout)
        sizes = LayerSizes(width, feedforward, heads, dropout, attention_dropout, activation_dropout, around)
        self.encoder = nn.ModuleList(EncoderLayer(sizes) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(sizes) for _ in range(decoder_layers))
        self.encoder_norm, self.decoder_norm = last(width), last(width)
        self.readout = nn.Identity() if embedding == width else readout(width, embedding)
        self.neighbourhood = neighbourhood

    def encode(self, source: Tensor, mask_BS: Tensor) -> TransformerMemory:
        vectors, mask = self._read(source), self._encoder_mask(mask_BS)
        for layer in self.encoder:
            vectors = layer(vectors, mask)
        vectors = self.encoder_norm(vectors)
        prepared = (layer.cross_attention.prepare(vectors) for layer in self._decoder_layers())
        keys, values = zip(*prepared, strict=True)
        return TransformerMemory(mask_BS, keys, values)

    def _read(self, source: Tensor) -> Tensor:
        vectors: Tensor = self.dropout(self.source_positions(self.front(source), 0))
        return vectors

    def _write(self, target_in_NT: Tensor, start: int) -> Tensor:
        vectors: Tensor = self.dropout(self.target_positions(self.target_embedding(target_in_NT), start))
        return vectors

    def _encoder_mask(self, mask_BS: Tensor) -> Tensor:
        """Where the encoder's self-attention may go, (B, 1, 1, S) or restricted (B, 1, S, S); padding is nowhere.

        A row of padding may have no word near it, and a softmax over nothing would be no number: it sees all words.
        """
        near_SS = neighbours(mask_BS.shape[1], self.neighbourhood, mask_BS.device)
        words_B11S = mask_BS[:, None, None]
        return words_B11S if near_SS is None else words_B11S & (near_SS | ~mask_BS[:, None, :, None])

    def _past(self, length: int, device: torch.device) -> Tensor | None:
        """Where the decoder's self-attention may go if not to the whole past, (T, T)."""
        near_TT = neighbours(length, self.neighbourhood, device)
        return None if near_TT is None else near_TT.tril()

    def _decoder_layers(self) -> Iterator[DecoderLayer]:
        for layer in self.decoder:
            assert isinstance(layer, DecoderLayer)
            yield layer

    def start(self, memory: TransformerMemory) -> TransformerState:
        rows, heads, _, channels = memory.keys[0].shape
        return TransformerState(tuple(Cache.empty(rows, heads, channels, memory.keys[0]) for _ in self.decoder))

    def step(
        self, token_N: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[LogProbs, TransformerState]:
        vectors = self._write(token_N.unsqueeze(1), state.caches[0].length)
        recent, caches = slice(None if self.neighbourhood is None else -self.neighbourhood - 1, None), []
        for layer, cache, keys, values in zip(
            self._decoder_layers(), state.caches, memory.keys, memory.values, strict=True
        ):
            vectors, cache = layer.step(vectors, cache, keys, values, memory.mask_BS, recent)
            caches.append(cache)
        hidden_ND = self._leave(vectors).squeeze(1)
        return ProjectedLogProbs(hidden_ND, self.output_weight), TransformerState(tuple(caches))

    def decode(self, memory: TransformerMemory, target_in_NT: Tensor) -> LogProbs:
        vectors = self._write(target_in_NT, 0)
        past_TT = self._past(target_in_NT.shape[1], vectors.device)
        for layer, keys, values in zip(self._decoder_layers(), memory.keys, memory.values, strict=True):
            vectors = layer.parallel(vectors, keys, values, memory.mask_BS, past_TT)
        return ProjectedLogProbs(self._leave(vectors), self.output_weight)

    def _leave(self, vectors: Tensor) -> Tensor:
        left: Tensor = self.readout(self.decoder_norm(vectors))
        return left

    def attention(self, memory: TransformerMemory, target_in_NT: Tensor) -> Maps:
        vectors = self._write(target_in_NT, 0)
        (rows, length), sentences = target_in_NT.shape, memory.mask_BS.shape[0]
        past_TT = self._past(length, vectors.device)
        causal_TT = torch.ones(length, length, dtype=torch.bool, device=vectors.device).tril()
        cross, decoder = [], []
        for layer, keys, values in zip(self._decoder_layers(), memory.keys, memory.values, strict=True):
            decoder.append(layer.self_weights(vectors, causal_TT if past_TT is None else past_TT))
            query = layer.cross_query(layer.look_back(vectors, past_TT), sentences)
            weights_BHQS = layer.cross_attention.weights(query, keys, memory.mask_BS[:, None, None])
            by_hypothesis = weights_BHQS.unflatten(2, (rows // sentences, length)).transpose(1, 2)
            cross.append(by_hypothesis.flatten(0, 1))
            vectors = layer.parallel(vectors, keys, values, memory.mask_BS, past_TT)
        return Maps(tuple(cross), tuple(decoder))

    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        vectors, mask = self._read(source), self._encoder_mask(mask_BS)
        maps = []
        for layer in self.encoder:
            assert isinstance(layer, EncoderLayer)
            maps.append(layer.self_weights(vectors, mask))
            vectors = layer(vectors, mask)
        return tuple(maps)
