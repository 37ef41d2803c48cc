"""The order of an epoch: what one window holds is as it always was, and many windows hold every pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.batches.corpus import Corpus, Counts
from nmtkit.batches.order import APART, cut, window_batches, windows
from nmtkit.ragged import Joined, Ragged

Lengths = list[tuple[int, int]]
some_lengths = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=40)


class Unlisted(Ragged):
    """Sequences whose lengths must never become a list of all."""

    lengths = property()  # type: ignore[assignment]


def part_of(lengths: Lengths, kind: type[Ragged] = Unlisted) -> tuple[Ragged, Ragged]:
    source, target = ([pair[side] for pair in lengths] for side in (0, 1))
    return (
        kind.of(np.zeros(sum(source), np.uint16), np.array(source, int)),
        kind.of(np.zeros(sum(target), np.uint16), np.array(target, int)),
    )


def corpus_of(*parts: tuple[Lengths, int]) -> Corpus:
    """Corpora with their weights."""
    sources, targets = zip(*(part_of(lengths) for lengths, _ in parts), strict=True)
    weights = tuple((len(lengths), weight) for lengths, weight in parts)
    total = sum(len(lengths) for lengths, _ in parts)
    return Corpus(Joined(sources), Joined(targets), Counts(total, 0, 0, 0), weights)


def greedy(source: Sequence[int], target: Sequence[int], order: Sequence[int], tokens: int) -> list[list[int]]:
    """Batches pair by pair: the next one joins as long as the padded sizes allow it."""
    batches: list[list[int]] = []
    for index in order:
        larger = [*batches[-1], index] if batches else [index]
        wide, high = (len(larger) * max(side[i] for i in larger) for side in (source, target))
        if batches and high <= tokens and wide <= 2 * tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def whole_epoch(lengths: Lengths, tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """An epoch of a corpus that fits into memory, by lists alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    shuffled = torch.randperm(len(lengths), generator=generator).tolist()
    source, target = [x for x, _ in lengths], [y for _, y in lengths]

    def place(index: int) -> tuple[int, int]:
        step = target[index] // 2
        return step, source[index] if step % 2 else -source[index]

    batches = greedy(source, target, sorted(shuffled, key=place), tokens)
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


@settings(deadline=None)
@given(some_lengths, st.integers(1, 60))
def test_the_cut_is_greedy(lengths: Lengths, tokens: int) -> None:
    source, target = ([pair[side] for pair in lengths] for side in (0, 1))
    ends = cut(np.array(source, np.int64), np.array(target, np.int64), tokens).tolist()
    expected = greedy(source, target, range(len(lengths)), tokens)
    assert [list(range(a, b)) for a, b in zip([0, *ends], ends, strict=False)] == expected


