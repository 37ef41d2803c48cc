"""Intervals and tests against textbook values and NumPy."""

import math

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.evaluation import metrics
from nmtkit.evaluation.significance import paired_bootstrap, wilson

REFERENCE = [
    f"the {animal} sleeps in the {place} all day" for animal in ("cat", "dog", "cow") for place in ("sun", "bed")
]
BASELINE = [line.replace("sleeps in", "slept at") if i % 2 else line for i, line in enumerate(REFERENCE)]
SYSTEM = [line.replace("all day", "all the day") if i == 0 else line for i, line in enumerate(REFERENCE)]


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_of_the_literature(successes, total, low, high):
    assert wilson(successes, total) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(data=st.data(), total=st.integers(1, 10**6), z=st.floats(0.5, 3.5))
def test_wilson_bounds_are_where_the_score_test_turns(data, total, z):
    """|share - p| = z sqrt(p (1 - p) / n) holds at both bounds: the definition, not the formula."""
    successes = data.draw(st.integers(0, total))
    confidence = math.erf(z / math.sqrt(2))
    share = successes / total
    low, high = wilson(successes, total, confidence)
    assert 0.0 <= low <= share <= high <= 1.0
    for bound in (low, high):
        if 0.0 < bound < 1.0:
            assert abs(share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / total), rel=1e-4, abs=1e-9)


def test_wilson_of_nothing_knows_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_more_confidence_is_wider():
    assert wilson(3, 10, 0.99)[0] < wilson(3, 10, 0.9)[0] < 0.3 < wilson(3, 10, 0.9)[1] < wilson(3, 10, 0.99)[1]


@pytest.mark.parametrize("metric", [metrics.BLEU, metrics.CHRF], ids=["BLEU", "chrF"])
def test_paired_bootstrap_against_numpy(metric):
    """The same draws scored as whole corpora; p counts differences as far from the real one as that is from zero.

    That is, if they had the variance of Student's t: 6 sentences stretch them by √(6 / 3), 30 by √(30 / 27).
    """
    corpus = sacrebleu.corpus_bleu if metric is metrics.BLEU else sacrebleu.corpus_chrf
    (found,) = paired_bootstrap(metric, BASELINE, [SYSTEM], [REFERENCE], resamples=200, seed=5)
    draws = np.random.default_rng(5).choice(6, size=(200, 6), replace=True)

    def scores(lines):
        return np.array([corpus([lines[i] for i in d], [[REFERENCE[i] for i in d]]).score for d in draws])

    delta = corpus(SYSTEM, [REFERENCE]).score - corpus(BASELINE, [REFERENCE]).score
    beyond = int((2**0.5 * np.abs(scores(SYSTEM) - scores(BASELINE) - delta) >= abs(delta) - 1e-9).sum())
    assert found.delta == pytest.approx(delta, abs=1e-9)
    changed = sum(a != b for a, b in zip(BASELINE, SYSTEM, strict=True))
    assert changed == 4 and found.p_value == pytest.approx(max(2 / 2**4, (1 + beyond) / 201), abs=1e-9)
    assert (found.baseline, found.system) == (
        pytest.approx(corpus(BASELINE, [REFERENCE]).score),
        pytest.approx(corpus(SYSTEM, [REFERENCE]).score),
    )
    assert "bs:200|seed:5|" in found.signature
    assert found.metric == metric and found.gain == found.delta
    (many,) = paired_bootstrap(metric, BASELINE * 5, [SYSTEM * 5], [REFERENCE * 5], resamples=200, seed=5)
    draws = np.random.default_rng(5).choice(30, size=(200, 30), replace=True) % 6
    away = (30 / 27) ** 0.5 * np.abs(scores(SYSTEM) - scores(BASELINE) - delta)
    beyond = int((away >= abs(delta) - 1e-9).sum())
    assert many.p_value == pytest.approx((1 + beyond) / 201, abs=1e-9)


def test_systems_compared_at_once_are_corrected_for_it():
    """Never below what each has alone, the same where it is alone, and in their order."""
    rivals = [SYSTEM * 5, BASELINE * 5, [*REFERENCE * 4, *BASELINE]]
    together = paired_bootstrap(metrics.BLEU, BASELINE * 5, rivals, [REFERENCE * 5], resamples=100)
    alone = [paired_bootstrap(metrics.BLEU, BASELINE * 5, [one], [REFERENCE * 5], resamples=100)[0] for one in rivals]
    assert [one.delta for one in together] == [one.delta for one in alone]
    assert all(one.p_value >= other.p_value for one, other in zip(together, alone, strict=True))
    assert together[1].p_value == 1.0 and together[2].p_value == 1 / 101
    assert paired_bootstrap(metrics.BLEU, BASELINE, [], [REFERENCE], resamples=2) == []


def test_a_system_against_itself_and_the_other_way_round():
    def one(metric, baseline, system):
        return paired_bootstrap(metric, baseline, [system], [REFERENCE], resamples=50)[0]

    same = one(metrics.CHRF, SYSTEM, SYSTEM)
    assert same.delta == 0.0 and same.p_value == 1.0
    assert one(metrics.BLEU, ["x"] * 6, ["y"] * 6).p_value == 1.0, "0 and 0"
    there, back = one(metrics.BLEU, BASELINE, SYSTEM), one(metrics.BLEU, SYSTEM, BASELINE)
    assert there.delta == -back.delta > 0 and there.p_value == back.p_value


def test_where_lower_is_better_a_fall_is_a_gain():
    (found,) = paired_bootstrap(metrics.METRICS["ter"], BASELINE, [REFERENCE], [REFERENCE], resamples=50)
    assert found.system == 0.0 < found.baseline == found.gain == -found.delta


def test_one_sentence_says_nothing():
    (found,) = paired_bootstrap(metrics.BLEU, BASELINE[1:2], [SYSTEM[1:2]], [REFERENCE[1:2]], resamples=50)
    assert found.delta > 0 and found.p_value == 1.0


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="reference 1 has 6 lines but the hypothesis has 5"):
        paired_bootstrap(metrics.BLEU, BASELINE, [SYSTEM[:5]], [REFERENCE])
    with pytest.raises(ValueError, match="resamples = 0 is not possible"):
        paired_bootstrap(metrics.BLEU, BASELINE, [SYSTEM], [REFERENCE], resamples=0)
