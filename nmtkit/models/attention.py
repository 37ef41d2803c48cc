"""Multi-head scaled dot-product attention (Vaswani et al. 2017), and what masks it.

It works in two steps: `prepare` turns the annotations into keys once per sentence (kept in memory), then queries
are scored against them. Queries come as W hypotheses (or W·T positions) of each sentence, so memory is never copied.

Shape key: B sentences, S source positions, W queries per sentence, T positions, D width, H heads, C channels of a
head (D = H·C), N = B·W hypotheses.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nmtkit.models.autocast import raised
from nmtkit.models.fused.linear import split_linear
from nmtkit.models.fused.switch import is_plain
from nmtkit.models.linear import Linear


def masked_softmax(energies_BWS: Tensor, mask_BS: Tensor) -> Tensor:
    """Softmax over the source positions where the mask is True; exactly zero elsewhere."""
    return raised(energies_BWS).masked_fill(~mask_BS.unsqueeze(1), -torch.inf).softmax(-1)


def neighbours(length: int, reach: int | None, device: torch.device) -> Tensor | None:
    """True where two positions are at most `reach` apart, (T, T); None if all of them are."""
    if reach is None or reach >= length - 1:
        return None
    everywhere = torch.ones(length, length, dtype=torch.bool, device=device)
    return everywhere.tril(reach).triu(-reach)


class MultiHeadAttention(nn.Module):
    """softmax(q kᵀ / √C) v in H linear projections. Vaswani et al. 2017, 3.2.2."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.width, self.heads, self.dropout = width, heads, dropout
        self.input = Linear(width, 3 * width)  # to queries, keys and values
        self.output = Linear(width, width)
        for linear in (self.input, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def lay_out(self, precision: str) -> bool:
        """As `Linear.lay_out`."""
        return max(linear.lay_out(precision) for linear in (self.input, self.output))

    def split(self, vectors_BTD: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, C), a view."""
        heads: Tensor = vectors_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def project(self, vectors_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of self-attention, each (B, H, T, C)."""
        query, keys, values = self._maps(vectors_BTD, 0, 3)
        return query, keys, values

    def _maps(self, vectors_BTD: Tensor, first: int, count: int) -> Iterator[Tensor]:
        """Some of the three maps to queries, keys and values, each (B, H, T, C)."""
        rows = slice(first * self.width, (first + count) * self.width)
        if is_plain() or not torch.is_grad_enabled():
            return map(self.split, self.input.part(vectors_BTD, rows).chunk(count, -1))
        return map(self.split, split_linear(vectors_BTD, self.input.weight[rows], self.input.bias[rows], count))

    def project_one(self, vectors_N1D: Tensor) -> tuple[Tensor, Tensor]:
        """The query of a single position, (N, H, 1, C), and its key and value together, (N, 2, H, C)."""
        all_N3HC = self.input(vectors_N1D).view(vectors_N1D.shape[0], 3, self.heads, -1)
        return all_N3HC[:, 0].unsqueeze(2), all_N3HC[:, 1:]

    def query(self, vectors_BTD: Tensor) -> Tensor:
        """Queries alone, (B, H, T, C)."""
        return self.split(self.input.part(vectors_BTD, slice(self.width)))

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values alone, each (B, H, S, C)."""
        keys, values = self._maps(annotations_BSD, 1, 2)
        return keys, values

    def attend(
        self,
        query_BHTC: Tensor,
        keys_BHSC: Tensor,
        values_BHSC: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """softmax(q kᵀ / √C) v of each head, and a linear map of all heads: vectors (B, T, D).

        Args:
            mask: True where attention may go, broadcastable to (B, H, T, S).
            causal: each position sees itself and those before it (and there is no mask).
        """
        if is_plain():
            if causal:
                length, source = query_BHTC.shape[2], keys_BHSC.shape[2]
                mask = torch.ones(length, source, dtype=torch.bool, device=query_BHTC.device).tril()
            weights_BHTS = self.weights(query_BHTC, keys_BHSC, mask)
            mixed_BHTC = nn.functional.dropout(weights_BHTS, self.dropout, self.training) @ values_BHSC
        else:
            mixed_BHTC = nn.functional.scaled_dot_product_attention(
                query_BHTC,
                keys_BHSC,
                values_BHSC,
                attn_mask=mask,
                dropout_p=self.dropout if self.training else 0.0,
                is_causal=causal,
            )
        vectors: Tensor = self.output(mixed_BHTC.transpose(1, 2).flatten(2))
        return vectors

    @staticmethod
    def weights(query_BHTC: Tensor, keys_BHSC: Tensor, mask: Tensor | None) -> Tensor:
        """The attention weights (B, H, T, S) that `attend` uses, by the plain formula."""
        energies = raised(query_BHTC @ keys_BHSC.transpose(-1, -2)) * query_BHTC.shape[-1] ** -0.5
        if mask is not None:
            energies = energies.masked_fill(~mask, -torch.inf)
        weights: Tensor = energies.softmax(-1)
        return weights
