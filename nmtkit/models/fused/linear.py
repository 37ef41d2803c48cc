"""Linear maps side by side, and the feed-forward network of a Transformer (Vaswani et al. 2017, equation 2).

Shape key: M positions, D width of the vectors, F width of a product or of the inner layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmtkit.models.autocast import lowered
from nmtkit.models.fused.switch import is_plain


def split_linear(vectors: Tensor, weight: Tensor, bias: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Several linear maps of the same vectors in one product; its gradient needs no concatenation.

    Args:
        vectors: (…, D).
        weight: (parts · F, D).
        bias: (parts · F).

    Returns:
        `parts` tensors (…, F).
    """
    if is_plain() or not torch.is_grad_enabled():
        return torch.nn.functional.linear(vectors, weight, bias).chunk(parts, -1)
    outputs: tuple[Tensor, ...] = _SplitLinear.apply(*map(lowered, (vectors, weight, bias)), parts)  # type: ignore[no-untyped-call]
    return outputs


class _SplitLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, parts: int) -> tuple[Tensor, ...]:
        ctx.save_for_backward(vectors, weight)
        return torch.nn.functional.linear(vectors, weight, bias).chunk(parts, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        vectors, weight = ctx.saved_tensors
        flat = vectors.reshape(-1, vectors.shape[-1])
        of_weight, of_bias = ctx.needs_input_grad[1:3]
        grad_weight = torch.empty_like(weight) if of_weight else None
        grad_bias = weight.new_empty(weight.shape[0]) if of_bias else None
        grad_flat = torch.empty_like(flat)
        size = weight.shape[0] // len(grads)
        for part, grad in enumerate(grads):
            rows = slice(part * size, (part + 1) * size)
            grad_MF = grad.reshape(-1, size)
            if part == 0:
                torch.mm(grad_MF, weight[rows], out=grad_flat)
            else:
                grad_flat.addmm_(grad_MF, weight[rows])
            if grad_weight is not None:
                torch.mm(grad_MF.T, flat, out=grad_weight[rows])
            if grad_bias is not None:
                torch.sum(grad_MF, 0, out=grad_bias[rows])
        return grad_flat.view(vectors.shape), grad_weight, grad_bias, None


def rectified_network(
    vectors: Tensor, inner: torch.nn.Linear, outer: torch.nn.Linear, scaled_mask: Tensor | None = None
) -> Tensor:
    """max(0, x W₁ + b₁) · mask W₂ + b₂, rectified and masked in place in both directions.

    Args:
        vectors: (…, D).
        scaled_mask: factors of dropout for the inner vectors (…, F); None: nothing is dropped.
    """
    if is_plain():
        hidden = torch.relu(inner(vectors))
        return outer(hidden if scaled_mask is None else hidden * scaled_mask)  # type: ignore[no-any-return]
    if not torch.is_grad_enabled() and scaled_mask is None:
        return outer(torch.relu_(inner(vectors)))  # type: ignore[no-any-return]
    factors = map(lowered, (vectors, inner.weight, inner.bias, outer.weight, outer.bias))
    result: Tensor = _RectifiedNetwork.apply(*factors, scaled_mask)  # type: ignore[no-untyped-call]
    return result


class _RectifiedNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, mask: Any) -> Tensor:
        inner = torch.nn.functional.linear(vectors, w1, b1).relu_()
        if mask is not None:
            inner.mul_(mask)
        ctx.save_for_backward(vectors, inner, w1, w2, mask)
        return torch.nn.functional.linear(inner, w2, b2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        vectors, inner, w1, w2, mask = ctx.saved_tensors
        flat, inner_MF, grad_MD = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (vectors, inner, grad))
        grad_inner = grad_MD @ w2
        if mask is not None:
            grad_inner.mul_(mask.view(grad_inner.shape))
        torch.ops.aten.threshold_backward.grad_input(grad_inner, inner_MF, 0, grad_input=grad_inner)
        of_w1, of_b1, of_w2, of_b2 = ctx.needs_input_grad[1:5]
        return (
            (grad_inner @ w1).view(vectors.shape),
            grad_inner.T @ flat if of_w1 else None,
            grad_inner.sum(0) if of_b1 else None,
            grad_MD.T @ inner_MF if of_w2 else None,
            grad_MD.sum(0) if of_b2 else None,
            None,
        )
