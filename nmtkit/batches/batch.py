"""Batches as padded tensors, and lists of sentences cut under a token budget.

Shape key: B pairs, S source positions, T target positions, M target positions without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmtkit.batches.corpus import Corpus
from nmtkit.batches.order import Batches, cut
from nmtkit.models.distribution import scored
from nmtkit.ragged import shifted


@dataclass(frozen=True)
class Batch:
    """Pairs as padded tensors: source, mask of its positions, decoder input (BOS first) and output (EOS last).

    `scored_M` holds the places of the output that is not padding, which a GPU would have to report to the program.
    """

    source_BS: Tensor
    mask_BS: Tensor
    target_in_BT: Tensor
    target_out_BT: Tensor
    scored_M: Tensor

    @property
    def predicted(self) -> int:
        """The number of target positions, without padding."""
        return len(self.scored_M)

    def pinned(self) -> Batch:
        """The same in page-locked memory, from which a GPU fetches it while it works."""
        return Batch(*(tensor.pin_memory() for tensor in vars(self).values()))

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))


def make_batch(corpus: Corpus, indices: Sequence[int]) -> Batch:
    """The pairs `indices` of the corpus as one batch."""
    target_BT, _ = corpus.target.rows(indices)
    return Batch(*corpus.source.rows(indices), shifted(target_BT), target_BT, scored(target_BT))


def group(
    source_lengths: Sequence[int], target_lengths: Sequence[int], order: Sequence[int], tokens: int
) -> list[list[int]]:
    """Cut `order` into batches of at most `tokens` padded target positions and twice as many padded source positions.

    A pair that is longer than the budget gets a batch of its own.
    """
    order_N = np.asarray(order, dtype=np.int64)
    source_N, target_N = (np.asarray(side, dtype=np.int64)[order_N] for side in (source_lengths, target_lengths))
    ends = cut(source_N, target_N, tokens)
    return list(Batches.of(order_N, ends))