@settings(deadline=None)
@given(some_lengths, st.integers(1, 60), st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_a_corpus_of_one_window_has_the_order_that_it_always_had(
    lengths: Lengths, tokens: int, seed: int, epoch: int
) -> None:
    corpus = corpus_of((lengths, 1))
    assert windows(corpus) == 1
    batches = window_batches(corpus, tokens, seed, epoch, 0)
    assert list(batches) == whole_epoch(lengths, tokens, seed, epoch) == batches[:] and len(batches) == len(batches[:])


@settings(deadline=None)
@given(
    st.lists(st.tuples(some_lengths, st.integers(1, 3)), min_size=1, max_size=3),
    *(st.integers(1, 60), st.integers(0, 99), st.integers(0, 9), st.integers(1, 5), st.integers(1, 4)),
)
def test_an_epoch_has_every_pair_as_often_as_its_weight(
    parts: list[tuple[Lengths, int]], tokens: int, seed: int, epoch: int, block: int, blocks: int
) -> None:
    corpus = corpus_of(*parts)
    lengths = [pair for part, _ in parts for pair in part]
    expected = [weight for part, weight in parts for _ in part]
    total, seen = windows(corpus, block, blocks), Counter[int]()
    for window in range(total):
        batches = window_batches(corpus, tokens, seed, epoch, window, block=block, blocks=blocks)
        again = window_batches(corpus, tokens, seed, epoch, window, block=block, blocks=blocks)
        assert list(batches) == list(again)
        pairs = [index for batch in batches for index in batch]
        assert len(pairs) <= block * blocks
        seen.update(pairs)
        for batch in batches:
            high, wide = (len(batch) * max(lengths[i][side] for i in batch) for side in (1, 0))
            assert len(batch) == 1 or (high <= tokens and wide <= 2 * tokens)
    assert [seen[index] for index in range(len(lengths))] == expected
    assert total == max(1, -(-sum(-(-len(part) // block) * weight for part, weight in parts) // blocks))


@settings(deadline=None)
@given(
    st.lists(st.tuples(some_lengths, st.integers(1, APART + 2)), min_size=1, max_size=3),
    *(st.integers(1, 60), st.integers(0, 99), st.integers(1, 4)),
)
def test_copies_of_a_pair_do_not_meet(parts: list[tuple[Lengths, int]], tokens: int, seed: int, blocks: int) -> None:
    corpus = corpus_of(*parts)
    for window in range(windows(corpus, 2, blocks)):
        for batch in window_batches(corpus, tokens, seed, 0, window, block=2, blocks=blocks):
            most = Counter(batch).most_common(1)[0][1]
            assert most == 1 or max(weight for _, weight in parts) > APART


def test_pairs_of_all_corpora_meet() -> None:
    """Groups divide no corpus from another, nor the same pairs from each other in every epoch."""
    corpus = corpus_of(([(3, 3)] * 60, 1), ([(3, 3)] * 20, 4))
    met = {
        (min(a, b), max(a, b))
        for epoch in range(60)
        for batch in window_batches(corpus, 60, 1, epoch, 0)
        for a in batch
        for b in batch
        if a != b
    }
    assert len(met) == 80 * 79 / 2


def test_windows_have_about_the_same_size() -> None:
    """No epoch ends with a window of few blocks, whose pairs are neighbours."""
    corpus = corpus_of(([(1, 1)] * 210, 1))
    sizes = [
        sum(map(len, window_batches(corpus, 20, 1, 0, window, block=10, blocks=10)))
        for window in range(windows(corpus, 10, 10))
    ]
    assert sorted(sizes) == [70, 70, 70]


def test_windows_mix_blocks_anew_in_every_epoch_and_for_every_seed() -> None:
    corpus = corpus_of(([(1 + i % 5, 1 + i % 3) for i in range(240)], 1))

    def content(seed: int, epoch: int) -> list[frozenset[int]]:
        each = (window_batches(corpus, 20, seed, epoch, window, block=10, blocks=6) for window in range(4))
        return [frozenset(index for batch in batches for index in batch) for batches in each]

    first = content(1, 0)
    assert first == content(1, 0)
    assert first != content(1, 1) and first != content(2, 0)
    for window in first:  # whole blocks, and not all of them neighbours
        begins = sorted(index // 10 for index in window if index % 10 == 0)
        assert window == {10 * begin + i for begin in begins for i in range(10)} and len(begins) == 6
    assert any(max(window) - min(window) > 60 for window in first)


def test_no_two_windows_are_shuffled_alike() -> None:
    corpus = corpus_of(([(1, 1)] * 240, 1))
    ranks = []
    for window in range(4):
        pairs = [i for batch in window_batches(corpus, 60, 1, 0, window, block=60, blocks=1) for i in batch]
        ranks.append([index - min(pairs) for index in pairs])
        assert sorted(ranks[-1]) == [*range(60)] != ranks[-1]
    assert all(ranks[a] != ranks[b] for a in range(4) for b in range(a))


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_any_seed(seed: int) -> None:
    corpus = corpus_of(([(2, 2)] * 9, 1))
    pairs = [i for w in range(3) for batch in window_batches(corpus, 9, seed, 5, w, block=1, blocks=3) for i in batch]
    assert sorted(pairs) == list(range(9))
