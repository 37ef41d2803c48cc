"""Forced scores: the scores that a model gives to translations, in one parallel pass over each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from nmtkit.decoding.hypothesis import Hypothesis, scored
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.search import Encoded, Query
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.ragged import Ragged, shifted

TOKENS = 8192


@dataclass(frozen=True)
class Forced:
    """The scores of the targets of each query, in their order.

    Attributes:
        objective: computes J of each target, under the prefix of its query.
        tokens: most padded target positions that the model reads at one time.
    """

    objective: Objective
    tokens: int = TOKENS

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Hypothesis]]:
        """For each query, the scores of its targets."""
        asked = [(row, target) for row, query in enumerate(queries) for target in query.targets]
        scores: list[Hypothesis | None] = [None] * len(asked)
        order = sorted(range(len(asked)), key=lambda place: len(asked[place][1]))  # similar lengths together
        for places in _portions(order, [len(target) for _, target in asked], self.tokens):
            targets = [asked[place][1] for place in places]
            rows = torch.tensor([asked[place][0] for place in places], device=stepper.device)
            log_probs = forced_log_probs(stepper, batch.memory.select(rows), targets)
            for place, target, of_target in zip(places, targets, log_probs, strict=True):
                scores[place] = scored(target, of_target, self.objective, queries[asked[place][0]].prefix)
        remaining = iter(score for score in scores if score is not None)
        return [[next(remaining) for _ in query.targets] for query in queries]


@torch.no_grad()
def forced_log_probs(
    stepper: Stepper[Memory, State], memory: Memory, targets: Sequence[Sequence[int]]
) -> list[list[float]]:
    """log P (natural) of every token of each target (ids, EOS last), given its true prefix.

    Args:
        memory: one row per target; or one per W targets, which then follow each other.
    """
    target_out_NT, _ = Ragged.of_ids(targets).rows(range(len(targets)))
    target_out_NT = target_out_NT.to(stepper.device)
    picked_NT = stepper.decode(memory, shifted(target_out_NT)).at(target_out_NT).tolist()
    return [row[: len(target)] for row, target in zip(picked_NT, targets, strict=True)]


def _portions(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[Sequence[int]]:
    """`order` in portions of at most `tokens` padded tokens each; lengths must not decrease along it."""
    start = 0
    for place, index in enumerate(order):
        if place > start and (place + 1 - start) * lengths[index] > tokens:
            yield order[start:place]
            start = place
    if order:
        yield order[start:]
