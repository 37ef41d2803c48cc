"""The comparison of an engine with the model that it was made of: forced scores token by token, and the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.search import Encoded, Query
from nmtkit.interop.engine import Engine
from nmtkit.models.interface import Memory, State, Stepper

TOLERANCE = 5e-5
"""The largest difference in log P of a token that float32 may have, in nats.

Of 15,000 tokens of a trained model, each of two forced passes in float32, that of PyTorch and that of CTranslate2, is
up to 1.2e-5 away from one in float64."""


@dataclass(frozen=True)
class Compared:
    """What engine and model say of a sentence.

    Attributes:
        tokens: number of tokens that both scored.
        difference: largest difference in log P of one of these tokens, in nats.
        own: output of `Beam`, with the scores of a forced pass.
        output: output of the engine, with the scores of a forced pass.
        score: the engine's own J of its output.
    """

    tokens: int
    difference: float
    own: Hypothesis
    output: Hypothesis
    score: float


@dataclass(frozen=True)
class Comparison:
    """A search made of several: `Beam` and the engine search, and both score a given translation.

    Attributes:
        engine: its settings have one output a sentence.
    """

    engine: Engine

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Compared | None]:
        """The targets of a query are what is scored; without one, the output of `Beam` is."""
        forced, settings = Forced(self.engine.settings.objective), self.engine.settings
        own = Beam.of(settings).find(stepper, batch, queries)
        found = self.engine.find(stepper, batch, queries)
        asked = []
        for query, first, second in zip(queries, own, found, strict=True):
            outputs = [hypotheses[0].tokens for hypotheses in (first, second) if hypotheses]
            asked.append(replace(query, targets=(*query.targets, *outputs) if len(outputs) == 2 else ()))
        scored = forced.find(stepper, batch, asked)
        read = [index for index, line in enumerate(self.engine.read(batch)) if line and scored[index]]
        given = [scored[index][0].tokens for index in read]
        theirs = dict(zip(read, self.engine.log_probs(batch.select(read), given) if read else [], strict=True))
        return [
            _compared(scores, theirs.get(index, ()), found[index]) if scores else None
            for index, scores in enumerate(scored)
        ]


def _compared(scores: Sequence[Hypothesis], theirs: Sequence[float], found: Sequence[Hypothesis] | None) -> Compared:
    """Args: scores: of the given translation first, of both outputs last; theirs: empty for a blank sentence."""
    assert found
    pairs = zip(scores[0].log_probs, theirs, strict=True) if theirs else ()
    difference = max((abs(own - other) for own, other in pairs), default=0.0)
    return Compared(len(theirs), difference, scores[-2], scores[-1], found[0].score)


@dataclass(frozen=True)
class Agreement:
    """How far an engine and its model agree on a text.

    Attributes:
        sentences, tokens: how many were compared.
        difference: largest difference in log P of a token, in nats.
        at: number of the sentence that has it, among all.
        score_difference: largest difference between the engine's J of an output and that of a forced pass.
        identical: sentences with the same output, in the same pieces.
        own_score, score: mean J of the outputs of `Beam` and of the engine, by the forced pass.
    """

    sentences: int
    tokens: int
    difference: float
    at: int
    score_difference: float
    identical: int
    own_score: float
    score: float

    @classmethod
    def of(cls, text: Sequence[Compared | None]) -> Agreement:
        """The facts of a text from those of its sentences; None for one that could not be scored.

        Raises:
            ValueError: if there is nothing to compare.
        """
        compared = [sentence for sentence in text if sentence]
        if not any(sentence.tokens for sentence in compared):
            raise ValueError("there is nothing to compare: give lines that are not blank")
        differences = [sentence.difference if sentence else -1.0 for sentence in text]
        return cls(
            sentences=len(compared),
            tokens=sum(sentence.tokens for sentence in compared),
            difference=max(differences),
            at=differences.index(max(differences)) + 1,
            score_difference=max(abs(sentence.score - sentence.output.score) for sentence in compared),
            identical=sum(sentence.own.tokens == sentence.output.tokens for sentence in compared),
            own_score=sum(sentence.own.score for sentence in compared) / len(compared),
            score=sum(sentence.output.score for sentence in compared) / len(compared),
        )
