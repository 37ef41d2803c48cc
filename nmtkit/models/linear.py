"""Linear maps that inference may lay out for the processor, and of which a part can be had alone.

Shape key: D width of the vectors, F width of the product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nmtkit.models.fused.switch import is_plain
from nmtkit.models.matrices import Matrix, laid_out


class Linear(nn.Linear):
    """x Wᵀ + b. The layout of the weights, if there is one, only serves inference."""

    layout: Matrix | None = None

    def lay_out(self, precision: str) -> bool:
        """Lay the weights out for inference, if that pays; they must not change any more. Returns whether it pays."""
        self.layout = laid_out(self.weight, precision)
        return self.layout is not None

    def map(self, rows: slice = slice(None)) -> Callable[[Tensor], Tensor]:
        """The map of vectors (N, D) by some rows of W and b, for inference; the weights must not change any more."""
        weight, bias = self.weight.detach()[rows], self.bias.detach()[rows]
        if self.layout is not None:
            return partial(self.layout.times, rows=rows, bias=bias)
        if weight.device.type != "cpu":
            return partial(nn.functional.linear, weight=weight, bias=bias)
        return partial(torch.addmm, bias, mat2=weight.T.contiguous())  # MKL would copy the other order at each product

    def forward(self, vectors: Tensor) -> Tensor:
        if self.layout is None or torch.is_grad_enabled() or is_plain():
            return nn.functional.linear(vectors, self.weight, self.bias)
        return self.layout.times(vectors, bias=self.bias)

    def part(self, vectors: Tensor, rows: slice) -> Tensor:
        """The map of vectors (…, D) by some rows of W and b, (…, fewer than F)."""
        if self.layout is None or torch.is_grad_enabled() or is_plain():
            return nn.functional.linear(vectors, self.weight[rows], self.bias[rows])
        return self.layout.times(vectors, rows, self.bias[rows])
