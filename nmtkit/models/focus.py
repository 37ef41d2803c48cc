"""From energies to weights: the positions that may be looked at (Luong et al. 2015), and their normalisation.

Shape key: B sentences, H heads, W queries per sentence, S source positions, U width of the decoder's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import entmax
import torch
from torch import Tensor, nn

from nmtkit.models.autocast import raised


@dataclass(frozen=True)
class Place:
    """The place of a query in the target.

    Attributes:
        state_BWU: the decoder's state itself.
        position: position of the target word that it looks for, from 0; (W), or a single one for all queries.
    """

    state_BWU: Tensor
    position: Tensor


class Normaliser(ABC):
    """Weights of the positions that may be looked at; exactly zero elsewhere."""

    sums_to_one = True

    @abstractmethod
    def normalise(self, energies: Tensor, allowed: Tensor) -> Tensor:
        """Weights in the shape of `energies` (…, S); `allowed` has at least one True along the last dimension."""


class Softmax(Normaliser):
    """exp(e) / Σ exp(e)."""

    def normalise(self, energies: Tensor, allowed: Tensor) -> Tensor:
        return energies.masked_fill(~allowed, -torch.inf).softmax(-1)


class Sparse(Normaliser):
    """The projection onto the simplex (Martins and Astudillo 2016) or entmax, exponent 1.5 (Peters et al. 2019)."""

    FAR = 8.0
    """Difference to the highest energy; both mappings give weight zero at a difference of 2 already."""

    def __init__(self, exponent: float) -> None:
        self.mapping = entmax.sparsemax if exponent == 2 else entmax.entmax15

    def normalise(self, energies: Tensor, allowed: Tensor) -> Tensor:
        highest = energies.masked_fill(~allowed, -torch.inf).amax(-1, keepdim=True)
        filled = torch.where(allowed, energies.clamp(min=(highest - self.FAR).detach()), (highest - self.FAR).detach())
        weights: Tensor = self.mapping(filled, dim=-1)
        return weights.masked_fill(~allowed, 0.0)


class Sigmoid(Normaliser):
    """σ(e) or, with a bias, σ(e − log S): each position independently, so that weights do not sum to one.

    Without the bias the context grows with the number S of positions that may be looked at.
    """

    sums_to_one = False

    def __init__(self, bias: bool) -> None:
        self.bias = bias

    def normalise(self, energies: Tensor, allowed: Tensor) -> Tensor:
        if self.bias:
            energies = energies - allowed.sum(-1, keepdim=True).to(energies.dtype).log()
        return energies.sigmoid().masked_fill(~allowed, 0.0)


@dataclass(frozen=True)
class Window:
    """The positions that an extent allows a query.

    Attributes:
        allowed_BWS: True where the query may look; one row may stand for all queries.
        factor_BWS: factors of the weights, or None.
    """

    allowed_BWS: Tensor
    factor_BWS: Tensor | None = None


class Extent(nn.Module, ABC):
    """Decides which positions a query may look at."""

    @abstractmethod
    def window(self, place: Place, mask_BS: Tensor) -> Window:
        """The window of each query; `mask_BS` is True where there is a source position."""


class Global(Extent):
    """All of the source."""

    def window(self, place: Place, mask_BS: Tensor) -> Window:
        return Window(mask_BS.unsqueeze(1))


class Monotonic(Extent):
    """local-m: at most D from position t, the position of the target word. Luong et al. 2015, section 3.2.

    Beyond the end of the source, its last position stands for t.
    """

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach

    def window(self, place: Place, mask_BS: Tensor) -> Window:
        last_B1 = mask_BS.sum(1, keepdim=True) - 1
        centre_BW = torch.minimum(place.position.reshape(1, -1), last_B1)
        source_S = torch.arange(mask_BS.shape[1], device=mask_BS.device)
        near_BWS = (source_S - centre_BW.unsqueeze(2)).abs() <= self.reach
        return Window(near_BWS & mask_BS.unsqueeze(1))


class Predictive(Extent):
    """local-p: at most D from p = S · σ(v_pᵀ tanh(W_p s)), weights times exp(−(i − p)² / 2σ²), σ = D / 2.

    Luong et al. 2015, equations 9 and 10: the products are not normalised again. S is the true length; positions
    count from 0.
    """

    def __init__(self, reach: int, units: int) -> None:
        super().__init__()
        self.reach = reach
        self.inner, self.vector = nn.Linear(units, units, bias=False), nn.Linear(units, 1, bias=False)

    def window(self, place: Place, mask_BS: Tensor) -> Window:
        length_B1 = mask_BS.sum(1, keepdim=True)
        share_BW = raised(self.vector(torch.tanh(self.inner(place.state_BWU)))).sigmoid().squeeze(2)
        centre_BW = length_B1 * share_BW
        source_S = torch.arange(mask_BS.shape[1], device=mask_BS.device)
        distance_BWS = source_S - centre_BW.unsqueeze(2)
        allowed_BWS = (distance_BWS.abs() <= self.reach) & mask_BS.unsqueeze(1)
        return Window(allowed_BWS, torch.exp(-2 * (distance_BWS / self.reach) ** 2))
