"""Batches: every pair once an epoch, under the budget, in an order of seed and epoch alone, padded right."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training_toys import epoch_batches

from nmtkit.batches.batch import Batch, group, make_batch
from nmtkit.batches.corpus import Corpus, Counts
from nmtkit.ragged import Ragged
from nmtkit.specials import BOS, EOS, PAD
from nmtkit.training.options import TrainingOptions

Lengths = list[tuple[int, int]]
some_lengths = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=40)


def corpus_of(lengths: Lengths) -> Corpus:
    """Distinct ids throughout, EOS last."""
    sides = [
        Ragged.of_ids(
            [[*range(10 + 100 * i + offset, 9 + 100 * i + offset + pair[side]), EOS] for i, pair in enumerate(lengths)]
        )
        for side, offset in ((0, 0), (1, 50))
    ]
    return Corpus(*sides, Counts(len(lengths), 0, 0, 0))


def within(indices: list[int], lengths: Lengths, tokens: int) -> bool:
    source, target = (max(lengths[i][side] for i in indices) for side in (0, 1))
    return len(indices) * target <= tokens and len(indices) * source <= 2 * tokens


@settings(max_examples=60, deadline=None)
@given(some_lengths, st.integers(1, 60), st.integers(0, 2**31), st.integers(0, 1000))
def test_an_epoch_has_every_pair_once_and_keeps_the_budget(
    lengths: Lengths, tokens: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(corpus_of(lengths), tokens, seed, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch and (len(batch) == 1 or within(batch, lengths, tokens))


@settings(max_examples=60, deadline=None)
@given(some_lengths, st.integers(1, 60), st.randoms())
def test_groups_keep_the_order_and_are_as_full_as_the_budget_lets_them(
    lengths: Lengths, tokens: int, rng: random.Random
) -> None:
    order = rng.sample(range(len(lengths)), len(lengths))
    batches = group([x for x, _ in lengths], [y for _, y in lengths], order, tokens)
    assert [index for batch in batches for index in batch] == order
    for batch, following in zip(batches, batches[1:], strict=False):
        assert not within([*batch, following[0]], lengths, tokens)
    for batch in batches:
        assert len(batch) == 1 or within(batch, lengths, tokens)


def test_a_pair_longer_than_the_budget_is_alone() -> None:
    assert group([1, 1, 1, 1], [2, 9, 2, 2], [0, 1, 2, 3], 4) == [[0], [1], [2, 3]]
    assert group([1, 9, 1, 1], [2, 2, 2, 2], [0, 1, 2, 3], 4) == [[0], [1], [2, 3]]
    assert group([], [], [], 4) == []


def test_the_source_may_have_twice_the_budget() -> None:
    assert group([4, 4], [1, 1], [0, 1], 4) == [[0, 1]]
    assert group([5, 4], [1, 1], [0, 1], 4) == [[0], [1]]


MANY = [(1 + i % 5, 1 + i % 3) for i in range(90)]


def test_the_order_is_of_seed_and_epoch_only() -> None:
    corpus = corpus_of(MANY)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = epoch_batches(corpus, 20, seed=3, epoch=2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert epoch_batches(corpus, 20, seed=3, epoch=2) == first
    assert epoch_batches(corpus, 20, seed=4, epoch=2) != first
    assert epoch_batches(corpus, 20, seed=3, epoch=3) != first


def test_groups_differ_between_epochs_and_their_order_is_not_by_length() -> None:
    corpus = corpus_of(MANY)
    epochs = [epoch_batches(corpus, 12, seed=1, epoch=epoch) for epoch in range(3)]
    grouped = [{frozenset(batch) for batch in batches} for batches in epochs]
    assert all(len(a & b) < len(a) / 2 for a, b in ((grouped[0], grouped[1]), (grouped[1], grouped[2])))
    longest = [max(MANY[i][1] for i in batch) for batch in epochs[0]]
    assert longest != sorted(longest)


def test_little_is_padded() -> None:
    """Of both sides: less than half of what batches sorted by target length alone would pad."""
    generator = random.Random(1)
    targets = [generator.randint(5, 30) for _ in range(3000)]
    lengths = [(max(1, target + generator.randint(-6, 6)), target) for target in targets]

    def padding(batches: list[list[int]]) -> int:
        sides = ([[lengths[i][side] for i in batch] for batch in batches] for side in (0, 1))
        return sum(len(side) * max(side) - sum(side) for batches in sides for side in batches)

    sources, order = [source for source, _ in lengths], sorted(range(3000), key=lambda i: lengths[i][1])
    found = padding(epoch_batches(corpus_of(lengths), 500, seed=1, epoch=0))
    assert found < padding(group(sources, targets, order, 500)) / 2
    assert found < 0.06 * sum(source + target for source, target in lengths)


@pytest.mark.parametrize("seed", [0, 20_240_131_235_959, 2**63, 2**64, 10**40])
def test_any_seed_that_the_options_accept_orders_the_pairs(seed: int) -> None:
    try:
        options = TrainingOptions(seed=seed)
    except ValueError as error:
        assert "seed" in str(error) and "\n" not in str(error)
        return
    torch.manual_seed(options.seed)
    assert len(epoch_batches(corpus_of(MANY), 20, options.seed, epoch=1)) > 1


@settings(max_examples=40, deadline=None)
@given(some_lengths, st.randoms())
def test_padding_masks_and_shifts(lengths: Lengths, rng: random.Random) -> None:
    corpus = corpus_of(lengths)
    indices = rng.sample(range(len(lengths)), rng.randint(1, len(lengths)))
    batch = make_batch(corpus, indices)
    longest_source, longest_target = (max(lengths[i][side] for i in indices) for side in (0, 1))
    assert batch.source_BS.shape == batch.mask_BS.shape == (len(indices), longest_source)
    assert batch.target_in_BT.shape == batch.target_out_BT.shape == (len(indices), longest_target)
    assert batch.source_BS.dtype == batch.target_in_BT.dtype == batch.target_out_BT.dtype == torch.int64
    assert batch.mask_BS.dtype == torch.bool
    for row, index in enumerate(indices):
        source, target = corpus.source[index].tolist(), corpus.target[index].tolist()
        assert batch.source_BS[row].tolist() == source + [PAD] * (longest_source - len(source))
        assert batch.mask_BS[row].tolist() == [True] * len(source) + [False] * (longest_source - len(source))
        assert batch.target_out_BT[row].tolist() == target + [PAD] * (longest_target - len(target))
        assert batch.target_in_BT[row].tolist()[: len(target)] == [BOS, *target[:-1]]
    everything = [word for index in indices for word in corpus.target[index].tolist()]
    assert batch.target_out_BT.flatten()[batch.scored_M].tolist() == everything


def test_to_moves_every_tensor() -> None:
    moved = make_batch(corpus_of(MANY), [0, 1]).to(torch.device("meta"))
    assert isinstance(moved, Batch) and {tensor.device.type for tensor in vars(moved).values()} == {"meta"}
