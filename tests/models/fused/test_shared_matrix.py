"""A matrix that many steps share, against plain products."""

from __future__ import annotations

import pytest
import torch
from support.gradients import doubles, plainly, same_gradients

from nmtkit.models.fused.shared_matrix import SharedMatrix


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_shared_matrix(steps: int) -> None:
    """A recurrence x_{t+1} = tanh(x_t M + b): the gradients are those of plain products."""
    matrix, bias, first = inputs = doubles(3, 3), doubles(3), doubles(4, 3)
    shared, formula = SharedMatrix(matrix), plainly(SharedMatrix, matrix)
    found = expected = first
    for _ in range(steps):
        found, expected = torch.tanh(shared.times(found, bias)), torch.tanh(formula.times(expected, bias))
    written = first
    for _ in range(steps):
        written = torch.tanh(written @ matrix + bias)
    torch.testing.assert_close(expected, written, atol=1e-12, rtol=0)
    if steps:
        same_gradients((found,), (expected,), inputs)
    else:
        assert torch.autograd.grad(found.sum(), matrix, allow_unused=True) == (None,)


def test_shared_matrix_of_a_batch_used_beside_its_steps_and_twice() -> None:
    """As annotations are: one matrix a sentence, also a factor elsewhere; a second backward pass gives the same."""
    matrix, weights = inputs = doubles(2, 5, 3), doubles(2, 4, 5)
    shared = SharedMatrix(matrix)
    found = sum(((weights * factor) @ shared).exp().sum() for factor in (1, 2, 3)) + (matrix**2).sum()
    expected = sum(((weights * factor) @ matrix).exp().sum() for factor in (1, 2, 3)) + (matrix**2).sum()
    theirs = torch.autograd.grad(expected, inputs)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(found, inputs, retain_graph=True), theirs)


def test_shared_matrix_after_a_pass_that_did_not_want_its_gradient() -> None:
    matrix, vectors = inputs = doubles(3, 3), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found, expected = shared.times(shared.times(vectors).tanh()).sum(), ((vectors @ matrix).tanh() @ matrix).sum()
    torch.autograd.grad(found, vectors, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs))


def test_shared_matrix_whose_last_step_nobody_used() -> None:
    matrix, vectors = inputs = doubles(3, 3), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found, _ = shared.times(vectors), shared.times(2 * vectors)
    same_gradients((found,), (vectors @ matrix,), inputs)


def test_a_frozen_shared_matrix_notes_nothing() -> None:
    matrix, vectors = doubles(3, 3).detach(), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found, expected = shared.times(shared.times(vectors).tanh()), (vectors @ matrix).tanh() @ matrix
    same_gradients((found,), (expected,), (vectors,))
    assert not shared._noted
