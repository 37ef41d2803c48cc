"""What may follow the prefixes of a beam search: bans and the limit, as ids beside the distribution.

Nothing is renormalised: what is banned keeps its probability, and what is left keeps its own.

Shape key: A sentences, W hypotheses a sentence, N = A·W, K candidates a hypothesis, P banned tokens, T tokens so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nmtkit.decoding.rules import Rules
from nmtkit.models.distribution import LogProbs
from nmtkit.models.interface import Rows
from nmtkit.specials import EOS, PAD


@dataclass(frozen=True)
class Choices:
    """What may follow each of N prefixes.

    Attributes:
        banned: ids that must not follow, PAD where there is none, (N, P) each.
        forced_N: the only id that may follow, PAD where any may; it goes before the bans. None: any may, everywhere.
    """

    banned: tuple[Tensor, ...] = ()
    forced_N: Tensor | None = None

    def top(self, log_probs: LogProbs, k: int) -> tuple[Tensor, Tensor]:
        """At least the k best of those that may follow: log P (−∞: must not) and ids, both (N, K), in no order."""
        value_NK, id_NK = log_probs.top(k + sum(ban.shape[1] for ban in self.banned))
        for banned_NP in self.banned:
            value_NK = value_NK.masked_fill((id_NK.unsqueeze(2) == banned_NP.unsqueeze(1)).any(2), float("-inf"))
        if self.forced_N is not None:
            free_N1 = (self.forced_N == PAD).unsqueeze(1)
            value_NK = value_NK.masked_fill(~free_N1, float("-inf"))
            first_N1 = value_NK[:, :1].where(free_N1, log_probs.at(self.forced_N).unsqueeze(1))
            value_NK = torch.cat((first_N1, value_NK[:, 1:]), dim=1)
            id_NK = id_NK.where(free_N1, self.forced_N.unsqueeze(1))
        return value_NK, id_NK


def _only(chosen_A: Tensor, token: int, width: int) -> Tensor:
    """The token for each prefix of the chosen sentences, PAD for those of the others, (N)."""
    return chosen_A.long().mul(token).repeat_interleave(width)


def _repeats(prefix_NT: Tensor, size: int) -> Tensor:
    """Tokens that would repeat a sequence of `size` tokens of each prefix, PAD for none, (N, P)."""
    windows = prefix_NT.unfold(1, size, 1)
    last = prefix_NT[:, None, prefix_NT.shape[1] - size + 1 :]
    return windows[..., -1].masked_fill(~(windows[..., :-1] == last).all(-1), PAD)


@dataclass(frozen=True)
class Said(Rows):
    """What rules know of each hypothesis, selected with the model's state: its tokens, (N, T)."""

    prefix_NT: Tensor


def choices(rules: Rules, length: int, width: int, minimum_A: Tensor | None, limit_A: Tensor, said: Said) -> Choices:
    """What may follow prefixes at the step that makes them `length` tokens long.

    Args:
        width: W.
        minimum_A: fewest tokens of an output of each sentence, EOS counted; None where no sentence needs more.
        limit_A: most tokens of an output of each sentence, EOS counted.
        said: only read where the rules `remember`.
    """
    bans = []
    if minimum_A is not None:
        bans.append(_only(minimum_A > length, EOS, width).unsqueeze(1))
    for token in rules.never:
        bans.append(limit_A.new_full((limit_A.shape[0] * width, 1), token))
    if rules.remember and said.prefix_NT.shape[1] >= rules.no_repeat_ngram:
        bans.append(_repeats(said.prefix_NT, rules.no_repeat_ngram))
    at_limit_A = limit_A == length
    return Choices(tuple(bans), _only(at_limit_A, EOS, width) if bool(at_limit_A.any()) else None)
