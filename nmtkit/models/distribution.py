"""Distributions over the target vocabulary, computed only as far as a search or a loss asks.

Shape key: D hidden width, V vocabulary, M selected rows, K best ids, C candidates for them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nmtkit.models.fused.loss import projected_cross_entropy
from nmtkit.models.fused.switch import is_plain
from nmtkit.models.matrices import Matrix
from nmtkit.specials import BOS, PAD

FIRST = 2
"""The first id a model can produce: PAD and BOS are outside the support by construction."""
FEW = 8
"""Number of rows from which the detour over blocks pays."""
BLOCK = 64
"""Number of log-probabilities in a block, of which only the highest is compared at first."""


class LogProbs(ABC):
    """Distributions over the vocabulary (natural log, at least float32), one for each leading index."""

    @abstractmethod
    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """The k best log-probabilities (all V − 2 if k is larger), best first, and their ids: two tensors (…, k)."""

    @abstractmethod
    def at(self, ids: Tensor) -> Tensor:
        """Log-probability of one id for each distribution, in the shape of `ids`; 0 (and no work) if the id is PAD."""

    @abstractmethod
    def dense(self) -> Tensor:
        """All log-probabilities (…, V), −∞ at PAD and BOS."""

    @abstractmethod
    def split(self, rows: int) -> Iterator[LogProbs]:
        """The distributions in parts of so many, by the first index, so that few are dense at one time."""

    @abstractmethod
    def loss(self, target: Tensor, smoothing: float = 0.0, scored_M: Tensor | None = None) -> Tensor:
        """Sum over the positions whose target is not PAD of the label-smoothed cross-entropy, in nats.

        (1 − ε) · −log P(target) + ε · mean over the support of −log P (Szegedy et al. 2016, section 7).

        Args:
            scored_M: `scored(target)`, if it is known; to find it, the program must wait for a GPU.
        """


class ProjectedLogProbs(LogProbs):
    """softmax(hidden · weightᵀ) over the support, computed only as far as asked.

    Args:
        hidden: the states, (…, D).
        weight_VD: output embeddings, of which rows `FIRST:` are used.
        layout: the layout of these rows for inference, if there is one.
    """

    CHUNK = 1024
    """Number of rows whose logits are held at one time for single log-probabilities."""
    CACHED = 256
    """Number of rows whose logits are held at one time for the best ids."""

    def __init__(self, hidden: Tensor, weight_VD: Tensor, layout: Matrix | None = None) -> None:
        self.hidden = hidden
        self._whole, self.weight, self._layout = weight_VD, weight_VD[FIRST:], layout

    def _logits(self, hidden: Tensor) -> Tensor:
        if self._layout is not None and not torch.is_grad_enabled() and not is_plain():
            return self._layout.times(hidden)
        logits = nn.functional.linear(hidden, self.weight)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        k = min(k, self.weight.shape[0])
        if is_plain():
            values, places = self._logits(self.hidden).log_softmax(-1).topk(k)
            return values, places + FIRST
        chunks = self.hidden.flatten(0, -2).split(self.CACHED)
        parts = [_top(self._logits(hidden).log_softmax(-1), k) for hidden in chunks]
        values, ids = (torch.cat(tensors).unflatten(0, self.hidden.shape[:-1]) for tensors in zip(*parts, strict=True))
        return values, ids + FIRST

    def at(self, ids: Tensor, scored_M: Tensor | None = None) -> Tensor:
        """As in `LogProbs`; `scored_M` as in `loss`."""
        places_M = scored(ids) if scored_M is None else scored_M
        hidden_MD, ids_M = self._hidden(places_M), ids.flatten().index_select(0, places_M)
        parts = [
            _pick(self._logits(hidden), chunk)
            for hidden, chunk in zip(hidden_MD.split(self.CHUNK), ids_M.split(self.CHUNK), strict=True)
        ]
        picked_M = torch.cat(parts)
        result = torch.zeros(ids.numel(), dtype=picked_M.dtype, device=picked_M.device)
        return result.index_copy(0, places_M, picked_M).view(ids.shape)

    def _hidden(self, places_M: Tensor) -> Tensor:
        """The states at some positions, (M, D)."""
        return self.hidden.flatten(0, -2).index_select(0, places_M)

    def dense(self) -> Tensor:
        log_probs = self._logits(self.hidden).log_softmax(-1)
        return nn.functional.pad(log_probs, (FIRST, 0), value=-math.inf)

    def split(self, rows: int) -> Iterator[LogProbs]:
        return (ProjectedLogProbs(hidden, self._whole, self._layout) for hidden in self.hidden.split(rows))

    def loss(self, target: Tensor, smoothing: float = 0.0, scored_M: Tensor | None = None) -> Tensor:
        places_M = scored(target) if scored_M is None else scored_M
        target_M = target.flatten().index_select(0, places_M)
        return projected_cross_entropy(self._hidden(places_M), self._whole, target_M, smoothing, FIRST)


def scored(target: Tensor) -> Tensor:
    """The places of all targets that are not PAD, (M), in the flattened tensor."""
    return (target.flatten() != PAD).nonzero().squeeze(1)


def _top(values_MV: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest values of each row and their columns, (M, k): they lie in the k blocks with the highest maxima, so
    that only these are sorted."""
    size, blocks = values_MV.shape[1], values_MV.shape[1] // BLOCK
    if blocks < 2 * k or values_MV.shape[0] < FEW:
        return values_MV.topk(k, dim=1)
    highest_MB = values_MV[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK)).amax(2)
    first_MK1 = highest_MB.topk(k, dim=1, sorted=False).indices.unsqueeze(2) * BLOCK
    column = torch.arange(size, device=values_MV.device)
    rest = column[blocks * BLOCK :].expand(values_MV.shape[0], -1)
    place_MC = torch.cat(((first_MK1 + column[:BLOCK]).flatten(1), rest), dim=1)
    values_MK, chosen_MK = values_MV.gather(1, place_MC).topk(k, dim=1)
    return values_MK, place_MC.gather(1, chosen_MK)


def _pick(logits_MV: Tensor, ids_M: Tensor) -> Tensor:
    picked = logits_MV.gather(-1, (ids_M - FIRST).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (picked - logits_MV.logsumexp(-1)).masked_fill(ids_M == BOS, -math.inf)
