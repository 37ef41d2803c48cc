"""The metrics: BLEU (Papineni et al. 2002), chrF and chrF++ (Popović 2015, 2017) and TER (Snover et al. 2006).

All are sacreBLEU's (Post 2018), with its signatures. A metric is added here, in `METRICS`, and nowhere else. The
command line reads their names, so sacreBLEU, which takes long to load, is loaded by the first text that is scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nmtkit.evaluation.metric import USUAL_READING, Counts, Direction, Lines, Metric, Reading, check_texts
from nmtkit.settings import Within, nearest

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer


@dataclass(frozen=True, kw_only=True)
class SacreMetric(Metric):
    """A metric of sacreBLEU.

    Attributes:
        scorer: makes sacreBLEU's object for it; for sentences by themselves, of which BLEU counts only the orders that
            fit, if its second argument is true.
        how: it reads texts.
    """

    scorer: Callable[[Reading, bool], Scorer]
    how: Reading = USUAL_READING

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
        """Rounding takes sacreBLEU's beyond the highest score."""
        return [min(scorer._compute_score_from_stats(list(row)).score, self.within.high) for row in rows]

    def signature(self, references: int, resamples: int, seed: int) -> str:
        """sacreBLEU's, with the resampling."""
        facts = {**vars(self._corpora), "num_refs": references, "n_bootstrap": resamples, "seed": seed}
        return str(self._corpora._SIGNATURE_TYPE(facts))


def _bleu(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.bleu import BLEU

    name = how.tokenize
    if name is not None and name not in BLEU.TOKENIZERS:
        raise ValueError(f"unknown BLEU tokenisation {name!r};{nearest(name, BLEU.TOKENIZERS)}")
    try:
        return BLEU(how.lowercase, not how.warns, name, effective_order=single)
    except (RuntimeError, ImportError, OSError, SystemExit) as error:  # needs a package or a download that is not there
        reason = " ".join(str(error).split())
        raise ValueError(f"BLEU tokenisation {name!r} does not work here: {reason}") from None


def _chrf(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=how.lowercase)


def _chrf_with_words(how: Reading, single: bool) -> Scorer:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=how.lowercase, word_order=2)


def _ter(how: Reading, single: bool) -> Scorer:
    """In lower case in any case, as Snover et al. have it."""
    from sacrebleu.metrics.ter import TER

    return TER()


BLEU = SacreMetric("bleu", "BLEU", scorer=_bleu)
CHRF = SacreMetric("chrf", "chrF", scorer=_chrf)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        BLEU,
        CHRF,
        SacreMetric("chrf++", "chrF++", scorer=_chrf_with_words),
        SacreMetric("ter", "TER", Direction.LOWER, Within(0, math.inf), scorer=_ter),
    )
}
"""All metrics of texts by name."""
USUAL: tuple[Metric, ...] = (BLEU, CHRF)
"""What is always shown. The first decides between models and between settings of the search."""
OF_SENTENCES: Metric = CHRF
"""What tells sentences apart, most of which have a BLEU near zero."""


def find_metric(name: str, how: Reading = USUAL_READING) -> Metric:
    """The metric of a name, reading texts so. ValueError for an unknown name."""
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r};{nearest(name, METRICS)}")
    return METRICS[name].reading(how)


def with_usual(names: Sequence[str] = (), how: Reading = USUAL_READING) -> tuple[Metric, ...]:
    """The usual metrics, then those of the names, each once, all reading texts so."""
    chosen = dict.fromkeys([*(metric.name for metric in USUAL), *names])
    return tuple(find_metric(name, how) for name in chosen)


def bleu(outputs: Lines, references: Sequence[Lines]) -> float:
    """Corpus BLEU with sacreBLEU's defaults, as validation during training needs it."""
    return BLEU.corpus_score(outputs, references)
