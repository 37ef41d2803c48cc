"""Sequences of unequal length in one flat array, in memory or mapped from a file, and as padded rows.

All padding happens here.

Shape key: B sequences, T positions of the longest of them, F features per position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nmtkit.specials import BOS, PAD

Array = NDArray[Any]
Indices = Sequence[int] | NDArray[np.int64]


class Ragged:
    """Many sequences, of ids or of vectors."""

    def __init__(self, flat: Array, ends: NDArray[np.int64]) -> None:
        """`flat` holds the sequences one after another, (positions) or (positions, F); `ends` says where: a 0, then
        the end of each."""
        self._flat, self._ends = flat, ends

    @classmethod
    def of(cls, flat: Array, lengths: ArrayLike) -> Self:
        """Sequences that lie one after another, by their lengths."""
        return cls(flat, np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64))

    @classmethod
    def of_ids(cls, sequences: Iterable[Sequence[int]]) -> Self:
        """Sequences of token ids."""
        flat: list[int] = []
        lengths = []
        for sequence in sequences:
            flat.extend(sequence)
            lengths.append(len(sequence))
        return cls.of(np.array(flat, dtype=np.int32), lengths)

    @classmethod
    def of_vectors(cls, matrices: Sequence[NDArray[np.float32]], width: int) -> Self:
        """Matrices (positions, F), all of one width F."""
        return cls.of(np.concatenate([np.zeros((0, width), np.float32), *matrices]), [len(part) for part in matrices])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self._flat[self._ends[index] : self._ends[index + 1]]))

    @property
    def positions(self) -> int:
        """Positions of all sequences together."""
        return int(self._ends[-1])

    @cached_property
    def lengths(self) -> list[int]:
        """Positions of each sequence, as a list that stays in memory; `lengths_of` makes none."""
        lengths: list[int] = np.diff(self._ends).tolist()
        return lengths

    def lengths_of(self, indices: Indices) -> NDArray[np.int64]:
        """Positions of some sequences."""
        index_B = np.asarray(indices, dtype=np.int64)
        return np.asarray(self._ends[index_B + 1] - self._ends[index_B])

    def rows(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Sequences as rows, (B, T) of int64 or (B, T, F), padded with zeros (PAD); and the mask, False at padding."""
        index_B = np.asarray(indices, dtype=np.int64)
        start_B1, end_B1 = self._ends[index_B][:, None], self._ends[index_B + 1][:, None]
        place_BT = start_B1 + np.arange((end_B1 - start_B1).max())
        mask_BT = place_BT < end_B1
        rows = np.asarray(self._flat[np.minimum(place_BT, len(self._flat) - 1)])
        rows = rows.astype(np.int64) if rows.dtype.kind in "iu" else rows
        rows[~mask_BT] = PAD
        return torch.from_numpy(rows), torch.from_numpy(mask_BT)


class Joined:
    """Sequences of several parts one after another, as one `Ragged`."""

    def __init__(self, parts: Sequence[Ragged]) -> None:
        self._parts = parts
        self._firsts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, index: int) -> Tensor:
        part = int(np.searchsorted(self._firsts, index, side="right")) - 1
        return self._parts[part][index - int(self._firsts[part])]

    @property
    def positions(self) -> int:
        """As for `Ragged`."""
        return sum(part.positions for part in self._parts)

    @property
    def lengths(self) -> list[int]:
        """As for `Ragged`."""
        return [length for part in self._parts for length in part.lengths]

    def lengths_of(self, indices: Indices) -> NDArray[np.int64]:
        """As for `Ragged`."""
        index_B = np.asarray(indices, dtype=np.int64)
        lengths_B = np.zeros(len(index_B), np.int64)
        for part, place, own in self._split(index_B):
            lengths_B[place] = part.lengths_of(own)
        return lengths_B

    def rows(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """As for `Ragged`."""
        index_B = np.asarray(indices, dtype=np.int64)
        pieces = [(torch.from_numpy(place), part.rows(own)) for part, place, own in self._split(index_B)]
        if len(pieces) == 1:
            return pieces[0][1]
        longest = max(mask.shape[1] for _, (_, mask) in pieces)
        first = pieces[0][1][0]
        rows = first.new_full((len(index_B), longest, *first.shape[2:]), PAD)
        mask_BT = torch.zeros(len(index_B), longest, dtype=torch.bool)
        for place, (own, mask) in pieces:
            rows[place, : own.shape[1]], mask_BT[place, : mask.shape[1]] = own, mask
        return rows, mask_BT

    def _split(self, index_B: NDArray[np.int64]) -> list[tuple[Ragged, NDArray[np.int64], NDArray[np.int64]]]:
        """The parts that some indices lie in, with the places of these indices and their numbers in the part."""
        part_B = np.searchsorted(self._firsts, index_B, side="right") - 1
        places = ((number, np.flatnonzero(part_B == number)) for number in range(len(self._parts)))
        return [
            (self._parts[number], place, index_B[place] - self._firsts[number])
            for number, place in places
            if len(place)
        ]


def shifted(target_BT: Tensor) -> Tensor:
    """Targets as a decoder reads them: BOS first, without the last token."""
    return torch.cat((target_BT.new_full((target_BT.shape[0], 1), BOS), target_BT[:, :-1]), dim=1)
