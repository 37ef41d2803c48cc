"""Which pairs also stand in the dev or the test text, whole or on one side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmtkit.preflight.findings import Kind
from nmtkit.preflight.partitions import digests
from nmtkit.preflight.reading import Block, pairs
from nmtkit.preflight.repeats import Numbers

DEV = (Kind.IN_DEV, Kind.SOURCE_IN_DEV, Kind.TARGET_IN_DEV)
TEST = (Kind.IN_TEST, Kind.SOURCE_IN_TEST, Kind.TARGET_IN_TEST)


class HeldOut:
    """The lines of a text that should not be trained on, as hashes; dev and test texts are small.

    Attributes:
        kinds: how a pair, a source alone and a target alone are called that stand in it.
    """

    def __init__(self, kinds: tuple[Kind, Kind, Kind], source: Path, target: Path) -> None:
        self.kinds = kinds
        self._known: tuple[dict[bytes, int], dict[bytes, int], dict[bytes, int]] = ({}, {}, {})
        with pairs(source, target) as blocks:
            for block in blocks:
                hashes = digests(block.source.raw), digests(block.target.raw)
                for known, keys in zip(self._known, _with_pairs(*hashes), strict=True):
                    for key, number in zip(keys, block.numbers.tolist(), strict=True):
                        known.setdefault(key, number)

    def find(
        self, block: Block, sources: Sequence[bytes], targets: Sequence[bytes]
    ) -> list[tuple[Kind, Numbers, Numbers]]:
        """For each kind, the numbers of pairs of the block and those of the first that are the same in this text.

        A pair that stands in it whole is not counted for its sides.

        Args:
            sources: the hashes of the block's sources.
            targets: those of its targets.
        """
        found = []
        whole: set[int] = set()
        for kind, known, keys in zip(self.kinds, self._known, _with_pairs(sources, targets), strict=True):
            rows = [row for row, key in enumerate(keys) if key in known and row not in whole]
            others = np.array([known[keys[row]] for row in rows], dtype=np.int64)
            found.append((kind, block.numbers[rows], others))
            if kind is self.kinds[0]:
                whole = {*rows}
        return found


def _with_pairs(sources: Sequence[bytes], targets: Sequence[bytes]) -> tuple[Sequence[bytes], ...]:
    return [source + target for source, target in zip(sources, targets, strict=True)], sources, targets
