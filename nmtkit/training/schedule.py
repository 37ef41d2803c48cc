"""Learning rate: linear warm-up, then the inverse square root of the step (Vaswani et al. 2017, 5.3)."""

from __future__ import annotations

import math


def learning_rate(step: int, peak: float, warmup: int) -> float:
    """The rate of update `step` (from 1): `peak` at the end of the warm-up."""
    return peak * min(step / warmup, math.sqrt(warmup / step))
