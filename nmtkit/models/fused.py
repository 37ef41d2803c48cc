"""Operations that autograd would run with more passes over memory than they need; each is one autograd function.

Activations of a training step do not fit a processor's caches, so every pass over them costs as much as its share of
a matrix product. Each function here equals the few lines of plain PyTorch named in its docstring.

Shape key: M positions, D hidden width, F inner width, V support size, N rows, U units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 512
"""Positions whose logits are held at one time: enough for fast products, few enough to spare memory."""
TINY = 1e-30
"""A probability near the end of float32's range, where it loses digits."""


def split_linear(vectors: Tensor, weight: Tensor, bias: Tensor, parts: int) -> tuple[Tensor, ...]:
    """`nn.functional.linear(vectors, weight, bias).chunk(parts, -1)`; its gradient needs no concatenation.

    Args:
        vectors: (…, D).
        weight: (parts · F, D).
        bias: (parts · F).

    Returns:
        `parts` tensors (…, F).
    """
    if not torch.is_grad_enabled():
        return torch.nn.functional.linear(vectors, weight, bias).chunk(parts, -1)
    outputs: tuple[Tensor, ...] = _SplitLinear.apply(vectors, weight, bias, parts)  # type: ignore[no-untyped-call]
    return outputs


class _SplitLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, parts: int) -> tuple[Tensor, ...]:
        ctx.save_for_backward(vectors, weight)
        return torch.nn.functional.linear(vectors, weight, bias).chunk(parts, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        vectors, weight = ctx.saved_tensors
        flat = vectors.reshape(-1, vectors.shape[-1])
        grad_weight, grad_bias = torch.empty_like(weight), weight.new_empty(weight.shape[0])
        grad_flat = torch.empty_like(flat)
        size = weight.shape[0] // len(grads)
        for part, grad in enumerate(grads):
            rows = slice(part * size, (part + 1) * size)
            grad_MF = grad.reshape(-1, size)
            if part == 0:
                torch.mm(grad_MF, weight[rows], out=grad_flat)
            else:
                grad_flat.addmm_(grad_MF, weight[rows])
            torch.mm(grad_MF.T, flat, out=grad_weight[rows])
            torch.sum(grad_MF, 0, out=grad_bias[rows])
        return grad_flat.view(vectors.shape), grad_weight, grad_bias, None


def rectified_network(
    vectors: Tensor, inner: torch.nn.Linear, outer: torch.nn.Linear, scaled_mask: Tensor | None = None
) -> Tensor:
    """`outer(torch.relu(inner(vectors)) * scaled_mask)`, rectified and masked in place in both directions.

    Args:
        vectors: (…, D).
        scaled_mask: what dropout multiplies the inner vectors (…, F) by; None: nothing is dropped.
    """
    if not torch.is_grad_enabled() and scaled_mask is None:
        return outer(torch.relu_(inner(vectors)))  # type: ignore[no-any-return]
    result: Tensor = _RectifiedNetwork.apply(  # type: ignore[no-untyped-call]
        vectors, inner.weight, inner.bias, outer.weight, outer.bias, scaled_mask
    )
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
        grad_vectors = (grad_inner @ w1).view(vectors.shape)
        return grad_vectors, grad_inner.T @ flat, grad_inner.sum(0), grad_MD.T @ inner_MF, grad_MD.sum(0), None


class SharedMatrix:
    """A matrix that every step of an unrolled loop multiplies by; its gradient is formed once, over all steps.

    `shared.times(x_t)` equals `x_t @ matrix` for steps t = 1 … T. Autograd alone would form and add T gradients as
    large as the matrix; here the steps only note x_t and the gradient g_t of their product, and when the last has
    done so, the matrix's gradient is [x_1 … x_T]ᵀ [g_1 … g_T].

    Args:
        matrix: (…, K, F).
    """

    def __init__(self, matrix: Tensor) -> None:
        self._noted: list[tuple[int, Tensor, Tensor]] = []
        self._matrix: Tensor = _Collected.apply(matrix, self._noted)  # type: ignore[no-untyped-call]

    def times(self, vectors: Tensor, bias: Tensor | None = None) -> Tensor:
        """vectors (…, N, K) @ matrix (…, K, F) + bias (F)."""
        result: Tensor = _StepProduct.apply(vectors, self._matrix, bias, self._noted)  # type: ignore[no-untyped-call]
        return result


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
        ctx.noted.append((torch._C._current_graph_task_id(), vectors, grad))
        return grad @ matrix.transpose(-1, -2), None, grad.sum(0) if ctx.needs_input_grad[2] else None, None


def gated_unit(input_gates: Tensor, state_gates: Tensor, hidden: Tensor) -> Tensor:
    """The next state (1 − z)·tanh(i_n + r·s_n) + z·h of a gated recurrent unit, r = σ(i_r + s_r), z = σ(i_z + s_z).

    Args:
        input_gates: the input's share i of reset, update and new gate, side by side, (N, 3U).
        state_gates: the state's share s of them, (N, 3U).
        hidden: the state h, (N, U).

    Returns:
        The next state, (N, U).
    """
    result: Tensor = _GatedUnit.apply(input_gates, state_gates, hidden)  # type: ignore[no-untyped-call]
    return result


class _GatedUnit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input_gates: Tensor, state_gates: Tensor, hidden: Tensor) -> Tensor:
        units = hidden.shape[1]
        gates = torch.add(input_gates[:, : 2 * units], state_gates[:, : 2 * units]).sigmoid_()
        of_state = state_gates[:, 2 * units :]
        new = torch.addcmul(input_gates[:, 2 * units :], gates[:, :units], of_state).tanh_()
        ctx.save_for_backward(gates, of_state, new, hidden)
        return torch.lerp(new, hidden, gates[:, units:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, of_state, new, hidden = ctx.saved_tensors
        reset, update = gates.chunk(2, 1)
        grad_hidden = grad * update
        grad_input = grad.new_empty(grad.shape[0], 3 * grad.shape[1])
        of_reset, of_update, of_new = grad_input.chunk(3, 1)
        torch.ops.aten.tanh_backward.grad_input(grad - grad_hidden, new, grad_input=of_new)
        torch.sub(hidden, new, out=of_update).mul_(grad)
        torch.mul(of_new, of_state, out=of_reset)
        before_sigmoid = grad_input[:, : 2 * grad.shape[1]]
        torch.ops.aten.sigmoid_backward.grad_input(before_sigmoid, gates, grad_input=before_sigmoid)
        grad_state = grad_input.clone()
        grad_state[:, 2 * grad.shape[1] :].mul_(reset)
        return grad_input, grad_state, grad_hidden


def long_short_term_unit(input_gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
    """The next output o·tanh(c') and cell c' = f·c + i·g of a long short-term memory, side by side.

    i, f, o = σ(a_i), σ(a_f), σ(a_o), g = tanh(a_g), where a is the sum of both shares, in the order i, f, g, o.

    Args:
        input_gates: the input's share of the gates, (N, 4U).
        state_gates: the output's share of them, (N, 4U).
        state: output h and cell c side by side, (N, 2U).

    Returns:
        The next state, (N, 2U).
    """
    result: Tensor = _LongShortTermUnit.apply(input_gates, state_gates, state)  # type: ignore[no-untyped-call]
    return result


class _LongShortTermUnit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input_gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
        units = state.shape[1] // 2
        gates = input_gates + state_gates
        ahead, proposed, out = (
            gates[:, : 2 * units].sigmoid_(),
            gates[:, 2 * units : 3 * units].tanh_(),
            gates[:, 3 * units :],
        )
        out.sigmoid_()
        cell = torch.mul(ahead[:, units:], state[:, units:]).addcmul_(ahead[:, :units], proposed)
        squashed = cell.tanh()
        ctx.save_for_backward(gates, state, squashed)
        return torch.cat((out * squashed, cell), dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, state, squashed = ctx.saved_tensors
        enter, keep, proposed, out = gates.chunk(4, 1)
        grad_out, grad_cell = grad.chunk(2, 1)
        through = torch.ops.aten.tanh_backward(grad_out * out, squashed).add_(grad_cell)
        grad_gates = torch.empty_like(gates)
        of_enter, of_keep, of_proposed, of_out = grad_gates.chunk(4, 1)
        torch.mul(through, proposed, out=of_enter)
        torch.mul(through, state[:, keep.shape[1] :], out=of_keep)
        torch.mul(grad_out, squashed, out=of_out)
        half = grad_gates[:, : 2 * keep.shape[1]]
        torch.ops.aten.sigmoid_backward.grad_input(half, gates[:, : 2 * keep.shape[1]], grad_input=half)
        torch.ops.aten.sigmoid_backward.grad_input(of_out, out, grad_input=of_out)
        torch.ops.aten.tanh_backward.grad_input(through * enter, proposed, grad_input=of_proposed)
        grad_state = torch.cat((torch.zeros_like(through), through * keep), dim=1)
        return grad_gates, grad_gates, grad_state


def projected_cross_entropy(
    hidden_MD: Tensor, weight_VD: Tensor, target_M: Tensor, smoothing: float, first: int = 0
) -> Tensor:
    """Sum over M of the label-smoothed cross-entropy of softmax(hidden · weightᵀ) against `target_M`, in nats.

    The gradient of cross-entropy is known as soon as the logits are, so it is formed chunk by chunk in the forward
    pass (as in Wijmans et al. 2024, "Cut Your Losses"): memory is one chunk of logits instead of three whole matrices.

    Args:
        first: the support is the rows of the weight from this one on; the others get the gradient zero.
    """
    loss: Tensor = _ProjectedCrossEntropy.apply(hidden_MD, weight_VD, target_M, smoothing, first)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    """With p = softmax(logits): ∂loss/∂logits = p − (1 − ε)·onehot − ε/V.

    The one-hot and the constant part are added to the small gradients directly, so the only large array is one chunk,
    which turns from logits into p in place and is used again for the next. The log of the normaliser is
    logit − log p of the target; where that p is too small to tell, the logits are formed again.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, full: Tensor, target: Tensor, smoothing: float, first: int) -> Tensor:
        wants_gradient = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        weight, target = full[first:], target - first
        grad_hidden, grad_full = torch.empty_like(hidden), torch.zeros_like(full)
        grad_weight = grad_full[first:]
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
            if wants_gradient:
                torch.mm(p, weight, out=grad)
                grad_weight.addmm_(p.T, h)
        if wants_gradient:
            grad_hidden.sub_((1 - smoothing) * weight[target]).sub_(smoothing * mean_weight)
            grad_weight.index_add_(0, target, hidden, alpha=-(1 - smoothing))
            grad_weight.sub_((smoothing / weight.shape[0]) * hidden.sum(0))
            ctx.save_for_backward(grad_hidden, grad_full)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None, None, None
