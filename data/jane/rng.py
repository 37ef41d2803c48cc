"""Random draws built on `random.Random.random` alone, so that every Python version gives the same corpus."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Rng:
    """A seeded source of draws whose results depend on nothing but the seed."""

    def __init__(self, seed: int) -> None:
        self._uniform = random.Random(seed).random
        self._limits: dict[tuple[int, int], list[float]] = {}

    def uniform(self) -> float:
        return self._uniform()

    def shuffle(self, items: list[Item]) -> None:
        """Put a list in random order, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]

    def chance(self, probability: float) -> bool:
        return self._uniform() < probability

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1."""
        return min(int(self._uniform() * limit), limit - 1)

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def pick(self, options: Sequence[tuple[Item, float]]) -> Item:
        """One of the items of (item, weight) pairs."""
        total = 0.0
        for _, weight in options:
            total += weight  # not sum(): from Python 3.12 on it rounds in another way
        point = self._uniform() * total
        for item, weight in options:
            point -= weight
            if point < 0:
                return item
        return options[-1][0]

    def ranked(self, items: Sequence[Item], offset: int = 4) -> Item:
        """One of the items, the earlier ones more often: about 1 / (rank + offset), as in real text."""
        limits = self._limits.get((len(items), offset))
        if limits is None:
            limits = self._limits[len(items), offset] = _running_sums(len(items), offset)
        return items[min(bisect_right(limits, self._uniform() * limits[-1]), len(items) - 1)]

    def variant(self, text: str) -> str:
        """One of the "/"-separated variants of a text, the first one most often."""
        variants = text.split("/")
        return variants[0] if len(variants) == 1 or self.chance(0.55) else self.choice(variants[1:])


def _running_sums(count: int, offset: int) -> list[float]:
    """The running sums of the weights 1 / (rank + offset)."""
    sums, total = [], 0.0
    for rank in range(count):
        total += 1.0 / (rank + offset)
        sums.append(total)
    return sums
