"""A finished translation as ids, with its score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One finished output of a search.

    Attributes:
        tokens: target ids; the last is EOS and counts.
        total: Σ log P in nats.
        score: J(y), the objective's value.
        log_probs: log P of each token, where the search keeps them.
    """

    tokens: tuple[int, ...]
    total: float
    score: float
    log_probs: tuple[float, ...] = ()

    @property
    def length(self) -> int:
        """|y|, EOS counted."""
        return len(self.tokens)
