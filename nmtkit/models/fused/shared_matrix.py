"""The matrix of a recurrence: many steps multiply by it, and its gradient is formed once.

Shape key: T steps, N rows, K and F the matrix's height and width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmtkit.models.autocast import lowered
from nmtkit.models.fused.switch import is_plain


class SharedMatrix:
    """A matrix that every step of an unrolled loop multiplies by; its gradient is formed once, over all steps.

    `x_t @ shared` equals `x_t @ matrix` for steps t = 1 … T. Autograd alone would form and add T gradients as
    large as the matrix; here the steps only note x_t and the gradient g_t of their product, and when the last has
    done so, the matrix's gradient is [x_1 … x_T]ᵀ [g_1 … g_T].

    Args:
        matrix: (…, K, F).
    """

    def __init__(self, matrix: Tensor) -> None:
        self._noted: list[tuple[int, Tensor, Tensor]] = []
        self._plain = is_plain()
        self._matrix: Tensor = matrix if self._plain else _Collected.apply(lowered(matrix), self._noted)  # type: ignore[no-untyped-call]

    def times(self, vectors: Tensor, bias: Tensor | None = None) -> Tensor:
        """vectors (…, N, K) @ matrix (…, K, F) + bias (F)."""
        if self._plain:
            return vectors @ self._matrix if bias is None else vectors @ self._matrix + bias
        lowest = None if bias is None else lowered(bias)
        result: Tensor = _StepProduct.apply(lowered(vectors), self._matrix, lowest, self._noted)  # type: ignore[no-untyped-call]
        return result

    def __rmatmul__(self, vectors: Tensor) -> Tensor:
        """vectors @ self."""
        return self.times(vectors)


class _Collected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, noted: list[tuple[int, Tensor, Tensor]]) -> Tensor:
        ctx.noted = noted
        ctx.set_materialize_grads(False)
        return matrix.view_as(matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *nothing: None) -> tuple[Tensor | None, None]:
        # A backward pass that did not ask for the matrix's gradient has left its notes: only this pass counts.
        now = torch._C._current_graph_task_id()
        noted = [(left, grad) for task, left, grad in ctx.noted if task == now]
        ctx.noted.clear()
        if not noted:
            return None, None
        lefts, grads = (torch.cat(tensors, -2) for tensors in zip(*noted, strict=True))
        return lefts.transpose(-1, -2) @ grads, None


class _StepProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, matrix: Tensor, bias: Tensor | None, noted: Any) -> Tensor:
        ctx.save_for_backward(vectors, matrix)
        ctx.noted = noted
        return vectors @ matrix if bias is None else torch.addmm(bias, vectors, matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor | None, None]:
        vectors, matrix = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.noted.append((torch._C._current_graph_task_id(), vectors, grad))
        return grad @ matrix.transpose(-1, -2), None, grad.sum(0) if ctx.needs_input_grad[2] else None, None
