"""Dropout keeps the mean, and drops as much as it is told."""

from __future__ import annotations

import pytest
import torch

from nmtkit.models.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(3)
    dropout, size = Dropout(probability).train(), 200_000
    result = dropout(torch.ones(size, requires_grad=True))
    share = (result == 0).double().mean().item()
    rounded = 1 - round(256 * (1 - probability)) / 256
    assert abs(share - rounded) < 5 * (probability * (1 - probability) / size) ** 0.5
    assert abs(rounded - probability) <= 1 / 512
    torch.testing.assert_close(result[result != 0], torch.full_like(result[result != 0], 1 / (1 - rounded)))


@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 11)])
def test_dropout_added_to_a_residual(shape: tuple[int, ...]) -> None:
    """The same draws, the same sum and the same gradients as residual + dropout(vectors)."""
    dropout = Dropout(0.4).train()
    residual, vectors = torch.randn(shape, requires_grad=True), torch.randn(shape, requires_grad=True)
    torch.manual_seed(5)
    found = dropout.add(residual, vectors)
    torch.manual_seed(5)
    expected = residual + dropout(vectors)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(shape)
    ours = torch.autograd.grad(found, (residual, vectors), weights)
    theirs = torch.autograd.grad(expected, (residual, vectors), weights)
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(dropout.eval().add(residual, vectors), residual + vectors)
