"""The budget of an exact search, and what it has proved in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS

TOLERANCE = 1e-4
"""In J: the certificate says that nothing beats the incumbent by more than the rounding of float32."""


@dataclass(frozen=True)
class Effort:
    """How much a search may spend, and how it proceeds.

    Attributes:
        steps: model steps per sentence.
        seconds: time per sentence, averaged over a batch; None: as long as it takes.
        tolerance: a prefix is given up if its bound is at most J of the best known − this: more than what rounding
            changes J by.
        rows: most prefixes that the model reads at one time.
        children: continuations of a prefix that are made at one time, the best first.
        staged: whether the limit grows in stages if there is a length penalty.
    """

    steps: Annotated[int, BUDGET_STEPS] = 10_000
    seconds: Annotated[float | None, BUDGET_SECONDS] = None
    tolerance: float = TOLERANCE
    rows: int = 512
    children: int = 64
    staged: bool = True

    def __post_init__(self) -> None:
        BUDGET_STEPS.check("budget_steps", self.steps, whole=True)
        if self.seconds is not None:
            BUDGET_SECONDS.check("budget_seconds", self.seconds)
        assert self.rows >= 1 and self.children >= 1


@dataclass(frozen=True)
class Proof:
    """What is known about a sentence at the end of an exact search.

    Attributes:
        best: the best hypothesis found, or None if none was found within the budget.
        proved: no hypothesis within the limit has a higher J.
        gap: how much higher the best could still be: 0 if proved; otherwise the highest open bound − J of the best, at
            least 0, + tolerance.
        steps: model steps spent (one hypothesis read by the model once is one step).
        limit: the most tokens of a hypothesis, EOS counted; nothing is said about longer ones.
        proved_limit: no hypothesis of up to this many tokens has a higher J; the limit if proved, 0 if nothing is
            proved.
    """

    best: Hypothesis | None
    proved: bool
    gap: float
    steps: int
    limit: int
    proved_limit: int
