"""Parts that model families share: front ends for the source, positions, and the cache of past keys and values.

Shape key: B sentences, N hypotheses, S or T positions, D width, H heads, C channels of a head, F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nmtkit.models.interface import Rows
from nmtkit.specials import PAD


def embedding(size: int, width: int, std: float) -> nn.Embedding:
    """A normally distributed embedding table; the row of PAD is zero and stays so."""
    table = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=std)
    with torch.no_grad():
        table.weight[PAD].zero_()
    return table


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that on a CPU draws one random byte a unit instead of one number.

    That is six times as fast; the probability is rounded to a multiple of 1/256 and the kept units are scaled by its
    exact complement, so the expectation is the input.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.kept = max(1, round(256 * (1 - probability)))

    def forward(self, vectors: Tensor) -> Tensor:
        mask = self.scaled_mask(vectors)
        return vectors if mask is None else vectors * mask

    def add(self, residual: Tensor, vectors: Tensor) -> Tensor:
        """residual + dropout(vectors), in one pass."""
        mask = self.scaled_mask(vectors)
        return residual + vectors if mask is None else torch.addcmul(residual, vectors, mask)

    def scaled_mask(self, like: Tensor, *shape: int) -> Tensor | None:
        """What dropout multiplies by: 0 where a unit is dropped, else 1 / (1 − probability); None: nothing is dropped.

        Args:
            shape: that of the mask, where it is not that of `like`.
        """
        if not self.training or self.kept == 256:
            return None
        mask = like.new_empty(shape or like.shape)
        if mask.device.type != "cpu":
            return mask.bernoulli_(1 - self.probability).div_(1 - self.probability)
        words = torch.empty((mask.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.uint8)[: mask.numel()].view(mask.shape)
        return torch.lt(draws, self.kept, out=mask).mul_(256 / self.kept)


class TokenFront(nn.Module):
    """Source ids (B, S) to vectors (B, S, D) by an embedding table, which may be shared."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table

    def forward(self, source_BS: Tensor) -> Tensor:
        vectors: Tensor = self.table(source_BS)
        return vectors


class FeatureFront(nn.Module):
    """Source feature vectors (B, S, F) to vectors (B, S, D) by a linear map: the source need not be words.

    Args:
        std: of the vectors at first, where features have variance one.
    """

    def __init__(self, features: int, width: int, std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        nn.init.normal_(self.linear.weight, std=std * features**-0.5)

    def forward(self, source_BSF: Tensor) -> Tensor:
        vectors: Tensor = self.linear(source_BSF)
        return vectors


def sinusoids(length: int, width: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(…) in float64, (length, width). Vaswani 2017, 3.5."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate[: width // 2])
    return table


class Positions(nn.Module):
    """Sinusoidal positions for any length: the table grows when a longer one is asked for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = sinusoids(256, width).float()  # no buffer: a change of precision must start from float64 again

    def forward(self, start: int, length: int, like: Tensor) -> Tensor:
        """Positions start … start + length − 1, (length, D), in the precision and on the device of `like`."""
        if start + length > self.table.shape[0] or self.table.dtype != like.dtype or self.table.device != like.device:
            size = max(self.table.shape[0], 2 * (start + length))
            self.table = sinusoids(size, self.table.shape[1]).to(like)
        return self.table[start : start + length]


class _Buffer:
    """Storage shared by caches; `used` is how many positions some cache has written."""

    def __init__(self, pairs_NT2HC: Tensor, used: int) -> None:
        self.pairs, self.used = pairs_NT2HC, used


class Cache(Rows):
    """Past keys and values of one self-attention layer: a value, though appending mostly writes in place.

    A cache sees the first `length` positions of its buffer. The first child to append writes behind them; a second
    child of the same parent finds them taken and copies first. So nobody ever sees another's token, and a step of a
    beam costs one copy (the `select` by back-pointer), a step of a greedy search none.
    """

    SPARE = 8
    """Positions allocated ahead."""

    def __init__(self, buffer: _Buffer, length: int) -> None:
        self._buffer, self.length = buffer, length

    @classmethod
    def empty(cls, rows: int, heads: int, channels: int, like: Tensor) -> Cache:
        return cls(_Buffer(like.new_empty(rows, cls.SPARE, 2, heads, channels), 0), 0)

    def size(self) -> int:
        return self._buffer.pairs.shape[0]

    def select(self, rows_M: Tensor) -> Cache:
        return Cache(_Buffer(self._buffer.pairs.index_select(0, rows_M), self.length), self.length)

    def append(self, pair_N2HC: Tensor) -> Cache:
        """This cache with the key and the value of one position more."""
        buffer = self._buffer
        if buffer.used != self.length or buffer.pairs.shape[1] == self.length:
            rows, _, *shape = buffer.pairs.shape
            pairs = buffer.pairs.new_empty(rows, self.length + self.SPARE, *shape)
            pairs[:, : self.length] = buffer.pairs[:, : self.length]
            buffer = _Buffer(pairs, self.length)
        buffer.pairs[:, self.length] = pair_N2HC
        buffer.used = self.length + 1
        return Cache(buffer, self.length + 1)

    def keys(self) -> Tensor:
        """(N, H, T, C)"""
        return self._buffer.pairs[:, : self.length, 0].transpose(1, 2)

    def values(self) -> Tensor:
        """(N, H, T, C)"""
        return self._buffer.pairs[:, : self.length, 1].transpose(1, 2)
