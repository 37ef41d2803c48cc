"""Positions of words: sinusoids (Vaswani et al. 2017, 3.5) and learned positions (Gehring et al. 2017, 3.1).

Attention alone has no order. Each module takes the vectors of the positions `start` … `start + T − 1`, (B, T, E),
and returns what enters the stack, (B, T, D): the vectors times √E (Vaswani et al. 2017, 3.4) and their positions.

Shape key: B sentences or hypotheses, T positions, E embedding width, P channels of a position, D = E or E + P width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoids(length: int, width: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(…) in float64, (length, width). Vaswani 2017, 3.5."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate[: width // 2])
    return table


class Sinusoids(nn.Module):
    """Sinusoidal positions for any length: the table grows when needed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = sinusoids(256, width).float()  # no buffer: a change of precision must start from float64 again

    def forward(self, start: int, length: int, like: Tensor) -> Tensor:
        """Positions start … start + length − 1, (length, D), in the precision and on the device of `like`."""
        if start + length > self.table.shape[0] or self.table.dtype != like.dtype or self.table.device != like.device:
            size = max(self.table.shape[0], 2 * (start + length))
            self.table = sinusoids(size, self.table.shape[1]).to(like)
        return self.table[start : start + length]


class AddedSinusoids(nn.Module):
    """√E · x + PE(pos), D = E. Vaswani et al. 2017, 3.5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.positions, self.scale = Sinusoids(width), width**0.5

    def forward(self, vectors_BTE: Tensor, start: int) -> Tensor:
        positions_TE = self.positions(start, vectors_BTE.shape[1], vectors_BTE)
        return torch.add(positions_TE, vectors_BTE, alpha=self.scale)


class ConcatenatedSinusoids(nn.Module):
    """[√E · x; PE(pos)] with sinusoids of P channels, D = E + P: word and position do not share channels."""

    def __init__(self, embedding: int, position_width: int) -> None:
        super().__init__()
        self.positions, self.scale = Sinusoids(position_width), embedding**0.5

    def forward(self, vectors_BTE: Tensor, start: int) -> Tensor:
        positions_TP = self.positions(start, vectors_BTE.shape[1], vectors_BTE)
        return torch.cat((vectors_BTE * self.scale, positions_TP.expand(vectors_BTE.shape[0], -1, -1)), dim=-1)


class LearnedPositions(nn.Module):
    """√E · (x + p_pos), D = E, with a trained vector p for each of `size` positions. Gehring et al. 2017, 3.1."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.table, self.scale = nn.Parameter(torch.empty(size, width)), width**0.5
        nn.init.normal_(self.table, std=width**-0.5)

    def forward(self, vectors_BTE: Tensor, start: int) -> Tensor:
        end, size = start + vectors_BTE.shape[1], self.table.shape[0]
        if end > size:
            raise ValueError(
                f"{end} positions are more than this model has learned (max_positions = {size}): "
                f"shorten the line, or train with max_positions = {end} or more, or with sinusoidal positions"
            )
        entered: Tensor = (vectors_BTE + self.table[start:end]) * self.scale
        return entered


class NoPositions(nn.Module):
    """√E · x, D = E: the encoder sees a bag of words; the decoder sees an order only in how far it may look back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**0.5

    def forward(self, vectors_BTE: Tensor, start: int) -> Tensor:
        entered: Tensor = vectors_BTE * self.scale
        return entered


def make_positions(kind: str, embedding: int, position_width: int, max_positions: int) -> nn.Module:
    """The module for the value of the option `positions`.

    Args:
        kind: "sinusoidal", "concatenated", "learned" or "none".
        embedding: width of the vectors before, and unless positions are concatenated, of those after.
        position_width: channels of concatenated positions.
        max_positions: number of learned positions.
    """
    if kind == "concatenated":
        return ConcatenatedSinusoids(embedding, position_width)
    if kind == "learned":
        return LearnedPositions(embedding, max_positions)
    return NoPositions(embedding) if kind == "none" else AddedSinusoids(embedding)
