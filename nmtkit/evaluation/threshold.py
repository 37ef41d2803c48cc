"""The sentence score that is good enough: outputs with a worse score are errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nmtkit.evaluation.metric import Metric
from nmtkit.evaluation.metrics import METRICS, OF_SENTENCES
from nmtkit.settings import Within


@dataclass(frozen=True)
class Threshold:
    """A metric of sentences, and the worst score with which an output is not an error."""

    metric: Metric
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value not in self.metric.within:
            raise ValueError(f"sentence score = {self.value} is not possible: choose {_in_words(self.metric.within)}")

    def __str__(self) -> str:
        return f"{self.metric.name}:{self.value:g}"

    def misses(self, score: float) -> bool:
        """Whether a score is worse than the threshold."""
        return self.metric.direction.gain(score, self.value) < 0


USUAL = Threshold(OF_SENTENCES, 60.0)


def parse_threshold(text: str, metrics: Mapping[str, Metric] = METRICS) -> Threshold:
    """The threshold that "NAME:N" writes.

    Args:
        metrics: the metrics that may be named.

    Raises:
        ValueError: for any other text; the message shows the right form.
    """
    name, _, number = text.partition(":")
    if name not in metrics:
        raise ValueError(f"{text!r} is not a threshold; write METRIC:N with {_any_of(metrics)}, for example {USUAL}")
    try:
        return Threshold(metrics[name], float(number))
    except ValueError:
        within = _in_words(metrics[name].within)
        raise ValueError(f"{text!r} is not a threshold; write {name}:N with N {within}") from None


def _any_of(names: Collection[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _in_words(within: Within) -> str:
    """Bounds in words; either may be infinite."""
    if math.isfinite(within.high):
        return str(within)
    return f"from {within.low:g} on" if math.isfinite(within.low) else "any number"
