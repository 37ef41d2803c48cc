"""Units with gradients of their own, against their plain formulas, and these against PyTorch's cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.gradients import doubles, plainly, same_gradients
from torch import Tensor

from nmtkit.models.cells import tanh_unit
from nmtkit.models.fused.units import gated_unit, long_short_term_unit


@pytest.mark.parametrize(("unit", "gates", "parts"), [(gated_unit, 3, 1), (long_short_term_unit, 4, 2)])
@pytest.mark.parametrize("rows", [1, 4])
def test_a_unit_is_its_formula(unit: Callable[..., Tensor], gates: int, parts: int, rows: int) -> None:
    inputs = doubles(rows, 3 * gates), doubles(rows, 3 * gates, seed=1), doubles(rows, 3 * parts)
    same_gradients((unit(*inputs),), (plainly(unit, *inputs),), inputs)
    assert torch.autograd.gradcheck(unit, inputs)


@pytest.mark.parametrize("formula", [False, True])
@pytest.mark.parametrize(
    ("unit", "cell", "parts"), [(gated_unit, torch.nn.GRUCell, 1), (long_short_term_unit, torch.nn.LSTMCell, 2)]
)
def test_a_unit_and_its_formula_are_pytorchs_cell(
    unit: Callable[..., Tensor], cell: type[torch.nn.RNNCellBase], parts: int, formula: bool
) -> None:
    """Over several steps, the state going on from step to step."""
    torch.manual_seed(2)
    theirs = cell(2, 3).double()
    vectors, first = doubles(5, 4, 2), doubles(4, 3 * parts)
    found, expected = first, first
    for vector in vectors:
        of_input = torch.nn.functional.linear(vector, theirs.weight_ih, theirs.bias_ih)
        of_state = torch.nn.functional.linear(found[:, :3], theirs.weight_hh, theirs.bias_hh)
        found = plainly(unit, of_input, of_state, found) if formula else unit(of_input, of_state, found)
        after = theirs(vector, expected if parts == 1 else tuple(expected.chunk(2, 1)))
        expected = after if parts == 1 else torch.cat(after, dim=1)
    same_gradients((found,), (expected,), (vectors, first, *theirs.parameters()))


def test_gradients_of_both_shares_of_the_gates_are_apart() -> None:
    """They are equal numbers; what is added to one afterwards must not reach the other."""
    inputs = doubles(2, 12), doubles(2, 12, seed=1), doubles(2, 6)
    long_short_term_unit(*inputs).sum().backward()
    one, other = inputs[0].grad, inputs[1].grad
    assert one is not None and other is not None and torch.equal(one, other)
    before = other.clone()
    (3 * inputs[0]).sum().backward()
    assert torch.equal(other, before) and torch.allclose(inputs[0].grad, before + 3)


@pytest.mark.parametrize("formula", [False, True])
@pytest.mark.parametrize(
    ("unit", "gates", "parts"), [(gated_unit, 3, 1), (long_short_term_unit, 4, 2), (tanh_unit, 1, 1)]
)
def test_units_are_float32_under_autocast(unit: Any, gates: int, parts: int, formula: bool) -> None:
    """Gates that a product left in 8 bits, a state in float32: all that follows is as if the gates were float32."""
    inputs, states = (torch.randn(4, gates * 3).bfloat16() for _ in range(2))
    state = torch.randn(4, parts * 3)
    compute = plainly if formula else lambda operation, *arguments: operation(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        found = compute(unit, inputs, states, state)
    assert found.dtype == torch.float32
    assert torch.equal(found, compute(unit, inputs.float(), states.float(), state))
