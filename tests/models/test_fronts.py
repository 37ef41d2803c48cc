"""Where a source enters: tables of embeddings and linear maps of features."""

from __future__ import annotations

import pytest
import torch

from nmtkit.models.fronts import FeatureFront, TokenFront, embedding
from nmtkit.specials import PAD


@pytest.mark.parametrize("std", [0.125, 0.25])
def test_embeddings_vary_as_asked_and_pad_is_zero(std: float) -> None:
    """Rows of 64 numbers with standard deviation 1/8 have norm one on average."""
    torch.manual_seed(0)
    table = embedding(2000, 64, std)
    norms = table.weight[1:].norm(dim=1)
    assert norms.mean().item() == pytest.approx(8 * std, rel=0.02)
    assert not table.weight[PAD].any()
    table(torch.tensor([PAD, 5])).sum().backward()
    assert table.weight.grad is not None
    assert not table.weight.grad[PAD].any() and table.weight.grad[5].any()


def test_fronts() -> None:
    torch.manual_seed(0)
    table = embedding(9, 4, 0.5)
    ids = torch.tensor([[5, 3, 0]])
    assert torch.equal(TokenFront(table)(ids), table.weight[[5, 3, 0]].unsqueeze(0))
    front = FeatureFront(7, 4, 0.5)
    vectors = torch.randn(2, 3, 7)
    expected = torch.einsum("bsf,df->bsd", vectors, front.linear.weight) + front.linear.bias
    torch.testing.assert_close(front(vectors), expected)


@pytest.mark.parametrize("std", [0.125, 0.25])
def test_feature_front_enters_at_the_scale_of_embeddings(std: float) -> None:
    """Features of unit variance become vectors that vary as embedded words do."""
    torch.manual_seed(0)
    front = FeatureFront(200, 64, std)
    norms = (front(torch.randn(500, 1, 200)) - front.linear.bias).norm(dim=-1)
    assert norms.mean().item() == pytest.approx(8 * std, rel=0.1)
