"""Merges left out at random have exactly the probabilities of the paper's algorithm, written out for short words."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.segmentations import assert_likely, exactly

from nmtkit.tokenizer.merges import Skips, merge
from nmtkit.tokenizer.subwords import Subwords

SCORES = {"ab": -1.0, "bc": -2.0, "abc": -3.0, "ca": -4.0, "aa": -5.0, "abcab": -6.0, "cab": -7.0, "aabc": -8.0}


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
