"""The order of an epoch: a function of seed, epoch and window, so that nothing about it is kept.

The corpora are cut into blocks of neighbouring pairs. An epoch permutes all blocks, those of a corpus as many times as
its weight says, and takes them in windows of about the same size. Within a window pairs are sorted by length and cut
into batches, as if the window were the whole corpus. A corpus of one window or less is shuffled pair by pair. Copies of
a pair do not meet in a batch, unless there are more than `APART`.

Shape key: N pairs of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from nmtkit.batches.corpus import Corpus

BLOCK = 4096
"""Pairs of a block: neighbours in the text, read together."""
WINDOW = 512
"""Most blocks of a window."""
APART = 16
"""Most groups into which a window is divided so that copies of a pair do not meet."""

Numbers = NDArray[np.int64]


class Batches(Sequence[list[int]]):
    """The batches of a window, as numbers of pairs; each list is made when it is asked for.

    Args:
        pair_N: the pairs, batch by batch.
        begins, ends: where each batch lies in them.
    """

    def __init__(self, pair_N: Numbers, begins: Numbers, ends: Numbers) -> None:
        self._pair_N, self._begins, self._ends = pair_N, begins, ends

    @classmethod
    def of(cls, pair_N: Numbers, ends: Numbers, order: Numbers | None = None) -> Batches:
        """Batches that lie one after another, by where they end, in another order."""
        begins = np.concatenate((np.zeros(1, np.int64), ends))[:-1]
        return cls(pair_N, begins, ends) if order is None else cls(pair_N, begins[order], ends[order])

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[int]]: ...
    def __getitem__(self, index: int | slice) -> list[int] | list[list[int]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        pairs: list[int] = self._pair_N[self._begins[index] : self._ends[index]].tolist()
        return pairs

    def __iter__(self) -> Iterator[list[int]]:
        return (self[number] for number in range(len(self)))


def windows(corpus: Corpus, block: int = BLOCK, window: int = WINDOW) -> int:
    """The number of windows of an epoch, at least 1.

    Args:
        block: pairs of a block.
        window: blocks of a window.
    """
    return max(1, -(-len(_blocks(corpus, block)) // window))


def window_batches(
    corpus: Corpus, tokens: int, seed: int, epoch: int, window: int, *, block: int = BLOCK, blocks: int = WINDOW
) -> Batches:
    """The batches of a window of an epoch, in the order of their use.

    Pairs are sorted by target length in steps of two; within a step by source length, up and down in turn, equal pairs
    at random. They are then cut under the budget, and the batches are shuffled: little padding, and other batches in
    every epoch. Where corpora have weights, this is done in groups of pairs that are all different.

    Args:
        tokens: most padded target positions of a batch; half of the most padded source positions.
        block: pairs of a block.
        blocks: blocks of a window.
    """
    generator = _generator(seed, epoch, window)
    pair_N = _pairs(corpus, seed, epoch, window, block, blocks)
    pair_N = pair_N[torch.randperm(len(pair_N), generator=generator).numpy()]
    source_N, target_N = corpus.source.lengths_of(pair_N), corpus.target.lengths_of(pair_N)
    step_N = target_N // 2
    within_N = np.where(step_N % 2, source_N, -source_N)
    groups = min(max(weight for _, weight in corpus.shares), APART)
    group_N = _groups(pair_N, groups, generator) if groups > 1 else np.zeros_like(pair_N)
    order_N = np.lexsort((within_N, step_N, group_N))
    group_ends = np.bincount(group_N, minlength=groups).cumsum()
    parts = np.split(order_N, group_ends[:-1])
    cuts = (cut(source_N[part], target_N[part], tokens) for part in parts)
    ends = np.concatenate([own + end - len(part) for own, end, part in zip(cuts, group_ends, parts, strict=True)])
    return Batches.of(pair_N[order_N], ends, torch.randperm(len(ends), generator=generator).numpy())


def cut(source_N: Numbers, target_N: Numbers, tokens: int) -> Numbers:
    """Where batches end in a sequence of pairs: each takes what `tokens` padded target positions and twice as many
    padded source positions hold, and at least one pair.

    Args:
        source_N, target_N: lengths of the pairs.
    """
    ends: list[int] = []
    # No batch that begins with a pair has more pairs than the pair's own lengths let it have.
    most_N = np.minimum(tokens // np.maximum(target_N, 1), 2 * tokens // np.maximum(source_N, 1)).tolist()
    begin, total = 0, len(most_N)
    size_N = np.arange(1, max(most_N, default=0) + 2)
    while begin < total:
        most = most_N[begin]
        if most > 1:
            upto = slice(begin, begin + most)
            target = np.maximum.accumulate(target_N[upto])
            source = np.maximum.accumulate(source_N[upto])
            padded = np.maximum(2 * target, source) * size_N[: len(target)]
            begin += max(1, int(padded.searchsorted(2 * tokens, side="right")))
        else:
            begin += 1
        ends.append(begin)
    return np.array(ends, dtype=np.int64)


def _groups(pair_N: Numbers, groups: int, generator: torch.Generator) -> Numbers:
    """A group of each pair, chosen at random, but so that up to `groups` copies of a pair are in different ones."""
    distinct, number_N, copies = np.unique(pair_N, return_inverse=True, return_counts=True)
    copy_N = np.empty_like(number_N)
    copy_N[np.argsort(number_N, kind="stable")] = np.arange(len(pair_N)) - np.repeat(np.cumsum(copies) - copies, copies)
    first = torch.randint(groups, (len(distinct),), generator=generator).numpy()
    group_N: Numbers = (first[number_N] + copy_N) % groups
    return group_N


def _pairs(corpus: Corpus, seed: int, epoch: int, window: int, block: int, blocks: int) -> Numbers:
    """The pairs of a window."""
    spans = _blocks(corpus, block)
    if len(spans) > blocks:
        generator = _generator(seed, epoch, -1)
        order = torch.randperm(len(spans), generator=generator).numpy()
        spans = spans[np.array_split(order, -(-len(spans) // blocks))[window]]
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(begin, end) for begin, end in spans)])


def _blocks(corpus: Corpus, block: int) -> Numbers:
    """Begin and end of every block of an epoch, those of a corpus as many times as its weight says."""
    parts, first = [np.zeros((0, 2), np.int64)], 0
    for pairs, weight in corpus.shares:
        begins = np.arange(first, first + pairs, block)
        spans = np.stack((begins, np.minimum(begins + block, first + pairs)), axis=1)
        parts += [spans] * weight
        first += pairs
    return np.concatenate(parts)


def _generator(seed: int, epoch: int, window: int) -> torch.Generator:
    """A generator for one window, or for the order of the blocks (window −1)."""
    if window == 0:
        return torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    entropy = np.random.SeedSequence([seed, epoch, window + 1]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(entropy[0] >> np.uint64(1)))
