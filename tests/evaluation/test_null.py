"""Equal systems are rarely told apart, better ones are, and intervals hold the truth (minutes: `make test-slow`)."""

from __future__ import annotations

import numpy as np
import pytest
from support.null_toys import Pool, counted_once

from nmtkit.evaluation.metric import Metric
from nmtkit.evaluation.metrics import CHRF, USUAL
from nmtkit.evaluation.scoring import evaluate
from nmtkit.evaluation.significance import paired_bootstrap

pytestmark = pytest.mark.slow

SENTENCES, RESAMPLES = 200, 300


@pytest.mark.parametrize("share", [0.03, 0.3, 1.0])
def test_equal_systems_differ_no_more_often_than_chance_has_it(share: float) -> None:
    """From a dozen sentences that differ to nearly all: p < 0.05 in 6 % at most, and p < 0.5 in about half."""
    pool, generator, comparisons = Pool(), np.random.default_rng(11), 1000
    with counted_once():
        for metric in USUAL:
            found = np.array([compared(pool, generator, metric, share) for _ in range(comparisons)])
            rate = (found < 0.05).mean()
            print(f"{metric.name}, {share:.0%} redrawn: p < 0.05 in {rate:.1%} of {comparisons}")
            assert rate <= 0.06 and 0.45 < (found < 0.5).mean() < 0.6, "nor is it merely shy"


@pytest.mark.parametrize("sentences", [6, 10, 20])
def test_a_few_sentences_prove_no_more_than_they_can(sentences: int) -> None:
    pool, generator, comparisons = Pool(), np.random.default_rng(13), 1000
    with counted_once():
        found = np.array([compared(pool, generator, CHRF, 1.0, sentences=sentences) for _ in range(comparisons)])
    print(f"chrf, {sentences} sentences: p < 0.05 in {(found < 0.05).mean():.1%} of {comparisons}")
    assert (found < 0.05).mean() <= 0.06


def compared(
    pool: Pool,
    generator: np.random.Generator,
    metric: Metric,
    share: float,
    *,
    better: bool = False,
    sentences: int = SENTENCES,
) -> float:
    """The p-value; of a planted gain 1 where the worse system seems the better one."""
    text = pool.text(generator, sentences)
    first, second = pool.system(generator, text, share), pool.system(generator, text, share, better)
    references, seed = [[pool.references[number] for number in text]], int(generator.integers(10**6))
    (one,) = paired_bootstrap(metric, first, [second], references, RESAMPLES, seed)
    return 1.0 if better and one.delta < 0 else one.p_value


def test_planted_gains_are_found() -> None:
    pool, generator = Pool(gain=0.1), np.random.default_rng(3)
    with counted_once():
        for metric in USUAL:
            found = np.array([compared(pool, generator, metric, 0.3, better=True) for _ in range(300)])
            print(f"planted gain, {metric.name}: p < 0.05 in {(found < 0.05).mean():.1%} of 300")
            assert (found < 0.05).mean() > 0.8


@pytest.mark.parametrize("sentences", [100, 400])
def test_percentile_intervals_hold_the_score_of_the_population(sentences: int) -> None:
    """Of 95 % of the samples, within what 600 of them let chance do (two standard errors: 1.8 %)."""
    pool, generator, samples = Pool(), np.random.default_rng(5), 600
    with counted_once():
        truth = evaluate([drafts[0] for drafts in pool.drafts], [pool.references], resamples=2)
        held = np.zeros(2)
        for _ in range(samples):
            text = pool.text(generator, sentences)
            outputs, references = [pool.drafts[number][0] for number in text], [pool.references[n] for n in text]
            seed = int(generator.integers(10**6))
            found = evaluate(outputs, [references], resamples=500, seed=seed)
            held += [one.low <= true.value <= one.high for one, true in zip(found, truth, strict=True)]
    print(f"{sentences} sentences: held by {held / samples} of the intervals of BLEU and chrF")
    assert (np.abs(held / samples - 0.95) < 0.02).all()
