"""Sequences of unequal length in one flat tensor, and as padded rows: all padding happens here.

Shape key: B sequences, T positions of the longest of them, F features per position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtkit.specials import BOS, PAD


class Ragged:
    """Many sequences, of ids or of vectors.

    Attributes:
        lengths: positions of each sequence.
    """

    def __init__(self, flat: Tensor, lengths: Sequence[int]) -> None:
        """`flat` holds the sequences one after another, (positions) or (positions, F)."""
        self._flat = flat
        self._ends = torch.tensor([0, *lengths], dtype=torch.int64).cumsum(0)
        self.lengths: list[int] = list(lengths)

    @classmethod
    def of_ids(cls, sequences: Iterable[Sequence[int]]) -> Self:
        """Sequences of token ids."""
        flat: list[int] = []
        lengths = []
        for sequence in sequences:
            flat.extend(sequence)
            lengths.append(len(sequence))
        return cls(torch.tensor(flat, dtype=torch.int32), lengths)

    @classmethod
    def of_vectors(cls, matrices: Sequence[NDArray[np.float32]], width: int) -> Self:
        """Matrices (positions, F), all of one width F."""
        parts = [torch.from_numpy(matrix) for matrix in matrices]
        return cls(torch.cat([torch.zeros(0, width), *parts]), [len(part) for part in parts])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Tensor:
        return self._flat[self._ends[index] : self._ends[index + 1]]

    def rows(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Sequences as rows, (B, T) of int64 or (B, T, F), padded with zeros (PAD); and the mask, False at padding."""
        index_B = torch.tensor(indices)
        start_B1, end_B1 = self._ends[index_B].unsqueeze(1), self._ends[index_B + 1].unsqueeze(1)
        place_BT = start_B1 + torch.arange(int((end_B1 - start_B1).max()))
        mask_BT = place_BT < end_B1
        rows = self._flat[place_BT.clamp(max=len(self._flat) - 1)]
        rows = rows.masked_fill(~mask_BT.view(*mask_BT.shape, *[1] * (rows.dim() - 2)), PAD)
        return rows if rows.is_floating_point() else rows.long(), mask_BT


def shifted(target_BT: Tensor) -> Tensor:
    """Targets as a decoder reads them: BOS first, without the last token."""
    return torch.cat((target_BT.new_full((target_BT.shape[0], 1), BOS), target_BT[:, :-1]), dim=1)
