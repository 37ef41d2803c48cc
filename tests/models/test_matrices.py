"""Matrices laid out for inference, against products in float64 and against whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nmtkit.models.matrices import (
    LARGE,
    PRECISIONS,
    BFloat16Matrix,
    Int8Matrix,
    Matrix,
    PackedMatrix,
    _packs,
    laid_out,
    quantised,
)

SHAPES = st.sampled_from([(0,), (1,), (5,), (3, 2), (2, 0), (2, 1, 3), (70,)])


def some(seed: int, leading: tuple[int, ...], width: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors, a matrix and a bias, of very different sizes by row."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(*leading, width) * draw(*leading, 1).exp(), draw(rows, width) * draw(rows, 1).exp(), draw(rows)


def exact(vectors: Tensor, weight: Tensor, rows: slice, bias: Tensor | None) -> Tensor:
    return vectors.double() @ weight[rows].double().T + (0 if bias is None else bias.double())


@given(st.integers(0, 10**6), SHAPES, st.integers(2, 40), st.integers(1, 30), st.data())
def test_a_matrix_is_within_its_precision(
    seed: int, leading: tuple[int, ...], width: int, count: int, data: st.DataObject
) -> None:
    vectors, weight, bias = some(seed, leading, width, count)
    first = data.draw(st.integers(0, count - 1))
    rows = slice(first, data.draw(st.integers(first + 1, count)))
    addend = bias[rows] if data.draw(st.booleans()) else None
    expected = exact(vectors, weight, rows, addend)
    sizes = exact(vectors.abs(), weight.abs(), rows, None)  # Σ |x| |w|
    kinds: list[Matrix] = [Int8Matrix(weight), BFloat16Matrix(weight)]
    kinds += [PackedMatrix(weight)] if _packs(weight) else []
    with torch.inference_mode():
        products = [matrix.times(vectors, rows, addend) for matrix in kinds for _ in range(2)]
    half_x = vectors.double().abs().amax(-1, keepdim=True) / 254  # half a scale, if there is a vector
    half_w = weight[rows].double().abs().amax(-1) / 254
    of_int8 = half_x * weight[rows].double().abs().sum(-1) + vectors.double().abs().sum(-1, keepdim=True) * half_w
    bounds = [1.01 * (of_int8 + width * half_x * half_w), 2.0**-6 * sizes, 2.0**-20 * sizes]
    for number, product in enumerate(products):
        assert product.shape == expected.shape and product.dtype == torch.float32
        slack = bounds[number // 2] + 1e-5 * (1 + expected.abs())
        assert ((product.double() - expected).abs() <= slack).all()


def test_the_sums_of_int8_are_exact() -> None:
    """Whole numbers up to 127 come back as they are, however long the sum."""
    rng = np.random.default_rng(1)
    vectors, weight = rng.integers(-127, 128, (5, 3000)), rng.integers(-127, 128, (7, 3000))
    vectors[:, 0], weight[:, 0] = 127, -127  # so that every scale is 1
    product = Int8Matrix(torch.from_numpy(weight).float()).times(torch.from_numpy(vectors).float())
    assert np.array_equal(product.numpy(), (vectors @ weight.T).astype(np.float32))


def test_a_row_of_zeros_has_a_scale() -> None:
    ints, scale = quantised(torch.zeros(2, 3))
    assert not ints.any() and (scale > 0).all()
    assert not Int8Matrix(torch.zeros(4, 3)).times(torch.zeros(2, 3)).any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_only_large_matrices_are_laid_out(precision: str) -> None:
    assert laid_out(torch.zeros(LARGE // 64 - 1, 64), precision) is None
    large = torch.zeros(LARGE // 64, 64)
    assert (laid_out(large, precision) is None) == (precision == "float32" and not _packs(large))
    assert laid_out(large.double(), "float32") is None


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="precision = 'int4' is not known: choose one of float32, bfloat16, int8"):
        laid_out(torch.zeros(1, 1), "int4")
    with pytest.raises(ValueError, match="precision = 'int8' is for CPUs, but the device is meta: choose bfloat16"):
        laid_out(torch.zeros(1, 1, device="meta"), "int8")
