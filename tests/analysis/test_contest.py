"""Models compared: every score against sacreBLEU itself, resamples against a loop, lengths against counting."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.analysis.contest import Run, contest

SOURCES = ["a b", "a", "a b c d", "a b c", "x y z w v", "k", "l m n o p q", "q r"]
REFERENCE = [
    "the cat sat on the mat",
    "a dog ran",
    "we saw the big red house today",
    "one two three four",
    "they all went home early",
    "yes",
    "nobody knows the trouble I have seen",
    "all is well that ends well",
]
GOOD = [*REFERENCE[:5], "no", "nobody knows the trouble I have", "all is well that ends"]
BAD = ["the cat", "a dog", "we saw the house", "one two three", "they went home", "no", "nobody knows", "all is well"]


def one(outputs: list[str], name: str = "m") -> Run:
    return Run(name, 10, 5.0, 1.5, 7.0, tuple(outputs))


def test_scores_are_sacrebleus_and_the_intervals_those_of_a_loop() -> None:
    made = contest([("bad", [one(BAD)]), ("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=1, resamples=40, seed=3)
    draws = np.random.default_rng(3).integers(8, size=(40, 8))
    for contestant, outputs in zip(made.contestants, (BAD, GOOD), strict=True):
        for found, score in ((contestant.bleu, sacrebleu.corpus_bleu), (contestant.chrf, sacrebleu.corpus_chrf)):
            assert found.value == pytest.approx(score(outputs, [REFERENCE]).score)
            drawn = [score([outputs[i] for i in d], [[REFERENCE[i] for i in d]]).score for d in draws]
            assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    bad, good = made.contestants
    assert bad.p_bleu is None and good.p_bleu == pytest.approx(2 / 41), "no resample turns it round"
    assert good.growth.value == 0 and "bs" not in made.bleu_signature and "nrefs:1" in made.bleu_signature


def test_buckets_hold_about_as_many_and_keep_lengths_together() -> None:
    """Words: 2, 1, 4, 3, 5, 1, 6, 2: in two parts those of 1 and 2, and those of 3 and more."""
    made = contest([("bad", [one(BAD)]), ("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=2, resamples=20)
    assert [(one.first, one.last, one.sentences) for one in made.buckets] == [(1, 2, 4), (3, 6, 4)]
    short, long = [0, 1, 5, 7], [2, 3, 4, 6]
    for contestant, outputs in zip(made.contestants, (BAD, GOOD), strict=True):
        for part, bucket in zip((short, long), contestant.buckets, strict=True):
            expected = sacrebleu.corpus_bleu([outputs[i] for i in part], [[REFERENCE[i] for i in part]]).score
            assert bucket.value == pytest.approx(expected)
    good = made.contestants[1]
    gains = [mine.value - other.value for mine, other in zip(good.buckets, made.contestants[0].buckets, strict=True)]
    assert [gain.value for gain in good.gains] == pytest.approx(gains)
    assert good.growth.value == pytest.approx(gains[1] - gains[0])


def test_seeds_are_averaged_and_resampled_together() -> None:
    made = contest([("bad", [one(BAD)]), ("mixed", [one(GOOD), one(BAD)])], SOURCES, [REFERENCE], resamples=30)
    bad, mixed = made.contestants
    values = [sacrebleu.corpus_bleu(outputs, [REFERENCE]).score for outputs in (GOOD, BAD)]
    assert mixed.bleu.value == pytest.approx(sum(values) / 2) and mixed.spread == pytest.approx(np.std(values, ddof=1))
    assert bad.spread == 0
    same = contest([("good", [one(GOOD)]), ("twice", [one(GOOD), one(GOOD)])], SOURCES, [REFERENCE], resamples=30)
    first, twice = same.contestants
    assert first.bleu == twice.bleu and twice.p_bleu == twice.p_chrf == 1.0 and twice.growth.value == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 6))
def test_every_sentence_is_in_one_bucket(lengths: list[int], buckets: int) -> None:
    sources = [" ".join("x" * length) for length in lengths]
    lines = ["a b c d e"] * len(lengths)
    made = contest([("m", [one(lines)])], sources, [lines], buckets=buckets, resamples=2)
    assert sum(bucket.sentences for bucket in made.buckets) == len(lengths) and 1 <= len(made.buckets) <= buckets
    for bucket, after in zip(made.buckets, made.buckets[1:], strict=False):
        assert bucket.first <= bucket.last < after.first
    assert made.contestants[0].bleu.value == pytest.approx(100)
