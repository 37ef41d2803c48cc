"""What others may see of a beam search while it runs; they change nothing.

Shape key: A sentences searched, W hypotheses a sentence, N = A·W, M candidates looked at a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nmtkit.models.distribution import LogProbs


@dataclass(frozen=True)
class BeamStep:
    """One step as it was taken, for those who watch.

    Attributes:
        length: tokens of the candidates, the new one counted.
        beam: how many candidates, the best, may end.
        active_A: the sentences that were searched in it.
        log_probs: distributions after the N living prefixes.
        before_AW: Σ log P of the living prefixes in nats, −∞ where there is none.
        total_AM, token_AM, value_AM, slot_AM: of the best candidates, best first: Σ log P (−∞: none), the new token,
            its log P, and the slot (0 … W − 1) of the prefix that it continues.
        parent_AM: column of that prefix among the candidates of the step before.
        finished_AM, kept_AM: which ended and are hypotheses; which live on.
        column_AW: columns of those in the slots of the next step, dead ones among them.
        alive_A: whether the search of the sentence goes on.
    """

    length: int
    beam: int
    active_A: Tensor
    log_probs: LogProbs
    before_AW: Tensor
    total_AM: Tensor
    token_AM: Tensor
    value_AM: Tensor
    slot_AM: Tensor
    parent_AM: Tensor
    finished_AM: Tensor
    kept_AM: Tensor
    column_AW: Tensor
    alive_A: Tensor


class Watcher(Protocol):
    """Sees every step of a search, with as many candidates of a sentence as it asks for."""

    candidates: int

    def see(self, step: BeamStep) -> None:
        """Called once a step."""


class Both:
    """Two watchers of one search."""

    def __init__(self, *watchers: Watcher) -> None:
        self.watchers, self.candidates = watchers, max(watcher.candidates for watcher in watchers)

    def see(self, step: BeamStep) -> None:
        for watcher in self.watchers:
            watcher.see(step)
