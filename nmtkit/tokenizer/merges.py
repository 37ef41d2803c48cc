"""Byte pair encoding of a word (Sennrich et al. 2016), with merges left out at random (Provilkov et al. 2020)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping


class Skips:
    """Independent decisions, each of which is "skip" with the same probability.

    A random number is drawn for each skip only: the decisions up to the next skip have a geometric distribution.
    """

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._rng = rng
        self._scale = math.log1p(-probability) if probability < 1 else -math.inf
        self._kept = self._until_next()

    def next(self) -> bool:
        """The next decision."""
        if self._kept:
            self._kept -= 1
            return False
        self._kept = self._until_next()
        return True

    def none_among(self, count: int) -> bool:
        """Whether none of the next `count` decisions is to skip; if so, they are made."""
        if self._kept < count:
            return False
        self._kept -= count
        return True

    def _until_next(self) -> float:
        """The number of decisions before the next skip."""
        return math.log(1 - self._rng.random()) // self._scale if self._scale else math.inf


def merge(word: str, scores: Mapping[str, float], skips: Skips) -> list[str]:
    """The pieces of a word: neighbours are joined, the best pair first and the leftmost of equals.

    Before each merge the pairs are tried in this order, until one is not skipped; if all are, the word is done. That is
    Algorithm 1 of Provilkov et al. (2020), which skips some of the pairs and merges the best of the others.

    Args:
        scores: by piece; pairs of a higher score are merged earlier.
    """
    pieces = list(word)
    pairs = [scores.get(left + right, -math.inf) for left, right in zip(pieces, pieces[1:], strict=False)]
    left = pairs  # those not yet skipped
    while (best := max(left, default=-math.inf)) > -math.inf:
        place = left.index(best)
        if skips.next():
            left = left.copy() if left is pairs else left
            left[place] = -math.inf
            continue
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        del pairs[place]
        for near in (place - 1, place):
            if 0 <= near < len(pairs):
                pairs[near] = scores.get(pieces[near] + pieces[near + 1], -math.inf)
        left = pairs
    return pieces
