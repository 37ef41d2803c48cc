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

from nmtkit.comparison import bounds
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Floats, Interval, changed, p_values, resampled
from nmtkit.evaluation.metrics import USUAL_SEED, signature

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

BUCKETS = 5


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
class Contestant:
    """Runs that differ in their seed alone.

    Attributes:
        bleu, chrf: means over the runs.
        spread: standard deviation of the BLEU of its runs; 0 for one.
        p_bleu, p_chrf: two-sided, of "no difference from the first contestant"; None for the first.
        p_corrected: p_bleu corrected for the number of contestants.
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
    p_corrected: float | None
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
    seed: int = USUAL_SEED,
) -> Contest:
    """Compare contestants: (name, runs), the first being the one that the others are compared with.

    Args:
        references: one or more sets, each with a line for every source.
        buckets: parts of the text by source length, of about as many sentences.
    """
    lengths = np.array([len(line.split()) for line in sources])
    bounds.BUCKETS.check("buckets", buckets, whole=True)
    parts = _buckets(lengths, buckets)
    bleu, chrf = BLEU(force=True), CHRF()
    counted = [
        [(Counted.of(bleu, run.outputs, references), Counted.of(chrf, run.outputs, references)) for run in runs]
        for _, runs in groups
    ]
    first, *others = measured = _measure(counted, parts, resamples, np.random.default_rng(seed))
    corrected = [None, *(_p_values(BLEU_COLUMN, first, others) if others else [])]
    made = []
    for (name, runs), one, p_corrected in zip(groups, measured, corrected, strict=True):
        p_bleu, p_chrf = (
            None if one is first else _p_values(column, first, [one])[0] for column in (BLEU_COLUMN, CHRF_COLUMN)
        )
        gains = one.buckets - first.buckets
        made.append(
            Contestant(
                name=name,
                runs=tuple(runs),
                bleu=_score(one.scores[:, BLEU_COLUMN]),
                chrf=_score(one.scores[:, CHRF_COLUMN]),
                spread=one.spread,
                p_bleu=p_bleu,
                p_chrf=p_chrf,
                p_corrected=p_corrected,
                buckets=tuple(map(_score, one.buckets.T)),
                gains=tuple(map(Interval.of, gains.T)),
                growth=Interval.of(gains[:, -1] - gains[:, 0]),
            )
        )
    named = tuple(Bucket(int(lengths[part].min()), int(lengths[part].max()), int(part.sum())) for part in parts)
    signatures = (signature(metric, resamples, seed) for metric in (bleu, chrf))
    return Contest(tuple(made), named, len(sources), *signatures)


def _buckets(lengths: NDArray[np.int64], number: int) -> list[NDArray[np.bool_]]:
    """About so many parts of as many sentences; those of one length stay together."""
    edges = sorted({int(edge) for edge in np.quantile(lengths, np.arange(1, number) / number, method="inverted_cdf")})
    place = np.searchsorted(edges, lengths, side="left")
    return [place == part for part in range(len(edges) + 1) if (place == part).any()]


def _mixture(generator: np.random.Generator, runs: int, resamples: int) -> Floats:
    """What a run weighs in each mean, (1 + resamples, runs): the same for all first, then by a draw of the runs."""
    alike = np.full((1, runs), 1 / runs)
    if runs == 1:
        return np.ones((1 + resamples, 1))
    drawn = generator.integers(runs, size=(resamples, runs))
    shares = (drawn[:, :, None] == np.arange(runs)).mean(axis=1)
    return np.concatenate([alike, alike + (shares - alike) * (runs / (runs - 1)) ** 0.5])


BLEU_COLUMN, CHRF_COLUMN, FIRST_BUCKET = 0, 1, 2
"""Of a contestant's scores."""


@dataclass(frozen=True)
class _Measured:
    """A contestant.

    Attributes:
        scores: of the whole text first, then of every resample: BLEU, chrF, BLEU of every bucket; means over the runs.
        spread: standard deviation of the BLEU of the runs.
        tables: what BLEU and what chrF counts in every sentence, means over the runs.
    """

    scores: Floats
    spread: float
    tables: tuple[Floats, ...]

    @property
    def buckets(self) -> Floats:
        """BLEU of every bucket."""
        return self.scores[:, FIRST_BUCKET:]


def _measure(
    counted: Sequence[Sequence[tuple[Counted, Counted]]],
    parts: Sequence[NDArray[np.bool_]],
    resamples: int,
    generator: np.random.Generator,
) -> list[_Measured]:
    """Of every contestant, BLEU's and chrF's counts of each run given; the same sentences are drawn for all."""
    texts = [text for runs in counted for words, letters in runs for text in (words, letters, *map(words.only, parts))]
    scores = resampled(texts, resamples, generator).reshape(1 + resamples, -1, FIRST_BUCKET + len(parts))
    measured, start = [], 0
    for runs in counted:
        own, start = scores[:, start : start + len(runs)], start + len(runs)
        means = np.einsum("nr,nrc->nc", _mixture(generator, len(runs), resamples), own)
        spread = float(np.std(own[0, :, BLEU_COLUMN], ddof=1)) if len(runs) > 1 else 0.0
        tables = tuple(np.mean([text.table for text in texts], axis=0) for texts in zip(*runs, strict=True))
        measured.append(_Measured(means, spread, tables))
    return measured


def _p_values(column: int, first: _Measured, others: Sequence[_Measured]) -> list[float]:
    """Of BLEU or chrF, corrected for the number of the others."""
    differences = np.stack([one.scores[:, column] - first.scores[:, column] for one in others], axis=1)
    different = [changed(one.tables[column], first.tables[column]) for one in others]
    return p_values(differences, len(first.tables[column]), different)


def _score(values: Floats) -> Interval:
    """An interval of scores, which end at 0 and 100, even where the means of new seeds were stretched beyond."""
    return Interval.of(np.clip(values, 0.0, 100.0))
