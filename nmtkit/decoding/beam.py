"""Beam search, vectorised over sentences and hypotheses.

Each step keeps the B best candidates of its length. Those that end in EOS are finished and leave; the others live on
and the next step keeps B again. A sentence stops when no living prefix can still beat its n-th best finished
hypothesis, or at its limit, where EOS is the only extension, at its real cost. `Rules` say what may be otherwise.

Shape key: S sentences, A sentences still searched, W hypotheses a sentence (1 at first, then up to the beam), N = A·W,
K candidates a hypothesis, C candidates kept a sentence (B, or 2B where EOS takes no slot), T tokens so far,
F finished hypotheses kept (n_best).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.models.interface import LogProbs, Model
from nmtkit.specials import BOS, EOS, PAD

PLAIN = Rules()


@dataclass(frozen=True)
class _Step:
    """What one step kept: tokens, their log P and back-pointers to columns of the step before, all (A, C), and, for
    each of the S sentences, its row among the A."""

    token_AC: Tensor
    value_AC: Tensor
    parent_AC: Tensor
    row_S: Tensor


class _Finished:
    """The F best finished hypotheses of each sentence: score, total, and where in the trellis they ended."""

    def __init__(self, sentences: int, keep: int, device: torch.device) -> None:
        shape = (sentences, keep)
        self.score_SF = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
        self.total_SF = torch.full_like(self.score_SF, -torch.inf)
        self.step_SF = torch.zeros(shape, dtype=torch.int64, device=device)
        self.column_SF = torch.zeros_like(self.step_SF)

    def merge(self, active_A: Tensor, score_AC: Tensor, total_AC: Tensor, step: int) -> None:
        """Take in the candidates of a step; those with score −∞ are none. Of equals the earlier stays ahead."""
        keep = self.score_SF.shape[1]
        column_AC = torch.arange(score_AC.shape[1], device=score_AC.device).expand_as(score_AC)
        joined = torch.cat((self.score_SF[active_A], score_AC), dim=1)
        score, order = joined.sort(dim=1, descending=True, stable=True)
        order = order[:, :keep]
        self.score_SF[active_A] = score[:, :keep]
        for field, fresh in (
            (self.total_SF, total_AC),
            (self.step_SF, torch.full_like(column_AC, step)),
            (self.column_SF, column_AC),
        ):
            field[active_A] = torch.cat((field[active_A], fresh), dim=1).gather(1, order)


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
) -> list[list[Hypothesis]]:
    """The best hypotheses of every sentence, best first, at most `n_best` (fewer where fewer exist within the beam).

    Args:
        memory: of the sources, one row each.
        limits: the most tokens of each output, EOS counted; at least 1.
        beam: B, at least 1; 1 is greedy search.
        n_best: at least 1. The first result is the same for every n, unless the rules stop the search early.
        minimums: the fewest tokens of each output, EOS counted; from 1 to its limit. None: 1.
    """
    device, count, keep = model.device, len(limits), beam * (1 + rules.free_eos)
    limit_A = torch.tensor(limits, device=device)
    minimum_A = torch.tensor(minimums or [1] * count, device=device)
    assert n_best >= 1 and count == memory.size() and bool((limit_A >= minimum_A).all() and (minimum_A >= 1).all())
    active_A = torch.arange(count, device=device)
    total_AW = torch.zeros(count, 1, dtype=torch.float64, device=device)
    live_AW, ended_S = torch.zeros(count, 1, dtype=torch.int64, device=device), torch.zeros(count, device=device)
    prefix_AWT = torch.zeros(count, 1, 0, dtype=torch.int64, device=device)
    token_N = torch.full((count,), BOS, device=device)
    finished = _Finished(count, n_best, device)
    state = model.start(memory)
    trellis: list[_Step] = []
    while active_A.numel():
        log_probs, state = model.step(token_N, state, memory)
        length = len(trellis) + 1
        spare = rules.spare(length, int(minimum_A.max()))
        value_AWK, id_AWK = _candidates(
            log_probs, total_AW.shape, limit_A == length, beam * (1 + rules.free_eos) + spare
        )
        if spare:
            forbidden_AWK = rules.forbidden(id_AWK, length, minimum_A, prefix_AWT)
            value_AWK = value_AWK.masked_fill(forbidden_AWK & (limit_A > length)[:, None, None], -torch.inf)
        total_AC, token_AC, value_AC, slot_AC = _best(total_AW, value_AWK, id_AWK, keep)
        ended_AC = token_AC == EOS
        score_AC = objective.final(total_AC, length).masked_fill(~ended_AC, -torch.inf)
        score_AC[:, beam:] = -torch.inf
        finished.merge(active_A, score_AC, total_AC, length - 1)
        total_AW, kept_AW = _living(total_AC.masked_fill(ended_AC, -torch.inf), beam)
        row_S = torch.zeros(count, dtype=torch.int64, device=device)
        row_S[active_A] = torch.arange(active_A.numel(), device=device)
        trellis.append(_Step(token_AC, value_AC, live_AW.gather(1, slot_AC), row_S))
        bound_A = objective.bound(total_AW.amax(1), limit_A.double())
        if rules.patience is None:
            alive_A = bound_A > finished.score_SF[active_A, -1]
        else:
            ended_S[active_A] += (score_AC > -torch.inf).sum(1)
            alive_A = (bound_A > -torch.inf) & (ended_S[active_A] < rules.patience * beam)
        token_AW, slot_AW = token_AC.gather(1, kept_AW), slot_AC.gather(1, kept_AW)
        if rules.no_repeat_ngram:
            index_AWT = slot_AW.unsqueeze(2).expand(-1, -1, prefix_AWT.shape[2])
            prefix_AWT = torch.cat((prefix_AWT.gather(1, index_AWT), token_AW.unsqueeze(2)), dim=2)[alive_A]
        token_N, state, memory = _advance(alive_A, token_AW, slot_AW, state, memory)
        active_A, limit_A, minimum_A = active_A[alive_A], limit_A[alive_A], minimum_A[alive_A]
        total_AW, live_AW = total_AW[alive_A], kept_AW[alive_A]
    return _read_out(finished, trellis)


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


def _advance(alive_A: Tensor, token_AW: Tensor, slot_AW: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Any]:
    """Tokens to read next, with state and memory in the order of the kept hypotheses of the sentences still alive."""
    kept = alive_A.nonzero().squeeze(1)
    old_width = state.size() // alive_A.shape[0]
    rows = kept.unsqueeze(1) * old_width + slot_AW[kept]
    everybody = kept.shape[0] == alive_A.shape[0]
    moved = not everybody or slot_AW.shape[1] > 1 or old_width > 1
    return (
        token_AW[kept].flatten(),
        state.select(rows.flatten()) if moved else state,
        memory if everybody else memory.select(kept),
    )


def _read_out(finished: _Finished, trellis: list[_Step]) -> list[list[Hypothesis]]:
    """Follow the back-pointers of all finished hypotheses at once."""
    column_SF = finished.column_SF
    tokens, values = [], []
    for number, step in reversed(list(enumerate(trellis))):
        inside_SF = finished.step_SF >= number
        row_SF = step.row_S.unsqueeze(1).expand_as(column_SF)
        safe_SF = torch.where(inside_SF, column_SF, 0)
        tokens.append(torch.where(inside_SF, step.token_AC[row_SF, safe_SF], PAD))
        values.append(step.value_AC[row_SF, safe_SF])
        column_SF = torch.where(inside_SF, step.parent_AC[row_SF, safe_SF], column_SF)
    token_SFT, value_SFT = torch.stack(tokens[::-1], dim=2).tolist(), torch.stack(values[::-1], dim=2).tolist()
    ends, totals, scores = finished.step_SF.tolist(), finished.total_SF.tolist(), finished.score_SF.tolist()
    return [
        [
            Hypothesis(tuple(tokens[: end + 1]), total, score, tuple(values[: end + 1]))
            for tokens, values, end, total, score in zip(*sentence, strict=True)
            if score > float("-inf")
        ]
        for sentence in zip(token_SFT, value_SFT, ends, totals, scores, strict=True)
    ]
