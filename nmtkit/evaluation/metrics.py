"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) through sacreBLEU (Post 2018), always with its signature."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmtkit.evaluation import bounds
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Interval, resampled
from nmtkit.settings import SEED, nearest
from nmtkit.words import counted

METRICS = ("bleu", "chrf")
USUAL_SEED = 12345
"""sacreBLEU's own, of the bootstrap."""
SEGMENTATION_MARK = re.compile(r"▁|@@(?= |$)")


@dataclass(frozen=True)
class Score:
    """A corpus score from 0 to 100 with its 95 % percentile interval and what is needed to reproduce it."""

    metric: str
    value: float
    low: float
    high: float
    signature: str


def evaluate(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    lowercase: bool = False,
    tokenize: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = USUAL_SEED,
) -> list[Score]:
    """BLEU and chrF of a corpus against one or more reference sets, each as long as the hypotheses.

    The sentences drawn are those that sacreBLEU draws with this seed; the interval is the percentile interval. Raises
    ValueError for texts of different lengths, no text and unknown tokenisations.
    """
    check_texts(hypotheses, references)
    check_resampling(resamples, seed)
    if tokenize is not None and tokenize not in BLEU.TOKENIZERS:
        raise ValueError(f"unknown BLEU tokenisation {tokenize!r};{nearest(tokenize, BLEU.TOKENIZERS)}")
    try:
        bleu_metric = BLEU(lowercase=lowercase, tokenize=tokenize)
    except (RuntimeError, ImportError, OSError, SystemExit) as error:  # needs a package or a download that is not there
        reason = " ".join(str(error).split())
        raise ValueError(f"BLEU tokenisation {tokenize!r} does not work here: {reason}") from None
    scorers = {"BLEU": bleu_metric, "chrF": CHRF(lowercase=lowercase)}
    texts = [Counted.of(metric, hypotheses, references) for metric in scorers.values()]
    columns = resampled(texts, resamples, np.random.default_rng(seed)).T
    made = []
    for (name, metric), column in zip(scorers.items(), columns, strict=True):
        score = Interval.of(column)
        made.append(Score(name, score.value, score.low, score.high, signature(metric, resamples, seed)))
    return made


def signature(metric: Metric, resamples: int, seed: int) -> str:
    """sacreBLEU's signature of a metric that has counted a text, with the resampling."""
    made = metric.get_signature()
    made.update("bs", resamples)
    made.update("seed", str(seed))
    return str(made)


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU with sacreBLEU's defaults and without an interval, as validation during training needs it."""
    check_texts(hypotheses, references)
    return capped(BLEU(force=True).corpus_score(hypotheses, references).score)


def sentence_scores(metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The "bleu" (effective order) or "chrf" of every sentence by itself, against all reference sets at once."""
    check_texts(hypotheses, references)
    scorer = build_metric(metric)
    return [
        capped(scorer.sentence_score(hypothesis, list(alternatives)).score)
        for hypothesis, *alternatives in zip(hypotheses, *references, strict=True)
    ]


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


def parse_threshold(text: str) -> tuple[str, float]:
    """("chrf", 60.0) from "chrf:60"; raises ValueError that shows the form if it is none."""
    name, _, number = text.partition(":")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if name not in METRICS or not 0.0 <= value <= 100.0:
        raise ValueError(f"{text!r} is no threshold; write bleu:N or chrf:N with N from 0 to 100, for example chrf:60")
    return name, value


def capped(score: float) -> float:
    """The score, at most 100: sacreBLEU's arithmetic makes a perfect BLEU 100.00000000000004."""
    return min(100.0, float(score))


def build_metric(name: str) -> Metric:
    """The sacreBLEU metric "bleu" or "chrf" for single sentences, where BLEU counts only the orders that fit."""
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r};{nearest(name, METRICS)}")
    return BLEU(effective_order=True, force=True) if name == "bleu" else CHRF()


def check_texts(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raises ValueError, with the counts, unless there is text and every reference set is as long as the hypotheses."""
    if not references:
        raise ValueError("there are no references to score against; give at least one reference text")
    for number, reference in enumerate(references, start=1):
        if len(reference) != len(hypotheses):
            raise ValueError(
                f"reference {number} has {counted(len(reference), 'line')} but the hypothesis has {len(hypotheses)}; "
                "line N of each must belong together"
            )
    if not hypotheses:
        raise ValueError("there is nothing to score: hypothesis and references have 0 lines; give at least one line")


def check_resampling(resamples: int, seed: int) -> None:
    """Raises ValueError for a number of bootstrap resamples, or a seed, that cannot be used."""
    bounds.RESAMPLES.check("resamples", resamples, whole=True)
    SEED.check("seed", seed, whole=True)
