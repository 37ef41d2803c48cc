"""Minimum Bayes risk: of some translations, the one that the others agree with most (Kumar and Byrne 2004).

The expected utility of a candidate is the weighted mean of its sentence scores against references, which stand for what
the model believes. Samples of the model have equal weights, and the mean estimates the expectation under the model
without bias, wherever the candidates come from (Eikema and Aziz 2020). The translations of an n-best list have their
probabilities as weights, normalised over the list (`posterior`). The weights of equal texts add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmtkit.evaluation.metric import Metric

EQUAL = 1e-9
"""Expected utilities that differ by no more than this are equal."""


@dataclass(frozen=True)
class Decision:
    """The index of the chosen text among the candidates, and its expected utility."""

    index: int
    utility: float


def decide(
    candidates: Sequence[str], references: Sequence[str], metric: Metric, weights: Sequence[float] | None = None
) -> Decision:
    """The candidate with the best expected utility; the earliest of equals.

    Args:
        candidates: at least one.
        references: at least one, as in `expected_utilities`.
        weights: as in `expected_utilities`.
    """
    utilities = expected_utilities(candidates, references, metric, weights)
    gains = [metric.direction.gain(utility, 0.0) for utility in utilities]
    best = max(gains)
    index = next(index for index, gain in enumerate(gains) if gain >= best - EQUAL)
    return Decision(index, utilities[index])


def expected_utilities(
    candidates: Sequence[str], references: Sequence[str], metric: Metric, weights: Sequence[float] | None = None
) -> list[float]:
    """The weighted mean of the sentence scores of each candidate against the references.

    Args:
        references: the texts that stand for the model's beliefs, often the candidates themselves.
        weights: one for each reference, 1 in all; None: all equal.
    """
    mass: dict[str, float] = defaultdict(float)
    for text, weight in zip(references, weights or [1 / len(references)] * len(references), strict=True):
        mass[text] += weight
    different = list(dict.fromkeys(candidates))
    rows = metric.pairwise(different, list(mass))
    known = {text: float(np.dot(row, list(mass.values()))) for text, row in zip(different, rows, strict=True)}
    return [known[text] for text in candidates]


def posterior(log_probs: Sequence[float]) -> list[float]:
    """The probabilities of translations, given that it is one of them, from the log P of each in nats."""
    total = np.logaddexp.reduce(np.asarray(log_probs, dtype=np.float64))
    weights: list[float] = np.exp(np.asarray(log_probs, dtype=np.float64) - total).tolist()
    return weights
