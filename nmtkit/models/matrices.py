"""Weight matrices laid out for inference, in float32 or in a lower precision.

A few vectors times a matrix take the time that the matrix takes to come from memory: a library that first copies the
matrix into its own order doubles that, and 8 bits come four times as fast as 32. Many vectors take the time of the
products, of which a processor with AVX-512 VNNI makes more in 8 bits.

    float32    the order of oneDNN, made once; the sums are those of float32
    bfloat16   factors and result are rounded to 8 bits of mantissa
    int8       w ≈ s · q with whole q from −127 to 127, one scale s for each row of the matrix and one for each vector;
               the sums are exact (LLM.int8(), Dettmers et al. 2022, section 2.1, without its outliers)

Shape key: D width of the vectors, F rows of the matrix.
"""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import linear

LARGE = 1 << 17
"""Number of weights from which a layout pays; smaller matrices stay in a processor's cache as they are."""
LARGEST = 127
ROWS = 64
"""Number of vectors for which oneDNN chooses its order; one order serves 5 and 320 as well."""


class Matrix(ABC):
    """A weight matrix (F, D) for inference; it is never changed."""

    @abstractmethod
    def times(self, vectors: Tensor, rows: slice = slice(None), bias: Tensor | None = None) -> Tensor:
        """vectors (…, D) times some rows of the matrix, plus their bias: (…, F), in the precision of the vectors."""

    def __deepcopy__(self, memo: Any) -> Self:
        return self


class PackedMatrix(Matrix):
    """A matrix of float32 in the order of oneDNN, made when some rows are first asked for."""

    def __init__(self, weight_FD: Tensor) -> None:
        self._weight_FD, self._packed = weight_FD.detach(), dict[tuple[int, int], Tensor]()

    def times(self, vectors: Tensor, rows: slice = slice(None), bias: Tensor | None = None) -> Tensor:
        first, last, _ = rows.indices(self._weight_FD.shape[0])
        if (packed := self._packed.get((first, last))) is None:
            packed = torch.ops.mkldnn._reorder_linear_weight(self._weight_FD[first:last].contiguous(), ROWS)
            self._packed[first, last] = packed
        product: Tensor = torch.ops.mkldnn._linear_pointwise(vectors, packed, bias, "none", [], "")
        return product


class Int8Matrix(Matrix):
    """A matrix of which 8 bits a weight are kept."""

    def __init__(self, weight_FD: Tensor) -> None:
        assert weight_FD.shape[1] > 1, "torch._int_mm takes a matrix of one column for one of one row"
        self._ints_FD, scale_F1 = quantised(weight_FD.detach())
        self._scale_F = scale_F1.squeeze(1)

    def times(self, vectors: Tensor, rows: slice = slice(None), bias: Tensor | None = None) -> Tensor:
        ints_MD, scale_M1 = quantised(vectors.flatten(0, -2))
        sums_MF = torch._int_mm(ints_MD, self._ints_FD[rows].t()).to(scale_M1.dtype)
        product_MF = sums_MF.mul_(self._scale_F[rows]).mul_(scale_M1)
        product: Tensor = (product_MF if bias is None else product_MF.add_(bias)).unflatten(0, vectors.shape[:-1])
        return product


def quantised(vectors_MD: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers (M, D), int8, and the scale of each row, (M, 1): their product is the row up to half a scale."""
    scale_M1 = vectors_MD.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(vectors_MD.dtype).tiny) / LARGEST
    return (vectors_MD / scale_M1).round_().to(torch.int8), scale_M1


class BFloat16Matrix(Matrix):
    """A matrix in bfloat16."""

    def __init__(self, weight_FD: Tensor) -> None:
        self._weight_FD = weight_FD.detach().bfloat16()

    def times(self, vectors: Tensor, rows: slice = slice(None), bias: Tensor | None = None) -> Tensor:
        product = linear(vectors.bfloat16(), self._weight_FD[rows]).to(vectors.dtype)
        return product if bias is None else product.add_(bias)


def _packs(weight: Tensor) -> bool:
    """Whether oneDNN can multiply by this matrix and is known to be faster: float32 on an x86 processor."""
    there = torch.backends.mkldnn.is_available() and getattr(torch.ops.mkldnn, "_linear_pointwise", None) is not None
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return there and x86 and weight.device.type == "cpu" and weight.dtype == torch.float32


def laid_out(weight_FD: Tensor, precision: str) -> Matrix | None:
    """The matrix for inference; None if nothing is better than the weight itself, as for small ones.

    Args:
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: for a precision that does not exist, or that the device does not have.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision = {precision!r} is not known: choose one of {', '.join(PRECISIONS)}")
    if precision == "int8" and weight_FD.device.type != "cpu":
        raise ValueError(f"precision = 'int8' is for CPUs, but the device is {weight_FD.device}: choose bfloat16")
    if weight_FD.numel() < LARGE:
        return None
    if precision == "float32":
        return PackedMatrix(weight_FD) if _packs(weight_FD) else None
    return Int8Matrix(weight_FD) if precision == "int8" else BFloat16Matrix(weight_FD)


PRECISIONS = ("float32", "bfloat16", "int8")
