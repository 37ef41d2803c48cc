"""Several models on one text: size, speed, loss, scores with intervals, and the first score by source length.

A system may be several model folders that differ in their seed: its scores are their mean. A resample draws the same
sentences for all systems (paired bootstrap, Koehn 2004). For a system with n runs it also draws n runs with
replacement. The variance of their mean is (n − 1) / n of that of n new runs, so its distance from the mean of all runs
is scaled by √(n / (n − 1)). Where a system has one run, the figures hold for that run alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmtkit.comparison import bounds
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Floats, Interval, changed, p_values, resampled
from nmtkit.evaluation.metric import Metric, Scale
from nmtkit.evaluation.metrics import USUAL
from nmtkit.evaluation.scoring import USUAL_SEED

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

BUCKETS = 5


@dataclass(frozen=True)
class Run:
    """One model on the text.

    Attributes:
        folder, model: path of the model folder, and the SHA-256 of its contents.
        parameters: number of trained parameters.
        updates: updates of its training; 0: not known. The weights may be those of an earlier update.
        trained: source and target pieces a second in training; 0: not known.
        dev_loss: nats a piece on the dev set when the weights were saved; None: not known.
        speed: output pieces a second of the search.
        outputs: its translations, line by line.
    """

    name: str
    folder: str
    model: str
    parameters: int
    updates: int
    trained: float
    dev_loss: float | None
    speed: float
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The score of a system by one metric.

    Attributes:
        score: mean over its runs.
        p_value: two-sided, for "no difference from the first system"; None for the first.
    """

    score: Interval
    p_value: float | None


@dataclass(frozen=True)
class System:
    """Runs that differ in their seed alone.

    Attributes:
        results: one for each metric of the comparison, in their order; the first metric decides.
        spread: standard deviation of the deciding scores of its runs; 0 where there is one run.
        p_corrected: the p-value of the deciding metric, corrected for the number of systems.
        buckets: deciding score of the sentences of each length.
        gains: for each bucket, this score less that of the first system.
        growth: gain in the bucket of the longest sources less gain in that of the shortest.
    """

    name: str
    runs: tuple[Run, ...]
    results: tuple[Result, ...]
    spread: float
    p_corrected: float | None
    buckets: tuple[Interval, ...]
    gains: tuple[Interval, ...]
    growth: Interval

    @property
    def deciding(self) -> Result:
        """The result by the metric that decides."""
        return self.results[0]


@dataclass(frozen=True)
class Bucket:
    """The sentences whose source has `first` to `last` words."""

    first: int
    last: int
    sentences: int


@dataclass(frozen=True)
class ModelComparison:
    """All systems on one text, compared with the first.

    Attributes:
        metrics, signatures: the metrics, of which the first decides, and the signature of each.
    """

    systems: tuple[System, ...]
    buckets: tuple[Bucket, ...]
    sentences: int
    metrics: tuple[Scale, ...]
    signatures: tuple[str, ...]


def run(
    name: str,
    translator: Translator,
    sources: Sequence[str],
    settings: SearchSettings,
    *,
    folder: str,
    parameters: int,
    updates: int,
    trained: float,
    dev_loss: float | None,
) -> Run:
    """Translate the text once and measure the time."""
    started = time.perf_counter()
    translations = translator.search(sources, settings)
    seconds = time.perf_counter() - started
    pieces = sum(best.length for best, *_ in translations)
    outputs = tuple(best.text for best, *_ in translations)
    digest = translator.folder_hash
    return Run(name, folder, digest, parameters, updates, trained, dev_loss, pieces / seconds, outputs)


def compare_models(
    groups: Sequence[tuple[str, Sequence[Run]]],
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[Metric] = USUAL,
    *,
    buckets: int = BUCKETS,
    resamples: int = RESAMPLES,
    seed: int = USUAL_SEED,
) -> ModelComparison:
    """Compare systems, each given as (name, runs), with the first of them.

    Args:
        references: one or more sets, each with a line for every source.
        metrics: the first decides.
        buckets: number of parts of the text by source length, of about equal size.
    """
    lengths = np.array([len(line.split()) for line in sources])
    bounds.BUCKETS.check("buckets", buckets, whole=True)
    parts = _buckets(lengths, buckets)
    texts = [
        [[Counted.of(metric, run.outputs, references, sources) for metric in metrics] for run in runs]
        for _, runs in groups
    ]
    first, *others = measured = _measure(texts, parts, resamples, np.random.default_rng(seed))
    corrected = [None, *(_p_values(0, first, others) if others else [])]
    return ModelComparison(
        systems=tuple(
            _system(name, runs, metrics, first, own, p_corrected)
            for (name, runs), own, p_corrected in zip(groups, measured, corrected, strict=True)
        ),
        buckets=tuple(Bucket(int(lengths[part].min()), int(lengths[part].max()), int(part.sum())) for part in parts),
        sentences=len(sources),
        metrics=tuple(metrics),
        signatures=tuple(metric.signature(len(references), resamples, seed) for metric in metrics),
    )


