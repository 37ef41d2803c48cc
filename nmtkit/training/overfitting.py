"""Overfitting: the dev loss rises while the training loss falls, as a rule on the history of a training.

The dev loss is a little noisy, so a single worse validation means nothing, and on a plateau the best one is an accident
of many. The rule therefore asks for a rise that lasts and that stands out of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

IN_A_ROW, FEWEST = 3, 6
"""Validations at the end that must all be worse than the best, and validations needed for a verdict."""
SHARE, NOISES = 0.01, 6
"""How much worse: by this share of the best dev loss, and by this multiple of the noise, whichever is more."""
GAUSS = 0.6745 * math.sqrt(6)
"""The median size of a second difference of independent normal values, in standard deviations."""

History = Sequence[Mapping[str, float]]
"""Lines of history.jsonl in their order."""
Losses = Sequence[tuple[int, float]]
"""Updates in rising order, each with a loss."""


@dataclass(frozen=True)
class Overfitting:
    """A model that overfits.

    Attributes:
        best_step: update of the validation with the lowest dev loss.
        best_loss: its dev loss.
        dev_loss: dev loss of the last validation.
        train_before: mean training loss in the first half of the lines of progress since the best validation.
        train_after: mean training loss in the second half.
    """

    best_step: int
    best_loss: float
    dev_loss: float
    train_before: float
    train_after: float

    def __str__(self) -> str:
        return (
            f"the model overfits: since update {self.best_step} the dev loss has risen from {self.best_loss:.3f} to "
            f"{self.dev_loss:.3f}, while the training loss (its means over the two halves of the updates since) fell "
            f"from {self.train_before:.3f} to {self.train_after:.3f}. Stop if the scores no longer improve (the best "
            "weights are kept), or train again with more dropout or more data"
        )


def overfitting(history: History) -> Overfitting | None:
    """Whether the model overfits at the end of a history; None if it does not, or if there is too little to tell.

    It does if the last `IN_A_ROW` dev losses are all above the lowest one by more than `SHARE` of it and by more than
    `NOISES` times the noise, and if the training loss has fallen since the lowest one. The noise is the median size of
    the second differences of all dev losses, which a smooth fall or rise leaves small.
    """
    return _judge(_losses(history, "dev_loss"), _losses(history, "train_loss"))


def begins(history: History) -> Overfitting | None:
    """The overfitting that the last validation shows, if no earlier one since the best has shown it."""
    dev, train = _losses(history, "dev_loss"), _losses(history, "train_loss")
    found = _judge(dev, train)
    if found is None:
        return None
    best = next(place for place, (step, _) in enumerate(dev) if step == found.best_step)
    shown = any(_judge(dev[:end], train) for end in range(best + 1, len(dev)))
    return None if shown else found


def _losses(history: History, key: str) -> Losses:
    return [(int(line["step"]), line[key]) for line in history if math.isfinite(line.get(key, math.nan))]


def _judge(dev: Losses, train: Losses) -> Overfitting | None:
    if len(dev) < FEWEST:
        return None
    best_step, lowest = min(dev, key=lambda validation: validation[1])
    last_step, losses = dev[-1][0], [loss for _, loss in dev]
    bends = (
        abs(left - 2 * middle + right) for left, middle, right in zip(losses, losses[1:], losses[2:], strict=False)
    )
    limit = lowest + max(SHARE * abs(lowest), NOISES * median(bends) / GAUSS)
    since = [loss for step, loss in train if best_step < step <= last_step]
    half = len(since) // 2
    if min(losses[-IN_A_ROW:]) <= limit or not half:
        return None
    before, after = fmean(since[:half]), fmean(since[-half:])
    return Overfitting(best_step, lowest, losses[-1], before, after) if after < before else None
