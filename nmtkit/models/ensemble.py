"""An ensemble of models is a model (Hansen and Salamon 1990): the mean of its members' probabilities.

Shape key: B sentences, S source positions, N hypotheses, T target positions, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmtkit.models.distribution import FIRST, LogProbs, scored
from nmtkit.models.interface import Maps, Model, Rows
from nmtkit.models.modules import Modules
from nmtkit.specials import PAD


@dataclass(frozen=True)
class Members(Rows):
    """The memories or the states of the members of an ensemble."""

    members: tuple[Any, ...]


class MeanLogProbs(LogProbs):
    """The log of the arithmetic mean of several distributions over one vocabulary."""

    def __init__(self, members: Sequence[LogProbs]) -> None:
        self.members = members

    def _mean(self, values: list[Tensor]) -> Tensor:
        return torch.stack(values).logsumexp(0) - math.log(len(values))

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        log_probs = self.dense()[..., FIRST:]
        values, ids = log_probs.topk(min(k, log_probs.shape[-1]), dim=-1)
        return values, ids + FIRST

    def at(self, ids: Tensor) -> Tensor:
        return self._mean([member.at(ids) for member in self.members]).masked_fill(ids == PAD, 0.0)

    def dense(self) -> Tensor:
        return self._mean([member.dense() for member in self.members])

    def split(self, rows: int) -> Iterator[LogProbs]:
        return map(MeanLogProbs, zip(*(member.split(rows) for member in self.members), strict=True))

    def loss(self, target: Tensor, smoothing: float = 0.0, scored_M: Tensor | None = None) -> Tensor:
        if scored_M is None:
            scored_M = scored(target)
        log_probs_MV = self.dense()[..., FIRST:].flatten(0, -2)[scored_M]
        gold_M = log_probs_MV.gather(1, (target.flatten()[scored_M] - FIRST).unsqueeze(1))
        return -((1 - smoothing) * gold_M.sum() + smoothing * log_probs_MV.mean(-1).sum())


class Ensemble(Model):
    """Several models with one target vocabulary as one model; it holds sentences that all of them can hold."""

    def __init__(self, members: Sequence[Model]) -> None:
        super().__init__()
        self.members = Modules(members)
        self.longest = min((member.longest for member in members if member.longest is not None), default=None)
        self.attends = tuple(kinds for member in members for kinds in member.attends)

    def lay_out(self, precision: str) -> bool:
        return max(member.lay_out(precision) for member in self.members)

    def encode(self, source: Tensor, mask_BS: Tensor) -> Members:
        return Members(tuple(member.encode(source, mask_BS) for member in self.members))

    def start(self, memory: Members) -> Members:
        return Members(tuple(member.start(own) for member, own in self._with(memory)))

    def _with(self, memory: Members) -> Iterator[tuple[Model, Any]]:
        """Each member with its own memory."""
        return zip(self.members, memory.members, strict=True)

    def step(self, token_N: Tensor, state: Members, memory: Members) -> tuple[LogProbs, Members]:
        triples = zip(self.members, state.members, memory.members, strict=True)
        results = [member.step(token_N, own, read) for member, own, read in triples]
        return MeanLogProbs([result[0] for result in results]), Members(tuple(result[1] for result in results))

    def decode(self, memory: Members, target_in_NT: Tensor) -> LogProbs:
        return MeanLogProbs([member.decode(own, target_in_NT) for member, own in self._with(memory)])

    def attention(self, memory: Members, target_in_NT: Tensor) -> Maps:
        maps = [member.attention(own, target_in_NT) for member, own in self._with(memory)]
        cross = tuple(layer for member_maps in maps for layer in member_maps.cross)
        return Maps(cross, tuple(layer for member_maps in maps for layer in member_maps.decoder))

    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        maps = (member.encoder_attention(source, mask_BS) for member in self.members)
        return tuple(layer for member_maps in maps for layer in member_maps)
