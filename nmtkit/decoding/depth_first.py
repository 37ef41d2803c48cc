"""Exact search by depth first: the hypothesis with the highest J of all, or how much higher another could still be.

Depth-first search with admissible pruning (Stahlberg and Byrne 2019, "On NMT Search Errors and Model Errors: Cat Got
Your Tongue?", algorithm 1). A prefix is given up only if its bound, the most that any continuation can reach within the
length limit, does not exceed the incumbent, the best hypothesis known so far. So the incumbent at the end is the global
best, and a search that runs out of its budget still knows the highest bound that it left open.

In float32 a bound may be rounded. So a prefix is given up only if its bound is below the incumbent by a tolerance,
which rounding is trusted not to exceed: a prefix given up is truly no better. By the same trust a prefix that the
budget left open may reach its bound plus the tolerance, so the gap of a sentence that is not proved is at least the
tolerance, and a gap of 0 says that it is proved.

With a length penalty that bound, total / lp(limit), is only as strong as the limit. So the limit grows in stages, from
the length of the incumbent by a quarter at a time: each stage that ends proves its limit, the incumbents of the early
stages make the later ones shorter, and a search that runs out of its budget still says up to which length it has proved
its best. Without a penalty there is one stage.

Data flow: nodes of one length, of many sentences, are read by the model in one batch, best first; their children that
could still win become the nodes of the next length and are searched before the other nodes of their parents' length. A
level keeps one state of the model for each parent whose children wait; a node whose children are too many makes the
best of them and waits for its turn to make the next, so that the frontier stays small.

Shape key: S sentences, N nodes read in one step, R waiting nodes, T tokens of a prefix, V vocabulary, C children.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

import torch
from torch import Tensor

from nmtkit.decoding.choices import Likely
from nmtkit.decoding.constraints import Constraints
from nmtkit.decoding.frontier import Level, Nodes, next_level, places
from nmtkit.decoding.given import Given
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.proof import Effort, Proof
from nmtkit.decoding.search import Query
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.specials import BOS, EOS, PAD

GROWTH = 1.25
"""Factor by which the length limit grows from stage to stage."""
ROUNDING = 1e-4
"""Most nats by which one log-probability may differ between two batches in float32."""


class DepthFirst(Generic[Memory, State]):
    """For each sentence the incumbent, the steps spent, and the bounds left open."""

    def __init__(
        self,
        stepper: Stepper[Memory, State],
        memory: Memory,
        queries: Sequence[Query],
        objective: Objective,
        never: tuple[int, ...],
        effort: Effort,
    ) -> None:
        """`never` are tokens that no output has; `memory` has one row per query."""
        assert len(queries) == memory.size()
        self.stepper, self.memory, self.objective, self.effort = stepper, memory, objective, effort
        self.out_of_time, self.forbidden = False, (EOS, *never)
        self.queries, self.given = queries, Given(queries, stepper.device)
        self.constraints = Constraints.of(queries, stepper.device)
        device, count = stepper.device, len(queries)
        self.everything_S = torch.arange(count, device=device)
        self.limit_S = torch.tensor([query.limit for query in queries], device=device)
        self.minimum_S = torch.tensor([query.minimum for query in queries], device=device)
        self.score_S = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        self.open_S = torch.full_like(self.score_S, -torch.inf)  # highest total left open in the stage
        self.reach_S = self.limit_S.clone()  # limit of the stage
        self.proved_S = torch.zeros_like(self.limit_S)  # the last one proved
        self.cut_S = self.open_S.clone()  # highest total that the limit of the stage cut off
        self.left_S = torch.zeros_like(self.score_S)  # … of a prefix of anything longer than the last limit proved
        self.steps_S = torch.zeros(count, dtype=torch.int64, device=device)
        self.best: list[Hypothesis | None] = [None] * count
        for sentence, query in enumerate(queries):
            for incumbent in query.incumbents:
                self.improve(sentence, incumbent)

    def improve(self, sentence: int, hypothesis: Hypothesis) -> None:
        """Keep a finished hypothesis if it is allowed and the best so far."""
        allowed = self.minimum_S[sentence] <= hypothesis.length <= self.limit_S[sentence]
        query = self.queries[sentence]
        allowed &= query.begins(hypothesis.tokens)
        allowed &= not set(self.forbidden) & set(hypothesis.tokens[len(query.prefix) : -1])
        allowed &= self.constraints is None or self.constraints.hold(sentence, hypothesis.tokens)
        if allowed and hypothesis.score > self.score_S[sentence]:
            self.best[sentence] = hypothesis
            self.score_S[sentence] = hypothesis.score

    @torch.no_grad()
    def run(self) -> list[Proof]:
        """Search stage by stage until every limit is proved or the budgets are spent."""
        seconds = self.effort.seconds
        deadline = None if seconds is None else time.monotonic() + seconds * len(self.best)
        sentence_R = self.everything_S
        self.reach_S = self._first_reach() if self.effort.staged and self.objective.alpha else self.limit_S.clone()
        while len(sentence_R):
            self.open_S[sentence_R] = self.cut_S[sentence_R] = -torch.inf
            self._search(sentence_R, deadline)
            done_R = ~self._wins(self._bound(self.open_S[sentence_R], sentence_R), sentence_R)
            sentence_R = sentence_R[done_R]
            self.proved_S[sentence_R] = self.reach_S[sentence_R]
            self.left_S[sentence_R] = torch.maximum(self.cut_S, self._given_up())[sentence_R]
            sentence_R = sentence_R[self.reach_S[sentence_R] < self.limit_S[sentence_R]]
            grown_R = (GROWTH * self.reach_S[sentence_R]).ceil().long()
            self.reach_S[sentence_R] = torch.minimum(grown_R, self.limit_S[sentence_R])
        return self._proofs()

    def _first_reach(self) -> Tensor:
        """The limits of the first stage: the length of the incumbent, or the whole limit if there is none."""
        pairs = zip(self.best, self.limit_S.tolist(), strict=True)
        return torch.tensor([best.length if best else limit for best, limit in pairs], device=self.limit_S.device)

    def _search(self, sentence_R: Tensor, deadline: float | None) -> None:
        """One stage: search until nothing within its limits is left that could win, or the budgets are spent."""
        levels = [self._root(sentence_R)]
        while levels:
            self.out_of_time = deadline is not None and time.monotonic() > deadline
            level = levels[-1]
            level.nodes = self._still_open(level.nodes)
            if not len(level.nodes):
                levels.pop()
                continue
            taken, level.nodes = self._take(level.nodes, self.effort.rows)
            later, below = self._expand(taken, level.state)
            level.nodes = level.nodes.joined(later)
            if len(below.nodes):
                levels.append(below)

    def _take(self, nodes: Nodes, most: int) -> tuple[Nodes, Nodes]:
        """The first nodes in their order, all of one turn and within the budget of their sentences; and the rest.

        A turn makes twice the children of the one before, so half as many nodes are taken: no step makes more than
        rows · children, and the frontier has at most as many for every length.
        """
        turn = int(nodes.turn_R[0])
        alike, most = (nodes.turn_R == turn).nonzero().squeeze(1), max(1, most >> turn)
        sentence_R = nodes.sentence_R[alike]
        payable = places(sentence_R, len(self.best)) < (self.effort.steps - self.steps_S)[sentence_R]
        chosen_R = torch.zeros_like(nodes.sentence_R, dtype=torch.bool)
        chosen_R[alike[payable][:most]] = True
        return nodes.select(chosen_R), nodes.select(~chosen_R)

    def _proofs(self) -> list[Proof]:
        """What was proved of each sentence, and the gap that is left open.

        Whatever is longer than the last limit proved begins with a prefix that its stage gave up or cut off, and with
        one that the stage after it left open, cut off, or gave up for a lower total than those.
        """
        highest_S = torch.minimum(self.left_S, torch.maximum(self.open_S, self.cut_S))
        highest_S = self.given.bound(self.objective, highest_S, self.limit_S, self.everything_S)
        proved_S = self.proved_S == self.limit_S
        gap_S = torch.where(proved_S, 0.0, (highest_S - self.score_S).clamp(min=0) + self.effort.tolerance)
        columns = (proved_S, gap_S, self.steps_S, self.limit_S, self.proved_S)
        return [Proof(*facts) for facts in zip(self.best, *(column.tolist() for column in columns), strict=True)]

    def _given_up(self) -> Tensor:
        """The highest total that a prefix given up by the last stage can have; 0 if there is no incumbent."""
        unit_S = torch.ones_like(self.score_S)
        left_S = self.given.left(self.reach_S, self.everything_S)
        rest_S = (self.score_S - self.effort.tolerance) / self.objective.final(unit_S, left_S)
        total_S = self.given.total_S + rest_S
        return total_S.masked_fill(self.score_S == -torch.inf, 0.0)

    def _root(self, sentence_R: Tensor) -> Level[State]:
        """The empty prefixes of some sentences."""
        zero_R = torch.zeros_like(sentence_R)
        total_R = torch.zeros(len(sentence_R), dtype=torch.float64, device=sentence_R.device)
        prefix_RT = torch.zeros(len(sentence_R), 0, dtype=torch.int64, device=sentence_R.device)
        token_R = torch.full_like(sentence_R, BOS)
        nodes = Nodes(sentence_R, sentence_R, token_R, total_R, zero_R, total_R, prefix_RT)
        return Level(nodes, self.stepper.start(self.memory))

    def _bound(self, total: Tensor, sentence: Tensor) -> Tensor:
        return self.given.bound(self.objective, total, self.reach_S[sentence], sentence)

    def _wins(self, bound: Tensor, sentence: Tensor) -> Tensor:
        """Whether a continuation with this bound could still beat the incumbent."""
        return bound > self.score_S[sentence] - self.effort.tolerance

    def _still_open(self, nodes: Nodes) -> Nodes:
        """The nodes that can win and are within the budget; those beyond the budget are noted as open."""
        bound_R = self._bound(nodes.highest_R, nodes.sentence_R)
        wins_R = self._wins(bound_R, nodes.sentence_R)
        broke_R = self.steps_S[nodes.sentence_R] >= self.effort.steps
        if self.out_of_time:
            broke_R = torch.ones_like(broke_R)
        left_R = wins_R & broke_R
        self.open_S.scatter_reduce_(0, nodes.sentence_R[left_R], nodes.highest_R[left_R], "amax")
        keep_R = wins_R & ~broke_R
        return nodes if bool(keep_R.all()) else nodes.select(keep_R)

    def _expand(self, nodes: Nodes, parents: State) -> tuple[Nodes, Level[State]]:
        """Read the nodes; returns those that have more children to make, and the level of the children made now."""
        log_probs, state = self._read(nodes, parents)
        self.steps_S.index_add_(0, nodes.sentence_R, torch.ones_like(nodes.sentence_R))
        length = nodes.prefix_RT.shape[1] + 1
        value_NV, given_N1 = self._limited(nodes, log_probs, length)
        self._finish(nodes, nodes.total_R + value_NV[:, EOS], length)
        sentence_N1, goes_on_N1 = nodes.sentence_R.unsqueeze(1), (self.reach_S[nodes.sentence_R] > length).unsqueeze(1)
        self._cut_off(nodes, value_NV, length)
        value_NC, token_NC, last_N1 = self._best_children(value_NV, nodes)
        total_NC, last_N1 = nodes.total_R.unsqueeze(1) + value_NC, nodes.total_R.unsqueeze(1) + last_N1
        wins_NC = self._wins(self._bound(total_NC, sentence_N1), sentence_N1) & goes_on_N1
        for token in self.forbidden:  # EOS has been tried
            wins_NC &= (token_NC != token) if given_N1 is None else (token_NC != token) | (token_NC == given_N1)
        row_R, column_R = wins_NC.nonzero(as_tuple=True)
        sentences = len(self.best)
        below = next_level(nodes, state, row_R, token_NC[row_R, column_R], total_NC[row_R, column_R], sentences)
        more_N = (self._wins(self._bound(last_N1, sentence_N1), sentence_N1) & goes_on_N1).squeeze(1)
        later = nodes.select(more_N)
        return replace(later, turn_R=later.turn_R + 1, highest_R=last_N1[more_N].squeeze(1)), below

    def _limited(self, nodes: Nodes, likely: Likely, length: int) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities (N, V), −∞ for tokens that the prefixes and constraints rule out; and the token that must
        follow each node, PAD if any may, (N, 1); None if any may follow every node."""
        value_NV = self.given.limited(likely, nodes.sentence_R, length).dense()
        given_N = self.given.tokens(nodes.sentence_R, length)
        given_N1 = None if given_N is None else given_N.unsqueeze(1)
        if given_N1 is not None:
            self.given.read(nodes.sentence_R, length, nodes.total_R + value_NV.gather(1, given_N1).squeeze(1))
            value_NV = _only(value_NV, given_N1)
        if self.constraints:
            value_NV = self.constraints.reading(nodes.sentence_R, nodes.prefix_RT).restricted(value_NV).dense()
        return value_NV, given_N1

    def _cut_off(self, nodes: Nodes, value_NV: Tensor, length: int) -> None:
        """Note the prefixes that could go on beyond the limit of this stage."""
        cut = (self.reach_S == length) & (self.limit_S > length)
        row_R = cut[nodes.sentence_R].nonzero().squeeze(1)
        if len(row_R):
            beyond_RV = value_NV[row_R].index_fill(1, torch.tensor(self.forbidden, device=value_NV.device), -torch.inf)
            total_R = nodes.total_R[row_R] + beyond_RV.amax(1)
            self.cut_S.scatter_reduce_(0, nodes.sentence_R[row_R], total_R, "amax")

    def _best_children(self, value_NV: Tensor, nodes: Nodes) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities (−∞: not in this turn) and tokens of the children made now, both (N, C), and the highest
        log-probability of those that wait for the next turn, (N, 1).

        A turn takes all children above its lowest, so that equals stay together whatever their order; and it begins
        slightly above where the last one ended, since another batch may round the same distribution differently.
        """
        turn = int(nodes.turn_R[0])
        if turn:
            ceiling_N = (nodes.highest_R - nodes.total_R + ROUNDING).to(value_NV.dtype)
            value_NV = value_NV.masked_fill(value_NV > ceiling_N.unsqueeze(1), -torch.inf)
        most = self.effort.children << turn
        if most >= value_NV.shape[1]:
            value_NC, token_NC = value_NV, torch.arange(value_NV.shape[1], device=value_NV.device).expand_as(value_NV)
            return value_NC.double(), token_NC, torch.full_like(nodes.total_R, -torch.inf).unsqueeze(1)
        value_NC, token_NC = value_NV.topk(most, dim=1)
        last_N1 = value_NC[:, -1:]
        return value_NC.masked_fill(value_NC <= last_N1, -torch.inf).double(), token_NC, last_N1.double()

    def _read(self, nodes: Nodes, parents: State) -> tuple[Likely, State]:
        """The distributions after each node, and the states."""
        state, memory = parents.select(nodes.parent_R), self.memory.select(nodes.sentence_R)
        return self.stepper.step(nodes.token_R, state, memory)

    def _finish(self, nodes: Nodes, total_N: Tensor, length: int) -> None:
        """Try every node with EOS after it."""
        score_N = self.given.final(self.objective, total_N, length, nodes.sentence_R)
        score_N = score_N.masked_fill(self.minimum_S[nodes.sentence_R] > length, -torch.inf)
        for row in (score_N > self.score_S[nodes.sentence_R]).nonzero().flatten().tolist():
            tokens = (*nodes.prefix_RT[row].tolist(), EOS)
            self.improve(int(nodes.sentence_R[row]), Hypothesis(tokens, float(total_N[row]), float(score_N[row])))


def _only(value_NV: Tensor, given_N1: Tensor) -> Tensor:
    """The log-probabilities; −∞ for all but the given token, where it is not PAD."""
    only_NV = torch.full_like(value_NV, -torch.inf).scatter(1, given_N1, value_NV.gather(1, given_N1))
    return value_NV.where(given_N1 == PAD, only_NV)
