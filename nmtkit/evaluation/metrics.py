"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) through sacreBLEU (Post 2018), always with its signature."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest, Result

from nmtkit.evaluation.bounds import RESAMPLES
from nmtkit.settings import SEED, nearest

METRICS = ("bleu", "chrf")
SEGMENTATION_MARK = re.compile(r"▁|@@(?= |$)")


@dataclass(frozen=True)
class Score:
    """A corpus score from 0 to 100 with its 95 % bootstrap interval and what is needed to reproduce it."""

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
    resamples: int = 1000,
    seed: int = 12345,
) -> list[Score]:
    """BLEU and chrF of a corpus against one or more reference sets, each as long as the hypotheses.

    The interval is sacreBLEU's: the mean of the resampled scores plus and minus half the distance between their 2.5 %
    and 97.5 % quantiles, cut to 0 to 100 and made to hold the score itself. Raises ValueError for texts of different
    lengths, no text and unknown tokenisations.
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
    with sacrebleu_seed(seed):  # no second system; corpus_score(n_bootstrap=...) fails where some resamples score 0
        test = PairedTest([("", hypotheses)], scorers, references, test_type="bs", n_samples=resamples)
        signatures, results = test()
    names = zip(scorers, signatures, strict=True)  # sacreBLEU calls chrF "chrF2"
    return [_score(name, results[key][0], str(signatures[key])) for name, key in names]


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
                f"reference {number} has {len(reference)} lines but the hypothesis has {len(hypotheses)}; "
                "line N of each must belong together"
            )
    if not hypotheses:
        raise ValueError("there is nothing to score: hypothesis and references have 0 lines; give at least one line")


def check_resampling(resamples: int, seed: int) -> None:
    """Raises ValueError for a number of bootstrap resamples, or a seed, that sacreBLEU cannot use."""
    RESAMPLES.check("resamples", resamples, whole=True)
    SEED.check("seed", seed, whole=True)


@contextmanager
def sacrebleu_seed(seed: int) -> Iterator[None]:
    """Sets the seed in the only place where sacreBLEU looks for it, the environment, and puts back what was there."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        del os.environ["SACREBLEU_SEED"]
        if before is not None:
            os.environ["SACREBLEU_SEED"] = before


def _score(name: str, result: str | Result, signature: str) -> Score:
    assert isinstance(result, Result) and result.mean is not None and result.ci is not None
    value, low, high = capped(result.score), float(result.mean - result.ci), capped(result.mean + result.ci)
    return Score(name, value, min(value, max(0.0, low)), max(value, high), signature)
