"""Attention of a recurrent decoder to the source: score, extent, normaliser, and soft or hard choice put together.

Shape key: B sentences, H heads, S source positions, W queries of a sentence, D annotation width, U units, Q columns of
the projected query, K key width and C value width of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.focus import Extent, Normaliser, Place
from nmtkit.models.scores import Score


@dataclass(frozen=True)
class Look:
    """What a query found.

    Attributes:
        weights_BHWS: of every position.
        context_BWD: the weighted sum of the values, heads side by side.
        log_p_BW, entropy_BW: of a position that was drawn (summed over heads; 0 where the context is the expected one),
            and of the distribution it was drawn from, in nats; None where nothing is drawn.
    """

    weights_BHWS: Tensor
    context_BWD: Tensor
    log_p_BW: Tensor | None = None
    entropy_BW: Tensor | None = None


class SourceAttention(nn.Module):
    """Several heads score keys of their own and sum values of their own (Vaswani et al. 2017); one head has neither
    projection, as in the papers that introduced the scores.

    Hard attention (Xu et al. 2015) looks at one position: the heaviest, and in training one drawn from the weights, or
    in some queries at all of them like soft attention.

    Args:
        score: of one head, whose keys are `width` / `heads` wide where there are several.
        annotation: width of the annotations.
        width: of all keys of several heads together.
        positions: how many source positions the score knows; None: any.
        hard: one position instead of a weighted sum.
        expected_share: of the queries that hard attention answers with the weighted sum in training.
    """

    def __init__(
        self,
        score: Score,
        extent: Extent,
        normaliser: Normaliser,
        *,
        annotation: int,
        heads: int,
        width: int,
        positions: int | None,
        hard: bool,
        expected_share: float,
    ) -> None:
        super().__init__()
        self.score, self.extent, self.normaliser = score, extent, normaliser
        self.heads, self.positions, self.hard, self.expected_share = heads, positions, hard, expected_share
        self.key = self.value = None
        own = score.columns
        if heads > 1:
            self.key = nn.Linear(annotation, width) if score.reads_keys else None
            self.value = nn.Linear(annotation, annotation)
            own = own or width // heads
        self.columns = heads * (own or 0)
        """Columns of the projected query of all heads; 0: the decoder's state is the query."""

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys (B, H, S, K) and values (B, H, S, C)."""
        read_BSD = annotations_BSD if self.key is None else self.key(annotations_BSD)
        summed_BSD = annotations_BSD if self.value is None else self.value(annotations_BSD)
        return self.score.prepare(self._split(read_BSD)), self._split(summed_BSD)

    def _split(self, vectors_BTD: Tensor) -> Tensor:
        heads: Tensor = vectors_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def look(
        self,
        query_BWQ: Tensor,
        place: Place,
        keys_BHSK: Tensor,
        mask_BS: Tensor,
        sum_values: Callable[[Tensor], Tensor],
    ) -> Look:
        """The contexts of some queries.

        Args:
            query_BWQ: projected, or the state itself where `columns` is 0.
            place: of the queries.
            mask_BS: True where there is a source position.
            sum_values: from weights (B, H, W, S) to sums of the values (B, H, W, C).
        """
        if self.positions is not None:
            mask_BS = mask_BS & (torch.arange(mask_BS.shape[1], device=mask_BS.device) < self.positions)
        allowed_BWS, factor_BWS = self.extent.window(place, mask_BS)
        energies_BHWS = self.score.score(self._split(query_BWQ), keys_BHSK)
        allowed = allowed_BWS.unsqueeze(1).expand_as(energies_BHWS)
        weights_BHWS = self.normaliser.normalise(energies_BHWS, allowed)
        if factor_BWS is not None:
            weights_BHWS = weights_BHWS * factor_BWS.unsqueeze(1)
        log_p_BW = entropy_BW = None
        if self.hard:
            weights_BHWS, log_p_BW, entropy_BW = self._choose(weights_BHWS)
        context_BWD = sum_values(weights_BHWS).transpose(1, 2).flatten(2)
        return Look(weights_BHWS, context_BWD, log_p_BW, entropy_BW)

    def _choose(self, p_BHWS: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """One position of each row, or in training all of them for a share of the queries, for all heads alike."""
        if not self.training:
            return nn.functional.one_hot(p_BHWS.argmax(-1), p_BHWS.shape[-1]).to(p_BHWS.dtype), None, None
        drawn = torch.multinomial(p_BHWS.detach().flatten(0, 2), 1).view(*p_BHWS.shape[:3], 1)
        expected_B1W1 = torch.rand_like(p_BHWS[:, :1, :, :1]) < self.expected_share
        chosen_BHWS = torch.where(expected_B1W1, p_BHWS, torch.zeros_like(p_BHWS).scatter_(3, drawn, 1.0))
        log_p_BW = p_BHWS.gather(3, drawn).squeeze(3).log().sum(1) * ~expected_B1W1[:, 0, :, 0]
        logs_BHWS = p_BHWS.masked_fill(p_BHWS == 0, 1.0).log()  # 0 log 0 is 0, and so is its gradient
        return chosen_BHWS, log_p_BW, -(p_BHWS * logs_BHWS).sum(3).sum(1)
