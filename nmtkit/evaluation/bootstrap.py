"""The bootstrap over sentences (Efron 1979; paired, Koehn 2004), which is behind every interval and every test.

A corpus score is computed from counts summed over sentences. A resample draws as many sentences as the text has, with
replacement, and sums and scores them again. Texts that are compared are drawn together, the same sentences for each.

* Interval: the 95 % percentile interval, from the 2.5 % to the 97.5 % quantile of the resampled scores.
* Test of "no difference" between two texts, two-sided: the share of the resamples whose difference lies at least as far
  from the difference d of the whole text as d lies from zero. Resamples of n sentences vary less than new texts would,
  and few sentences give a poor estimate of the variance. So the resampled differences are stretched by √(n / (n − 3)),
  to the variance of Student's t.
* Where several rivals are compared with one text, the largest of their differences is large by chance alone. So the
  differences are studentised, and each |t| is compared with the largest |t| of a resample, step by step, beginning with
  the rival with the largest |t| (Westfall and Young 1993; Romano and Wolf 2005). For one rival this is the test above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmtkit.evaluation.metric import Counts, Lines, Metric

RESAMPLES = 1000
CHANCE = 0.05
"""Below this p-value a difference is called beyond chance."""
CELLS = 1 << 20
"""The most sentences × resamples that are drawn at a time, so that memory does not grow with their product."""
DIGITS = 9
"""Decimals to which differences are rounded, so that equal ones are equal in spite of rounding errors."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % percentile interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats) -> Interval:
        """The interval of values: the first is that of the whole text, the others are those of the resamples."""
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return cls(float(values[0]), float(low), float(high))


@dataclass(frozen=True)
class Counted:
    """A text as counts, and the score of their sums.

    Attributes:
        table: what is counted in each sentence, (sentences, counts).
        score: computes scores from sums of such rows, (sums, counts) to (sums,).
    """

    table: Floats
    score: Callable[[Floats], Sequence[float] | Floats]

    @classmethod
    def of(cls, metric: Metric, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None) -> Counted:
        """What a metric counts in every output, and how it scores the sums."""
        counts: Counts = metric.statistics(outputs, references, sources)
        return cls(np.array(counts, dtype=np.float64), lambda sums: metric.score(sums.tolist()))

    def only(self, part: NDArray[np.bool_]) -> Counted:
        """The text with the counts of all sentences outside a part set to zero."""
        return Counted(self.table * part[:, None], self.score)


def resampled(texts: Sequence[Counted], resamples: int, generator: np.random.Generator) -> Floats:
    """Scores, (1 + resamples, texts): first of the whole texts, then of resamples, drawn alike for all texts."""
    sentences = len(texts[0].table)
    return np.vstack(
        [
            np.stack([np.asarray(text.score(weights @ text.table), dtype=np.float64) for text in texts], axis=1)
            for weights in _weights(sentences, resamples, generator)
        ]
    )


def _weights(sentences: int, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Blocks of rows that say how often each sentence counts: once in the first row, then as often as it is drawn."""
    yield np.ones((1, sentences))
    most = max(1, CELLS // sentences)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = generator.integers(sentences, size=(rows, sentences)) + sentences * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * sentences).reshape(rows, sentences).astype(np.float64)


def changed(first: Floats, second: Floats) -> int:
    """The number of sentences in which the counts of two texts differ."""
    return int((first != second).any(axis=1).sum())


def p_values(differences: Floats, sentences: int, different: Sequence[int]) -> list[float]:
    """Two-sided p-values of "no difference" for each rival, corrected for their number; 1 for three sentences or fewer.

    Args:
        differences: rival less the text that all are compared with, (1 + resamples, rivals); the whole text first.
        sentences: number of sentences of the text.
        different: number of sentences in which each rival differs. By a fair coin, all k of them favour the same side
            with probability 2 / 2^k, which is the most extreme case; so no p-value is lower.
    """
    if sentences <= 3:
        return [1.0] * len(different)
    stretch = math.sqrt(sentences / (sentences - 3))
    differences = np.round(differences, DIGITS)
    observed, away = np.abs(differences[0]), np.round(np.abs(differences[1:] - differences[0]), DIGITS)
    spread = np.sqrt(np.mean(away**2, axis=0))
    certain = np.where(observed > 0, np.inf, 0.0)
    t = np.divide(observed, spread, out=certain, where=spread > 0)
    drawn = np.divide(stretch * away, spread, out=np.zeros_like(away), where=spread > 0)
    order = np.argsort(-t, kind="stable")
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]  # over a rival and those with a smaller |t|
    reached = (1 + (largest >= t[order]).sum(axis=0)) / len(differences)
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(reached)  # no p-value is below that of a larger |t|
    return [max(float(p), min(1.0, 2.0 ** (1 - count))) for p, count in zip(corrected, different, strict=True)]
