"""One step of a Transformer's decoder layer with as little around the products as possible.

One sentence at a time, a step takes as long as its small operations and the Python around them. So a layer is read once
into functions of vectors, and vectors stay two-dimensional. The plain formula is `DecoderLayer.step`.

Shape key: N hypotheses, D width, H heads, C head channels, B sentences, W = N / B, S source positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from nmtkit.models.transformer_layers import DecoderLayer, Past

Map = Callable[[Tensor], Tensor]


def _nothing(vectors: Tensor) -> Tensor:
    return vectors


def _normed(norm: nn.LayerNorm) -> Map:
    return partial(
        torch.layer_norm,
        normalized_shape=norm.normalized_shape,
        weight=norm.weight,
        bias=norm.bias,
        eps=norm.eps,
    )


@dataclass(frozen=True, slots=True)
class Sublayer:
    """A sublayer's norm, before it or after its skip connection."""

    before: Map
    after: Map

    @classmethod
    def of(cls, norm: nn.LayerNorm, first: bool) -> Sublayer:
        """Args: first: whether the norm comes before the sublayer."""
        return cls(_normed(norm), _nothing) if first else cls(_nothing, _normed(norm))


@dataclass(frozen=True, slots=True)
class DecoderStep:
    """The maps of a decoder layer."""

    heads: int
    norms: tuple[Sublayer, Sublayer, Sublayer]
    project: Map
    self_output: Map
    query: Map
    cross_output: Map
    inner: Map
    outer: Map

    @classmethod
    def of(cls, layer: DecoderLayer) -> DecoderStep:
        """The maps of a layer whose weights do not change any more."""
        own, cross, network = layer.self_attention, layer.cross_attention, layer.feedforward
        norms = (layer.self_norm, layer.cross_norm, layer.feedforward_norm)
        return cls(
            own.heads,
            tuple(Sublayer.of(norm, norm.first) for norm in norms),  # type: ignore[arg-type]
            own.input.map(),
            own.output.map(),
            cross.input.map(slice(cross.width)),
            cross.output.map(),
            network.inner.map(),
            network.outer.map(),
        )

    def __call__(self, vectors_ND: Tensor, past: Past, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """One target position, which sees what `past` says of those before it."""
        own, cross, network = self.norms
        count, width = vectors_ND.shape

        all_N3HC = self.project(own.before(vectors_ND)).view(count, 3, self.heads, -1)
        mixed_NH1C = scaled_dot_product_attention(all_N3HC[:, 0].unsqueeze(2), *past(all_N3HC[:, 1:]))
        vectors_ND = own.after(vectors_ND + self.self_output(mixed_NH1C.view(count, width)))

        query_BHWC = self.query(cross.before(vectors_ND)).view(keys.shape[0], -1, self.heads, keys.shape[3])
        mixed_BHWC = scaled_dot_product_attention(query_BHWC.transpose(1, 2), keys, values, attn_mask=mask)
        mixed_ND = mixed_BHWC.transpose(1, 2).reshape(count, width)
        vectors_ND = cross.after(vectors_ND + self.cross_output(mixed_ND))

        inner_NF = self.inner(network.before(vectors_ND)).relu_()
        return network.after(vectors_ND + self.outer(inner_NF))
