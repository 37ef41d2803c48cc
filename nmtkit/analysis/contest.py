"""Several models on one text: size, speed, loss, scores with intervals, and BLEU by the length of the source.

A contestant may be several model folders that differ in their seed: its scores are their mean. A resample draws the
same sentences for all contestants (paired bootstrap, Koehn 2004) and, of a contestant with several runs, as many runs
with replacement; a mean of n drawn runs varies less than the mean of n new ones by (n − 1) / n, so its distance from
the mean of all is scaled by √(n / (n − 1)). Of one run, what is said holds for that run alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmtkit.analysis import bounds

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

RESAMPLES = 1000
BUCKETS = 5

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One model on the text.

    Attributes:
        folder, model: where it lies, and the SHA-256 of what is in it.
        parameters: trained numbers.
        updates: that its training made; 0: not known. Its weights may be those of an earlier one.
        trained: source and target pieces a second in training; 0: not known.
        dev_loss: nats a piece when its weights were saved; None: not known.
        speed: output pieces a second of the search.
        outputs: line by line.
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
class Interval:
    """A score and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contestant:
    """Runs that differ in their seed alone.

    Attributes:
        bleu, chrf: means over the runs.
        spread: standard deviation of the BLEU of its runs; 0 for one.
        p_bleu, p_chrf: two-sided, of "no difference from the first contestant"; None for the first.
        p_holm: p_bleu corrected for the number of contestants (Holm 1979).
        buckets: BLEU of the sentences of each length.
        gains: of each bucket, BLEU above that of the first contestant.
        growth: gain in the bucket of the longest less gain in that of the shortest.
    """

    name: str
    runs: tuple[Run, ...]
    bleu: Interval
    chrf: Interval
    spread: float
    p_bleu: float | None
    p_chrf: float | None
    p_holm: float | None
    buckets: tuple[Interval, ...]
    gains: tuple[Interval, ...]
    growth: Interval


@dataclass(frozen=True)
class Bucket:
    """Sentences whose source has so many words: from, to, how many."""

    first: int
    last: int
    sentences: int


@dataclass(frozen=True)
class Contest:
    """All contestants on one text, the first of which the others are compared with."""

    contestants: tuple[Contestant, ...]
    buckets: tuple[Bucket, ...]
    sentences: int
    bleu_signature: str
    chrf_signature: str


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
    """Translate the text once, timed."""
    started = time.perf_counter()
    found = translator.search(sources, settings)
    seconds = time.perf_counter() - started
    pieces = sum(best.length for best, *_ in found)
    outputs = tuple(best.text for best, *_ in found)
    digest = translator.folder_hash
    return Run(name, folder, digest, parameters, updates, trained, dev_loss, pieces / seconds, outputs)


def contest(
    groups: Sequence[tuple[str, Sequence[Run]]],
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    buckets: int = BUCKETS,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> Contest:
    """Compare contestants: (name, runs), the first being the one that the others are compared with.

    Args:
        references: one or more sets, each with a line for every source.
        buckets: parts of the text by source length, of about as many sentences.
    """
    lengths = np.array([len(line.split()) for line in sources])
    bounds.BUCKETS.check("buckets", buckets, whole=True)
    parts = _buckets(lengths, buckets)
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(sources), size=(resamples, len(sources)))
    weights = np.stack(
        [np.ones(len(sources), np.int64), *(np.bincount(draw, minlength=len(sources)) for draw in draws)]
    )
    bleu, chrf = BLEU(force=True), CHRF()
    measured = []
    for _, runs in groups:
        mixture = _mixture(generator, len(runs), resamples)
        outputs = [run.outputs for run in runs]
        measured.append(_Scores.of(bleu, chrf, outputs, references, weights, parts, mixture))
    made, first = [], measured[0]
    corrected = [None, *_holm([_p_value(scores.bleu - first.bleu) for scores in measured[1:]])]
    for (name, runs), scores, p_holm in zip(groups, measured, corrected, strict=True):
        rival = scores is not first
        gains = scores.buckets - first.buckets
        made.append(
            Contestant(
                name=name,
                runs=tuple(runs),
                bleu=_score(scores.bleu),
                chrf=_score(scores.chrf),
                spread=scores.spread,
                p_bleu=_p_value(scores.bleu - first.bleu) if rival else None,
                p_chrf=_p_value(scores.chrf - first.chrf) if rival else None,
                p_holm=p_holm,
                buckets=tuple(_score(column) for column in scores.buckets.T),
                gains=tuple(_interval(column) for column in gains.T),
                growth=_interval(gains[:, -1] - gains[:, 0]),
            )
        )
    named = tuple(Bucket(int(lengths[part].min()), int(lengths[part].max()), int(part.sum())) for part in parts)
    return Contest(tuple(made), named, len(sources), str(bleu.get_signature()), str(chrf.get_signature()))


