"""The tokens that a beam search kept, step by step, and how hypotheses are read back from them.

Shape key: S sentences, A sentences searched in a step, C candidates kept per sentence, F finished hypotheses kept, T
tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.specials import PAD


@dataclass(frozen=True)
class Kept:
    """The candidates that one step kept: tokens, log P and back-pointers to columns of the step before, all (A, C); for
    each of the S sentences, its row among the A."""

    token_AC: Tensor
    value_AC: Tensor
    parent_AC: Tensor
    row_S: Tensor


class Finished:
    """The F best finished hypotheses of each sentence: score, total, and where in the trellis they ended."""

    def __init__(self, sentences: int, keep: int, device: torch.device) -> None:
        shape = (sentences, keep)
        self.score_SF = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
        self.total_SF = torch.full_like(self.score_SF, -torch.inf)
        self.step_SF = torch.zeros(shape, dtype=torch.int64, device=device)
        self.column_SF = torch.zeros_like(self.step_SF)

    def merge(self, active_A: Tensor, score_AC: Tensor, total_AC: Tensor, step: int) -> None:
        """Take in the candidates of a step, without those of score −∞. Among equals the earlier stays ahead."""
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


def read_out(finished: Finished, trellis: list[Kept]) -> list[list[Hypothesis]]:
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
