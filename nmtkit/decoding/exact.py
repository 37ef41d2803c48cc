"""Exact search: the hypothesis with the highest J of all, or how far above the best one found it could still lie.

Depth-first search with admissible pruning (Stahlberg and Byrne 2019, "On NMT Search Errors and Model Errors: Cat Got
Your Tongue?", algorithm 1). A prefix is given up only where its bound, the most any continuation can reach within the
length limit, does not exceed the incumbent, the best hypothesis known so far. So what is left at the end is the global
best, and a search that runs out of its budget still knows the highest bound it left open.

Data flow: nodes of one length, of many sentences, are read by the model in one batch, best first; their children that
could still win become the nodes of the next length and are searched before their elders' brothers. A level keeps one
state of the model for each parent whose children wait; a node whose children are too many makes the best of them and
waits for its turn to make the next, so that the frontier stays small.

Shape key: S sentences, N nodes read in one step, R waiting nodes, T tokens of a prefix, V vocabulary, C children.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.models.interface import LogProbs, Model
from nmtkit.specials import BOS, EOS, UNK

TOLERANCE = 1e-4
"""In J: the certificate says that nothing beats the incumbent by more than the rounding of float32."""
ROUNDING = 1e-4
"""In nats: by so much one log-probability may differ between two batches in float32."""


@dataclass(frozen=True)
class Certificate:
    """What an exact search can swear to.

    Attributes:
        best: the best hypothesis found, or None where none was found within the budget.
        proved: no hypothesis within the limit has a higher J, beyond the tolerance.
        gap: how much higher the best could still be: highest open bound − J of the best; 0 if proved.
        steps: model steps spent (one hypothesis read by the model once is one step).
        limit: the most tokens of a hypothesis, EOS counted: nothing is said about longer ones.
    """

    best: Hypothesis | None
    proved: bool
    gap: float
    steps: int
    limit: int


@dataclass(frozen=True)
class _Nodes:
    """Prefixes that wait to be read: of which sentence, with which parent's state, their last token, Σ log P, how often
    they were read before, the highest total of a child that is still to be made, and all tokens."""

    sentence_R: Tensor
    parent_R: Tensor
    token_R: Tensor
    total_R: Tensor
    turn_R: Tensor
    highest_R: Tensor
    prefix_RT: Tensor

    def select(self, index: Tensor) -> _Nodes:
        return _Nodes(*(getattr(self, field.name)[index] for field in fields(self)))

    def joined(self, other: _Nodes) -> _Nodes:
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return _Nodes(*(torch.cat(pair) for pair in pairs))

    def __len__(self) -> int:
        return self.token_R.shape[0]


@dataclass
class _Level:
    """Waiting nodes of one length and the states of their parents."""

    nodes: _Nodes
    state: Any


@torch.no_grad()
def exact_search(
    model: Model,
    memory: Any,
    limits: Sequence[int],
    *,
    objective: Objective,
    minimums: Sequence[int] | None = None,
    forbid_unk: bool = False,
    incumbents: Sequence[Hypothesis | None] | None = None,
    budget_steps: int = 10_000,
    budget_seconds: float | None = None,
    tolerance: float = TOLERANCE,
    rows: int = 512,
    children: int = 64,
) -> list[Certificate]:
    """The hypothesis with the highest J of every sentence, proved so or with the gap that the budget left.

    Args:
        memory: of the sources, one row each.
        limits: the most tokens of each output, EOS counted; at least 1.
        minimums: the fewest tokens of each output, EOS counted; None: 1.
        forbid_unk: outputs with UNK do not count.
        incumbents: a finished hypothesis of each sentence to start from: the better it is, the less is left to search.
            The empty translation is always tried, where it is allowed.
        budget_steps: model steps of each sentence.
        budget_seconds: of all sentences together; None: as long as it takes.
        tolerance: a prefix is given up where its bound is at most J of the incumbent − this.
        rows: nodes read by the model at one time.
        children: children made of a node at one time, the best first.
    """
    lengths = minimums or [1] * len(limits), limits
    forbidden = (EOS, UNK) if forbid_unk else (EOS,)
    search = _Search(model, memory, lengths, forbidden, objective, tolerance, budget_steps, children)
    for sentence, incumbent in enumerate(incumbents or ()):
        if incumbent is not None:
            search.improve(sentence, incumbent)
    search.run(rows, None if budget_seconds is None else time.monotonic() + budget_seconds)
    return search.certificates()


class _Search:
    """Incumbents, what was spent, and what was left open, for each sentence."""

    def __init__(
        self,
        model: Model,
        memory: Any,
        lengths: tuple[Sequence[int], Sequence[int]],
        forbidden: tuple[int, ...],
        objective: Objective,
        tolerance: float,
        budget: int,
        children: int,
    ) -> None:
        minimums, limits = lengths
        assert len(limits) == memory.size() and budget >= 1 and children >= 1
        self.model, self.memory, self.objective, self.tolerance = model, memory, objective, tolerance
        assert all(1 <= fewest <= most for fewest, most in zip(minimums, limits, strict=True))
        self.budget, self.children, self.out_of_time = budget, children, False
        device, count = model.device, len(limits)
        self.limit_S = torch.tensor(limits, device=device)
        self.minimum_S, self.forbidden = torch.tensor(minimums, device=device), forbidden
        self.score_S = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        self.open_S = torch.full_like(self.score_S, -torch.inf)
        self.steps_S = torch.zeros(count, dtype=torch.int64, device=device)
        self.best: list[Hypothesis | None] = [None] * count

    def improve(self, sentence: int, found: Hypothesis) -> None:
        """A finished hypothesis; kept if it is the best so far."""
        if found.score > self.score_S[sentence] and found.length <= self.limit_S[sentence]:
            self.best[sentence] = found
            self.score_S[sentence] = found.score

    def run(self, rows: int, deadline: float | None) -> None:
        """Search until nothing is left that could win, or the budgets are spent."""
        levels = [self._root()]
        while levels:
            self.out_of_time = deadline is not None and time.monotonic() > deadline
            level = levels[-1]
            level.nodes = self._still_open(level.nodes)
            if not len(level.nodes):
                levels.pop()
                continue
            taken, level.nodes = self._take(level.nodes, rows)
            later, below = self._expand(taken, level.state)
            level.nodes = level.nodes.joined(later)
            if len(below.nodes):
                levels.append(below)

    def _take(self, nodes: _Nodes, most: int) -> tuple[_Nodes, _Nodes]:
        """The first nodes in their order, all of one turn and none that its sentence cannot pay for; and the rest."""
        alike = (nodes.turn_R == nodes.turn_R[0]).nonzero().squeeze(1)
        sentence_R = nodes.sentence_R[alike]
        payable = self._place(sentence_R) < (self.budget - self.steps_S)[sentence_R]
        chosen_R = torch.zeros_like(nodes.sentence_R, dtype=torch.bool)
        chosen_R[alike[payable][:most]] = True
        return nodes.select(chosen_R), nodes.select(~chosen_R)

    def _place(self, sentence_R: Tensor) -> Tensor:
        """How many rows of the same sentence stand before each row."""
        order = sentence_R.argsort(stable=True)
        count_S = torch.bincount(sentence_R, minlength=len(self.best))
        first_S = count_S.cumsum(0) - count_S
        place_R = torch.empty_like(sentence_R)
        place_R[order] = torch.arange(len(order), device=order.device) - first_S[sentence_R[order]]
        return place_R

    def certificates(self) -> list[Certificate]:
        proved_S = ~(self.open_S > self.score_S - self.tolerance)
        gap_S = torch.where(proved_S, 0.0, (self.open_S - self.score_S).clamp(min=0))
        facts = zip(
            self.best, proved_S.tolist(), gap_S.tolist(), self.steps_S.tolist(), self.limit_S.tolist(), strict=True
        )
        return [Certificate(*fact) for fact in facts]

    def _root(self) -> _Level:
        count, device = len(self.best), self.limit_S.device
        sentence_R = torch.arange(count, device=device)
        zero_R = torch.zeros_like(sentence_R)
        total_R = torch.zeros(count, dtype=torch.float64, device=device)
        prefix_RT = torch.zeros(count, 0, dtype=torch.int64, device=device)
        token_R = torch.full_like(sentence_R, BOS)
        nodes = _Nodes(sentence_R, sentence_R, token_R, total_R, zero_R, total_R, prefix_RT)
        return _Level(nodes, self.model.start(self.memory))

    def _bound(self, total: Tensor, sentence: Tensor) -> Tensor:
        return self.objective.bound(total, self.limit_S[sentence].double())

    def _wins(self, bound: Tensor, sentence: Tensor) -> Tensor:
        """Whether something below could still beat the incumbent."""
        return bound > self.score_S[sentence] - self.tolerance

    def _still_open(self, nodes: _Nodes) -> _Nodes:
        """The nodes that may win and may be paid for; what cannot be paid for is noted as open."""
        bound_R = self._bound(nodes.highest_R, nodes.sentence_R)
        wins_R = self._wins(bound_R, nodes.sentence_R)
        broke_R = self.steps_S[nodes.sentence_R] >= self.budget
        if self.out_of_time:
            broke_R = torch.ones_like(broke_R)
        left_R = wins_R & broke_R
        self.open_S.scatter_reduce_(0, nodes.sentence_R[left_R], bound_R[left_R], "amax")
        keep_R = wins_R & ~broke_R
        return nodes if bool(keep_R.all()) else nodes.select(keep_R)

    def _expand(self, nodes: _Nodes, parents: Any) -> tuple[_Nodes, _Level]:
        """Read the nodes; returns those that have more children to make, and the level of the children made now."""
        value_NV, state = self._read(nodes, parents)
        self.steps_S.index_add_(0, nodes.sentence_R, torch.ones_like(nodes.sentence_R))
        length = nodes.prefix_RT.shape[1] + 1
        self._finish(nodes, nodes.total_R + value_NV[:, EOS], length)
        sentence_N1, goes_on_N1 = nodes.sentence_R.unsqueeze(1), (self.limit_S[nodes.sentence_R] > length).unsqueeze(1)
        value_NC, token_NC, last_N1 = self._best_children(value_NV, nodes)
        total_NC, last_N1 = nodes.total_R.unsqueeze(1) + value_NC, nodes.total_R.unsqueeze(1) + last_N1
        wins_NC = self._wins(self._bound(total_NC, sentence_N1), sentence_N1) & goes_on_N1
        for token in self.forbidden:  # EOS has been tried
            wins_NC &= token_NC != token
        row_R, column_R = wins_NC.nonzero(as_tuple=True)
        below = self._children(nodes, state, row_R, token_NC[row_R, column_R], total_NC[row_R, column_R])
        more_N = (self._wins(self._bound(last_N1, sentence_N1), sentence_N1) & goes_on_N1).squeeze(1)
        later = nodes.select(more_N)
        return replace(later, turn_R=later.turn_R + 1, highest_R=last_N1[more_N].squeeze(1)), below

    def _best_children(self, value_NV: Tensor, nodes: _Nodes) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities (−∞: not now) and tokens of the children made in this turn, both (N, C), and the highest
        log-probability of those that wait for the next turn, (N, 1).

        A turn takes what lies above its lowest, so that equals stay together whatever their order; and it begins
        slightly above where the last one ended, since another batch may round the same distribution differently.
        """
        turn = int(nodes.turn_R[0])
        if turn:
            ceiling_N = (nodes.highest_R - nodes.total_R + ROUNDING).to(value_NV.dtype)
            value_NV = value_NV.masked_fill(value_NV > ceiling_N.unsqueeze(1), -torch.inf)
        most = self.children << turn
        if most >= value_NV.shape[1]:
            value_NC, token_NC = value_NV, torch.arange(value_NV.shape[1], device=value_NV.device).expand_as(value_NV)
            return value_NC.double(), token_NC, torch.full_like(nodes.total_R, -torch.inf).unsqueeze(1)
        value_NC, token_NC = value_NV.topk(most, dim=1)
        last_N1 = value_NC[:, -1:]
        return value_NC.masked_fill(value_NC <= last_N1, -torch.inf).double(), token_NC, last_N1.double()

    def _read(self, nodes: _Nodes, parents: Any) -> tuple[Tensor, Any]:
        """Log-probabilities (N, V) after each node, and the states."""
        state, memory = parents.select(nodes.parent_R), self.memory.select(nodes.sentence_R)
        log_probs: LogProbs
        log_probs, state = self.model.step(nodes.token_R, state, memory)
        return log_probs.dense(), state

    def _finish(self, nodes: _Nodes, total_N: Tensor, length: int) -> None:
        """Try every node with EOS behind it."""
        score_N = self.objective.final(total_N, length)
        score_N = score_N.masked_fill(self.minimum_S[nodes.sentence_R] > length, -torch.inf)
        for row in (score_N > self.score_S[nodes.sentence_R]).nonzero().flatten().tolist():
            tokens = (*nodes.prefix_RT[row].tolist(), EOS)
            self.improve(int(nodes.sentence_R[row]), Hypothesis(tokens, float(total_N[row]), float(score_N[row])))

    def _children(self, nodes: _Nodes, state: Any, row_R: Tensor, token_R: Tensor, total_R: Tensor) -> _Level:
        """The next level: best first, the sentences in turn; only states that have children are kept."""
        order = total_R.argsort(descending=True, stable=True)
        order = order[self._place(nodes.sentence_R[row_R[order]]).argsort(stable=True)]
        row_R, token_R, total_R = row_R[order], token_R[order], total_R[order]
        used, parent_R = row_R.unique(return_inverse=True)
        prefix_RT = torch.cat((nodes.prefix_RT[row_R], token_R.unsqueeze(1)), dim=1)
        sentence_R, none_R = nodes.sentence_R[row_R], torch.zeros_like(row_R)
        return _Level(_Nodes(sentence_R, parent_R, token_R, total_R, none_R, total_R, prefix_RT), state.select(used))
