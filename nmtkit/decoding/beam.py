"""Beam search, vectorised over sentences and hypotheses.

Each step keeps the B best candidates of its length. Those that end in EOS are finished and leave; the others live on
and the next step keeps B again. A sentence stops when no living prefix can still beat its n-th best finished
hypothesis, or at its limit, where EOS is the only extension, at its real cost. `Rules` say what may be otherwise.

Shape key: S sentences, A sentences still searched, W hypotheses a sentence (1 at first, then up to the beam), N = A·W,
K candidates a hypothesis, M candidates looked at a sentence, C of these in the running (B, or 2B where EOS takes no
slot), T tokens so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.trellis import Finished, Kept, read_out
from nmtkit.models.distribution import LogProbs
from nmtkit.models.interface import Model
from nmtkit.specials import BOS, EOS, PAD

PLAIN = Rules()


@dataclass(frozen=True)
class BeamStep:
    """One step as it was taken, for those who watch.

    Attributes:
        length: tokens of the candidates, the new one counted.
        beam: how many candidates, the best, may end.
        active_A: the sentences that were searched in it.
        log_probs: distributions after the N living prefixes.
        before_AW: Σ log P of the living prefixes in nats, −∞ where there is none.
        total_AM, token_AM, value_AM, slot_AM: of the best candidates, best first: Σ log P (−∞: none), the new token,
            its log P, and the slot (0 … W − 1) of the prefix that it continues.
        parent_AM: column of that prefix among the candidates of the step before.
        finished_AM, kept_AM: which ended and are hypotheses; which live on.
        column_AW: columns of those in the slots of the next step, dead ones among them.
        alive_A: whether the search of the sentence goes on.
    """

    length: int
    beam: int
    active_A: Tensor
    log_probs: LogProbs
    before_AW: Tensor
    total_AM: Tensor
    token_AM: Tensor
    value_AM: Tensor
    slot_AM: Tensor
    parent_AM: Tensor
    finished_AM: Tensor
    kept_AM: Tensor
    column_AW: Tensor
    alive_A: Tensor


class Watcher(Protocol):
    """Sees every step of a search, with as many candidates of a sentence as it asks for."""

    candidates: int

    def see(self, step: BeamStep) -> None:
        """Called once a step."""


@torch.no_grad()
def beam_search(
    model: Model,
    memory: Any,
    limits: Sequence[int],
    *,
    beam: int,
    objective: Objective,
    n_best: int = 1,
    minimums: Sequence[int] | None = None,
    rules: Rules = PLAIN,
    watcher: Watcher | None = None,
) -> list[list[Hypothesis]]:
    """The best hypotheses of every sentence, best first, at most `n_best` (fewer where fewer exist within the beam).

    Args:
        memory: of the sources, one row each.
        limits: the most tokens of each output, EOS counted; at least 1.
        beam: B, at least 1; 1 is greedy search.
        n_best: at least 1. The first result is the same for every n, unless the rules stop the search early.
        minimums: the fewest tokens of each output, EOS counted; from 1 to its limit. None: 1.
        watcher: sees every step; changes nothing.
    """
    search = _Beam(model, memory, limits, minimums or [1] * len(limits), beam, [objective], n_best, rules, watcher)
    (found,) = search.run()
    return found


@torch.no_grad()
def beam_sweep(
    model: Model,
    memory: Any,
    limits: Sequence[int],
    *,
    beam: int,
    objectives: Sequence[Objective],
    n_best: int = 1,
    minimums: Sequence[int] | None = None,
    rules: Rules = PLAIN,
) -> list[list[list[Hypothesis]]]:
    """What `beam_search` finds under each objective, in one search.

    Candidates of one length rank by Σ log P whatever the objective, so one beam serves all; it goes on until the stop
    rule of each is satisfied.
    """
    assert objectives
    return _Beam(model, memory, limits, minimums or [1] * len(limits), beam, objectives, n_best, rules, None).run()


class _Beam:
    """The living prefixes of every sentence, what has finished, and the steps so far."""

    def __init__(
        self,
        model: Model,
        memory: Any,
        limits: Sequence[int],
        minimums: Sequence[int],
        beam: int,
        objectives: Sequence[Objective],
        n_best: int,
        rules: Rules,
        watcher: Watcher | None,
    ) -> None:
        self.model, self.memory, self.state = model, memory, model.start(memory)
        self.beam, self.objectives, self.rules, self.watcher = beam, objectives, rules, watcher
        device, count = model.device, len(limits)
        self.limit_A, self.minimum_A = torch.tensor(limits, device=device), torch.tensor(minimums, device=device)
        assert n_best >= 1 and count == memory.size()
        assert bool((self.limit_A >= self.minimum_A).all() and (self.minimum_A >= 1).all())
        self.longest_minimum = max(minimums, default=1)
        self.active_A = torch.arange(count, device=device)
        self.total_AW = torch.zeros(count, 1, dtype=torch.float64, device=device)
        self.column_AW = torch.zeros(count, 1, dtype=torch.int64, device=device)
        self.prefix_AWT = torch.zeros(count, 1, 0, dtype=torch.int64, device=device)
        self.token_N = torch.full((count,), BOS, device=device)
        self.ended_S = torch.zeros(count, device=device)
        self.finished = [Finished(count, n_best, device) for _ in objectives]
        self.trellis: list[Kept] = []

    def run(self) -> list[list[list[Hypothesis]]]:
        """The best hypotheses of every sentence, under each objective."""
        while self.active_A.numel():
            self.step()
        return [read_out(finished, self.trellis) for finished in self.finished]

    def step(self) -> None:
        """Read the last tokens, keep the best continuations, let go of sentences that are done."""
        length, running = len(self.trellis) + 1, self.beam * (1 + self.rules.free_eos)
        looked_at = max(running, self.watcher.candidates if self.watcher else 0)
        log_probs, self.state = self.model.step(self.token_N, self.state, self.memory)
        value_AWK, id_AWK = self._allowed(log_probs, length, looked_at)
        total_AM, token_AM, value_AM, slot_AM = _best(self.total_AW, value_AWK, id_AWK, looked_at)
        parent_AM = self.column_AW.gather(1, slot_AM)
        total_AC, token_AC, slot_AC = (tensor[:, :running] for tensor in (total_AM, token_AM, slot_AM))
        ended_AC = token_AC == EOS
        finished_AC = ended_AC & (total_AC > -torch.inf)
        finished_AC[:, self.beam :] = False
        for objective, finished in zip(self.objectives, self.finished, strict=True):
            score_AC = objective.final(total_AC, length).masked_fill(~finished_AC, -torch.inf)
            finished.merge(self.active_A, score_AC, total_AC, length - 1)
        before_AW, active_A = self.total_AW, self.active_A
        self.total_AW, self.column_AW = _living(total_AC.masked_fill(ended_AC, -torch.inf), self.beam)
        row_S = torch.zeros_like(self.ended_S, dtype=torch.int64)
        row_S[active_A] = torch.arange(active_A.numel(), device=active_A.device)
        self.trellis.append(Kept(token_AC, value_AM[:, :running], parent_AM[:, :running], row_S))
        alive_A = self._alive(finished_AC)
        if self.watcher:
            finished_AM, kept_AM = torch.zeros(2, *token_AM.shape, dtype=torch.bool, device=token_AM.device)
            finished_AM[:, :running] = finished_AC
            kept_AM.scatter_(1, self.column_AW, self.total_AW > -torch.inf)
            candidates = (total_AM, token_AM, value_AM, slot_AM, parent_AM, finished_AM, kept_AM)
            before = (length, self.beam, active_A, log_probs, before_AW)
            self.watcher.see(BeamStep(*before, *candidates, self.column_AW, alive_A))
        self._advance(alive_A, token_AC.gather(1, self.column_AW), slot_AC.gather(1, self.column_AW))

    def _allowed(self, log_probs: LogProbs, length: int, most: int) -> tuple[Tensor, Tensor]:
        """At least `most` continuations of every prefix, where there are as many: log P (−∞: forbidden) and ids."""
        spare = self.rules.spare(length, self.longest_minimum)
        value_AWK, id_AWK = _candidates(log_probs, self.total_AW.shape, self.limit_A == length, most + spare)
        if spare:
            forbidden_AWK = self.rules.forbidden(id_AWK, length, self.minimum_A, self.prefix_AWT)
            value_AWK = value_AWK.masked_fill(forbidden_AWK & (self.limit_A > length)[:, None, None], -torch.inf)
        return value_AWK, id_AWK

    def _alive(self, finished_AC: Tensor) -> Tensor:
        """Which sentences go on: those where a living prefix can still win, or that have not finished enough."""
        if self.rules.patience is None:
            highest_A, limit_A = self.total_AW.amax(1), self.limit_A.double()
            pairs = zip(self.objectives, self.finished, strict=True)
            wins = [one.bound(highest_A, limit_A) > done.score_SF[self.active_A, -1] for one, done in pairs]
            return torch.stack(wins).any(0)
        self.ended_S[self.active_A] += finished_AC.sum(1)
        return (self.total_AW.amax(1) > -torch.inf) & (self.ended_S[self.active_A] < self.rules.enough(self.beam))

    def _advance(self, alive_A: Tensor, token_AW: Tensor, slot_AW: Tensor) -> None:
        """Put everything in the order of the kept prefixes of the sentences still alive."""
        kept, old_width = alive_A.nonzero().squeeze(1), self.state.size() // alive_A.shape[0]
        everybody = kept.shape[0] == alive_A.shape[0]
        if not everybody or slot_AW.shape[1] > 1 or old_width > 1:
            self.state = self.state.select((kept.unsqueeze(1) * old_width + slot_AW[kept]).flatten())
        self.token_N = token_AW[kept].flatten()
        if self.rules.no_repeat_ngram:
            index_AWT = slot_AW.unsqueeze(2).expand(-1, -1, self.prefix_AWT.shape[2])
            self.prefix_AWT = torch.cat((self.prefix_AWT.gather(1, index_AWT), token_AW.unsqueeze(2)), dim=2)[kept]
        if not everybody:
            self.memory = self.memory.select(kept)
            self.active_A, self.limit_A, self.minimum_A = self.active_A[kept], self.limit_A[kept], self.minimum_A[kept]
            self.total_AW, self.column_AW = self.total_AW[kept], self.column_AW[kept]


def beam_by_length(
    model: Model, memory: Any, limits: Sequence[int], *, beam: int, objective: Objective, **options: Any
) -> list[list[list[Hypothesis]]]:
    """The lectures' view: for every sentence the finished hypotheses of each length up to its limit, best first.

    The best of all by J is what `beam_search` returns, since its stop rule gives up nothing that could win.

    Args:
        options: `minimums` and `rules` of `beam_search`; the rules must not stop it early.
    """
    assert options.get("rules", PLAIN).patience is None
    everything = beam_search(
        model, memory, limits, beam=beam, objective=objective, n_best=beam * max(limits), **options
    )
    return [
        [[one for one in found if one.length == length] for length in range(1, limit + 1)]
        for found, limit in zip(everything, limits, strict=True)
    ]


def _candidates(log_probs: LogProbs, shape_AW: torch.Size, at_limit_A: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The `most` best continuations of every hypothesis: log P and ids, (A, W, K); at the limit EOS alone."""
    value_NK, id_NK = log_probs.top(most)
    value_AWK, id_AWK = value_NK.unflatten(0, shape_AW).double(), id_NK.unflatten(0, shape_AW)
    if at_limit_A.any():
        wanted_N = torch.where(at_limit_A, EOS, PAD).repeat_interleave(shape_AW[1])
        only = torch.full_like(value_AWK, -torch.inf)
        only[..., 0] = log_probs.at(wanted_N).view(shape_AW)
        value_AWK = torch.where(at_limit_A[:, None, None], only, value_AWK)
        id_AWK = torch.where(at_limit_A[:, None, None], EOS, id_AWK)
    return value_AWK, id_AWK


def _best(total_AW: Tensor, value_AWK: Tensor, id_AWK: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best candidates of each sentence: totals, tokens, their log P and parents' slots, each (A, C)."""
    candidates = (total_AW.unsqueeze(2) + value_AWK).flatten(1)
    total_AC, index_AC = candidates.topk(min(keep, candidates.shape[1]), dim=1)
    token_AC, value_AC = (tensor.flatten(1).gather(1, index_AC) for tensor in (id_AWK, value_AWK))
    return total_AC, token_AC, value_AC, index_AC // value_AWK.shape[2]


def _living(total_AC: Tensor, beam: int) -> tuple[Tensor, Tensor]:
    """The B best of those that go on (what has ended is −∞): totals and columns, (A, W)."""
    if total_AC.shape[1] <= beam:
        return total_AC, torch.arange(total_AC.shape[1], device=total_AC.device).expand(total_AC.shape[0], -1)
    total_AW, column_AW = total_AC.sort(dim=1, descending=True, stable=True)
    return total_AW[:, :beam], column_AW[:, :beam]
