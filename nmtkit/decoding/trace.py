"""What a beam search looked at: its best candidates step by step, and where it lost a given translation.

Shape key: S sentences, A sentences searched in a step, W living prefixes per sentence, N = A·W, M candidates, V
vocabulary, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.search import Encoded, Query
from nmtkit.decoding.watching import BeamStep, Both
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.specials import EOS


class Fate(StrEnum):
    """What became of a candidate."""

    KEPT = "kept"
    FINISHED = "finished"
    PRUNED = "pruned"


class Ending(StrEnum):
    """How a search came to leave a given translation, or finished it."""

    FINISHED = "finished"
    PRUNED = "pruned"
    FORBIDDEN = "forbidden"
    OTHER_PREFIX = "other prefix"
    STOPPED = "stopped"
    TOO_LONG = "too long"


@dataclass(frozen=True)
class Candidate:
    """A prefix that is one token longer than those of the step before.

    Attributes:
        rank: the place among all candidates of the step, from 1.
        parent: rank of the prefix that it continues among the candidates of the step before; 0 in the first step.
        token: the new token.
        log_p: log P of the new token in nats.
        total: Σ log P of the prefix.
        score: J of the prefix as if it ended here; 0 within a prefix that was given.
    """

    rank: int
    parent: int
    token: int
    log_p: float
    total: float
    score: float
    fate: Fate


@dataclass(frozen=True)
class Step:
    """The best candidates of one length, best first.

    Attributes:
        length: the number of tokens of each.
        prefixes: how many prefixes were continued.
    """

    length: int
    prefixes: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class ReferenceStep:
    """The prefix of a given translation at a step that still had it.

    Attributes:
        rank: the place among all B·|V| candidates of the step, from 1; the first among equals. If it was lost, those
            that the rules of the search forbid count, too.
        total: Σ log P in nats.
        margin: its total minus that of the last candidate that was kept or finished; if it ends, minus that of the
            last candidate that may end (the B-th). Below 0 if it was lost, 0 if there is no such candidate.
    """

    rank: int
    total: float
    margin: float


@dataclass(frozen=True)
class ReferencePath:
    """How far a beam search went along a given translation.

    Attributes:
        steps: one for each length up to that at which the search left the translation.
        ending: `finished`: the translation is among the hypotheses; `pruned`: its prefix of `len(steps)` tokens was not
            among the best (under `free_eos` one that ends must be among the first B); `forbidden`: it was, but a rule
            of the search forbids it; `other prefix`: what the query says of the beginning forbids it; `stopped`: the
            search stopped while the prefix was alive, perhaps because nothing can follow any prefix; `too long`: the
            limit ended it.
    """

    steps: tuple[ReferenceStep, ...]
    ending: Ending


class Recorder:
    """A watcher that notes the best candidates of every step."""

    def __init__(self, sentences: int, candidates: int, objective: Objective) -> None:
        self.candidates, self.objective = candidates, objective
        self.steps: list[list[Step]] = [[] for _ in range(sentences)]

    def see(self, step: BeamStep) -> None:
        score_AM = step.given.final(self.objective, step.total_AM, step.length, step.active_A.unsqueeze(1))
        parent_AM = step.parent_AM + 1 if step.length > 1 else torch.zeros_like(step.parent_AM)
        columns = (parent_AM, step.token_AM, step.value_AM, step.total_AM, score_AM, step.finished_AM, step.kept_AM)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        prefixes = (step.before_AW > -torch.inf).sum(1).tolist()
        for sentence, row, count in zip(step.active_A.tolist(), rows, prefixes, strict=True):
            candidates = [
                Candidate(rank, parent, token, log_p, total, score, _fate(finished, kept))
                for rank, (parent, token, log_p, total, score, finished, kept) in enumerate(
                    zip(*row, strict=True), start=1
                )
                if total > float("-inf")
            ]
            self.steps[sentence].append(Step(step.length, count, tuple(candidates)))


def _fate(finished: bool, kept: bool) -> Fate:
    return Fate.FINISHED if finished else Fate.KEPT if kept else Fate.PRUNED


class Follower:
    """A watcher that follows one given translation of every sentence until the search loses it.

    Args:
        queries: their references are followed; None: nothing is followed.
    """

    candidates = 0

    def __init__(self, queries: Sequence[Query]) -> None:
        self.queries = queries
        self.slot: list[int | None] = [None if query.reference is None else 0 for query in queries]
        self.steps: list[list[ReferenceStep]] = [[] for _ in queries]
        self.endings: list[Ending | None] = [None] * len(queries)

    def see(self, step: BeamStep) -> None:
        sentences = step.active_A.tolist()
        followed = [row for row, sentence in enumerate(sentences) if self.slot[sentence] is not None]
        if not followed:
            return
        before_AW1 = step.before_AW.unsqueeze(2)
        total_AWV = before_AW1 + step.log_probs.dense().unflatten(0, step.before_AW.shape)
        alive = step.alive_A.tolist()
        for row in followed:
            self._follow(step, row, sentences[row], total_AWV[row])
            if self.slot[sentences[row]] is not None and not alive[row]:
                self._part(sentences[row], Ending.STOPPED)

    def _follow(self, step: BeamStep, row: int, sentence: int, total_WV: Tensor) -> None:
        """Follow the reference of one sentence through one step."""
        query, slot = self.queries[sentence], self.slot[sentence]
        tokens = query.reference
        assert tokens is not None and slot is not None
        token, last = tokens[step.length - 1], step.length == query.limit
        if last and token != EOS:
            self._part(sentence, Ending.TOO_LONG)
            return
        mine_M = (step.token_AM[row] == token) & (step.slot_AM[row] == slot)
        taken_M = step.finished_AM[row] | step.kept_AM[row]
        total, total_M = float(total_WV[slot, token]), step.total_AM[row]
        if not taken_M.any() and total == -math.inf:  # a dead end
            self._part(sentence, Ending.STOPPED)
            return
        rivals = total_WV[:, EOS] if last else total_WV
        columns = (mine_M & taken_M).nonzero().flatten().tolist()
        rank = columns[0] + 1 if columns else int((rivals > total).sum()) + 1
        before_M = total_M[: step.beam][total_M[: step.beam] > -math.inf] if token == EOS else total_M[taken_M]
        margin = total - float(before_M.min()) if len(before_M) else 0.0
        self.steps[sentence].append(ReferenceStep(rank, total, margin))
        if not query.begins(tokens[: step.length]):
            self._part(sentence, Ending.OTHER_PREFIX)
        elif not columns:
            pruned = margin <= 0 and len(before_M) > 0
            self._part(sentence, Ending.PRUNED if pruned else Ending.FORBIDDEN)
        elif token == EOS:
            self._part(sentence, Ending.FINISHED)
        else:
            self.slot[sentence] = int((step.column_AW[row] == columns[0]).nonzero())

    def _part(self, sentence: int, ending: Ending) -> None:
        self.slot[sentence], self.endings[sentence] = None, ending

    def path(self, sentence: int) -> ReferencePath | None:
        """How far the search followed the reference of a sentence, once it is over; None without a reference."""
        ending = self.endings[sentence]
        return None if ending is None else ReferencePath(tuple(self.steps[sentence]), ending)


@dataclass(frozen=True)
class Seen:
    """What a beam search found for a sentence, and the candidates that it looked at.

    Attributes:
        hypotheses: the n best, best first.
        steps: the best candidates, step by step; empty if none are noted.
        path: how far it followed the reference of the query; None without a reference.
    """

    hypotheses: list[Hypothesis]
    steps: tuple[Step, ...]
    path: ReferencePath | None


@dataclass(frozen=True)
class Traced:
    """Beam search that follows the reference of each query, and notes the best candidates of every step.

    Attributes:
        candidates: the number to note in each step; 0 for none.
    """

    beam: Beam
    candidates: int = 0

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Seen | None]:
        """The hypotheses of each sentence, as `Beam` finds them, and what the search looked at.

        Raises:
            ValueError: for terms, for which the beam does not keep the best candidates.
        """
        if any(query.terms for query in queries):
            raise ValueError("a trace shows the best candidates, but terms make the beam keep others: leave them out")
        recorder = Recorder(len(queries), self.candidates, self.beam.objective)
        follower = Follower(queries)
        watcher = Both(recorder, follower) if self.candidates else follower
        results = self.beam.watched(stepper, batch, queries, watcher)
        return [
            None if hypotheses is None else Seen(hypotheses, tuple(recorder.steps[row]), follower.path(row))
            for row, hypotheses in enumerate(results)
        ]
