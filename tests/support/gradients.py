"""Two ways to compute the same: equal outputs, equal gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from nmtkit.models.fused.switch import plain

Result = TypeVar("Result")


def plainly(operation: Callable[..., Result], *arguments: Any) -> Result:
    """What the operation's plain formula says."""
    with plain():
        return operation(*arguments)


def doubles(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_(True)


def same_gradients(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
    """Equal outputs, and equal gradients of all inputs for random gradients of the outputs."""
    weights = [torch.randn_like(output) for output in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    ours, theirs = torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)
