"""Transformer (Vaswani et al. 2017), with layer norm after each sublayer as there, or before it (Xiong et al. 2020).

Shape key: B sentences, S source positions, N = W·B hypotheses, T target positions, D width, H heads, C head channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nmtkit.models.attention import neighbours
from nmtkit.models.cache import Cache
from nmtkit.models.distribution import LogProbs
from nmtkit.models.dropout import Dropout
from nmtkit.models.fronts import EmbeddingModel, Embeddings
from nmtkit.models.fused.decoder_step import DecoderStep
from nmtkit.models.fused.switch import is_plain
from nmtkit.models.interface import Maps, Rows
from nmtkit.models.modules import Modules
from nmtkit.models.norms import NORMS
from nmtkit.models.options import TransformerOptions
from nmtkit.models.positions import make_positions
from nmtkit.models.transformer_layers import DecoderLayer, EncoderLayer, LayerSizes


@dataclass(frozen=True)
class TransformerMemory(Rows):
    """Source mask and, for each decoder layer, cross-attention keys and values (B, H, S, C).

    Attributes:
        padding: the source mask as the attentions take it, (B, 1, 1, S); none if no sentence is known to be padded.
    """

    mask_BS: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    padding: tuple[Tensor, ...]

    @property
    def mask(self) -> Tensor | None:
        """The source positions that an attention may see, (B, 1, 1, S); None: all."""
        return next(iter(self.padding), None)


@dataclass(frozen=True)
class TransformerState(Rows):
    """The past keys and values of the self-attention in every decoder layer."""

    cache: Cache


def _padding(mask_BS: Tensor) -> tuple[Tensor, ...]:
    """The mask as attentions take it, (B, 1, 1, S); none if it hides nothing (not asked on a GPU)."""
    hides = mask_BS.device.type != "cpu" or is_plain() or not bool(mask_BS.all())
    return (mask_BS[:, None, None],) if hides else ()


def readout(width: int, embedding: int) -> nn.Linear:
    """A map from the stack to vectors as wide as the output embeddings, if these are narrower."""
    linear = nn.Linear(width, embedding)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class Transformer(EmbeddingModel):
    """The Transformer: encoder and decoder stacks.

    Args:
        embeddings: embeddings as wide as the stacks, or narrower if positions are concatenated.
        options: all sizes.
    """

    attends = (frozenset({"cross", "decoder", "encoder"}),)

    def __init__(self, embeddings: Embeddings, options: TransformerOptions) -> None:
        super().__init__(embeddings)
        width, dropout = options.width, options.dropout
        around, last = NORMS[options.norm]
        self.source_positions, self.target_positions = (
            make_positions(options.positions, options.embedding, options.position_width, options.max_positions)
            for _ in range(2)
        )
        self.dropout = Dropout(dropout)
        probabilities = (dropout, options.attention_dropout, options.activation_dropout)
        sizes = LayerSizes(width, options.feedforward, options.heads, *probabilities, around)
        self.encoder = Modules(EncoderLayer(sizes) for _ in range(options.encoder_layers))
        self.decoder = Modules(DecoderLayer(sizes) for _ in range(options.decoder_layers))
        self.encoder_norm, self.decoder_norm = last(width), last(width)
        self.readout = nn.Identity() if options.embedding == width else readout(width, options.embedding)
        self.neighbourhood = options.neighbourhood
        self._steps: list[DecoderStep] = []

    def lay_out(self, precision: str) -> bool:
        layers = [layer.lay_out(precision) for layer in (*self.encoder, *self.decoder)]
        self._steps = [DecoderStep.of(layer) for layer in self.decoder]
        return any([super().lay_out(precision), *layers])

    def encode(self, source: Tensor, mask_BS: Tensor) -> TransformerMemory:
        padding = _padding(mask_BS)
        vectors, mask = self._read(source), self._encoder_mask(mask_BS, padding)
        for layer in self.encoder:
            vectors = layer(vectors, mask)
        vectors = self.encoder_norm(vectors)
        prepared = (layer.cross_attention.prepare(vectors) for layer in self.decoder)
        keys, values = zip(*prepared, strict=True)
        return TransformerMemory(mask_BS, keys, values, padding)

    def _read(self, source: Tensor) -> Tensor:
        vectors: Tensor = self.dropout(self.source_positions(self.front(source), 0))
        return vectors

    def _write(self, target_in_NT: Tensor, start: int) -> Tensor:
        vectors: Tensor = self.dropout(self.target_positions(self.target_embedding(target_in_NT), start))
        return vectors

    def _encoder_mask(self, mask_BS: Tensor, padding: tuple[Tensor, ...]) -> Tensor | None:
        """The positions that the encoder's self-attention may see, (B, 1, 1, S) or restricted (B, 1, S, S); no padding.

        A row of padding may have no word near it, and a softmax over nothing would be NaN, so it sees all words.
        """
        near_SS = neighbours(mask_BS.shape[1], self.neighbourhood, mask_BS.device)
        if near_SS is None:
            return next(iter(padding), None)
        return mask_BS[:, None, None] & (near_SS | ~mask_BS[:, None, :, None])

    def _past(self, length: int, device: torch.device) -> Tensor | None:
        """The positions that the decoder's self-attention may see, (T, T), if not the whole past."""
        near_TT = neighbours(length, self.neighbourhood, device)
        return None if near_TT is None else near_TT.tril()

    def start(self, memory: TransformerMemory) -> TransformerState:
        rows, heads, _, channels = memory.keys[0].shape
        return TransformerState(Cache.empty(rows, len(self.decoder), heads, channels, memory.keys[0]))

    def step(
        self, token_N: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[LogProbs, TransformerState]:
        cache, recent = state.cache.grown(), None if self.neighbourhood is None else self.neighbourhood + 1
        vectors_N1D = self._write(token_N.unsqueeze(1), state.cache.length)
        pasts = [partial(cache.write, layer, recent=recent) for layer in range(len(self.decoder))]
        layers = zip(pasts, memory.keys, memory.values, strict=True)
        if self._steps and not is_plain():
            vectors_ND = vectors_N1D.squeeze(1)
            for step, seen in zip(self._steps, layers, strict=True):
                vectors_ND = step(vectors_ND, *seen, memory.mask)
        else:
            for layer, seen in zip(self.decoder, layers, strict=True):
                vectors_N1D = layer.step(vectors_N1D, *seen, memory.mask)
            vectors_ND = vectors_N1D.squeeze(1)
        return self.next_tokens(self._leave(vectors_ND)), TransformerState(cache)

    def decode(self, memory: TransformerMemory, target_in_NT: Tensor) -> LogProbs:
        vectors = self._write(target_in_NT, 0)
        past_TT = self._past(target_in_NT.shape[1], vectors.device)
        for layer, keys, values in zip(self.decoder, memory.keys, memory.values, strict=True):
            vectors = layer.parallel(vectors, keys, values, memory.mask, past_TT)
        return self.next_tokens(self._leave(vectors))

    def _leave(self, vectors: Tensor) -> Tensor:
        left: Tensor = self.readout(self.decoder_norm(vectors))
        return left

    def attention(self, memory: TransformerMemory, target_in_NT: Tensor) -> Maps:
        vectors = self._write(target_in_NT, 0)
        (rows, length), sentences = target_in_NT.shape, memory.mask_BS.shape[0]
        past_TT = self._past(length, vectors.device)
        causal_TT = torch.ones(length, length, dtype=torch.bool, device=vectors.device).tril()
        cross, decoder = [], []
        for layer, keys, values in zip(self.decoder, memory.keys, memory.values, strict=True):
            decoder.append(layer.self_weights(vectors, causal_TT if past_TT is None else past_TT))
            query = layer.cross_query(layer.look_back(vectors, past_TT), sentences)
            weights_BHQS = layer.cross_attention.weights(query, keys, memory.mask)
            by_hypothesis = weights_BHQS.unflatten(2, (rows // sentences, length)).transpose(1, 2)
            cross.append(by_hypothesis.flatten(0, 1))
            vectors = layer.parallel(vectors, keys, values, memory.mask, past_TT)
        return Maps(tuple(cross), tuple(decoder))

    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        vectors, mask = self._read(source), self._encoder_mask(mask_BS, _padding(mask_BS))
        maps = []
        for layer in self.encoder:
            maps.append(layer.self_weights(vectors, mask))
            vectors = layer(vectors, mask)
        return tuple(maps)
