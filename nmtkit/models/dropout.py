"""Dropout (Srivastava et al. 2014), fast even if random numbers are slow."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout that draws one random byte per unit on a CPU, instead of a random number.

    That is six times as fast; the probability is rounded to a multiple of 1/256 and the kept units are scaled by its
    exact complement, so the expectation is the input. Other devices draw fast: there it is PyTorch's dropout, as it is
    within torch.compile.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.kept = max(1, round(256 * (1 - probability)))

    def forward(self, vectors: Tensor) -> Tensor:
        if not self.training:
            return vectors
        if _draws_fast(vectors):
            dropped: Tensor = nn.functional.dropout(vectors, self.probability, self.training)
            return dropped
        mask = self.scaled_mask(vectors)
        return vectors if mask is None else vectors * mask

    def add(self, residual: Tensor, vectors: Tensor) -> Tensor:
        """residual + dropout(vectors), in one pass on a CPU; the sum has the precision of the residual."""
        if not self.training:
            return residual + vectors
        if _draws_fast(vectors):
            return residual + self.forward(vectors)
        mask = self.scaled_mask(vectors)
        return residual + vectors if mask is None else torch.addcmul(residual, vectors, mask)

    def scaled_mask(self, like: Tensor, *shape: int) -> Tensor | None:
        """The factors of dropout: 0 for a dropped unit, else 1 / (1 − probability). None: nothing is dropped.

        Args:
            like: a tensor of the device and the precision of the mask.
            shape: shape of the mask, if it is not that of `like`.
        """
        if not self.training or self.kept == 256:
            return None
        mask = like.new_empty(shape or like.shape)
        if _draws_fast(mask):
            drawn: Tensor = nn.functional.dropout(mask.fill_(1.0), self.probability)
            return drawn
        words = torch.empty((mask.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.uint8)[: mask.numel()].view(mask.shape)
        return torch.lt(draws, self.kept, out=mask).mul_(256 / self.kept)


def _draws_fast(vectors: Tensor) -> bool:
    """Whether PyTorch's own dropout is fast: on a GPU, and within torch.compile."""
    return vectors.device.type != "cpu" or torch.compiler.is_compiling()
