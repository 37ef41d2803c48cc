"""How far an exact search may go, and what it can say in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS

TOLERANCE = 1e-4
"""In J: the certificate says that nothing beats the incumbent by more than the rounding of float32."""


@dataclass(frozen=True)
class Effort:
    """How far a search may go, and how it goes.

    Attributes:
        steps: model steps of each sentence.
        seconds: of each sentence, on average over a batch; None: as long as it takes.
        tolerance: a prefix is given up where its bound is at most J of the best known − this: more than what rounding
            moves J by.
        rows: prefixes that the model reads at one time.
        children: continuations of a prefix that are made at one time, the best first.
        staged: whether the limit grows in stages where there is a length penalty.
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
    """What is known of a sentence at the end.

    Attributes:
        best: the best hypothesis found, or None where none was found within the budget.
        proved: no hypothesis within the limit has a higher J.
        gap: how much higher the best could still be: 0 if proved; otherwise the highest open bound − J of the best, at
            least 0, + tolerance.
        steps: model steps spent (one hypothesis read by the model once is one step).
        limit: the most tokens of a hypothesis, EOS counted: nothing is said about longer ones.
        proved_limit: no hypothesis of at most this many tokens has a higher J; the limit if proved, 0 for nothing
            proved.
    """

    best: Hypothesis | None
    proved: bool
    gap: float
    steps: int
    limit: int
    proved_limit: int
