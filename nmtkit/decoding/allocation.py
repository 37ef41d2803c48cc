"""Dynamic beam allocation: a beam whose places are divided by how far the hypotheses are with their terms.

Candidates that have met the same number of tokens of terms are a bank (Post and Vilar 2018, "Fast Lexically Constrained
Decoding with Dynamic Beam Allocation for Neural Machine Translation"). The places go round the banks, from the one that
is furthest to the one that has met nothing, and each bank gives its best that is left; a bank that is used up is passed
over (Hu et al. 2019). So the bank that is furthest always has a place, however narrow the beam.

Shape key: A sentences, M candidates of a sentence.
"""

from __future__ import annotations

import torch
from torch import Tensor


def allocate(total_AM: Tensor, bank_AM: Tensor, keep: int) -> Tensor:
    """The candidates that get a place, those of the highest totals first, (A, at most `keep`).

    Args:
        total_AM: Σ log P; −∞ for none, which come after all others.
        bank_AM: the number of tokens met, from 0.
    """
    order_AM = total_AM.argsort(dim=1, descending=True, stable=True)
    sorted_AM = bank_AM.gather(1, order_AM)
    banks = int(sorted_AM.amax()) + 1
    of_bank_AMB = torch.nn.functional.one_hot(sorted_AM, banks)
    round_AM = of_bank_AMB.cumsum(1).gather(2, sorted_AM.unsqueeze(2)).squeeze(2)
    turn_AM = (round_AM + 1) * banks - sorted_AM
    turn_AM = turn_AM.masked_fill(total_AM.gather(1, order_AM) == -torch.inf, torch.iinfo(torch.int64).max)
    chosen_AC = turn_AM.argsort(dim=1, stable=True)[:, :keep].sort(dim=1).values
    return order_AM.gather(1, chosen_AC)
