"""Minimum Bayes risk: of a list of translations, the one that the others agree with most (Eikema and Aziz 2020).

The list stands for what a sentence may mean, a sample of the model for example (Freitag et al. 2022). The expected
utility of a translation is its mean sentence score against all texts of the list as references, its own among them. A
text that occurs more than once counts as often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmtkit.evaluation.metric import Metric

ROWS = 256
"""Number of different texts that are scored against all others at one time."""
EQUAL = 1e-9
"""Expected utilities that differ by no more than this are equal."""


@dataclass(frozen=True)
class Decision:
    """The index of the chosen text in its list, and its expected utility."""

    index: int
    utility: float


def decide(texts: Sequence[str], metric: Metric) -> Decision:
    """The text with the best expected utility; the earliest of equals."""
    utilities = expected_utilities(texts, metric)
    gains = [metric.direction.gain(utility, 0.0) for utility in utilities]
    best = max(gains)
    index = next(index for index, gain in enumerate(gains) if gain >= best - EQUAL)
    return Decision(index, utilities[index])


def expected_utilities(texts: Sequence[str], metric: Metric) -> list[float]:
    """The mean sentence score of each text against all of them, at least one."""
    counts = Counter(texts)
    different = list(counts)
    weights = np.array(list(counts.values())) / len(texts)
    known: dict[str, float] = {}
    for start in range(0, len(different), ROWS):
        rows = different[start : start + ROWS]
        known |= zip(rows, (np.asarray(metric.pairwise(rows, different)) @ weights).tolist(), strict=True)
    return [known[text] for text in texts]
