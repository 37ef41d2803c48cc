"""Output projection and label-smoothed cross-entropy as one operation that never keeps the logits.

The gradient of cross-entropy is known as soon as the logits are, so it is formed chunk by chunk in the forward pass
(as in Wijmans et al. 2024, "Cut Your Losses"): memory is one chunk of logits instead of three whole matrices.

Shape key: M positions, D hidden width, V support size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 256
"""Positions whose logits are held at one time: few enough to stay in a processor's cache."""


def projected_cross_entropy(hidden_MD: Tensor, weight_VD: Tensor, target_M: Tensor, smoothing: float) -> Tensor:
    """Sum over M of the label-smoothed cross-entropy of softmax(hidden · weightᵀ) against `target_M`, in nats."""
    loss: Tensor = _ProjectedCrossEntropy.apply(hidden_MD, weight_VD, target_M, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    """With p = softmax(logits): ∂loss/∂logits = p − (1 − ε)·onehot − ε/V.

    The one-hot and the constant part are added to the small gradients directly, so the only large array is one chunk,
    which turns from logits into p in place and is used again for the next. The log of the normaliser is
    max(logits) − log max(p), exact enough since max(p) ≥ 1/V.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float) -> Tensor:
        wants_gradient = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        chunk = hidden.new_empty(min(CHUNK, hidden.shape[0]), weight.shape[0])
        loss = hidden.new_zeros(())
        mean_weight = weight.mean(0)
        for h, t, grad in zip(hidden.split(CHUNK), target.split(CHUNK), grad_hidden.split(CHUNK), strict=True):
            logits = torch.mm(h, weight.T, out=chunk[: h.shape[0]])
            gold, highest = logits.gather(1, t.unsqueeze(1)).squeeze(1), logits.amax(1)
            p = torch.softmax(logits, 1, out=logits)
            normaliser = highest - p.amax(1).log()
            loss += (normaliser - (1 - smoothing) * gold - smoothing * (h @ mean_weight)).sum()
            if wants_gradient:
                torch.mm(p, weight, out=grad)
                grad_weight.addmm_(p.T, h)
        if wants_gradient:
            grad_hidden.sub_((1 - smoothing) * weight[target]).sub_(smoothing * mean_weight)
            grad_weight.index_add_(0, target, hidden, alpha=-(1 - smoothing))
            grad_weight.sub_((smoothing / weight.shape[0]) * hidden.sum(0))
            ctx.save_for_backward(grad_hidden, grad_weight)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None, None
