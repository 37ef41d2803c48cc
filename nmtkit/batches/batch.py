"""Batches under a token budget, grouped by length, in an order that seed and epoch determine.

Shape key: B pairs, S source positions, T target positions, M target positions without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmtkit.batches.corpus import Corpus
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
    batches: list[list[int]] = []
    longest_source = longest_target = 0
    for index in order:
        source = max(longest_source, source_lengths[index])
        target = max(longest_target, target_lengths[index])
        size = len(batches[-1]) + 1 if batches else 1
        if not batches or size * target > tokens or size * source > 2 * tokens:
            batches.append([])
            source, target = source_lengths[index], target_lengths[index]
        batches[-1].append(index)
        longest_source, longest_target = source, target
    return batches


def epoch_batches(corpus: Corpus, tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """All pairs of the corpus once, as lists of indices.

    Pairs are sorted by target length in steps of two; within a step by source length, up and down in turn, equal pairs
    at random. They are then cut under the budget, and the batches are shuffled: little padding, and other batches in
    every epoch.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    shuffled = torch.randperm(len(corpus), generator=generator).tolist()
    source, target = corpus.source.lengths, corpus.target.lengths

    def place(index: int) -> tuple[int, int]:
        step = target[index] // 2
        return step, source[index] if step % 2 else -source[index]

    batches = group(source, target, sorted(shuffled, key=place), tokens)
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
