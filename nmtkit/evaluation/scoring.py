"""Corpus scores with their intervals and signatures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nmtkit.evaluation import bounds
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Interval, resampled
from nmtkit.evaluation.metric import Lines, Metric, Scale, check_texts
from nmtkit.evaluation.metrics import USUAL
from nmtkit.settings import SEED

USUAL_SEED = 12345
"""The seed that sacreBLEU uses for its bootstrap."""
SEGMENTATION_MARK = re.compile(r"▁|@@(?= |$)")


@dataclass(frozen=True)
class Score:
    """A corpus score with its 95 % percentile interval and what is needed to reproduce it."""

    metric: Scale
    value: float
    low: float
    high: float
    signature: str


def evaluate(
    outputs: Lines,
    references: Sequence[Lines],
    metrics: Sequence[Metric] = USUAL,
    *,
    sources: Lines | None = None,
    resamples: int = RESAMPLES,
    seed: int = USUAL_SEED,
) -> list[Score]:
    """Score a corpus against one or more reference sets, each as long as the outputs.

    The resamples are those that sacreBLEU draws with this seed; intervals are percentile intervals. Raises ValueError
    for texts of different lengths and where there is no text.
    """
    check_texts(outputs, references)
    check_resampling(resamples, seed)
    texts = [Counted.of(metric, outputs, references, sources) for metric in metrics]
    columns = resampled(texts, resamples, np.random.default_rng(seed)).T
    return [
        Score(metric, interval.value, interval.low, interval.high, metric.signature(len(references), resamples, seed))
        for metric, interval in zip(metrics, map(Interval.of, columns), strict=True)
    ]


def check_resampling(resamples: int, seed: int) -> None:
    """Raises ValueError for a number of bootstrap resamples, or a seed, that cannot be used."""
    bounds.RESAMPLES.check("resamples", resamples, whole=True)
    SEED.check("seed", seed, whole=True)


def segmentation_marks(lines: Iterable[str]) -> str | None:
    """A warning that names the first line with subword marks left in it, ▁ or @@; None if there is none."""
    for number, line in enumerate(lines, start=1):
        if mark := SEGMENTATION_MARK.search(line):
            shown = line if len(line) <= 80 else line[:80] + "…"
            return (
                f"line {number} still has the subword mark {mark[0]}: {shown!r}; "
                "scores of segmented text are not comparable, so join the subwords first"
            )
    return None
