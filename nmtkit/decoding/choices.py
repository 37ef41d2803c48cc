"""The tokens that may follow the prefixes of a beam search: bans and the limit, as ids beside the distribution.

Nothing is renormalised: banned tokens keep their probability, and so do all others.

Shape key: A sentences, W hypotheses per sentence, N = A·W, K candidates per hypothesis, P banned tokens, T tokens so
far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nmtkit.decoding.rules import Rules
from nmtkit.models.distribution import FIRST
from nmtkit.models.interface import Rows
from nmtkit.specials import EOS, PAD


class Likely(Protocol):
    """The methods of `LogProbs` that a search needs, for N prefixes."""

    def top(self, k: int) -> tuple[Tensor, Tensor]: ...
    def at(self, ids: Tensor) -> Tensor: ...
    def dense(self) -> Tensor: ...
    def split(self, rows: int) -> Iterator[Likely]: ...


class Restricted:
    """Log-probabilities written out, (N, V), −∞ for what must not follow."""

    def __init__(self, dense_NV: Tensor) -> None:
        self.dense_NV = dense_NV

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """As in `LogProbs`."""
        support_NV = self.dense_NV[:, FIRST:]
        value_NK, place_NK = support_NV.topk(min(k, support_NV.shape[1]), dim=1)
        return value_NK, place_NK + FIRST

    def at(self, ids: Tensor) -> Tensor:
        """As in `LogProbs`."""
        return self.dense_NV.gather(1, ids.unsqueeze(1)).squeeze(1).masked_fill(ids == PAD, 0.0)

    def dense(self) -> Tensor:
        """As in `LogProbs`."""
        return self.dense_NV

    def split(self, rows: int) -> Iterator[Restricted]:
        """As in `LogProbs`."""
        return map(Restricted, self.dense_NV.split(rows))


@dataclass(frozen=True)
class Choices:
    """The tokens that may follow each of N prefixes.

    Attributes:
        banned: ids that must not follow, PAD for none, (N, P) each.
        forced_N: the only id that may follow, PAD if any may; it overrules the bans. None: any may follow every prefix.
    """

    banned: tuple[Tensor, ...] = ()
    forced_N: Tensor | None = None

    def top(self, log_probs: Likely, k: int) -> tuple[Tensor, Tensor]:
        """At least the k best tokens that may follow: log P (−∞: must not follow) and ids, both (N, K), unordered."""
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
    """The token for each prefix of the chosen sentences, PAD for the prefixes of the others, (N)."""
    return chosen_A.long().mul(token).repeat_interleave(width)


def _repeats(prefix_NT: Tensor, size: int) -> Tensor:
    """Tokens that would repeat a sequence of `size` tokens of each prefix, PAD for none, (N, P)."""
    windows = prefix_NT.unfold(1, size, 1)
    last = prefix_NT[:, None, prefix_NT.shape[1] - size + 1 :]
    return windows[..., -1].masked_fill(~(windows[..., :-1] == last).all(-1), PAD)


@dataclass(frozen=True)
class Prefixes(Rows):
    """The tokens of each hypothesis, (N, T), which some rules need; selected together with the model's state."""

    prefix_NT: Tensor


def choices(
    rules: Rules,
    length: int,
    shape: torch.Size,
    minimum_A: Tensor | None,
    limit_A: Tensor | None,
    prefixes: Prefixes,
    given_A: Tensor | None = None,
) -> Choices:
    """The tokens that may follow the prefixes at the step that makes them `length` tokens long.

    Args:
        shape: A and W.
        minimum_A: fewest tokens of an output of each sentence, EOS counted; None if no sentence has a minimum.
        limit_A: most tokens of an output of each sentence, EOS counted; None if no sentence has reached it.
        prefixes: only read if the rules `remember`.
        given_A: the token that its prefix puts here, for each sentence, PAD for none; None if no sentence has one.
    """
    bans, width = [], shape[1]
    if minimum_A is not None:
        bans.append(_only(minimum_A > length, EOS, width).unsqueeze(1))
    for token in rules.never:
        bans.append(prefixes.prefix_NT.new_full((shape.numel(), 1), token))
    if rules.remember and prefixes.prefix_NT.shape[1] >= rules.no_repeat_ngram:
        bans.append(_repeats(prefixes.prefix_NT, rules.no_repeat_ngram))
    forced_A = None if limit_A is None else (limit_A == length).long().mul(EOS)
    if given_A is not None:
        forced_A = given_A if forced_A is None else torch.maximum(given_A, forced_A)  # a sentence has one of them
    return Choices(tuple(bans), None if forced_A is None else forced_A.repeat_interleave(width))
