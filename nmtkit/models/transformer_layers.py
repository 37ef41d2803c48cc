"""The layers of a Transformer (Vaswani et al. 2017, 3.1): sublayers, and norm and skip connection around each.

Shape key: B sentences, S source positions, N = W·B hypotheses, T target positions, D width, H heads, C head channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from nmtkit.models.attention import MultiHeadAttention
from nmtkit.models.autocast import lowered
from nmtkit.models.dropout import Dropout
from nmtkit.models.fused.linear import rectified_network
from nmtkit.models.linear import Linear
from nmtkit.models.norms import Norm, PreNorm

Past = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Takes the key and the value of a new position, (N, 2, H, C); gives those that it sees, itself included, (N, H, T, C).
"""


@dataclass(frozen=True)
class LayerSizes:
    """The sizes of a layer.

    Attributes:
        width, feedforward, heads: D, the width of the feed-forward network's hidden layer, and H.
        dropout, attention_dropout, activation_dropout: probabilities.
        norm: the norm around each sublayer.
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
        self.inner, self.outer = Linear(width, feedforward), Linear(feedforward, width)
        self.dropout = Dropout(dropout)
        for linear in (self.inner, self.outer):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def lay_out(self, precision: str) -> bool:
        """As `Linear.lay_out`."""
        return max(linear.lay_out(precision) for linear in (self.inner, self.outer))

    def forward(self, vectors: Tensor) -> Tensor:
        if not self.training:
            return rectified_network(vectors, self.inner, self.outer)
        factors = lowered(vectors)
        mask = self.dropout.scaled_mask(factors, *vectors.shape[:-1], self.inner.out_features)
        return rectified_network(factors, self.inner, self.outer, mask)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with layer norm and a skip connection around it."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.self_norm, self.feedforward_norm = sizes.norm(width), sizes.norm(width)
        self.self_attention = MultiHeadAttention(width, sizes.heads, sizes.attention_dropout)
        self.feedforward = FeedForward(width, sizes.feedforward, sizes.activation_dropout)
        self.dropout = Dropout(sizes.dropout)

    def lay_out(self, precision: str) -> bool:
        """As `Linear.lay_out`."""
        return max(part.lay_out(precision) for part in (self.self_attention, self.feedforward))

    def forward(self, vectors_BSD: Tensor, mask: Tensor | None) -> Tensor:
        """Args: mask: True where attention may go, broadcastable to (B, H, S, S)."""
        return self._feed(self._mix(vectors_BSD, mask))

    def self_weights(self, vectors_BSD: Tensor, mask: Tensor | None) -> Tensor:
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
    """An encoder layer with cross-attention between its two sublayers; its self-attention only looks back."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__(sizes)
        self.cross_norm = sizes.norm(sizes.width)
        self.cross_attention = MultiHeadAttention(sizes.width, sizes.heads, sizes.attention_dropout)

    def lay_out(self, precision: str) -> bool:
        return any([super().lay_out(precision), self.cross_attention.lay_out(precision)])

    def parallel(
        self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, past_TT: Tensor | None = None
    ) -> Tensor:
        """All target positions at once. `past_TT` is what the self-attention may see; None: the whole past."""
        return self._after_self_attention(self.look_back(vectors_NTD, past_TT), keys, values, mask)

    def look_back(self, vectors_NTD: Tensor, past_TT: Tensor | None = None) -> Tensor:
        """All target positions after the self-attention."""
        return self._mix(vectors_NTD, past_TT, causal=past_TT is None)

    def step(self, vectors_N1D: Tensor, past: Past, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """One target position, which sees what `past` says of those before it."""
        query_NH1C, pair_N2HC = self.self_attention.project_one(self.self_norm.before(vectors_N1D))
        mixed_N1D = self.self_attention.attend(query_NH1C, *past(pair_N2HC))
        return self._after_self_attention(self.self_norm.after(vectors_N1D + mixed_N1D), keys, values, mask)

    def cross_query(self, vectors_NTD: Tensor, sentences: int) -> Tensor:
        """Queries of all positions of all hypotheses of a sentence in one row: (B, H, W·T, C)."""
        read_NTD = self.cross_norm.before(vectors_NTD)
        return self.cross_attention.query(read_NTD.reshape(sentences, -1, read_NTD.shape[-1]))

    def _after_self_attention(self, vectors_NTD: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        query = self.cross_query(vectors_NTD, keys.shape[0])
        mixed = self.cross_attention.attend(query, keys, values, mask=mask)
        vectors_NTD = self.cross_norm.after(self.dropout.add(vectors_NTD, mixed.reshape(vectors_NTD.shape)))
        return self._feed(vectors_NTD)
