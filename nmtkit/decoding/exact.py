"""Exact search: the hypothesis with the highest J of all, or how much higher another could still be.

The beam searches first. The search of `depth_first.py` starts from its hypothesis and from the given translations, all
scored by a forced pass; it proves that nothing is better, or finds what is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.depth_first import DepthFirst
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.proof import Effort, Proof
from nmtkit.decoding.search import Encoded, Query
from nmtkit.models.interface import Memory, State, Stepper

USUAL = Effort()


@dataclass(frozen=True)
class Certified:
    """What an exact search guarantees about one sentence.

    Attributes:
        best: the hypothesis with the highest J that anything found, with log P of its tokens by a forced pass.
        beam: the best hypothesis of the beam search alone.
        proved: no hypothesis within the limit has a higher J than `best`.
        gap: how much higher J of another could still be; 0 if proved, otherwise at least the tolerance (0.0001).
        steps: model steps spent (one hypothesis read by the model once is one step).
        limit: the most tokens of a hypothesis, EOS counted; nothing is said about longer ones.
        proved_limit: nothing of up to this many tokens has a higher J; the limit if proved, 0 if nothing is proved.
    """

    best: Hypothesis
    beam: Hypothesis
    proved: bool
    gap: float
    steps: int
    limit: int
    proved_limit: int


@dataclass(frozen=True)
class Exact:
    """Search for the best of all hypotheses of each sentence, with a proof or the gap that the budget left.

    Attributes:
        beam: the beam search that runs first; its objective and bans hold for the exact search, too.
        effort: the budget, and how to search.

    Raises:
        ValueError: for an objective without a bound, and for rules that make a score depend on the whole prefix.
    """

    beam: Beam
    effort: Effort = USUAL

    def __post_init__(self) -> None:
        if not self.beam.objective.bounded:
            raise ValueError("this objective has no bound on what a prefix can still reach: leave exact search out")
        if self.beam.rules.no_repeat_ngram:
            raise ValueError(
                "no_repeat_ngram makes later words depend on earlier ones: leave it out of an exact search"
            )

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Certified | None]:
        """A certificate for each sentence; the targets of a query are incumbents, too."""
        forced = Forced(self.beam.objective)
        beams = replace(self.beam, n_best=1).find(stepper, batch, queries)
        starts = [
            replace(query, incumbents=(*(beam or ()), *scores, *query.incumbents))
            for query, beam, scores in zip(queries, beams, forced.find(stepper, batch, queries), strict=True)
        ]
        proofs = self.prove(stepper, batch.memory, starts)
        winners = [replace(query, targets=_tokens(proof)) for query, proof in zip(queries, proofs, strict=True)]
        rescored = forced.find(stepper, batch, winners)
        return [_certified(proof, beam, scores) for proof, beam, scores in zip(proofs, beams, rescored, strict=True)]

    def prove(self, stepper: Stepper[Memory, State], memory: Memory, queries: Sequence[Query]) -> list[Proof]:
        """What depth-first search proves, starting from the incumbents of each query.

        Args:
            memory: that of the sources, one row per query.
        """
        beam = self.beam
        return DepthFirst(stepper, memory, queries, beam.objective, beam.rules.never, self.effort).run()


def _tokens(proof: Proof) -> tuple[tuple[int, ...], ...]:
    return (proof.best.tokens,) if proof.best else ()


def _certified(proof: Proof, beam: Sequence[Hypothesis] | None, rescored: Sequence[Hypothesis]) -> Certified | None:
    if not beam or proof.best is None:
        return None
    best = replace(proof.best, log_probs=rescored[0].log_probs)
    return Certified(best, beam[0], proof.proved, proof.gap, proof.steps, proof.limit, proof.proved_limit)
