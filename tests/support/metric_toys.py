"""For tests of metrics: sacreBLEU's own objects, and what a metric in nobody's list looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmtkit.evaluation.metric import Direction, Metric

SACREBLEUS: dict[str, Callable[[], Any]] = {
    "bleu": lambda: BLEU(force=True),
    "chrf": CHRF,
    "chrf++": lambda: CHRF(word_order=2),
    "ter": TER,
}


@dataclass(frozen=True)
class Missing(Metric):
    """The share of the reference's words that an output lacks, in per cent: lower is better."""

    def statistics(
        self,
        outputs: Sequence[str],
        references: Sequence[Sequence[str]],
        sources: Sequence[str] | None = None,
        first: int | None = None,
    ) -> list[list[float]]:
        pairs = [(set(output.split()), line.split()) for output, line in zip(outputs, references[0], strict=True)]
        return [[sum(word not in own for word in line), len(line)] for own, line in pairs]

    def score(self, sums: Sequence[Sequence[float]]) -> list[float]:
        return [100 * missing / words if words else 0.0 for missing, words in sums]

    def sentence_score(self, counts: Sequence[Sequence[float]]) -> list[float]:
        return self.score(counts)

    def signature(self, references: int, resamples: int, seed: int) -> str:
        return f"missing|nrefs:{references}"


MISSING = Missing("missing", "missing", Direction.LOWER)
