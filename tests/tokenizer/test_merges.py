"""Merges left out at random have exactly the probabilities of the paper's algorithm, written out for short words."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.tokenizer.merges import Skips, merge
from nmtkit.tokenizer.subwords import Subwords

SCORES = {"ab": -1.0, "bc": -2.0, "abc": -3.0, "ca": -4.0, "aa": -5.0, "abcab": -6.0, "cab": -7.0, "aabc": -8.0}


def exactly(word: str, scores: dict[str, float], skip: float) -> dict[tuple[str, ...], float]:
    """Algorithm 1 of Provilkov et al. (2020): of all merges that are possible each is removed with a probability, the
    best of the others is made, until none is left. Every set of removed merges is tried."""

    @cache
    def shares(pieces: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], float], ...]:
        possible = [i for i in range(len(pieces) - 1) if pieces[i] + pieces[i + 1] in scores]
        total: dict[tuple[str, ...], float] = defaultdict(float)
        for kept in itertools.product([True, False], repeat=len(possible)):
            chance = math.prod(1 - skip if keep else skip for keep in kept)
            if not chance:
                continue
            left = [i for i, keep in zip(possible, kept, strict=True) if keep]
            if not left:
                total[pieces] += chance
                continue
            best = min(left, key=lambda i: (-scores[pieces[i] + pieces[i + 1]], i))
            merged = (*pieces[:best], pieces[best] + pieces[best + 1], *pieces[best + 2 :])
            for result, share in shares(merged):
                total[result] += chance * share
        return tuple(total.items())

    return dict(shares(tuple(word)))


def chi_square(counts: Counter[tuple[str, ...]], expected: dict[tuple[str, ...], float]) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; results expected less than 5 times count as one."""
    draws = sum(counts.values())
    assert counts.keys() <= expected.keys() and math.isclose(sum(expected.values()), 1)
    often = {result for result, share in expected.items() if draws * share >= 5}
    cells = [(counts[result], draws * expected[result]) for result in often]
    rare = draws * sum(share for result, share in expected.items() if result not in often)
    if rare >= 5:
        cells.append((draws - sum(count for count, _ in cells), rare))
    return sum((count - mean) ** 2 / mean for count, mean in cells), len(cells) - 1


def assert_likely(counts: Counter[tuple[str, ...]], expected: dict[tuple[str, ...], float]) -> None:
    """Below a bound of the chi-square distribution that chance exceeds in fewer than one of 10,000 tests."""
    statistic, freedom = chi_square(counts, expected)
    bound = freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty 1931
    assert statistic < bound, (statistic, freedom)


@pytest.mark.parametrize("skip", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("word", ["abcab", "aabcabc", "aaaa"])
def test_pieces_have_the_probabilities_of_the_paper(word: str, skip: float) -> None:
    skips = Skips(skip, random.Random(1))
    counts = Counter(tuple(merge(word, SCORES, skips)) for _ in range(6000))
    expected = exactly(word, SCORES, skip)
    assert len(expected) >= 3
    assert_likely(counts, expected)


@pytest.mark.parametrize("skip", [0.1, 0.4])
def test_words_of_a_text_have_them_too_each_by_itself(skip: float, models: dict[str, Subwords]) -> None:
    """With seeds in a row, through the words that are kept; the pieces of two words are independent."""
    bpe, text = models["bpe"], "hund hund das"
    hund, das = exactly("▁hund", bpe._ranks, skip), exactly("▁das", bpe._ranks, skip)
    expected = {
        (*one, *two, *three): hund[one] * hund[two] * das[three] for one in hund for two in hund for three in das
    }
    counts = Counter(tuple(bpe.pieces(bpe.sample(text, skip, seed))) for seed in range(8000))
    assert len(expected) >= 20
    assert_likely(counts, expected)


@settings(deadline=None)
@given(word=st.text("abc", max_size=9), seed=st.integers(0, 2**64))
def test_without_skips_a_word_is_merged_to_the_end_and_with_all_skipped_not_at_all(word: str, seed: int) -> None:
    [plain] = exactly(word, SCORES, 0.0)
    assert tuple(merge(word, SCORES, Skips(0.0, random.Random(seed)))) == plain
    assert merge(word, SCORES, Skips(1.0, random.Random(seed))) == list(word)


@given(st.sampled_from([1e-300, 0.01, 0.1, 0.5, 0.999999, 1.0]), st.lists(st.integers(0, 5)), st.integers(0, 99))
def test_decisions_taken_together_are_those_taken_by_themselves(skip: float, counts: list[int], seed: int) -> None:
    together, alone = Skips(skip, random.Random(seed)), Skips(skip, random.Random(seed))
    stream = [alone.next() for _ in range(6 * len(counts) + 6)]
    for count in counts:
        decisions, stream = stream[:count], stream[count:]
        if together.none_among(count):
            assert not any(decisions)
        else:
            assert any(decisions) and [together.next() for _ in range(count)] == decisions
