"""Models compared: every score against sacreBLEU itself, resamples against a loop, lengths against counting."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.analysis.contest import Run, _holm, _mixture, contest

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
    return Run(name, "runs/m", "0ab1", 10, 3, 5.0, 1.5, 7.0, tuple(outputs))


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


def test_seeds_vary_as_the_mean_of_new_ones_would() -> None:
    """Of sentences that are all alike only the runs vary: their mean with standard error s / √n."""
    sources, reference = ["a b c"] * 4, ["the cat sat on the mat"] * 4
    outputs = [["the cat sat on the mat"] * 4, ["the cat sat on a mat"] * 4, ["the cat sat"] * 4]
    values = [sacrebleu.corpus_bleu(lines, [reference]).score for lines in outputs]
    (three,) = contest([("three", list(map(one, outputs)))], sources, [reference], resamples=4000).contestants
    mixture = _mixture(np.random.default_rng(1), 3, 4000)
    means = mixture @ np.array(values)
    assert means[0] == pytest.approx(np.mean(values)) == pytest.approx(three.bleu.value)
    assert np.std(means[1:]) == pytest.approx(np.std(values, ddof=1) / 3**0.5, rel=0.03)
    (two,) = contest([("two", list(map(one, outputs[:2])))], sources, [reference], resamples=400).contestants
    middle, away = sum(values[:2]) / 2, abs(values[0] - values[1]) / 2 * 2**0.5
    ends = (middle - away, min(100, middle + away))
    assert (two.bleu.low, two.bleu.high) == pytest.approx(ends), "a quarter of the draws each"


def test_two_lucky_seeds_are_not_called_better() -> None:
    """Runs of one and the same distribution: no more than a few of many pairs may be told apart."""
    generator = np.random.default_rng(5)
    reference = [" ".join(generator.choice(list("abcdefgh"), 8)) for _ in range(60)]

    def drawn() -> list[Run]:
        """Three runs whose share of right words varies by seed far more than by sentence."""
        share = generator.uniform(0.55, 0.95, 3)
        return [
            one([" ".join(w if generator.random() < s else "x" for w in line.split()) for line in reference])
            for s in share
        ]

    sure = 0
    for _ in range(20):
        made = contest([("a", drawn()), ("b", drawn())], reference, [reference], buckets=1, resamples=200)
        sure += (made.contestants[1].p_bleu or 0) < 0.05
    assert sure <= 5, "with the runs left out of the resampling it is most of them"


def test_scores_of_new_seeds_stay_scores() -> None:
    """Two runs far apart: their means, stretched for new seeds, would reach below 0 and beyond 100."""
    wrong = ["x"] * len(REFERENCE)
    made = contest([("both", [one(REFERENCE), one(wrong)])], SOURCES, [REFERENCE], buckets=2, resamples=50)
    (both,) = made.contestants
    for score in (both.bleu, both.chrf, *both.buckets):
        assert score.value == pytest.approx(50, abs=3) and (score.low, score.high) == pytest.approx((0, 100), abs=1e-6)


def test_holm_by_hand() -> None:
    """Smallest times three, the next times two, the last once, none below one before it; at most one."""
    assert _holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert _holm([0.5, 0.6]) == [1.0, 1.0] and _holm([]) == []
    groups = [("bad", [one(BAD)]), ("good", [one(GOOD)]), ("same", [one(BAD)])]
    first, good, same = contest(groups, SOURCES, [REFERENCE], buckets=1, resamples=40).contestants
    assert first.p_holm is None and good.p_holm == pytest.approx(2 * 2 / 41) and same.p_holm == 1.0


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


@pytest.mark.parametrize("buckets", [0, -1, 1001, 10**9, 10**23])
def test_impossible_numbers_of_buckets(buckets: int) -> None:
    with pytest.raises(ValueError, match=f"buckets = {buckets} is not possible: choose from 1 to 1,000"):
        contest([("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=buckets)
    assert len(contest([("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=1000, resamples=2).buckets) <= 8
