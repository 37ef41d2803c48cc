"""Engines: searches that compute in another way than the model in float32, and the forced pass that scores them again.

an engine ──► hypotheses, with its own scores ──Forced──► the same hypotheses, with J of the model
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.search import Encoded, Query, Search
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Memory, State, Stepper


class Engine(Search[list[Hypothesis]], Protocol):
    """A search that finds the n best hypotheses of each sentence in its own way."""

    @property
    def settings(self) -> SearchSettings:
        """The settings under which `Beam` is the same search, but for rounding."""

    @property
    def in_words(self) -> str:
        """The engine and the precision in which it computes."""


@dataclass(frozen=True)
class OtherPrecision:
    """Beam search by the same model in another precision.

    Attributes:
        stepper: the model in this precision, such as `Model.lowered` gives it.
        precision: its name.
    """

    stepper: Stepper[Any, Any]
    precision: str
    settings: SearchSettings

    @property
    def in_words(self) -> str:
        return f"nmtkit, {self.precision}"

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Hypothesis] | None]:
        """The n best hypotheses of each sentence, with scores in this precision."""
        own: Encoded[Any] = Encoded(self.stepper, batch.source, batch.mask_BS)
        return Beam.of(self.settings).find(self.stepper, own, queries)


@dataclass(frozen=True)
class Rescored:
    """The hypotheses of an engine with the scores of a forced pass, best first."""

    engine: Search[list[Hypothesis]]
    objective: Objective

    @classmethod
    def of(cls, engine: Engine) -> Rescored:
        """The engine's hypotheses under its own objective."""
        return cls(engine, engine.settings.objective)

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Hypothesis] | None]:
        """The n best of each sentence, in the order of J by the forced pass."""
        found = self.engine.find(stepper, batch, queries)
        asked = [
            replace(query, targets=tuple(hypothesis.tokens for hypothesis in hypotheses or ()))
            for query, hypotheses in zip(queries, found, strict=True)
        ]
        scored = Forced(self.objective).find(stepper, batch, asked)
        return [sorted(own, key=lambda hypothesis: hypothesis.score, reverse=True) or None for own in scored]
