"""A finished translation as ids, with its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmtkit.decoding.objective import Objective


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation, found by a search or given.

    Attributes:
        tokens: target ids; the last is EOS and counts.
        total: Σ log P in nats.
        score: J(y), the objective's value; under a prefix that of what follows it.
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


def scored(
    tokens: tuple[int, ...], log_probs: Sequence[float], objective: Objective, prefix: tuple[int, ...] = ()
) -> Hypothesis:
    """A hypothesis from log P of each of its tokens, under a prefix that was given."""
    total, start = sum(log_probs), begun(tokens, prefix)
    rest = sum(log_probs[start:]) if start else total
    return Hypothesis(tokens, total, objective.final(rest, len(tokens) - start), tuple(log_probs))


def begun(tokens: tuple[int, ...], prefix: tuple[int, ...]) -> int:
    """The number of tokens that were given: those of the prefix, or none where the translation begins otherwise."""
    return len(prefix) if tokens[: len(prefix)] == prefix else 0
