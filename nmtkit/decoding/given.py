"""What the queries give of their outputs: prefixes, what they cost, and J of what follows them.

Shape key: S sentences, A of them in any order and number, N outputs of these, L tokens of the longest prefix,
P tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from nmtkit.decoding.choices import Likely, Restricted
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.search import Query
from nmtkit.specials import EOS, PAD


class Given:
    """The prefixes of the queries, and Σ log P of each as far as the search has read it.

    Indices of sentences may have any shape that goes with that of the totals beside them.
    """

    def __init__(self, queries: Sequence[Query], device: torch.device) -> None:
        self.longest = max((len(query.prefix) for query in queries), default=0)
        rows = [[*query.prefix, *[PAD] * (self.longest - len(query.prefix))] for query in queries]
        self.token_SL = torch.tensor(rows, dtype=torch.int64, device=device).view(len(rows), self.longest)
        self.length_S = torch.tensor([len(query.prefix) for query in queries], device=device)
        self.total_S = torch.zeros(len(queries), dtype=torch.float64, device=device)
        self._queries, self._device = queries, device
        self._ends = {len(query.prefix) for query in queries if query.word_starts is not None}

    @cached_property
    def _word_starts(self) -> tuple[Tensor, Tensor]:
        """Whether a word ends with each prefix, (S), and the tokens that may follow then, (P)."""
        (tokens,) = {query.word_starts for query in self._queries if query.word_starts is not None}  # of one vocabulary
        ended = [query.word_starts is not None for query in self._queries]
        return torch.tensor(ended, device=self._device), torch.tensor([EOS, *sorted(tokens)], device=self._device)

    def tokens(self, sentence_A: Tensor, length: int) -> Tensor | None:
        """The token that the prefix puts at a place (from 1), PAD for none, (A); None if no sentence has one."""
        return self.token_SL[sentence_A, length - 1] if length <= self.longest else None

    def limited(self, likely: Likely, sentence_A: Tensor, length: int) -> Likely:
        """What may stand at a place (from 1), for as many outputs of each sentence: only the start of a word where a
        prefix has ended one."""
        if length - 1 not in self._ends:
            return likely
        (ended_S, start_P), log_prob_NV = self._word_starts, likely.dense()
        here_A = ended_S[sentence_A] & (self.length_S[sentence_A] == length - 1)
        here_N = here_A.repeat_interleave(len(log_prob_NV) // max(1, len(here_A)))
        other_V = torch.ones(log_prob_NV.shape[1], dtype=torch.bool, device=log_prob_NV.device)
        other_V[start_P] = False
        return Restricted(log_prob_NV.masked_fill(here_N.unsqueeze(1) & other_V, -torch.inf))

    def read(self, sentence_A: Tensor, length: int, total_A: Tensor) -> None:
        """Note Σ log P of the first `length` tokens of prefixes that have as many."""
        if length <= self.longest:
            known_A = (self.length_S[sentence_A] >= length) & total_A.isfinite()
            before_A = self.total_S[sentence_A]
            self.total_S[sentence_A] = torch.minimum(total_A, before_A).where(known_A, before_A)

    def final(self, objective: Objective, total: Tensor, length: int, sentence: Tensor) -> Tensor:
        """J of finished hypotheses of `length` tokens; 0 of a beginning within its prefix."""
        if not self.longest:
            return objective.final(total, length)
        divisors = [objective.penalized(max(1, length - prefix)) for prefix in range(self.longest + 1)]
        divisor_L = torch.tensor(divisors, dtype=torch.float64, device=total.device)
        return self._rest(total, sentence) / divisor_L[self.length_S[sentence]]

    def bound(self, objective: Objective, total: Tensor, limit: Tensor, sentence: Tensor) -> Tensor:
        """The highest J that any continuation can reach within `limit` tokens."""
        if not self.longest:
            return objective.bound(total, limit.double())
        return objective.bound(self._rest(total, sentence), self.left(limit, sentence))

    def left(self, limit: Tensor, sentence: Tensor) -> Tensor:
        """The most tokens after the prefix within `limit` tokens."""
        return (limit - self.length_S[sentence]).double()

    def _rest(self, total: Tensor, sentence: Tensor) -> Tensor:
        """Σ log P of what follows the prefix, 0 within it."""
        return (total - self.total_S[sentence]).clamp(max=0.0)
