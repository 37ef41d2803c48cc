"""Beam search, vectorised over sentences and hypotheses.

Each step keeps the B best candidates of its length. Those that end in EOS are finished and leave; the others live on
and the next step keeps B again. A sentence stops when no living prefix can still beat its n-th best finished
hypothesis, or at its limit, where EOS is the only extension, at its real cost.

Shape key: S sentences, A sentences still searched, W hypotheses a sentence (1 at first, then up to the beam), N = A·W,
K candidates a hypothesis, F finished hypotheses kept (n_best).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.models.interface import LogProbs, Model
from nmtkit.specials import BOS, EOS, PAD


@dataclass(frozen=True)
class _Step:
    """What one step kept: tokens and back-pointers (A, W) and, for each of the S sentences, its row among the A."""

    token_AW: Tensor
    parent_AW: Tensor
    row_S: Tensor


class _Finished:
    """The F best finished hypotheses of each sentence: score, total, and where in the trellis they ended."""

    def __init__(self, sentences: int, keep: int, device: torch.device) -> None:
        shape = (sentences, keep)
        self.score_SF = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
        self.total_SF = torch.full_like(self.score_SF, -torch.inf)
        self.step_SF = torch.zeros(shape, dtype=torch.int64, device=device)
        self.slot_SF = torch.zeros_like(self.step_SF)

    def merge(self, active_A: Tensor, score_AW: Tensor, total_AW: Tensor, step: int) -> None:
        """Take in the candidates of a step; those with score −∞ are none. Of equals the earlier stays ahead."""
        keep = self.score_SF.shape[1]
        slot_AW = torch.arange(score_AW.shape[1], device=score_AW.device).expand_as(score_AW)
        joined = torch.cat((self.score_SF[active_A], score_AW), dim=1)
        score, order = joined.sort(dim=1, descending=True, stable=True)
        order = order[:, :keep]
        self.score_SF[active_A] = score[:, :keep]
        for field, fresh in (
            (self.total_SF, total_AW),
            (self.step_SF, torch.full_like(slot_AW, step)),
            (self.slot_SF, slot_AW),
        ):
            field[active_A] = torch.cat((field[active_A], fresh), dim=1).gather(1, order)


@torch.no_grad()
def beam_search(
    model: Model, memory: Any, limits: Sequence[int], *, beam: int, objective: Objective, n_best: int = 1
) -> list[list[Hypothesis]]:
    """The best hypotheses of every sentence, best first, at most `n_best` (fewer where fewer exist within the beam).

    Args:
        memory: of the sources, one row each.
        limits: the most tokens of each output, EOS counted; at least 1.
        beam: B, at least 1; 1 is greedy search.
        n_best: from 1 to B. The first result is the same for every n.
    """
    assert 1 <= n_best <= beam and len(limits) == memory.size() and min(limits) >= 1
    device = model.device
    limit_A = torch.tensor(limits, device=device)
    active_A = torch.arange(len(limits), device=device)
    total_AW = torch.zeros(len(limits), 1, dtype=torch.float64, device=device)
    token_N = torch.full((len(limits),), BOS, device=device)
    finished = _Finished(len(limits), n_best, device)
    state = model.start(memory)
    trellis: list[_Step] = []
    while active_A.numel():
        log_probs, state = model.step(token_N, state, memory)
        length = len(trellis) + 1
        total_AW, token_AW, parent_AW = _extend(log_probs, total_AW, limit_A == length, beam)
        row_S = torch.zeros(len(limits), dtype=torch.int64, device=device)
        row_S[active_A] = torch.arange(active_A.numel(), device=device)
        trellis.append(_Step(token_AW, parent_AW, row_S))
        ended_AW = token_AW == EOS
        score_AW = objective.final(total_AW, length).masked_fill(~ended_AW, -torch.inf)
        finished.merge(active_A, score_AW, total_AW, length - 1)
        total_AW = total_AW.masked_fill(ended_AW, -torch.inf)
        bound_A = objective.bound(total_AW.amax(1), limit_A.double())
        alive_A = bound_A > finished.score_SF[active_A, -1]
        token_N, state, memory = _advance(alive_A, token_AW, parent_AW, state, memory)
        active_A, limit_A, total_AW = active_A[alive_A], limit_A[alive_A], total_AW[alive_A]
    return _read_out(finished, trellis)


def _extend(log_probs: LogProbs, total_AW: Tensor, at_limit_A: Tensor, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """The B best candidates of each sentence: totals, tokens and parents' slots, each (A, min(B, W·K))."""
    sentences, width = total_AW.shape
    value_NK, id_NK = log_probs.top(beam)
    value_AWK, id_AWK = value_NK.unflatten(0, (sentences, width)).double(), id_NK.unflatten(0, (sentences, width))
    if at_limit_A.any():
        wanted_N = torch.where(at_limit_A, EOS, PAD).repeat_interleave(width)
        only = torch.full_like(value_AWK, -torch.inf)
        only[..., 0] = log_probs.at(wanted_N).view(sentences, width)
        value_AWK = torch.where(at_limit_A[:, None, None], only, value_AWK)
        id_AWK = torch.where(at_limit_A[:, None, None], EOS, id_AWK)
    candidates_AC = (total_AW.unsqueeze(2) + value_AWK).flatten(1)
    total, index = candidates_AC.topk(min(beam, candidates_AC.shape[1]), dim=1)
    return total, id_AWK.flatten(1).gather(1, index), index // value_AWK.shape[2]


def _advance(alive_A: Tensor, token_AW: Tensor, parent_AW: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Any]:
    """Tokens to read next, with state and memory in the order of the kept hypotheses of the sentences still alive."""
    kept = alive_A.nonzero().squeeze(1)
    old_width = state.size() // alive_A.shape[0]
    rows = kept.unsqueeze(1) * old_width + parent_AW[kept]
    everybody = kept.shape[0] == alive_A.shape[0]
    moved = not everybody or parent_AW.shape[1] > 1 or old_width > 1
    return (
        token_AW[kept].flatten(),
        state.select(rows.flatten()) if moved else state,
        memory if everybody else memory.select(kept),
    )


def _read_out(finished: _Finished, trellis: list[_Step]) -> list[list[Hypothesis]]:
    """Follow the back-pointers of all finished hypotheses at once."""
    slot_SF = finished.slot_SF
    columns = []
    for number, step in reversed(list(enumerate(trellis))):
        inside_SF = finished.step_SF >= number
        row_SF = step.row_S.unsqueeze(1).expand_as(slot_SF)
        safe_SF = torch.where(inside_SF, slot_SF, 0)
        columns.append(torch.where(inside_SF, step.token_AW[row_SF, safe_SF], PAD))
        slot_SF = torch.where(inside_SF, step.parent_AW[row_SF, safe_SF], slot_SF)
    token_SFT = torch.stack(columns[::-1], dim=2).tolist()
    facts = zip(
        token_SFT, finished.step_SF.tolist(), finished.total_SF.tolist(), finished.score_SF.tolist(), strict=True
    )
    return [
        [
            Hypothesis(tuple(tokens[: step + 1]), total, score)
            for tokens, step, total, score in zip(*sentence, strict=True)
            if score > float("-inf")
        ]
        for sentence in facts
    ]
