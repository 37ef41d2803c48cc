"""The largest batch that the memory of a GPU holds, found by trying."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from nmtkit.memory import ran_out
from nmtkit.models.fused.switch import plain
from nmtkit.models.interface import Model
from nmtkit.ragged import shifted
from nmtkit.training.precision import reduced

ON_CPU = 4096
"""Pieces of a batch on a CPU, whose caches are full long before its memory."""
LEAST, MOST = 256, 1_000_000
SHARE = 0.8
"""Share of the memory, without what other programs have, that the largest batch may take; the rest is for batches of
other shapes and for validation."""


def largest_batch(
    model: Model,
    longest: tuple[int, int],
    sizes: tuple[int, int],
    features: bool,
    precision: str = "float32",
    compiled: bool = False,
) -> int:
    """The most target pieces of a batch for which a forward and a backward pass fit into the memory of the GPU.

    Every batch size is √2 times the one before. The pairs are as long as they can be, which takes the most memory.

    Args:
        longest: the most source and target pieces of a pair.
        sizes: numbers of source pieces, or of features, and of target pieces.
        features: whether the source is vectors.
        precision: that of the training.
        compiled: whether the training is compiled, which takes the memory of the plain formulas at most.

    Raises:
        ValueError: if not even the smallest batch fits.
    """
    found, power = 0, 0
    while (tokens := round(LEAST * 2 ** (power / 2))) <= MOST:
        with plain() if compiled else nullcontext():
            fits = _fits(model, _pairs(tokens, longest, sizes, features), precision)
        if not fits:
            break
        found, power = tokens, power + 1
    model.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    if not found:
        raise ValueError(
            f"a batch of {LEAST} pieces does not fit into the memory of {model.device}: take a smaller model"
        )
    return found


def _pairs(tokens: int, longest: tuple[int, int], sizes: tuple[int, int], features: bool) -> tuple[Tensor, Tensor]:
    """Source and target ids of a full batch of the longest pairs."""
    rows = max(1, tokens // longest[1])
    source, target = min(longest[0], 2 * tokens // rows), min(longest[1], tokens)
    read = torch.randn(rows, source, sizes[0]) if features else torch.randint(4, sizes[0], (rows, source))
    return read, torch.randint(4, sizes[1], (rows, target))


def _fits(model: Model, pairs: tuple[Tensor, Tensor], precision: str) -> bool:
    """Whether a forward and a backward pass leave enough memory for Adam's moments and for what else there is."""
    source, target = (side.to(model.device) for side in pairs)
    torch.cuda.reset_peak_memory_stats(model.device)
    try:
        with reduced(precision, model.device):
            memory = model.encode(source, torch.ones(source.shape[:2], dtype=torch.bool, device=model.device))
            loss = model.decode(memory, shifted(target)).loss(target, 0.1)
        loss.backward()
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        return False
    moments = 2 * sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    free, _ = torch.cuda.mem_get_info(model.device)  # others may have a part of it
    own = free + torch.cuda.memory_reserved(model.device)
    return torch.cuda.max_memory_allocated(model.device) + moments <= SHARE * own