def _buckets(lengths: Counts, number: int) -> list[NDArray[np.bool_]]:
    """About so many parts of as many sentences; those of one length stay together."""
    edges = sorted({int(edge) for edge in np.quantile(lengths, np.arange(1, number) / number, method="inverted_cdf")})
    place = np.searchsorted(edges, lengths, side="left")
    return [place == part for part in range(len(edges) + 1) if (place == part).any()]


def _mixture(generator: np.random.Generator, runs: int, resamples: int) -> NDArray[np.float64]:
    """What a run weighs in each mean, (1 + resamples, runs): the same for all first, then by a draw of the runs."""
    alike = np.full((1, runs), 1 / runs)
    if runs == 1:
        return np.ones((1 + resamples, 1))
    drawn = generator.integers(runs, size=(resamples, runs))
    shares = (drawn[:, :, None] == np.arange(runs)).mean(axis=1)
    return np.concatenate([alike, alike + (shares - alike) * (runs / (runs - 1)) ** 0.5])


def _holm(values: Sequence[float]) -> list[float]:
    """p-values of several questions corrected so that the chance of any false answer stays what each alone claims.

    Holm 1979: the k-th smallest of m is multiplied by m − k + 1, and none may be below one that was smaller.
    """
    corrected, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = least
    return corrected


@dataclass(frozen=True)
class _Scores:
    """Of the whole text first, then of every resample: BLEU and chrF, BLEU of every bucket."""

    bleu: NDArray[np.float64]
    chrf: NDArray[np.float64]
    buckets: NDArray[np.float64]
    spread: float

    @classmethod
    def of(
        cls,
        bleu: BLEU,
        chrf: CHRF,
        outputs: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        weights: Counts,
        parts: Sequence[NDArray[np.bool_]],
        mixture: NDArray[np.float64],
    ) -> _Scores:
        """Means over several outputs, weighed by `mixture`."""
        of_bleu, of_chrf, of_parts = [], [], []
        for lines in outputs:
            counts, letters = (metric._extract_corpus_statistics(lines, references) for metric in (bleu, chrf))
            table = np.array(counts, dtype=np.int64)
            of_bleu.append(_bleu(bleu, weights @ table))
            of_chrf.append(np.array([chrf._compute_f_score(row) for row in (weights @ np.array(letters)).tolist()]))
            of_parts.append(np.stack([_bleu(bleu, (weights * part) @ table) for part in parts], axis=1))
        spread = float(np.std([one[0] for one in of_bleu], ddof=1)) if len(outputs) > 1 else 0.0
        means = [np.einsum("nr,rn...->n...", mixture, np.stack(one)) for one in (of_bleu, of_chrf, of_parts)]
        return cls(means[0], means[1], means[2], spread)


def _bleu(metric: BLEU, rows: Counts) -> NDArray[np.float64]:
    """Corpus BLEU of summed statistics, row by row."""
    return np.array([metric._compute_score_from_stats(row).score for row in rows.tolist()])


def _score(values: NDArray[np.float64]) -> Interval:
    """An interval of scores, which end at 0 and 100, even where the means of new seeds were stretched beyond."""
    return _interval(np.clip(values, 0.0, 100.0))


def _interval(values: NDArray[np.float64]) -> Interval:
    """The first value, and the 2.5 % and 97.5 % quantiles of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


def _p_value(differences: NDArray[np.float64]) -> float:
    """Twice the share of the resamples on the other side of zero, 1 where nothing differs beyond rounding."""
    differences = np.where(np.abs(differences) < 1e-9, 0.0, differences)
    if not differences.any():
        return 1.0
    below, above = (int((differences[1:] <= 0).sum()), int((differences[1:] >= 0).sum()))
    return min(1.0, 2 * (min(below, above) + 1) / len(differences))
