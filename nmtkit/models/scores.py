"""How well a decoder state (query) and a source annotation (key) fit: the scores of Bahdanau, Luong and others.

Each works in two steps: `prepare` turns the annotations into keys once per sentence (kept in memory), then queries
are scored against them. A score with `columns` reads a query that was projected to that many columns (a decoder forms
that product together with its own); one without reads the state itself, which then must be as wide as its keys.

Shape key: B sentences, H heads, S source positions, W queries per sentence, D annotation width, K key width, Q query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmtkit.models.autocast import raised


class Score(nn.Module, ABC):
    """Energies of queries against keys.

    Attributes:
        columns: columns of a projected query; None: the query is read as it is.
        reads_keys: whether energies depend on the annotations at all.
    """

    columns: int | None = None
    reads_keys = True

    @abstractmethod
    def prepare(self, annotations: Tensor) -> Tensor:
        """Keys (…, S, K) of annotations (…, S, D)."""

    @abstractmethod
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """Energies (…, W, S) of queries (…, W, Q) against keys (…, S, K)."""

    def known(self, mask_BS: Tensor) -> Tensor:
        """The source positions of the mask that can have an energy."""
        return mask_BS


class AdditiveScore(Score):
    """e = vᵀ tanh(W_s s + W_h h). Bahdanau et al. 2015, appendix A.1.2 ("concat" in Luong et al. 2015)."""

    def __init__(self, key_width: int, width: int) -> None:
        super().__init__()
        self.columns = width
        self.key = nn.Linear(key_width, width)
        self.vector = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def prepare(self, annotations: Tensor) -> Tensor:
        keys: Tensor = self.key(annotations)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return (query.unsqueeze(-2) + keys.unsqueeze(-3)).tanh_() @ self.vector


class DotScore(Score):
    """e = sᵀ h · scale: dot (Luong et al. 2015) with scale 1, scaled dot (Vaswani et al. 2017) with 1 / √K."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def prepare(self, annotations: Tensor) -> Tensor:
        return annotations

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(-1, -2) * self.scale


class GeneralScore(Score):
    """e = sᵀ W_a h. Luong et al. 2015."""

    def __init__(self, key_width: int, query_width: int) -> None:
        super().__init__()
        self.key = nn.Linear(key_width, query_width, bias=False)
        nn.init.xavier_uniform_(self.key.weight)

    def prepare(self, annotations: Tensor) -> Tensor:
        keys: Tensor = self.key(annotations)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(-1, -2)


class ContentScore(Score):
    """e = β cos(s, h). Graves et al. 2014, equations 5 and 6.

    A cosine lies in [−1, 1] and cannot focus alone, so β = exp(b) is learned, beginning at `strength`; or it is 1. All
    steps share it; in the paper the controller emits a new one at each.
    """

    def __init__(self, strength: float | None) -> None:
        super().__init__()
        self.log_strength = None if strength is None else nn.Parameter(torch.tensor(strength).log())

    def prepare(self, annotations: Tensor) -> Tensor:
        return nn.functional.normalize(raised(annotations), dim=-1)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        cosines = raised(nn.functional.normalize(raised(query), dim=-1) @ keys.transpose(-1, -2))
        return cosines if self.log_strength is None else cosines * self.log_strength.exp()


class LocationScore(Score):
    """e = (W_a s)[:S], from the target state alone. Luong et al. 2015, equation 8.

    There are energies for `positions` source positions; positions beyond have none, and so no weight.
    """

    reads_keys = False

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.columns = self.positions = positions

    def known(self, mask_BS: Tensor) -> Tensor:
        return mask_BS & (torch.arange(mask_BS.shape[1], device=mask_BS.device) < self.positions)

    def prepare(self, annotations: Tensor) -> Tensor:
        return annotations[..., :0]

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        beyond = max(0, keys.shape[-2] - query.shape[-1])
        return nn.functional.pad(query[..., : keys.shape[-2]], (0, beyond), value=-torch.inf)


class UniformScore(Score):
    """e = 0: the mean of the annotations, a control that does not look."""

    reads_keys = False

    def prepare(self, annotations: Tensor) -> Tensor:
        return annotations[..., :0]

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return query.new_zeros(*query.shape[:-1], keys.shape[-2])