def _system(
    name: str,
    runs: Sequence[Run],
    metrics: Sequence[Metric],
    first: _Measured,
    own: _Measured,
    p_corrected: float | None,
) -> System:
    results = [
        Result(_score(own.scores[:, index], metric), None if own is first else _p_values(index, first, [own])[0])
        for index, metric in enumerate(metrics)
    ]
    gains = own.buckets - first.buckets
    return System(
        name=name,
        runs=tuple(runs),
        results=tuple(results),
        spread=own.spread,
        p_corrected=p_corrected,
        buckets=tuple(_score(column, metrics[0]) for column in own.buckets.T),
        gains=tuple(map(Interval.of, gains.T)),
        growth=Interval.of(gains[:, -1] - gains[:, 0]),
    )


def _buckets(lengths: NDArray[np.int64], number: int) -> list[NDArray[np.bool_]]:
    """Split the text into about `number` parts of equal size; sentences of one length stay together."""
    edges = sorted({int(edge) for edge in np.quantile(lengths, np.arange(1, number) / number, method="inverted_cdf")})
    place = np.searchsorted(edges, lengths, side="left")
    return [place == part for part in range(len(edges) + 1) if (place == part).any()]


def _mixture(generator: np.random.Generator, runs: int, resamples: int) -> Floats:
    """The weight of each run in the mean, (1 + resamples, runs): first all equal, then by a draw of the runs."""
    alike = np.full((1, runs), 1 / runs)
    if runs == 1:
        return np.ones((1 + resamples, 1))
    drawn = generator.integers(runs, size=(resamples, runs))
    shares = (drawn[:, :, None] == np.arange(runs)).mean(axis=1)
    return np.concatenate([alike, alike + (shares - alike) * (runs / (runs - 1)) ** 0.5])


@dataclass(frozen=True)
class _Measured:
    """The scores of a system, as means over its runs.

    Attributes:
        scores: score by each metric, (1 + resamples, metrics): of the whole text first, then of every resample.
        buckets: deciding score of each bucket, (1 + resamples, buckets).
        spread: standard deviation of the deciding scores of the runs.
        tables: for each metric, what it counts in every sentence.
    """

    scores: Floats
    buckets: Floats
    spread: float
    tables: tuple[Floats, ...]


def _measure(
    systems: Sequence[Sequence[Sequence[Counted]]],
    parts: Sequence[NDArray[np.bool_]],
    resamples: int,
    generator: np.random.Generator,
) -> list[_Measured]:
    """Score every system, given the counts of its runs by each metric; all get the same draws of sentences."""
    number = len(systems[0][0])
    texts = [text for runs in systems for counts in runs for text in (*counts, *map(counts[0].only, parts))]
    scores = resampled(texts, resamples, generator).reshape(1 + resamples, -1, number + len(parts))
    measured, start = [], 0
    for runs in systems:
        own, start = scores[:, start : start + len(runs)], start + len(runs)
        means = np.einsum("nr,nrc->nc", _mixture(generator, len(runs), resamples), own)
        spread = float(np.std(own[0, :, 0], ddof=1)) if len(runs) > 1 else 0.0
        tables = tuple(np.mean([text.table for text in counts], axis=0) for counts in zip(*runs, strict=True))
        measured.append(_Measured(means[:, :number], means[:, number:], spread, tables))
    return measured


def _p_values(metric: int, first: _Measured, others: Sequence[_Measured]) -> list[float]:
    """The p-value of each other system by one metric, corrected for the number of systems."""
    differences = np.stack([other.scores[:, metric] - first.scores[:, metric] for other in others], axis=1)
    different = [changed(other.tables[metric], first.tables[metric]) for other in others]
    return p_values(differences, len(first.tables[metric]), different)


def _score(values: Floats, scale: Scale) -> Interval:
    """An interval of scores, cut at the bounds of the metric: scaling the means of drawn runs may exceed them."""
    return Interval.of(np.clip(values, scale.within.low, scale.within.high))
