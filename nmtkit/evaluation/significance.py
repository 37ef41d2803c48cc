"""How far to trust a number: Wilson's interval for shares, and the paired bootstrap for differences of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, changed, p_values, resampled
from nmtkit.evaluation.metric import Lines, Metric, Scale, check_texts
from nmtkit.evaluation.scoring import USUAL_SEED, check_resampling


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same text.

    Attributes:
        baseline, system: corpus scores.
        delta: score of the system less that of the baseline.
        p_value: for "no difference", two-sided, corrected for the number of systems that were compared with the
            baseline at once.
    """

    metric: Scale
    baseline: float
    system: float
    delta: float
    p_value: float
    signature: str

    @property
    def gain(self) -> float:
        """How much better the system is."""
        return self.metric.direction.gain(self.system, self.baseline)


def wilson(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927); (0.0, 1.0) where the total is 0."""
    assert 0 <= successes <= total and 0.0 < confidence < 1.0
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == total else min(1.0, centre + half),
    )


def paired_bootstrap(
    metric: Metric,
    baseline: Lines,
    systems: Sequence[Lines],
    references: Sequence[Lines],
    resamples: int = RESAMPLES,
    seed: int = USUAL_SEED,
) -> list[Comparison]:
    """Corpus scores of one or more systems, each against the baseline, on the same resamples."""
    texts = [baseline, *systems]
    for text in texts:
        check_texts(text, references)
    check_resampling(resamples, seed)
    first, *others = counted = [Counted.of(metric, text, references) for text in texts]
    scores = resampled(counted, resamples, np.random.default_rng(seed))
    p = p_values(scores[:, 1:] - scores[:, :1], len(baseline), [changed(first.table, other.table) for other in others])
    return [
        Comparison(
            metric=metric,
            baseline=float(scores[0, 0]),
            system=float(score),
            delta=float(score - scores[0, 0]),
            p_value=p_value,
            signature=metric.signature(len(references), resamples, seed),
        )
        for score, p_value in zip(scores[0, 1:], p, strict=True)
    ]
