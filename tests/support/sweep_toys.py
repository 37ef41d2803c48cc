"""For tests of sweeps: three beams and two exponents, measured by nobody."""

from __future__ import annotations

from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.metrics import BLEU, CHRF
from nmtkit.evaluation.scoring import Score


def scores(bleu: float, chrf: float, low: float = 2.0, high: float = 3.0) -> tuple[Score, Score]:
    """Both with intervals from so much below to so much above."""
    pairs = ((BLEU, bleu), (CHRF, chrf))
    first, second = (Score(metric, value, value - low, value + high, "s") for metric, value in pairs)
    return first, second


def setting(beam: int, alpha: float, bleu: float, missed: int, seconds: float, p: float | None = 0.2) -> Setting:
    counts = {"different": 80, "beam_errors": missed, "length_ratio": 0.95}
    return Setting(beam, alpha, scores(bleu, bleu + 20), **counts, seconds=seconds, p_value=p)


MADE = Sweep(
    (
        setting(1, 0.0, 30.0, 8, 0.0015),
        setting(1, 0.7, 30.5, 6, 0.0015),
        setting(5, 0.0, 34.0, 4, 0.006),
        setting(5, 0.7, 35.0, 2, 0.006, None),
        setting(10, 0.0, 33.0, 0, 0.012),
        setting(10, 0.7, 35.5, 0, 0.012),
    ),
    sentences=100,
    current=3,
    best=5,
    oracle=70.0,
)
