"""What a watcher sees of a beam search while it runs; watchers change nothing.

Shape key: A sentences searched, W hypotheses per sentence, N = A·W, M candidates inspected per sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nmtkit.decoding.given import Given
from nmtkit.models.distribution import LogProbs


@dataclass(frozen=True)
class BeamStep:
    """One step of a beam search, for its watchers.

    Attributes:
        length: tokens of each candidate, including the new one.
        beam: the number of best candidates that may end.
        active_A: the sentences that were searched in this step.
        given: the prefixes of the sentences.
        log_probs: the distributions after the N living prefixes.
        before_AW: Σ log P of the living prefixes in nats, −∞ for an empty slot.
        total_AM, token_AM, value_AM, slot_AM: of the best candidates, best first: Σ log P (−∞: none), the new token,
            its log P, and the slot (0 … W − 1) of the prefix that it continues.
        parent_AM: column of that prefix among the candidates of the step before.
        finished_AM, kept_AM: the candidates that ended and are hypotheses; those that live on.
        column_AW: columns of the candidates in the slots of the next step, dead ones among them.
        alive_A: whether the search of the sentence goes on.
    """

    length: int
    beam: int
    active_A: Tensor
    given: Given
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
    """Sees every step of a search, with as many candidates per sentence as it asks for."""

    candidates: int

    def see(self, step: BeamStep) -> None:
        """Called once per step."""


class Both:
    """Two watchers of one search."""

    def __init__(self, *watchers: Watcher) -> None:
        self.watchers, self.candidates = watchers, max(watcher.candidates for watcher in watchers)

    def see(self, step: BeamStep) -> None:
        for watcher in self.watchers:
            watcher.see(step)
