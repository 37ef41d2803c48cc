"""Where a source enters a model: ids through a table of embeddings, or feature vectors through a linear map.

Shape key: B sentences, S source positions, D width, F features, V vocabulary, E embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.specials import PAD


def embedding(size: int, width: int, std: float) -> nn.Embedding:
    """A normally distributed embedding table; the row of PAD is zero and stays so."""
    table = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=std)
    with torch.no_grad():
        table.weight[PAD].zero_()
    return table


class TokenFront(nn.Module):
    """Source ids (B, S) to vectors (B, S, D) by an embedding table, which may be shared."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table

    def forward(self, source_BS: Tensor) -> Tensor:
        vectors: Tensor = self.table(source_BS)
        return vectors


class FeatureFront(nn.Module):
    """Source feature vectors (B, S, F) to vectors (B, S, D) by a linear map: the source need not be words.

    Args:
        std: of the vectors at first, where features have variance one.
    """

    def __init__(self, features: int, width: int, std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        nn.init.normal_(self.linear.weight, std=std * features**-0.5)

    def forward(self, source_BSF: Tensor) -> Tensor:
        vectors: Tensor = self.linear(source_BSF)
        return vectors


@dataclass(frozen=True)
class Embeddings:
    """Where symbols enter and leave a model.

    Attributes:
        front: source ids or features to vectors of width E.
        target: V × E table of the decoder's input.
        output: V × E parameter, the output embeddings: the same parameter as the table's where they are tied.
    """

    front: nn.Module
    target: nn.Embedding
    output: Tensor
