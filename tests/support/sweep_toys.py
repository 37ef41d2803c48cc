"""For tests of sweeps: three beams and two exponents, measured by nobody."""

from __future__ import annotations

from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.metrics import Score


def setting(beam: int, alpha: float, bleu: float, missed: int, seconds: float, p: float | None = 0.2) -> Setting:
    scores = (
        Score(name, bleu + more, bleu + more - 2, bleu + more + 3, "s") for name, more in (("BLEU", 0), ("chrF", 20))
    )
    counts = {"different": 80, "beam_errors": missed, "length_ratio": 0.95}
    return Setting(beam, alpha, *scores, **counts, seconds=seconds, p_value=p)


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
