"""How the next token of a sample is drawn: from the model's distribution, tempered, and cut to its likely tokens.

    bans             P without what a rule forbids, normalised

    temperature τ    P^(1/τ), normalised: below 1 likely tokens become likelier
    top-k            the k most probable tokens (Fan et al. 2018)
    nucleus, top-p   the fewest most probable tokens that have the probability p together (Holtzman et al. 2020)
    epsilon          the tokens of a probability of at least ε, or the most probable one (Hewitt et al. 2022)

Bans come first, then the temperature. All cuts look at the distribution that both leave, and a token must pass each of
them; so their order plays no part, and the most probable token always passes. What is left is drawn from in proportion.

Shape key: N hypotheses, V vocabulary, K most probable tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from nmtkit.decoding.settings import EPSILON, TEMPERATURE, TOP_K, TOP_P
from nmtkit.settings import check_bounds

COLDEST = 1e-37
"""At this temperature only the most probable tokens are left, and float32 can divide by it."""
LIKELY = 64
"""Number of most probable tokens in which a nucleus is looked for at first."""


@dataclass(frozen=True)
class Cut:
    """A temperature and the cuts; None: no such cut."""

    temperature: Annotated[float, TEMPERATURE] = 1.0
    top_k: Annotated[int | None, TOP_K] = None
    top_p: Annotated[float | None, TOP_P] = None
    epsilon: Annotated[float | None, EPSILON] = None

    def __post_init__(self) -> None:
        check_bounds(self)

    def draw(self, log_prob_NV: Tensor, banned: Sequence[Tensor], uniform_N: Tensor) -> tuple[Tensor, Tensor]:
        """A token for each distribution, by the inverse of its cumulative distribution in the order of the ids, and the
        log of the probability with which it is drawn, (N) each; −1 where nothing may follow or the model gives no
        finite probability.

        Args:
            banned: ids that must not follow, (N, P) each; PAD for none.
            uniform_N: numbers from 0 to below 1, in float64.
        """
        for ban_NP in banned:
            log_prob_NV = log_prob_NV.scatter(1, ban_NP, -torch.inf)
        weight_NV = self.weights(log_prob_NV)
        total_NV = weight_NV.cumsum(1, dtype=torch.float64)
        whole_N = total_NV[:, -1]
        target_N = torch.minimum(uniform_N * whole_N, torch.nextafter(whole_N, torch.zeros_like(whole_N)))
        token_N = torch.searchsorted(total_NV, target_N.unsqueeze(1), right=True).squeeze(1)
        token_N = token_N.where(whole_N > 0, -1)
        own_N = weight_NV.gather(1, token_N.clamp(min=0).unsqueeze(1)).squeeze(1).double()
        return token_N, own_N.log() - whole_N.log()

    def weights(self, log_prob_NV: Tensor) -> Tensor:
        """The probability of each token in proportion, 0 where it is cut off, (N, V); NaN if nothing is possible."""
        if self == WHOLE:
            return log_prob_NV.exp()
        below_NV = log_prob_NV - log_prob_NV.amax(1, keepdim=True)  # so that the best stays finite when it is divided
        prob_NV = (below_NV / max(self.temperature, COLDEST)).softmax(1)
        kept = []
        if self.top_k is not None and self.top_k < prob_NV.shape[1]:
            likely_NK = prob_NV.topk(self.top_k, dim=1).indices
            kept.append(torch.zeros_like(prob_NV, dtype=torch.bool).scatter(1, likely_NK, True))
        if self.top_p is not None and self.top_p < 1:
            kept.append(_nucleus(prob_NV, self.top_p))
        if self.epsilon is not None:
            kept.append(prob_NV >= prob_NV.amax(1, keepdim=True).clamp(max=self.epsilon))
        for kept_NV in kept:
            prob_NV = prob_NV.where(kept_NV, 0.0)
        return prob_NV


WHOLE = Cut()
"""The model's distribution as it is."""


def _nucleus(prob_NV: Tensor, top_p: float) -> Tensor:
    """Whether a token is among the fewest most probable ones that have the probability `top_p` together, (N, V)."""
    kept_NV = torch.zeros_like(prob_NV, dtype=torch.bool)
    value_NK, id_NK = prob_NV.topk(min(LIKELY, prob_NV.shape[1]), dim=1)
    kept_NV.scatter_(1, id_NK, _before(value_NK) < top_p)
    wide = (value_NK.sum(1, dtype=torch.float64) < top_p).nonzero().squeeze(1)
    if len(wide):
        value_MV, id_MV = prob_NV[wide].sort(dim=1, descending=True, stable=True)
        kept_NV[wide] = torch.zeros_like(kept_NV[wide]).scatter(1, id_MV, _before(value_MV) < top_p)
    return kept_NV


def _before(value_NK: Tensor) -> Tensor:
    """The sum of all values to the left of each."""
    return torch.nn.functional.pad(value_NK.cumsum(1, dtype=torch.float64), (1, -1))
