"""What an exact search has still to read: prefixes of one length, with the states of their parents.

Shape key: R waiting nodes, T tokens of a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Nodes:
    """Prefixes that wait to be read: of which sentence, with which parent's state, their last token, Σ log P, how often
    they were read before, the highest total of a child that is still to be made, and all tokens."""

    sentence_R: Tensor
    parent_R: Tensor
    token_R: Tensor
    total_R: Tensor
    turn_R: Tensor
    highest_R: Tensor
    prefix_RT: Tensor

    def select(self, index: Tensor) -> Nodes:
        return Nodes(*(getattr(self, field.name)[index] for field in fields(self)))

    def joined(self, other: Nodes) -> Nodes:
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Nodes(*(torch.cat(pair) for pair in pairs))

    def __len__(self) -> int:
        return self.token_R.shape[0]


@dataclass
class Level:
    """Waiting nodes of one length and the states of their parents."""

    nodes: Nodes
    state: Any
