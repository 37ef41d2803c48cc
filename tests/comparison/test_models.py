"""Models compared: every score against sacreBLEU itself, resamples against a loop, lengths against counting."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.comparison.models import Run, _mixture, compare_models
from nmtkit.evaluation.metrics import BLEU, METRICS, USUAL
from nmtkit.evaluation.significance import paired_bootstrap

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
    groups = [("bad", [one(BAD)]), ("good", [one(GOOD)])]
    made = compare_models(groups, SOURCES, [REFERENCE], buckets=1, resamples=40, seed=3)
    draws = np.random.default_rng(3).integers(8, size=(40, 8))
    scored = []
    for system, outputs in zip(made.systems, (BAD, GOOD), strict=True):
        for result, score in zip(system.results, (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf), strict=True):
            found = result.score
            assert found.value == pytest.approx(score(outputs, [REFERENCE]).score)
            drawn = [score([outputs[i] for i in d], [[REFERENCE[i] for i in d]]).score for d in draws]
            assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
            scored.append([found.value, *drawn])
    bad, good = made.systems
    gains = np.array(scored[2]) - np.array(scored[0])
    far = sum((8 / 5) ** 0.5 * abs(gain - gains[0]) >= abs(gains[0]) - 1e-9 for gain in gains[1:])
    assert bad.deciding.p_value is None and good.deciding.p_value == good.p_corrected == pytest.approx((1 + far) / 41)
    assert good.growth.value == 0 and "nrefs:1|bs:40|seed:3|" in made.signatures[0]


def test_buckets_hold_about_as_many_and_keep_lengths_together() -> None:
    """Words: 2, 1, 4, 3, 5, 1, 6, 2: in two parts those of 1 and 2, and those of 3 and more."""
    made = compare_models([("bad", [one(BAD)]), ("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=2, resamples=20)
    assert [(one.first, one.last, one.sentences) for one in made.buckets] == [(1, 2, 4), (3, 6, 4)]
    short, long = [0, 1, 5, 7], [2, 3, 4, 6]
    for system, outputs in zip(made.systems, (BAD, GOOD), strict=True):
        for part, bucket in zip((short, long), system.buckets, strict=True):
            expected = sacrebleu.corpus_bleu([outputs[i] for i in part], [[REFERENCE[i] for i in part]]).score
            assert bucket.value == pytest.approx(expected)
    good = made.systems[1]
    gains = [mine.value - other.value for mine, other in zip(good.buckets, made.systems[0].buckets, strict=True)]
    assert [gain.value for gain in good.gains] == pytest.approx(gains)
    assert good.growth.value == pytest.approx(gains[1] - gains[0])


def test_seeds_are_averaged_and_resampled_together() -> None:
    made = compare_models([("bad", [one(BAD)]), ("mixed", [one(GOOD), one(BAD)])], SOURCES, [REFERENCE], resamples=30)
    bad, mixed = made.systems
    values = [sacrebleu.corpus_bleu(outputs, [REFERENCE]).score for outputs in (GOOD, BAD)]
    assert mixed.deciding.score.value == pytest.approx(sum(values) / 2)
    assert mixed.spread == pytest.approx(np.std(values, ddof=1)) and bad.spread == 0
    groups = [("good", [one(GOOD)]), ("twice", [one(GOOD), one(GOOD)])]
    same = compare_models(groups, SOURCES, [REFERENCE], resamples=30)
    first, twice = same.systems
    assert astuple(first.deciding.score) == pytest.approx(astuple(twice.deciding.score))
    assert twice.deciding.p_value == twice.results[1].p_value == 1.0 and twice.growth.value == 0


def test_seeds_vary_as_the_mean_of_new_ones_would() -> None:
    """Of sentences that are all alike only the runs vary: their mean with standard error s / √n."""
    sources, reference = ["a b c"] * 4, ["the cat sat on the mat"] * 4
    outputs = [["the cat sat on the mat"] * 4, ["the cat sat on a mat"] * 4, ["the cat sat"] * 4]
    values = [sacrebleu.corpus_bleu(lines, [reference]).score for lines in outputs]
    (three,) = compare_models([("three", list(map(one, outputs)))], sources, [reference], resamples=4000).systems
    mixture = _mixture(np.random.default_rng(1), 3, 4000)
    means = mixture @ np.array(values)
    assert means[0] == pytest.approx(np.mean(values)) == pytest.approx(three.deciding.score.value)
    assert np.std(means[1:]) == pytest.approx(np.std(values, ddof=1) / 3**0.5, rel=0.03)
    (two,) = compare_models([("two", list(map(one, outputs[:2])))], sources, [reference], resamples=400).systems
    middle, away = sum(values[:2]) / 2, abs(values[0] - values[1]) / 2 * 2**0.5
    ends = (middle - away, min(100, middle + away))
    assert (two.deciding.score.low, two.deciding.score.high) == pytest.approx(ends), "a quarter of the draws each"


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
        made = compare_models([("a", drawn()), ("b", drawn())], reference, [reference], buckets=1, resamples=200)
        sure += (made.systems[1].deciding.p_value or 0) < 0.05
    assert sure <= 5, "with the runs left out of the resampling it is most of them"


def test_scores_of_new_seeds_stay_scores() -> None:
    """Two runs far apart: their means, stretched for new seeds, would reach below 0 and beyond 100."""
    wrong = ["x"] * len(REFERENCE)
    made = compare_models([("both", [one(REFERENCE), one(wrong)])], SOURCES, [REFERENCE], buckets=2, resamples=50)
    (both,) = made.systems
    for score in (both.deciding.score, both.results[1].score, *both.buckets):
        assert score.value == pytest.approx(50, abs=3) and (score.low, score.high) == pytest.approx((0, 100), abs=1e-6)


def test_several_are_corrected_for_their_number() -> None:
    """As the step-down test corrects them that the tests of the bootstrap hold against its papers."""
    pairs = list(enumerate(zip(GOOD, BAD, strict=True)))
    better, worse = ([good if bool(place % 4) == sign else bad[:3] for place, (good, bad) in pairs] for sign in (1, 0))
    lines = {"bad": BAD * 4, "some": [*better, *worse, *BAD * 2], "rest": [*BAD * 2, *worse, *better], "same": BAD * 4}
    texts = SOURCES * 4, [REFERENCE * 4]
    made = compare_models([(name, [one(outputs)]) for name, outputs in lines.items()], *texts, buckets=1, resamples=400)
    first, *others = made.systems
    rivals = [lines[other.name] for other in others]
    wanted = paired_bootstrap(BLEU, lines["bad"], rivals, texts[1], resamples=400)
    assert first.p_corrected is None
    assert [other.p_corrected for other in others] == pytest.approx([comparison.p_value for comparison in wanted])
    for other, rival in zip(others, rivals, strict=True):
        (alone,) = paired_bootstrap(BLEU, lines["bad"], [rival], texts[1], resamples=400)
        assert other.deciding.p_value == pytest.approx(alone.p_value)
    assert all(other.deciding.p_value <= other.p_corrected < 0.1 for other in others[:2])
    assert any(other.deciding.p_value < other.p_corrected for other in others[:2])
    assert others[2].deciding.p_value == others[2].p_corrected == 1.0


def test_any_metric_may_stand_beside_and_may_decide() -> None:
    """TER as a column, and as what decides: then buckets, gains and the corrected p are its own."""
    groups = [("bad", [one(BAD)]), ("good", [one(GOOD), one(BAD)])]
    ter = METRICS["ter"]
    beside = compare_models(groups, SOURCES, [REFERENCE], (*USUAL, ter), buckets=2, resamples=30)
    plain = compare_models(groups, SOURCES, [REFERENCE], buckets=2, resamples=30)
    for system, other in zip(beside.systems, plain.systems, strict=True):
        assert replace(system, results=system.results[:2]) == other
    decides = compare_models(groups, SOURCES, [REFERENCE], (ter,), buckets=2, resamples=30)
    assert decides.systems[1].deciding == beside.systems[1].results[2]
    wanted = [sacrebleu.TER().corpus_score(outputs, [REFERENCE]).score for outputs in (GOOD, BAD)]
    assert decides.systems[1].deciding.score.value == pytest.approx(sum(wanted) / 2)
    assert decides.systems[1].gains[0].value < 0, "fewer edits"


def test_a_ter_may_exceed_100() -> None:
    (wordy,) = compare_models(
        [("wordy", [one(["x " * 30] * 8)])], SOURCES, [REFERENCE], (METRICS["ter"],), buckets=1, resamples=20
    ).systems
    assert 100 < wordy.deciding.score.low <= wordy.deciding.score.value == pytest.approx(wordy.buckets[0].value)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 6))
def test_every_sentence_is_in_one_bucket(lengths: list[int], buckets: int) -> None:
    sources = [" ".join("x" * length) for length in lengths]
    lines = ["a b c d e"] * len(lengths)
    made = compare_models([("m", [one(lines)])], sources, [lines], buckets=buckets, resamples=2)
    assert sum(bucket.sentences for bucket in made.buckets) == len(lengths) and 1 <= len(made.buckets) <= buckets
    for bucket, after in zip(made.buckets, made.buckets[1:], strict=False):
        assert bucket.first <= bucket.last < after.first
    assert made.systems[0].deciding.score.value == pytest.approx(100)


@pytest.mark.parametrize("buckets", [0, -1, 1001, 10**9, 10**23])
def test_impossible_numbers_of_buckets(buckets: int) -> None:
    with pytest.raises(ValueError, match=f"buckets = {buckets} is not possible: choose from 1 to 1,000"):
        compare_models([("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=buckets)
    assert len(compare_models([("good", [one(GOOD)])], SOURCES, [REFERENCE], buckets=1000, resamples=2).buckets) <= 8
