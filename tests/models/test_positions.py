"""Sinusoids against the formula, at any start and length."""

from __future__ import annotations

import math

import pytest
import torch

from nmtkit.models.positions import Sinusoids, sinusoids


@pytest.mark.parametrize(("length", "width"), [(1, 2), (7, 8), (300, 6), (5, 1), (9, 7)])
def test_sinusoids_are_the_written_formula(length: int, width: int) -> None:
    """Vaswani et al. 2017, 3.5, position by position; an odd width ends in a sine."""
    table = sinusoids(length, width)
    assert table.shape == (length, width) and table.dtype == torch.float64
    for position in range(length):
        for channel in range(width):
            angle = position / 10000 ** (2 * (channel // 2) / width)
            expected = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
            assert table[position, channel].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 1e-12)])
def test_positions_of_any_start_and_length(dtype: torch.dtype, tolerance: float) -> None:
    positions = Sinusoids(6).to(dtype)
    like = torch.empty(0, dtype=dtype)
    for start, length in ((0, 5), (3, 1), (250, 20), (1000, 3), (0, 300), (2, 2)):
        found = positions(start, length, like)
        assert found.dtype == dtype
        expected = sinusoids(start + length, 6)[start:]
        torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=0)


def test_positions_do_not_change_when_the_table_grows() -> None:
    """In float64 as well: what an early step saw is what a later parallel pass sees."""
    for dtype in (torch.float32, torch.float64):
        positions = Sinusoids(6).to(dtype)
        like = torch.empty(0, dtype=dtype)
        before = positions(0, 200, like).clone()
        positions(5000, 1, like)
        assert torch.equal(positions(0, 200, like), before), dtype


def test_positions_are_no_weights() -> None:
    """They are not saved, however long the table has grown."""
    positions = Sinusoids(4)
    positions(700, 10, torch.empty(0))
    assert not positions.state_dict() and not list(positions.parameters())
