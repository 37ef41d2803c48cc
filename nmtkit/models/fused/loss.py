"""The loss of a large vocabulary, chunk by chunk (as in Wijmans et al. 2024, "Cut Your Losses in Large Vocabularies").

Label smoothing is that of Szegedy et al. 2016, section 7. Shape key: M positions, D hidden width, V support size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmtkit.models.autocast import as_written, product_dtype, raised
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
    pass: memory is one chunk of logits instead of three whole matrices. Under autocast only the factors of the three
    products are rounded; the softmax, all sums and the weight's gradient are float32.

    Args:
        first: the support is the rows of the weight from this one on; the rows before it get the gradient zero.
    """
    if is_plain():
        log_p_MV = raised(hidden_MD @ weight_VD[first:].T).log_softmax(dim=1)
        gold_M1 = log_p_MV.gather(1, (target_M - first).unsqueeze(1))
        return -((1 - smoothing) * gold_M1.sum() + smoothing * log_p_MV.mean(dim=1).sum())
    low = product_dtype(weight_VD)
    with as_written(hidden_MD):
        loss: Tensor = _ProjectedCrossEntropy.apply(hidden_MD, weight_VD, target_M, smoothing, first, low)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    """With p = softmax(logits): ∂loss/∂logits = p − (1 − ε)·onehot − ε/V.

    The one-hot and the constant part are added to the small gradients directly, so the only large arrays are a chunk of
    logits, of p, and of p as a factor: one array, used again for the next chunk, if all are of one precision. `low` is
    the precision of the products; all else has that of the weight.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, full: Tensor, target: Tensor, smoothing: float, first: int, low: torch.dtype
    ) -> Tensor:
        of_hidden, of_weight = ctx.needs_input_grad[:2]
        normalise = by_softmax if hidden.device.type == "cpu" else by_log_softmax
        vectors, wide, target = hidden.to(full.dtype), full[first:], target - first
        weight, mean_weight = wide.to(low), wide.mean(0)
        grad_hidden, grad_full = torch.empty_like(vectors), torch.zeros_like(full) if of_weight else None
        chunk = weight.new_empty(min(CHUNK, vectors.shape[0]), weight.shape[0])
        loss = vectors.new_zeros(())
        for h, t, grad in zip(vectors.split(CHUNK), target.split(CHUNK), grad_hidden.split(CHUNK), strict=True):
            factor = h.to(low)
            p, gold, normaliser = normalise(factor, weight, t.unsqueeze(1), h.dtype, chunk[: h.shape[0]])
            loss += (normaliser - (1 - smoothing) * gold - smoothing * (h @ mean_weight)).sum()
            lowered = low != h.dtype
            p = p.to(low)
            if of_hidden:
                grad.copy_(p @ weight) if lowered else torch.mm(p, weight, out=grad)
            if grad_full is not None:
                own = grad_full[first:]
                own.add_(p.T @ factor) if lowered else own.addmm_(p.T, h)
        if of_hidden:
            grad_hidden.sub_((1 - smoothing) * wide[target]).sub_(smoothing * mean_weight)
        if grad_full is not None:
            grad_full[first:].index_add_(0, target, vectors, alpha=-(1 - smoothing))
            grad_full[first:].sub_((smoothing / weight.shape[0]) * vectors.sum(0))
        ctx.save_for_backward(grad_hidden if of_hidden else None, grad_full)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if saved is None else saved * grads[0] for saved in ctx.saved_tensors)
        return *scaled, None, None, None, None


def by_softmax(
    factor: Tensor, weight: Tensor, target_M1: Tensor, wide: torch.dtype, logits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """p = softmax(factor · weightᵀ), the logits of the targets, and the logs of the normalisers, all in `wide`.

    Where all has one precision, p takes the place of the `logits`. The log of the normaliser is logit − log p of the
    target; if that p is too small to tell, the logits are formed again. On a GPU that question would cost a wait.
    """
    torch.mm(factor, weight.T, out=logits)
    gold = logits.gather(1, target_M1).squeeze(1).to(wide)
    p = torch.softmax(logits, 1, out=logits) if logits.dtype == wide else torch.softmax(logits, 1, dtype=wide)
    p_gold = p.gather(1, target_M1).squeeze(1)
    normaliser = gold - p_gold.log()
    if (rare := p_gold < TINY).any():
        normaliser[rare] = (factor[rare] @ weight.T).to(wide).logsumexp(1)
    return p, gold, normaliser


def by_log_softmax(
    factor: Tensor, weight: Tensor, target_M1: Tensor, wide: torch.dtype, logits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As `by_softmax`, but p = exp(log-softmax): two passes for any p, and no question."""
    torch.mm(factor, weight.T, out=logits)
    gold = logits.gather(1, target_M1).squeeze(1).to(wide)
    log_p = torch.log_softmax(logits, 1, dtype=wide)
    normaliser = gold - log_p.gather(1, target_M1).squeeze(1)
    return log_p.exp_(), gold, normaliser
