"""A sweep over equal settings keeps the present one, and finds a planted better one (minutes: `make test-slow`)."""

from __future__ import annotations

import numpy as np
import pytest
from support.null_toys import Pool, counted_once

from nmtkit.blame.sweep import Setting, Sweep, best_of, compared
from nmtkit.evaluation.metrics import BLEU
from nmtkit.evaluation.scoring import evaluate
from nmtkit.evaluation.significance import paired_bootstrap

pytestmark = pytest.mark.slow

SETTINGS, PRESENT, PLANTED = 6, 2, 3
SENTENCES, RESAMPLES = 200, 300


def swept(pool: Pool, generator: np.random.Generator, planted: bool = False) -> tuple[Sweep, float]:
    """A sweep of made outputs, and the p-value of the best had it been the only rival; 1 where it is the present."""
    text = pool.text(generator, SENTENCES)
    references = [[pool.references[number] for number in text]]
    outputs = [pool.system(generator, text, 0.3, planted and place == PLANTED) for place in range(SETTINGS)]
    p_values = compared(BLEU, outputs, PRESENT, references, RESAMPLES)
    settings = tuple(
        Setting(beam, 1.0, tuple(evaluate(lines, references, resamples=2)), 0, 0, 1.0, 1.0, p)
        for beam, (lines, p) in enumerate(zip(outputs, p_values, strict=True), start=1)
    )
    best = best_of(settings, PRESENT)
    (alone,) = paired_bootstrap(BLEU, outputs[PRESENT], [outputs[best]], references, RESAMPLES)
    return Sweep(settings, SENTENCES, PRESENT, best, 50.0), alone.p_value


def test_of_equal_settings_the_present_one_is_kept() -> None:
    """Another is called better in 6 % of the sweeps at most; uncorrected it would be in more."""
    pool, generator, sweeps = Pool(), np.random.default_rng(5), 600
    with counted_once():
        found = [swept(pool, generator) for _ in range(sweeps)]
    better = np.mean([made.chosen is not made.settings[PRESENT] for made, _ in found])
    decided = np.mean([any(one.decided for one in made.settings) for made, _ in found])
    naive = np.mean([alone < 0.05 for _, alone in found])
    print(f"equal: another better in {better:.1%} of {sweeps}, better or worse in {decided:.1%}, naive {naive:.1%}")
    assert better <= 0.06 < naive


def test_a_planted_gain_is_found() -> None:
    pool, generator, sweeps = Pool(gain=0.1), np.random.default_rng(6), 300
    with counted_once():
        found = [swept(pool, generator, planted=True) for _ in range(sweeps)]
    power = np.mean([made.chosen is made.settings[PLANTED] for made, _ in found])
    naive = np.mean([made.best == PLANTED and alone < 0.05 for made, alone in found])
    print(f"planted gain: chosen in {power:.1%} of {sweeps}, by an uncorrected test in {naive:.1%}")
    assert power > 0.6 and naive - power < 0.25
