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


def test_a_residual_keeps_its_precision() -> None:
    """Under autocast a float32 residual meets vectors of 8 bits."""
    dropout = Dropout(0.5)
    residual, vectors = torch.full((64,), 1 + 2.0**-20), torch.ones(64, dtype=torch.bfloat16)
    assert torch.equal(dropout.eval().add(residual, vectors), residual + 1)
    added = dropout.train().add(residual, vectors)
    assert added.dtype == torch.float32 and set(added.tolist()) == {1 + 2.0**-20, 3 + 2.0**-20}


def test_the_mask_has_the_precision_that_is_asked_for_and_the_same_draws() -> None:
    dropout, masks = Dropout(0.3).train(), []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(2)
        mask = dropout.scaled_mask(torch.empty(0, dtype=dtype), 5, 7)
        assert mask is not None and mask.dtype == dtype
        masks.append(mask)
    assert torch.equal(masks[0] == 0, masks[1] == 0)
    torch.testing.assert_close(masks[1].float(), masks[0], rtol=2**-8, atol=0)
