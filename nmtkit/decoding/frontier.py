"""What an exact search still has to read: prefixes of one length, with the states of their parents.

Shape key: R waiting nodes, T tokens of a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Generic

import torch
from torch import Tensor

from nmtkit.models.interface import State


@dataclass(frozen=True)
class Nodes:
    """Prefixes that wait to be read, one row each: sentence, row of the parent's state, last token, Σ log P, how often
    the prefix was read before, the highest total of a child that is still to be made, and all tokens."""

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
class Level(Generic[State]):
    """Waiting nodes of one length and the states of their parents."""

    nodes: Nodes
    state: State


def places(sentence_R: Tensor, sentences: int) -> Tensor:
    """The number of rows of the same sentence before each row."""
    order = sentence_R.argsort(stable=True)
    count_S = torch.bincount(sentence_R, minlength=sentences)
    first_S = count_S.cumsum(0) - count_S
    place_R = torch.empty_like(sentence_R)
    place_R[order] = torch.arange(len(order), device=order.device) - first_S[sentence_R[order]]
    return place_R


def next_level(
    nodes: Nodes, state: State, row_R: Tensor, token_R: Tensor, total_R: Tensor, sentences: int
) -> Level[State]:
    """The children of nodes, best first, sentences in turn; only states of nodes with children are kept.

    Args:
        state: one row per node.
        row_R, token_R, total_R: the node, the last token and Σ log P of each child.
        sentences: the number of sentences.
    """
    order = total_R.argsort(descending=True, stable=True)
    order = order[places(nodes.sentence_R[row_R[order]], sentences).argsort(stable=True)]
    row_R, token_R, total_R = row_R[order], token_R[order], total_R[order]
    used, parent_R = row_R.unique(return_inverse=True)
    prefix_RT = torch.cat((nodes.prefix_RT[row_R], token_R.unsqueeze(1)), dim=1)
    sentence_R, none_R = nodes.sentence_R[row_R], torch.zeros_like(row_R)
    return Level(Nodes(sentence_R, parent_R, token_R, total_R, none_R, total_R, prefix_RT), state.select(used))
