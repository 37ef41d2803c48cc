"""The past keys and values of all self-attentions, so that a step of a search computes those of one position only.

Shape key: N hypotheses, L layers, T target positions, H heads, C channels of a head, M selected rows.
"""

from __future__ import annotations

from torch import Tensor

from nmtkit.models.interface import Rows


class _Buffer:
    """Storage shared by caches; `used` is the number of positions that any of them has taken."""

    def __init__(self, pairs_NL2HTC: Tensor, used: int) -> None:
        self.pairs, self.used = pairs_NL2HTC, used


class Cache(Rows):
    """Past keys and values of the self-attention of every layer: a value, though it mostly grows in place.

    A cache sees the first `length` positions of its buffer. The first child to grow takes the position behind them; a
    second child of the same parent finds it taken and copies first. So no cache ever sees another's token, and a step
    of a beam costs one copy for all layers (the `select` by back-pointer), a step of a greedy search none.
    """

    SPARE = 8
    """Number of positions allocated ahead."""

    def __init__(self, buffer: _Buffer, length: int) -> None:
        self._buffer, self.length = buffer, length

    @classmethod
    def empty(cls, rows: int, layers: int, heads: int, channels: int, like: Tensor) -> Cache:
        return cls(_Buffer(like.new_empty(rows, layers, 2, heads, cls.SPARE, channels), 0), 0)

    def size(self) -> int:
        return self._buffer.pairs.shape[0]

    def select(self, rows_M: Tensor) -> Cache:
        return Cache(_Buffer(self._buffer.pairs.index_select(0, rows_M), self.length), self.length)

    def grown(self) -> Cache:
        """This cache with one more position, whose keys and values every layer must `write` before it reads them."""
        buffer = self._buffer
        if buffer.used != self.length or buffer.pairs.shape[4] == self.length:
            *shape, _, channels = buffer.pairs.shape
            pairs = buffer.pairs.new_empty(*shape, self.length + self.SPARE, channels)
            pairs[..., : self.length, :] = buffer.pairs[..., : self.length, :]
            buffer = _Buffer(pairs, self.length)
        buffer.used = self.length + 1
        return Cache(buffer, self.length + 1)

    def write(self, layer: int, pair_N2HC: Tensor, recent: int | None = None) -> tuple[Tensor, Tensor]:
        """Set the key and the value of the last position in one layer; the layer's keys and values up to it.

        Args:
            recent: number of positions to return, the last one included; None: all.

        Returns:
            Keys and values, each (N, H, T, C).
        """
        first = 0 if recent is None else max(0, self.length - recent)
        pairs_N2HTC = self._buffer.pairs[:, layer]
        pairs_N2HTC[..., self.length - 1, :] = pair_N2HC
        keys, values = pairs_N2HTC[..., first : self.length, :].unbind(1)
        return keys, values
