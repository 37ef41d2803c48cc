"""A linear map and its layout for inference."""

from __future__ import annotations

import torch

from nmtkit.models.fused.switch import plain
from nmtkit.models.linear import Linear
from nmtkit.models.matrices import Matrix


class Nines(Matrix):
    """A layout that cannot be taken for the weights."""

    def times(self, vectors: torch.Tensor, rows: slice = slice(None), bias: torch.Tensor | None = None) -> torch.Tensor:
        assert bias is not None
        return torch.full((*vectors.shape[:-1], len(bias)), 9.0)


def test_only_inference_sees_the_layout() -> None:
    linear, vectors = Linear(3, 4), torch.randn(2, 3)
    written = vectors @ linear.weight.T + linear.bias
    linear.layout = Nines()
    torch.testing.assert_close(linear(vectors), written)
    linear(vectors).sum().backward()
    assert linear.weight.grad is not None
    torch.testing.assert_close(linear.weight.grad, vectors.sum(0).expand(4, -1))
    with torch.inference_mode():
        assert (linear(vectors) == 9).all() and linear.part(vectors, slice(1, 3)).tolist() == [[9.0, 9.0]] * 2
        assert linear.map(slice(0, 2))(vectors).tolist() == [[9.0, 9.0]] * 2
        with plain():
            torch.testing.assert_close(linear(vectors), written)
            torch.testing.assert_close(linear.part(vectors, slice(1, 3)), written[:, 1:3])


def test_parts_are_parts() -> None:
    linear, vectors = Linear(3, 6), torch.randn(2, 5, 3)
    with torch.inference_mode():
        whole = linear(vectors)
        for rows in (slice(0, 2), slice(2, 6), slice(None)):
            torch.testing.assert_close(linear.part(vectors, rows), whole[..., rows])
            torch.testing.assert_close(linear.map(rows)(vectors[0]), whole[0, :, rows])
