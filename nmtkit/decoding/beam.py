"""Beam search, vectorised over sentences and hypotheses.

Each step keeps the B best candidates of its length. Those that end in EOS are finished and leave; the others live on
and the next step keeps B again. A sentence stops when no living prefix can still beat its n-th best finished
hypothesis, or at its limit, where EOS is the only extension, at its real cost. `Rules` may change this.

Shape key: S sentences, A sentences still searched, W hypotheses per sentence (1 at first, then up to the beam), N =
A·W, K candidates per hypothesis, M candidates inspected per sentence, C of these in the running (B, or 2B if EOS takes
no slot), T tokens so far.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Generic

import torch
from torch import Tensor

from nmtkit.decoding.choices import Prefixes, choices
from nmtkit.decoding.constraints import Constraints
from nmtkit.decoding.given import Given
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.search import Encoded, Query
from nmtkit.decoding.trellis import Finished, Kept, read_out
from nmtkit.decoding.watching import BeamStep, Watcher
from nmtkit.models.distribution import LogProbs
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.specials import BOS, EOS

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings

PLAIN = Rules()


@dataclass(frozen=True)
class Beam:
    """Beam search: the n best hypotheses of every sentence, best first (fewer if the beam holds fewer).

    Attributes:
        width: B, at least 1; 1 is greedy search.
        objective: ranks the finished hypotheses, and decides with the rules when to stop.
        n_best: hypotheses per sentence. The first is the same for every n, unless the rules stop the search early.
    """

    width: int
    objective: Objective
    n_best: int = 1
    rules: Rules = PLAIN

    @classmethod
    def of(cls, settings: SearchSettings) -> Beam:
        """The search that the settings describe."""
        return cls(settings.beam, settings.objective, settings.n_best, settings.rules)

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Hypothesis] | None]:
        """The n best hypotheses of each sentence."""
        return self.watched(stepper, batch, queries, None)

    def watched(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query], watcher: Watcher | None
    ) -> list[list[Hypothesis] | None]:
        """The same as `find`, with a watcher that sees every step."""
        (results,) = BeamRun(self, [self.objective], stepper, batch.memory, queries, watcher).run()
        return [hypotheses or None for hypotheses in results]


@dataclass(frozen=True)
class ByLength:
    """Beam search that returns all finished hypotheses of every sentence, listed by length, each list best first.

    The best of all by J is the one that the beam returns, since its stop rule gives up nothing that could win.

    Raises:
        ValueError: if the rules stop the search before it has seen every length.
    """

    beam: Beam

    def __post_init__(self) -> None:
        if self.beam.rules.patience is not None:
            raise ValueError("patience stops before every length was seen: leave it out of a search by length")

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[list[Hypothesis]] | None]:
        """One list for each length, the shortest length first."""
        everything = replace(self.beam, n_best=self.beam.width * max(query.limit for query in queries))
        results = everything.find(stepper, batch, queries)
        return [None if hypotheses is None else _by_length(hypotheses) for hypotheses in results]


def _by_length(hypotheses: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    lengths = sorted({hypothesis.length for hypothesis in hypotheses})
    return [[hypothesis for hypothesis in hypotheses if hypothesis.length == length] for length in lengths]


@dataclass(frozen=True)
class Swept:
    """What `Beam` finds for one sentence under several widths and objectives.

    Attributes:
        hypotheses: the n best, for each width and objective.
        seconds: the share of the sentence in the time of its batch, for each width: one search serves all objectives.
    """

    hypotheses: Mapping[tuple[int, Objective], list[Hypothesis]]
    seconds: Mapping[int, float]


@dataclass(frozen=True)
class Sweep:
    """Beam search under several widths and objectives, with one search per width.

    Candidates of one length rank by Σ log P under every objective, so one beam serves all; it goes on until the stop
    rule of each is satisfied.

    Attributes:
        widths: the beam widths.
        n_best: hypotheses per sentence.
    """

    widths: tuple[int, ...]
    objectives: tuple[Objective, ...]
    n_best: int = 1
    rules: Rules = PLAIN

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Swept | None]:
        """The hypotheses of each sentence under every width and objective."""
        results: list[dict[tuple[int, Objective], list[Hypothesis]]] = [{} for _ in queries]
        memory, seconds = batch.memory, {}
        for width in self.widths:
            started = time.perf_counter()
            beam = Beam(width, self.objectives[0], self.n_best, self.rules)
            lists = BeamRun(beam, self.objectives, stepper, memory, queries, None).run()
            for objective, of_sentences in zip(self.objectives, lists, strict=True):
                for own, hypotheses in zip(results, of_sentences, strict=True):
                    own[width, objective] = hypotheses
            seconds[width] = (time.perf_counter() - started) / len(queries)
        return [Swept(own, seconds) if all(own.values()) else None for own in results]


class BeamRun(Generic[Memory, State]):
    """The living prefixes of every sentence, what has finished, and the steps so far."""

    def __init__(
        self,
        search: Beam,
        objectives: Sequence[Objective],
        stepper: Stepper[Memory, State],
        memory: Memory,
        queries: Sequence[Query],
        watcher: Watcher | None,
    ) -> None:
        assert objectives and search.n_best >= 1 and len(queries) == memory.size()
        self.stepper, self.memory, self.state = stepper, memory, stepper.start(memory)
        self.beam, self.rules, self.objectives, self.watcher = search.width, search.rules, objectives, watcher
        device, count = stepper.device, len(queries)
        self.limit_A = torch.tensor([query.limit for query in queries], device=device)
        self.minimum_A = torch.tensor([query.minimum for query in queries], device=device)
        self.longest_minimum = max((query.minimum for query in queries), default=1)
        self.nearest_limit = min((query.limit for query in queries), default=1)
        self.given, self.constraints = Given(queries, device), Constraints.of(queries, device)
        self.active_A = torch.arange(count, device=device)
        self.row_S = self.active_A
        self.total_AW = torch.zeros(count, 1, dtype=torch.float64, device=device)
        self.column_AW = torch.zeros(count, 1, dtype=torch.int64, device=device)
        self.prefixes = Prefixes(torch.zeros(count, 0, dtype=torch.int64, device=device))
        self.token_N = torch.full((count,), BOS, device=device)
        self.ended_S = torch.zeros(count, device=device)
        self.finished = [Finished(count, search.n_best, device) for _ in objectives]
        self.trellis: list[Kept] = []

    @torch.inference_mode()
    def run(self) -> list[list[list[Hypothesis]]]:
        """The best hypotheses of every sentence, under each objective."""
        while self.active_A.numel():
            self.step()
        return [read_out(finished, self.trellis) for finished in self.finished]

    def step(self) -> None:
        """Read the last tokens, keep the best continuations, and drop the sentences that are done."""
        length, running = len(self.trellis) + 1, self.beam * (1 + self.rules.free_eos)
        looked_at = max(running, self.watcher.candidates if self.watcher else 0)

        # 1. The distribution after every living prefix, and the best candidates of each sentence.
        log_probs, self.state = self.stepper.step(self.token_N, self.state, self.memory)
        value_AWK, id_AWK = self._continuations(log_probs, length, looked_at)
        best = self.constraints.best if self.constraints else _best
        total_AM, token_AM, value_AM, slot_AM = best(self.total_AW, value_AWK, id_AWK, looked_at)
        parent_AM = self.column_AW.gather(1, slot_AM)
        total_AC, token_AC, slot_AC = (tensor[:, :running] for tensor in (total_AM, token_AM, slot_AM))
        self.given.read(self.active_A, length, total_AM[:, 0])

        # 2. Those of the best B that end in EOS are hypotheses.
        ended_AC = token_AC == EOS
        finished_AC = ended_AC & (total_AC > -torch.inf)
        finished_AC[:, self.beam :] = False
        self._finish(total_AC, finished_AC, length)

        # 3. The B best of the others live on.
        before_AW, active_A = self.total_AW, self.active_A
        self.total_AW, self.column_AW = _living(total_AC.masked_fill(ended_AC, -torch.inf), self.beam)
        self.trellis.append(Kept(token_AC, value_AM[:, :running], parent_AM[:, :running], self.row_S))

        # 4. Sentences whose living prefixes can no longer win are done.
        alive_A = self._alive(finished_AC)
        if self.watcher:
            kept_AM = torch.zeros_like(token_AM, dtype=torch.bool)
            kept_AM.scatter_(1, self.column_AW, self.total_AW > -torch.inf)
            finished_AM = torch.nn.functional.pad(finished_AC, (0, token_AM.shape[1] - finished_AC.shape[1]))
            candidates = (total_AM, token_AM, value_AM, slot_AM, parent_AM, finished_AM, kept_AM)
            before = (length, self.beam, active_A, self.given, log_probs, before_AW)
            self.watcher.see(BeamStep(*before, *candidates, self.column_AW, alive_A))
        self._advance(alive_A, token_AC.gather(1, self.column_AW), slot_AC.gather(1, self.column_AW))

    def _continuations(self, log_probs: LogProbs, length: int, most: int) -> tuple[Tensor, Tensor]:
        """At least `most` continuations of every prefix, if there are that many: log P (−∞: banned) and ids."""
        minimum_A = self.minimum_A if length < self.longest_minimum else None
        limit_A = self.limit_A if length >= self.nearest_limit else None
        given_A = self.given.tokens(self.active_A, length)
        allowed = choices(self.rules, length, self.total_AW.shape, minimum_A, limit_A, self.prefixes, given_A)
        likely = self.given.limited(log_probs, self.active_A, length)
        limited = self.constraints
        value_NK, id_NK = limited.top(allowed, likely.dense(), most) if limited else allowed.top(likely, most)
        return value_NK.unflatten(0, self.total_AW.shape).double(), id_NK.unflatten(0, self.total_AW.shape)

    def _finish(self, total_AC: Tensor, finished_AC: Tensor, length: int) -> None:
        """Take in the hypotheses that ended in this step, under each objective."""
        if not bool(finished_AC.any()):
            return
        for objective, finished in zip(self.objectives, self.finished, strict=True):
            score_AC = self.given.final(objective, total_AC, length, self.active_A.unsqueeze(1))
            score_AC = score_AC.masked_fill(~finished_AC, -torch.inf)
            finished.merge(self.active_A, score_AC, total_AC, length - 1)

    def _alive(self, finished_AC: Tensor) -> Tensor:
        """Which sentences go on: a living prefix can still win, or too few hypotheses are finished."""
        if self.rules.patience is None:
            living = self.total_AW.amax(1), self.limit_A, self.active_A
            bounds = [self.given.bound(objective, *living) for objective in self.objectives]
            lowest = [finished.score_SF[self.active_A, -1] for finished in self.finished]
            return reduce(torch.logical_or, map(torch.gt, bounds, lowest))
        self.ended_S[self.active_A] += finished_AC.sum(1)
        return (self.total_AW.amax(1) > -torch.inf) & (self.ended_S[self.active_A] < self.rules.enough(self.beam))

    def _advance(self, alive_A: Tensor, token_AW: Tensor, slot_AW: Tensor) -> None:
        """Reorder everything by the kept prefixes of the sentences still alive."""
        kept, count = alive_A.nonzero().squeeze(1), len(alive_A)
        old_width = self.state.size() // count
        row_AW = torch.arange(count, device=kept.device).unsqueeze(1) * old_width + slot_AW
        if len(kept) < count:
            token_AW, row_AW = token_AW[kept], row_AW[kept]
            self.memory = self.memory.select(kept)
            self.active_A, self.limit_A, self.minimum_A = self.active_A[kept], self.limit_A[kept], self.minimum_A[kept]
            self.total_AW, self.column_AW = self.total_AW[kept], self.column_AW[kept]
            self.row_S = torch.zeros_like(self.row_S)
            self.row_S[self.active_A] = torch.arange(len(kept), device=kept.device)
        self.token_N, row_N = token_AW.flatten(), row_AW.flatten()
        if not self._in_place(row_N, count * old_width):
            self.state = self.state.select(row_N)
            if self.rules.remember:
                self.prefixes = self.prefixes.select(row_N)
        if self.constraints:
            self.constraints.select(kept, row_N).read(self.token_N)
        if self.rules.remember:
            self.prefixes = Prefixes(torch.cat((self.prefixes.prefix_NT, self.token_N.unsqueeze(1)), dim=1))

    @staticmethod
    def _in_place(row_N: Tensor, count: int) -> bool:
        """Whether every prefix continues the one in its own place, so that nothing has to move; a GPU is not asked."""
        if len(row_N) != count:
            return False
        return row_N.device.type == "cpu" and torch.equal(row_N, torch.arange(count))


def _best(total_AW: Tensor, value_AWK: Tensor, id_AWK: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best candidates of each sentence: totals, tokens, their log P and parents' slots, each (A, C)."""
    candidates = (total_AW.unsqueeze(2) + value_AWK).flatten(1)
    total_AC, index_AC = candidates.topk(min(keep, candidates.shape[1]), dim=1)
    token_AC, value_AC = (tensor.flatten(1).gather(1, index_AC) for tensor in (id_AWK, value_AWK))
    return total_AC, token_AC, value_AC, index_AC // value_AWK.shape[2]


def _living(total_AC: Tensor, beam: int) -> tuple[Tensor, Tensor]:
    """The B best of the candidates that go on (ended ones have −∞): totals and columns, (A, W)."""
    if total_AC.shape[1] <= beam:
        return total_AC, torch.arange(total_AC.shape[1], device=total_AC.device).expand(total_AC.shape[0], -1)
    total_AW, column_AW = total_AC.sort(dim=1, descending=True, stable=True)
    return total_AW[:, :beam], column_AW[:, :beam]
