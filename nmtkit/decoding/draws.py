"""Uniform numbers that are a function of seed, line, sample and step, so that no batch or order changes a draw.

SplitMix64 (Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators") as a counter-based generator: each
sample has a key, and each key a number for every step. It runs in int64 tensors, whose products wrap around.

Shape key: S sentences, W samples of each, N = S·W.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
FIRST, SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
"""The constants of SplitMix64 as signed numbers."""


def keys(seed: int, lines: Sequence[int], samples: Sequence[int], device: torch.device) -> Tensor:
    """The key of each sample of each line, (S, W)."""
    line_S1 = torch.tensor(lines, dtype=torch.int64).unsqueeze(1)
    sample_W = torch.tensor(samples, dtype=torch.int64)
    key_S1 = _mixed(_mixed(torch.tensor(seed) + GAMMA) + line_S1 * GAMMA)
    return _mixed(key_S1 + sample_W * GAMMA).to(device)


def uniforms(key_N: Tensor, step: int) -> Tensor:
    """The number of a step of each key, in float64 from 0 to below 1, (N)."""
    distance = (step * GAMMA + (1 << 63)) % (1 << 64) - (1 << 63)  # wraps around, too
    return _right(_mixed(key_N + distance), 11).double() * 2.0**-53


def _mixed(state: Tensor) -> Tensor:
    """The output of SplitMix64 in a state."""
    state = (state ^ _right(state, 30)) * FIRST
    state = (state ^ _right(state, 27)) * SECOND
    return state ^ _right(state, 31)


def _right(value: Tensor, bits: int) -> Tensor:
    """The 64 bits moved to the right; zeros come in."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
