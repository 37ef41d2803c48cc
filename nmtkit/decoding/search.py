"""What a search is: a value that finds something for each sentence of a batch.

source ──► Encoded (memory, made when it is first asked for) ─┐
limits, targets, … ──► Query, one per sentence ───────────────┴─► Search.find ──► a result for each sentence
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.models.interface import Memory, State, Stepper

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True)
class Query:
    """What a search is to find for one sentence.

    Attributes:
        limit: most tokens of an output, EOS counted; at least 1.
        minimum: fewest tokens of an output, EOS counted; from 1 to the limit.
        targets: given translations (ids, EOS last), which `Forced` scores and `Exact` starts from.
        reference: a given translation that `Traced` follows, or None.
        incumbents: finished hypotheses that `Exact` also starts from.
        index: the index of the sentence in its source.
    """

    limit: int
    minimum: int = 1
    targets: tuple[tuple[int, ...], ...] = ()
    reference: tuple[int, ...] | None = None
    incumbents: tuple[Hypothesis, ...] = ()
    index: int = 0


class Encoded(Generic[Memory]):
    """A batch of sentences as a model reads them, encoded once, when the memory is first asked for.

    Attributes:
        source: ids (B, S) or vectors (B, S, F).
        mask_BS: True at the positions of each sentence.
    """

    def __init__(self, stepper: Stepper[Memory, State], source: Tensor, mask_BS: Tensor) -> None:
        self._stepper, self.source, self.mask_BS = stepper, source, mask_BS

    @cached_property
    def memory(self) -> Memory:
        """All that depends on the source alone, one row per sentence."""
        with torch.no_grad():
            return self._stepper.encode(self.source, self.mask_BS)

    def select(self, rows: Sequence[int]) -> Encoded[Memory]:
        """Some of the sentences, without the padding that only the others need, not encoded yet."""
        mask_BS = self.mask_BS[list(rows)]
        longest = int(mask_BS.sum(1).max())
        return Encoded(self._stepper, self.source[list(rows), :longest], mask_BS[:, :longest])


class Search(Protocol[Result]):
    """Any search; each has its own type of result."""

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> Sequence[Result | None]:
        """A result for each query; None if the model gives no finite probability.

        Args:
            queries: one for each sentence of the batch.
        """
