"""Attention of a recurrent decoder to the source (Bahdanau et al. 2015; Luong et al. 2015).

weights = softmax(score(query, keys)), context = weights · values: see `SourceAttention.look`.

Shape key: B sentences, H heads, S source positions, W queries per sentence, D annotation width, U units, Q columns of
the projected query, K key width and C value width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nmtkit.models.autocast import lowered, raised
from nmtkit.models.focus import Extent, Normaliser, Place
from nmtkit.models.fused.shared_matrix import SharedMatrix
from nmtkit.models.hard import Draws, HardChoice
from nmtkit.models.scores import Score


@dataclass(frozen=True)
class Look:
    """The result of a look: what the queries found.

    Attributes:
        weights_BHWS: the weight of every position.
        context_BWD: the weighted sum of the values, heads side by side.
        draws: facts about drawn positions, (B, W); None if nothing was drawn.
    """

    weights_BHWS: Tensor
    context_BWD: Tensor
    draws: Draws | None = None


@dataclass(frozen=True)
class HeadSizes:
    """The sizes of an attention.

    Attributes:
        heads: H.
        annotation: D.
        width: width of the keys of all heads together, if there are several.
    """

    heads: int
    annotation: int
    width: int


class SourceAttention(nn.Module):
    """Several heads score keys of their own and sum values of their own (Vaswani et al. 2017); one head has neither
    projection, as in the papers that introduced the scores.

    Args:
        score: the score of one head; with several heads its keys are `width` / `heads` wide.
        hard: chooses one position instead of a weighted sum; None: soft attention.
    """

    def __init__(
        self, score: Score, extent: Extent, normaliser: Normaliser, hard: HardChoice | None, sizes: HeadSizes
    ) -> None:
        super().__init__()
        self.score, self.extent, self.normaliser, self.hard = score, extent, normaliser, hard
        self.heads = sizes.heads
        self.key = self.value = None
        own = score.columns
        if sizes.heads > 1:
            self.key = nn.Linear(sizes.annotation, sizes.width) if score.reads_keys else None
            self.value = nn.Linear(sizes.annotation, sizes.annotation)
            own = own or sizes.width // sizes.heads
        self.columns = sizes.heads * (own or 0)
        """Columns of the projected query of all heads; 0: the decoder's state is the query."""

    def prepare(self, annotations_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys (B, H, S, K) and values (B, H, S, C)."""
        read_BSD = annotations_BSD if self.key is None else self.key(annotations_BSD)
        summed_BSD = annotations_BSD if self.value is None else self.value(annotations_BSD)
        return lowered(self.score.prepare(self._split(read_BSD))), lowered(self._split(summed_BSD))

    def _split(self, vectors_BTD: Tensor) -> Tensor:
        heads: Tensor = vectors_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def look(
        self, query_BWQ: Tensor, place: Place, keys_BHSK: Tensor, values_BHSC: Tensor | SharedMatrix, mask_BS: Tensor
    ) -> Look:
        """The contexts of some queries.

        Args:
            query_BWQ: the projected queries, or the states themselves if `columns` is 0.
            place: the places of the queries.
            values_BHSC: the values, a `SharedMatrix` if many steps look at them.
            mask_BS: True where there is a source position.
        """
        window = self.extent.window(place, self.score.known(mask_BS))
        energies_BHWS = raised(self.score.score(self._split(query_BWQ), keys_BHSK))
        allowed_BHWS = window.allowed_BWS.unsqueeze(1).expand_as(energies_BHWS)
        weights_BHWS = self.normaliser.normalise(energies_BHWS, allowed_BHWS)
        if window.factor_BWS is not None:
            weights_BHWS = weights_BHWS * window.factor_BWS.unsqueeze(1)
        draws = None
        if self.hard is not None:
            weights_BHWS, draws = self.hard(weights_BHWS)
        context_BHWC = weights_BHWS @ values_BHSC
        return Look(weights_BHWS, context_BHWC.transpose(1, 2).flatten(2), draws)
