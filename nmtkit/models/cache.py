"""The past keys and values of a self-attention, so that a step of a search computes those of one position only.

Shape key: N hypotheses, T target positions, H heads, C channels of a head, M selected rows.
"""

from __future__ import annotations

from torch import Tensor

from nmtkit.models.interface import Rows


class _Buffer:
    """Storage shared by caches; `used` is the number of positions that any of them has written."""

    def __init__(self, pairs_NT2HC: Tensor, used: int) -> None:
        self.pairs, self.used = pairs_NT2HC, used


class Cache(Rows):
    """Past keys and values of one self-attention layer: a value, though appending mostly writes in place.

    A cache sees the first `length` positions of its buffer. The first child to append writes behind them; a second
    child of the same parent finds them taken and copies first. So no cache ever sees another's token, and a step of a
    beam costs one copy (the `select` by back-pointer), a step of a greedy search none.
    """

    SPARE = 8
    """Number of positions allocated ahead."""

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
        """This cache with the key and the value of one more position."""
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
