"""The loss of a large vocabulary, chunk by chunk (as in Wijmans et al. 2024, "Cut Your Losses in Large Vocabularies").

Label smoothing is that of Szegedy et al. 2016, section 7. Shape key: M positions, D hidden width, V support size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmtkit.models.fused.switch import is_plain

CHUNK = 512
"""Number of positions whose logits are held at one time: enough for fast products, few enough to spare memory."""
TINY = 1e-30
"""A probability near the end of float32's range, where it loses digits."""


def projected_cross_entropy(
    hidden_MD: Tensor, weight_VD: Tensor, target_M: Tensor, smoothing: float, first: int = 0
) -> Tensor:
    """Sum over M of the label-smoothed cross-entropy of softmax(hidden · weightᵀ) against `target_M`, in nats.

    The gradient of cross-entropy is known as soon as the logits are, so it is formed chunk by chunk in the forward
    pass: memory is one chunk of logits instead of three whole matrices.

    Args:
        first: the support is the rows of the weight from this one on; the rows before it get the gradient zero.
    """
    if is_plain():
        log_p_MV = (hidden_MD @ weight_VD[first:].T).log_softmax(dim=1)
        gold_M1 = log_p_MV.gather(1, (target_M - first).unsqueeze(1))
        return -((1 - smoothing) * gold_M1.sum() + smoothing * log_p_MV.mean(dim=1).sum())
    loss: Tensor = _ProjectedCrossEntropy.apply(hidden_MD, weight_VD, target_M, smoothing, first)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    """With p = softmax(logits): ∂loss/∂logits = p − (1 − ε)·onehot − ε/V.

    The one-hot and the constant part are added to the small gradients directly, so the only large array is one chunk,
    which turns from logits into p in place and is used again for the next. The log of the normaliser is
    logit − log p of the target; if that p is too small to tell, the logits are formed again.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, full: Tensor, target: Tensor, smoothing: float, first: int) -> Tensor:
        of_hidden, of_weight = ctx.needs_input_grad[:2]
        weight, target = full[first:], target - first
        grad_hidden, grad_full = torch.empty_like(hidden), torch.zeros_like(full) if of_weight else None
        chunk = hidden.new_empty(min(CHUNK, hidden.shape[0]), weight.shape[0])
        loss = hidden.new_zeros(())
        mean_weight = weight.mean(0)
        for h, t, grad in zip(hidden.split(CHUNK), target.split(CHUNK), grad_hidden.split(CHUNK), strict=True):
            logits, t1 = torch.mm(h, weight.T, out=chunk[: h.shape[0]]), t.unsqueeze(1)
            gold = logits.gather(1, t1).squeeze(1)
            p = torch.softmax(logits, 1, out=logits)
            p_gold = p.gather(1, t1).squeeze(1)
            normaliser = gold - p_gold.log()
            if (rare := p_gold < TINY).any():
                normaliser[rare] = (h[rare] @ weight.T).logsumexp(1)
            loss += (normaliser - (1 - smoothing) * gold - smoothing * (h @ mean_weight)).sum()
            if of_hidden:
                torch.mm(p, weight, out=grad)
            if grad_full is not None:
                grad_full[first:].addmm_(p.T, h)
        if of_hidden:
            grad_hidden.sub_((1 - smoothing) * weight[target]).sub_(smoothing * mean_weight)
        if grad_full is not None:
            grad_full[first:].index_add_(0, target, hidden, alpha=-(1 - smoothing))
            grad_full[first:].sub_((smoothing / weight.shape[0]) * hidden.sum(0))
        ctx.save_for_backward(grad_hidden if of_hidden else None, grad_full)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if saved is None else saved * grads[0] for saved in ctx.saved_tensors)
        return *scaled, None, None, None
