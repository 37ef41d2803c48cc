"""Which pairs repeat others: whole, or on one side only; and which lines occur very often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight.partitions import Records

Numbers = npt.NDArray[np.int64]
OFTEN = 10
"""The fewest times that a line occurs very often."""
ONE_IN = 10_000
"""It must also be at least one line in so many."""


@dataclass(frozen=True)
class Repeats:
    """What repeats in records whose keys are hashes of one side; numbers of pairs, each with that of the first.

    Attributes:
        pairs: pairs that repeat an earlier one, and these.
        sides: pairs whose side stood in an earlier pair with another partner, and the first pair with that side.
            Repeated pairs are not among them.
        often: pairs whose side occurs very often.
        lines: one row for each such line: how often it occurs and its first pair.
    """

    pairs: tuple[Numbers, Numbers]
    sides: tuple[Numbers, Numbers]
    often: Numbers
    lines: tuple[Numbers, Numbers]


def fewest(pairs: int) -> int:
    """How often a line of so many must occur to occur very often."""
    return max(OFTEN, -(-pairs // ONE_IN))


def repeats(parts: Iterable[Records], often: int) -> Iterator[Repeats]:
    """The repeats of each part, as `Partitions` gives them.

    Args:
        often: how often a line must occur to occur very often.
    """
    for records in parts:
        if len(records):
            yield _repeats(records, often)


def _repeats(records: Records, often: int) -> Repeats:
    numbers = records["number"]
    new_key = _changes(records["key"])
    new_pair = new_key | _changes(records["other"])
    first_of_pair = numbers[np.flatnonzero(new_pair)][np.cumsum(new_pair) - 1]  # numbers ascend within a pair
    groups = np.flatnonzero(new_key)
    group = np.cumsum(new_key) - 1
    first_of_key = np.minimum.reduceat(numbers, groups)
    sizes = np.diff(groups, append=len(records))
    repeated = ~new_pair
    further = new_pair & (numbers != first_of_key[group])
    frequent = sizes >= often
    return Repeats(
        (numbers[repeated], first_of_pair[repeated]),
        (numbers[further], first_of_key[group[further]]),
        numbers[frequent[group]],
        (sizes[frequent], first_of_key[frequent]),
    )


def _changes(hashes: Any) -> npt.NDArray[np.bool_]:
    """Where a hash differs from the one before."""
    return np.concatenate([[True], np.any(hashes[1:] != hashes[:-1], axis=1)])
