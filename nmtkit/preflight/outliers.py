"""Pairs that differ from the rest of the text: in the ratio of lengths, and in the script.

What is usual is learned from the pairs without a problem alone, again and again until no pair with a problem is new.
So a text that was cleaned once is clean: what is usual in it is what was usual for the pairs that stayed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight.characters import NONE, SCRIPTS
from nmtkit.preflight.columns import Columns, clean
from nmtkit.preflight.findings import Kind, Ratio
from nmtkit.preflight.tally import Tally

SCALE = 1000
"""Ratios are whole thousandths of a natural logarithm."""
ADDED = 10
"""Characters added to both lengths, so that the ratio of two short lines says little."""
LEAST = math.log(3)
"""A ratio less than 3 times the usual one is never odd."""
DEVIATIONS = 6
"""Standard deviations from the median that are odd, the deviation being 1.4826 times the median absolute one."""
SHARE = 0.9
"""A side has a script if so many of its lines have it."""
LARGEST = 32_000
SIDES = ("source", "target")


@dataclass(frozen=True)
class Usual:
    """What is usual: the ratio, the distance from it that is not odd, and the script of each side or `NONE`."""

    ratio: int
    distance: float
    scripts: tuple[int, int]

    def odd(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which ratios are odd."""
        far: npt.NDArray[np.bool_] = np.abs(rows["ratio"].astype(np.int32) - self.ratio) > self.distance
        return far

    def other_script(self, rows: npt.NDArray[Any], side: str) -> npt.NDArray[np.bool_]:
        """Which rows have another script on a side."""
        script = self.scripts[side == "target"]
        other: npt.NDArray[np.bool_] = (rows[side] != NONE) & (rows[side] != script) & (script != NONE)
        return other


def ratios(source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """The ratios of lengths, as `SCALE` and `ADDED` say."""
    logarithms = np.log((source + ADDED) / (target + ADDED))
    whole: npt.NDArray[np.int16] = np.clip(np.rint(SCALE * logarithms), -LARGEST, LARGEST).astype(np.int16)
    return whole


def outliers(columns: Columns, tally: Tally) -> tuple[Ratio, tuple[str | None, str | None]]:
    """Mark the outliers and count them; returns the usual ratio and scripts."""
    while True:
        usual = _usual(columns)
        if not _mark(columns, usual):
            break
    for first, rows in columns.parts():
        seen = rows["marks"] & np.uint32(Kind.EMPTY.bit | Kind.INVALID.bit) == 0
        tally.pairs(Kind.RATIO, first + np.flatnonzero((rows["marks"] & np.uint32(Kind.RATIO.bit)) > 0))
        source, target = (first + np.flatnonzero(usual.other_script(rows, side) & seen) for side in SIDES)
        tally.sides(Kind.SCRIPT, source, target)
    low, ratio, high = (
        math.exp(exponent / SCALE)
        for exponent in (usual.ratio - usual.distance, usual.ratio, usual.ratio + usual.distance)
    )
    names = [SCRIPTS[script] if script else None for script in usual.scripts]
    return Ratio(ratio, low, high), (names[0], names[1])


def _usual(columns: Columns) -> Usual:
    counts = np.zeros(2 * LARGEST + 1, dtype=np.int64)
    scripts = np.zeros((2, len(SCRIPTS)), dtype=np.int64)
    for _, rows in columns.parts():
        kept = rows[clean(rows)]
        counts += np.bincount(kept["ratio"].astype(np.int64) + LARGEST, minlength=len(counts))
        for of_side, side in zip(scripts, SIDES, strict=True):
            of_side += np.bincount(kept[side], minlength=len(SCRIPTS))
    median = _median(counts)
    above = counts[median:]
    distances = np.zeros(len(counts), dtype=np.int64)
    distances[: len(above)] += above
    distances[1 : median + 1] += counts[:median][::-1]
    deviation = 1.4826 * _median(distances)
    scripts[:, NONE] = 0
    main = [int(of.argmax()) if of.sum() and of.max() >= SHARE * of.sum() else NONE for of in scripts]
    return Usual(median - LARGEST, max(SCALE * LEAST, DEVIATIONS * deviation), (main[0], main[1]))


def _mark(columns: Columns, usual: Usual) -> bool:
    """Mark the outliers; returns whether a pair that had no problem has one now."""
    changed = False
    for _, rows in columns.parts():
        before = clean(rows)
        seen = rows["marks"] & np.uint32(Kind.EMPTY.bit | Kind.INVALID.bit) == 0
        source, target = (usual.other_script(rows, side) for side in SIDES)
        rows["marks"][usual.odd(rows) & seen] |= np.uint32(Kind.RATIO.bit)
        rows["marks"][(source | target) & seen] |= np.uint32(Kind.SCRIPT.bit)
        changed = changed or bool((before & ~clean(rows)).any())
    return changed


def _median(counts: npt.NDArray[np.int64]) -> int:
    """The lower median of values from 0, given how often each occurs; the middle of the values if there is none."""
    total = int(counts.sum())
    if not total:
        return len(counts) // 2
    return int(np.searchsorted(np.cumsum(counts), (total + 1) // 2))
