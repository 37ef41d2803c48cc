"""Linear maps with gradients of their own, against their plain formulas and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.gradients import doubles, plainly, same_gradients

from nmtkit.models.fused.linear import rectified_network, split_linear


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4)])
def test_split_linear(shape: tuple[int, ...], parts: int) -> None:
    inputs = doubles(*shape), doubles(parts * 5, 4), doubles(parts * 5)
    expected = plainly(split_linear, *inputs, parts)
    same_gradients(split_linear(*inputs, parts), expected, inputs)
    written = (inputs[0] @ inputs[1].T + inputs[2]).split(5, dim=-1)
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(expected, written, strict=True))
    if 0 not in shape:
        assert torch.autograd.gradcheck(lambda *given: split_linear(*given, parts), inputs)


def test_split_linear_of_a_part_that_nobody_used() -> None:
    inputs = doubles(3, 4), doubles(10, 4), doubles(10)
    found, expected = split_linear(*inputs, 2)[1], plainly(split_linear, *inputs, 2)[1]
    same_gradients((found,), (expected,), inputs)


def test_split_linear_of_transposed_gradients() -> None:
    """As from attention heads: the gradients that come back are no contiguous matrices."""
    inputs = doubles(2, 3, 4), doubles(8, 4), doubles(8)
    pairs = split_linear(*inputs, 2), plainly(split_linear, *inputs, 2)
    found, expected = (tuple(part.unflatten(-1, (2, 2)).transpose(0, 2).exp() for part in pair) for pair in pairs)
    same_gradients(found, expected, inputs)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)])
def test_rectified_network(shape: tuple[int, ...], dropped: bool) -> None:
    inner, outer = torch.nn.Linear(4, 6).double(), torch.nn.Linear(6, 3).double()
    vectors = doubles(*shape)
    mask = (torch.rand(*shape[:-1], 6) < 0.6).double() / 0.6 if dropped else None
    expected = plainly(rectified_network, vectors, inner, outer, mask)
    hidden = (vectors @ inner.weight.T + inner.bias).clamp(min=0) * (1 if mask is None else mask)
    torch.testing.assert_close(expected, hidden @ outer.weight.T + outer.bias)
    inputs = (vectors, *inner.parameters(), *outer.parameters())
    same_gradients((rectified_network(vectors, inner, outer, mask),), (expected,), inputs)


@pytest.mark.parametrize("frozen", [1, 2, (1, 2)])
def test_split_linear_of_frozen_weights(frozen: int | tuple[int, ...]) -> None:
    kept = [index for index in range(3) if index not in np.atleast_1d(frozen)]
    inputs = doubles(5, 4), doubles(8, 4), doubles(8)
    expected = torch.autograd.grad(sum(part.exp().sum() for part in plainly(split_linear, *inputs, 2)), inputs)
    for index in np.atleast_1d(frozen):
        inputs[index].requires_grad_(False)
    parts = split_linear(*inputs, 2)
    found = parts[0].grad_fn.apply(*(part.exp() for part in parts))  # type: ignore[union-attr, attr-defined]
    assert [index for index in range(3) if found[index] is not None] == kept
    assert all(torch.allclose(found[index], expected[index], atol=1e-12) for index in kept)


@pytest.mark.parametrize("frozen", range(4))
def test_rectified_network_of_a_frozen_weight(frozen: int) -> None:
    inner, outer = torch.nn.Linear(4, 6).double(), torch.nn.Linear(6, 3).double()
    vectors, weights = doubles(5, 4), [*inner.parameters(), *outer.parameters()]
    weights[frozen].requires_grad_(False)
    trained = (vectors, *(weight for weight in weights if weight.requires_grad))
    expected = plainly(rectified_network, vectors, inner, outer)
    same_gradients((rectified_network(vectors, inner, outer),), (expected,), trained)
    found = rectified_network(vectors, inner, outer)
    slopes = found.grad_fn.apply(torch.ones_like(found))  # type: ignore[union-attr, attr-defined]
    assert [slope is None for slope in slopes] == [*(index == frozen + 1 for index in range(5)), True]
