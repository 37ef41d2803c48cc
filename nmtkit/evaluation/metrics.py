"""The metrics: BLEU (Papineni et al. 2002), chrF and chrF++ (Popović 2015, 2017) and TER (Snover et al. 2006).

All are sacreBLEU's (Post 2018), with its signatures. A metric is added here, in `METRICS`, and nowhere else. The
command line needs only their names, so sacreBLEU, which takes long to load, is loaded when the first text is scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from nmtkit.evaluation.metric import USUAL_READING, Counts, Direction, Lines, Metric, Reading, check_texts
from nmtkit.settings import Within, nearest

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer


@dataclass(frozen=True, kw_only=True)
class SacreMetric(Metric):
    """A metric of sacreBLEU.

    Attributes:
        scorer: makes sacreBLEU's scorer, given how it reads texts and whether it scores single sentences (in which BLEU
            counts only n-grams that are no longer than the sentence).
        how: how it reads texts.
        pairs: a fast way to score many texts against many others, given the scorer of single sentences; None: there is
            none.
    """

    scorer: Callable[[Reading, bool], Scorer]
    how: Reading = USUAL_READING
    pairs: Callable[[SacreMetric, Any, Lines, Lines], Iterator[Sequence[float]]] | None = None

    @cached_property
    def _corpora(self) -> Any:
        return self.scorer(self.how, False)

    @cached_property
    def _sentences(self) -> Any:
        return self.scorer(self.how, True)

    def reading(self, how: Reading) -> SacreMetric:
        """As `Metric.reading` has it."""
        return self if how == self.how else replace(self, how=how)

    def statistics(
        self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None, first: int | None = None
    ) -> Counts:
        """As `Metric.statistics` has it; sources play no part."""
        check_texts(outputs, references)
        counts: Counts = self._corpora._extract_corpus_statistics(outputs, references)
        return counts

    def score(self, sums: Counts) -> list[float]:
        """As `Metric.score` has it."""
        return self._scores(self._corpora, sums)

    def sentence_score(self, counts: Counts) -> list[float]:
        """As `Metric.sentence_score` has it."""
        return self._scores(self._sentences, counts)

    def _scores(self, scorer: Any, rows: Counts) -> list[float]:
        """The scores of rows of counts, cut at the highest score, which rounding may exceed in sacreBLEU."""
        return [min(scorer._compute_score_from_stats(list(row)).score, self.within.high) for row in rows]

    def pairwise(self, outputs: Lines, references: Lines) -> Iterator[Sequence[float]]:
        """As `Metric.pairwise` has it, but two blank texts agree perfectly, to which sacreBLEU gives a BLEU of 0."""
        perfect = self.within.high if self.direction is Direction.HIGHER else self.within.low
        pairs = super().pairwise if self.pairs is None else partial(self.pairs, self, self._sentences)
        for output, row in zip(outputs, pairs(outputs, references), strict=True):
            if output.strip():
                yield row
            else:
                yield [score if text.strip() else perfect for score, text in zip(row, references, strict=True)]

    def signature(self, references: int, resamples: int, seed: int) -> str:
        """The signature of sacreBLEU, with the resampling."""
        facts = {**vars(self._corpora), "num_refs": references, "n_bootstrap": resamples, "seed": seed}
        return str(self._corpora._SIGNATURE_TYPE(facts))


def _bleu(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.bleu import BLEU

    name = how.tokenize
    if name is not None and name not in BLEU.TOKENIZERS:
        raise ValueError(f"unknown BLEU tokenisation {name!r};{nearest(name, BLEU.TOKENIZERS)}")
    try:
        return BLEU(how.lowercase, not how.warns, name, effective_order=single)
    except (RuntimeError, ImportError, OSError, SystemExit) as error:  # a package or a download is missing
        reason = " ".join(str(error).split())
        raise ValueError(f"BLEU tokenisation {name!r} does not work here: {reason}") from None


def _chrf(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=how.lowercase)


def _chrf_with_words(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=how.lowercase, word_order=2)


def _bleu_pairs(metric: SacreMetric, scorer: Any, outputs: Lines, references: Lines) -> Iterator[Sequence[float]]:
    from nmtkit.evaluation import pairs

    for block in pairs.bleu(scorer, outputs, references):
        yield from (metric.sentence_score(rows.tolist()) for rows in block)


def _chrf_pairs(metric: SacreMetric, scorer: Any, outputs: Lines, references: Lines) -> Iterator[Sequence[float]]:
    from nmtkit.evaluation import pairs

    for block in pairs.chrf(scorer, outputs, references):
        yield from block.clip(max=metric.within.high).tolist()


def _ter(how: Reading, single: bool) -> Scorer:
    """TER always counts lower-case letters, as in Snover et al."""
    from sacrebleu.metrics.ter import TER

    return TER()


BLEU = SacreMetric("bleu", "BLEU", scorer=_bleu, pairs=_bleu_pairs)
CHRF = SacreMetric("chrf", "chrF", scorer=_chrf, pairs=_chrf_pairs)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        BLEU,
        CHRF,
        SacreMetric("chrf++", "chrF++", scorer=_chrf_with_words, pairs=_chrf_pairs),
        SacreMetric("ter", "TER", Direction.LOWER, Within(0, math.inf), scorer=_ter),
    )
}
"""All metrics of texts by name."""
USUAL: tuple[Metric, ...] = (BLEU, CHRF)
"""The metrics that are always shown. The first decides between models and between settings of the search."""
OF_SENTENCES: Metric = CHRF
"""The metric of single sentences; most of them have a BLEU near zero."""


def find_metric(name: str, how: Reading = USUAL_READING) -> Metric:
    """The metric of this name, which reads texts as `how` says. ValueError for an unknown name."""
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r};{nearest(name, METRICS)}")
    return METRICS[name].reading(how)


def with_usual(names: Sequence[str] = (), how: Reading = USUAL_READING) -> tuple[Metric, ...]:
    """The usual metrics, then those of the names, each once; all read texts as `how` says."""
    chosen = dict.fromkeys([*(metric.name for metric in USUAL), *names])
    return tuple(find_metric(name, how) for name in chosen)


def bleu(outputs: Lines, references: Sequence[Lines]) -> float:
    """Corpus BLEU with the defaults of sacreBLEU, for the validation in training."""
    return BLEU.corpus_score(outputs, references)
