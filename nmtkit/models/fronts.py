"""The entrance of a source to a model: ids through a table of embeddings, or feature vectors through a linear map.

Shape key: B sentences, S source positions, D width, F features, V vocabulary, E embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.autocast import raised
from nmtkit.models.distribution import FIRST, ProjectedLogProbs
from nmtkit.models.interface import Model
from nmtkit.models.matrices import Matrix, laid_out
from nmtkit.specials import PAD


def embedding(size: int, width: int, std: float) -> nn.Embedding:
    """A normally distributed embedding table; the row of PAD is zero and stays zero."""
    table = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=std)
    with torch.no_grad():
        table.weight[PAD].zero_()
    return table


class Front(nn.Module):
    """The entrance of a source to a model."""

    def tables(self) -> tuple[Tensor, ...]:
        """The tensors with a row for each piece of the source's vocabulary."""
        return ()


class TokenFront(Front):
    """Source ids (B, S) to vectors (B, S, D) by an embedding table, which may be shared."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table

    def tables(self) -> tuple[Tensor, ...]:
        return (self.table.weight,)

    def forward(self, source_BS: Tensor) -> Tensor:
        vectors: Tensor = self.table(source_BS)
        return vectors


class FeatureFront(Front):
    """Source feature vectors (B, S, F) to vectors (B, S, D) by a linear map: the source need not be words.

    Args:
        std: initial standard deviation of the vectors for features of variance one.
    """

    def __init__(self, features: int, width: int, std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        nn.init.normal_(self.linear.weight, std=std * features**-0.5)

    def forward(self, source_BSF: Tensor) -> Tensor:
        return raised(self.linear(source_BSF))


@dataclass(frozen=True)
class Embeddings:
    """The embeddings by which symbols enter and leave a model.

    Attributes:
        front: turns source ids or features into vectors of width E.
        target: embedding table of the decoder's input, V × E.
        output: output embeddings, a V × E parameter: the same one as that of the table if they are tied.
    """

    front: Front
    target: nn.Embedding
    output: Tensor


class EmbeddingModel(Model):
    """A model whose symbols enter and leave by embeddings."""

    _layout: Matrix | None = None

    def __init__(self, embeddings: Embeddings) -> None:
        super().__init__()
        self.front, self.target_embedding, self.output_weight = embeddings.front, embeddings.target, embeddings.output

    def lay_out(self, precision: str) -> bool:
        self._layout = laid_out(self.output_weight[FIRST:], precision)
        return self._layout is not None

    def next_tokens(self, hidden: Tensor) -> ProjectedLogProbs:
        """The distributions that follow from states (…, E)."""
        return ProjectedLogProbs(hidden, self.output_weight, self._layout)

    def tables(self) -> dict[str, tuple[Tensor, ...]]:
        return {"source": self.front.tables(), "target": (self.target_embedding.weight, self.output_weight)}
