"""Transformer (Vaswani et al. 2017) with layer norm before each sublayer (Xiong et al. 2020) and sinusoidal positions.

Shape key: B sentences, S source positions, N = W·B hypotheses, T target positions, D width, H heads, C head channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.attention import MultiHeadAttention
from nmtkit.models.fused import rectified_network
from nmtkit.models.interface import LogProbs, Maps, Model, ProjectedLogProbs, Rows
from nmtkit.models.layers import Cache, Dropout, Positions


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
    """Self-attention and feed-forward network, each with layer norm before and a skip connection around."""

    def __init__(
        self,
        width: int,
        feedforward: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
    ) -> None:
        super().__init__()
        self.self_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention = MultiHeadAttention(width, heads, attention_dropout)
        self.feedforward = FeedForward(width, feedforward, activation_dropout)
        self.dropout = Dropout(dropout)

    def forward(self, vectors_BSD: Tensor, mask_B11S: Tensor | None) -> Tensor:
        projected = self.self_attention.project(self.self_norm(vectors_BSD))
        vectors_BSD = self.dropout.add(vectors_BSD, self.self_attention.attend(*projected, mask=mask_B11S))
        return self.dropout.add(vectors_BSD, self.feedforward(self.feedforward_norm(vectors_BSD)))


class DecoderLayer(EncoderLayer):
    """An encoder layer with cross-attention between its two sublayers; its self-attention looks back only."""

    def __init__(
        self,
        width: int,
        feedforward: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
    ) -> None:
        super().__init__(width, feedforward, heads, dropout, attention_dropout, activation_dropout)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = MultiHeadAttention(width, heads, attention_dropout)

    def parallel(self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask_BS: Tensor) -> Tensor:
        """All target positions at once."""
        projected = self.self_attention.project(self.self_norm(vectors_NTD))
        vectors_NTD = self.dropout.add(vectors_NTD, self.self_attention.attend(*projected, causal=True))
        return self._after_self_attention(vectors_NTD, keys, values, mask_BS)

    def step(
        self, vectors_N1D: Tensor, cache: Cache, keys: Tensor, values: Tensor, mask_BS: Tensor
    ) -> tuple[Tensor, Cache]:
        """One target position, given the cache of those before."""
        query_NH1C, pair_N2HC = self.self_attention.project_one(self.self_norm(vectors_N1D))
        cache = cache.append(pair_N2HC)
        vectors_N1D = vectors_N1D + self.self_attention.attend(query_NH1C, cache.keys(), cache.values())
        return self._after_self_attention(vectors_N1D, keys, values, mask_BS), cache

    def cross_query(self, vectors_NTD: Tensor, sentences: int) -> Tensor:
        """Queries of all positions of all hypotheses of a sentence in one row: (B, H, W·T, C)."""
        normed: Tensor = self.cross_norm(vectors_NTD)
        return self.cross_attention.query(normed.reshape(sentences, -1, normed.shape[-1]))

    def _after_self_attention(self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask_BS: Tensor) -> Tensor:
        query = self.cross_query(vectors_NTD, mask_BS.shape[0])
        mixed = self.cross_attention.attend(query, keys, values, mask=mask_BS[:, None, None])
        vectors_NTD = self.dropout.add(vectors_NTD, mixed.reshape(vectors_NTD.shape))
        return self.dropout.add(vectors_NTD, self.feedforward(self.feedforward_norm(vectors_NTD)))


class Transformer(Model):
    """Encoder and decoder stacks.

    Args:
        front: source ids or features to vectors of `width`.
        target_embedding: V × width table of the decoder's input.
        output_weight: V × width output embeddings (the same parameter as the table's when tied).
    """

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
    ) -> None:
        super().__init__()
        sizes = (width, feedforward, heads, dropout, attention_dropout, activation_dropout)
        self.front, self.target_embedding, self.output_weight = front, target_embedding, output_weight
        self.positions, self.dropout, self.scale = Positions(width), Dropout(dropout), width**0.5
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(decoder_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def encode(self, source: Tensor, mask_BS: Tensor) -> TransformerMemory:
        vectors = self._enter(self.front(source), 0)
        mask_B11S = mask_BS[:, None, None]
        for layer in self.encoder:
            vectors = layer(vectors, mask_B11S)
        vectors = self.encoder_norm(vectors)
        prepared = (layer.cross_attention.prepare(vectors) for layer in self._decoder_layers())
        keys, values = zip(*prepared, strict=True)
        return TransformerMemory(mask_BS, keys, values)

    def _enter(self, vectors: Tensor, position: int) -> Tensor:
        positions = self.positions(position, vectors.shape[1], vectors)
        entered: Tensor = self.dropout(torch.add(positions, vectors, alpha=self.scale))
        return entered

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
        vectors = self._enter(self.target_embedding(token_N.unsqueeze(1)), state.caches[0].length)
        caches = []
        for layer, cache, keys, values in zip(
            self._decoder_layers(), state.caches, memory.keys, memory.values, strict=True
        ):
            vectors, cache = layer.step(vectors, cache, keys, values, memory.mask_BS)
            caches.append(cache)
        hidden_ND = self.decoder_norm(vectors).squeeze(1)
        return ProjectedLogProbs(hidden_ND, self.output_weight), TransformerState(tuple(caches))

    def decode(self, memory: TransformerMemory, target_in_NT: Tensor) -> LogProbs:
        vectors = self._enter(self.target_embedding(target_in_NT), 0)
        for layer, keys, values in zip(self._decoder_layers(), memory.keys, memory.values, strict=True):
            vectors = layer.parallel(vectors, keys, values, memory.mask_BS)
        return ProjectedLogProbs(self.decoder_norm(vectors), self.output_weight)

    def attention(self, memory: TransformerMemory, target_in_NT: Tensor) -> Maps:
        vectors = self._enter(self.target_embedding(target_in_NT), 0)
        (rows, length), sentences = target_in_NT.shape, memory.mask_BS.shape[0]
        causal_TT = torch.ones(length, length, dtype=torch.bool, device=target_in_NT.device).tril()
        cross, decoder = [], []
        for layer, keys, values in zip(self._decoder_layers(), memory.keys, memory.values, strict=True):
            past = layer.self_attention.project(layer.self_norm(vectors))
            decoder.append(layer.self_attention.weights(past[0], past[1], causal_TT))
            after_self = vectors + layer.self_attention.attend(*past, causal=True)
            query = layer.cross_query(after_self, sentences)
            weights_BHQS = layer.cross_attention.weights(query, keys, memory.mask_BS[:, None, None])
            by_hypothesis = weights_BHQS.unflatten(2, (rows // sentences, length)).transpose(1, 2)
            cross.append(by_hypothesis.flatten(0, 1))
            vectors = layer.parallel(vectors, keys, values, memory.mask_BS)
        return Maps(tuple(cross), tuple(decoder))
