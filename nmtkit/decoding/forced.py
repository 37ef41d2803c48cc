"""Forced decoding: the log-probability of given translations, in one parallel pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nmtkit.models.interface import Model, stack_targets


@torch.no_grad()
def forced_log_probs(model: Model, memory: Any, targets: Sequence[Sequence[int]]) -> list[list[float]]:
    """Natural log P of each token of each target, given the true prefix before it.

    Args:
        memory: of the sources, one row each.
        targets: ids, each ending in EOS; W for each row of the memory, those of a source next to each other.
    """
    target_in_NT, target_out_NT = stack_targets(targets, model.device)
    rows = model.decode(memory, target_in_NT).at(target_out_NT).tolist()
    return [row[: len(target)] for row, target in zip(rows, targets, strict=True)]
