"""One step of a gated recurrent unit (Cho et al. 2014) and of a long short-term memory (Hochreiter, Schmidhuber 1997).

Both are as in PyTorch: the reset gate acts on the product W h + b, and the memory has a forget gate (Gers et al.
2000) but no peepholes.

Shape key: N rows, U units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmtkit.models.autocast import raised
from nmtkit.models.fused.switch import is_plain


def gated_unit(input_gates: Tensor, state_gates: Tensor, hidden: Tensor) -> Tensor:
    """The next state (1 − z)·tanh(i_n + r·s_n) + z·h of a gated recurrent unit, r = σ(i_r + s_r), z = σ(i_z + s_z).

    Args:
        input_gates: the input's share i of reset, update and new gate, side by side, (N, 3U).
        state_gates: the state's share s of them, (N, 3U).
        hidden: the state h, (N, U).

    Returns:
        The next state, (N, U).
    """
    input_gates, state_gates, hidden = map(raised, (input_gates, state_gates, hidden))
    if is_plain():
        i_r, i_z, i_n = input_gates.chunk(3, dim=1)
        s_r, s_z, s_n = state_gates.chunk(3, dim=1)
        reset, update = torch.sigmoid(i_r + s_r), torch.sigmoid(i_z + s_z)
        new = torch.tanh(i_n + reset * s_n)
        return (1 - update) * new + update * hidden
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
    input_gates, state_gates, state = map(raised, (input_gates, state_gates, state))
    if is_plain():
        enter, keep, proposed, out = (input_gates + state_gates).chunk(4, dim=1)
        before = state.chunk(2, dim=1)[1]
        cell = torch.sigmoid(keep) * before + torch.sigmoid(enter) * torch.tanh(proposed)
        return torch.cat((torch.sigmoid(out) * torch.tanh(cell), cell), dim=1)
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
