"""A finished translation as ids, with its score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation, found by a search or given.

    Attributes:
        tokens: target ids; the last is EOS and counts.
        total: Σ log P in nats.
        score: J(y), the objective's value.
        log_probs: log P of each token, if it is kept.
    """

    tokens: tuple[int, ...]
    total: float
    score: float
    log_probs: tuple[float, ...] = ()

    @property
    def length(self) -> int:
        """|y|, EOS counted."""
        return len(self.tokens)
