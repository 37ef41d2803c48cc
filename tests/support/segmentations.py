"""Exact probabilities of segmentations, by enumeration, and whether draws are likely under them."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache

Pieces = tuple[str, ...]


def exactly(word: str, scores: Mapping[str, float], skip: float) -> dict[Pieces, float]:
    """Algorithm 1 of Provilkov et al. (2020): of all merges that are possible each is removed with a probability, the
    best of the others is made, until none is left. Every set of removed merges is tried."""

    @cache
    def shares(pieces: Pieces) -> tuple[tuple[Pieces, float], ...]:
        possible = [i for i in range(len(pieces) - 1) if pieces[i] + pieces[i + 1] in scores]
        total: dict[Pieces, float] = defaultdict(float)
        for kept in itertools.product([True, False], repeat=len(possible)):
            chance = math.prod(1 - skip if keep else skip for keep in kept)
            if not chance:
                continue
            left = [i for i, keep in zip(possible, kept, strict=True) if keep]
            if not left:
                total[pieces] += chance
                continue
            best = min(left, key=lambda i: (-scores[pieces[i] + pieces[i + 1]], i))
            merged = (*pieces[:best], pieces[best] + pieces[best + 1], *pieces[best + 2 :])
            for result, share in shares(merged):
                total[result] += chance * share
        return tuple(total.items())

    return dict(shares(tuple(word)))


def chi_square(counts: Counter[Pieces], expected: dict[Pieces, float]) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; results expected less than 5 times count as one."""
    draws = sum(counts.values())
    assert counts.keys() <= expected.keys() and math.isclose(sum(expected.values()), 1)
    often = {result for result, share in expected.items() if draws * share >= 5}
    cells = [(counts[result], draws * expected[result]) for result in often]
    rare = draws * sum(share for result, share in expected.items() if result not in often)
    if rare >= 5:
        cells.append((draws - sum(count for count, _ in cells), rare))
    return sum((count - mean) ** 2 / mean for count, mean in cells), len(cells) - 1


def assert_likely(counts: Counter[Pieces], expected: dict[Pieces, float]) -> None:
    """Below a bound of the chi-square distribution that chance exceeds in fewer than one of 10,000 tests."""
    statistic, freedom = chi_square(counts, expected)
    bound = freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty 1931
    assert statistic < bound, (statistic, freedom)
