"""What a search is: a value that finds something for each sentence of a batch.

source ──► Encoded (memory, made when it is first asked for) ─┐
limits, targets, … ──► Query, one per sentence ───────────────┴─► Search.find ──► a result for each sentence
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.lexicon import Lexicon, Term
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.specials import EOS

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True)
class Query:
    """What a search is to find for one sentence.

    Attributes:
        limit: most tokens of an output, EOS counted; at least 1, and more than the prefix has.
        minimum: fewest tokens of an output, EOS counted; from 1 to the limit.
        prefix: the tokens that every output begins with, without EOS. No rule bans them; J is that of what follows.
        word_starts: the tokens of which one must follow the prefix, unless EOS does; None: any may.
        targets: given translations (ids, EOS last), which `Forced` scores and `Exact` starts from.
        reference: a given translation that `Traced` follows, or None.
        incumbents: finished hypotheses that `Exact` also starts from.
        lexicon: what no output may contain, and the terms of all sentences; None if there is nothing of the kind. All
            queries of a search that have one have the same.
        terms: what every output must contain.
        index: the index of the sentence in its source.
        line: the number of the sentence in the whole text, of which the draws of a sample are a function.
    """

    limit: int
    minimum: int = 1
    prefix: tuple[int, ...] = ()
    word_starts: frozenset[int] | None = None
    targets: tuple[tuple[int, ...], ...] = ()
    reference: tuple[int, ...] | None = None
    incumbents: tuple[Hypothesis, ...] = ()
    lexicon: Lexicon | None = None
    terms: tuple[Term, ...] = ()
    index: int = 0
    line: int = 1

    def __post_init__(self) -> None:
        assert 1 <= self.minimum <= self.limit and len(self.prefix) < self.limit
        assert self.lexicon is not None or not self.terms

    def begins(self, tokens: Sequence[int]) -> bool:
        """Whether an output may begin with these tokens, as far as the prefix and the word after it go."""
        length = len(self.prefix)
        if tuple(tokens[:length]) != self.prefix[: len(tokens)]:
            return False
        after = tokens[length : length + 1]
        return self.word_starts is None or not after or after[0] == EOS or after[0] in self.word_starts


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
        with torch.inference_mode():
            return self._stepper.encode(self.source, self.mask_BS)

    def select(self, rows: Sequence[int]) -> Encoded[Memory]:
        """Some of the sentences, without the padding that only the others need, not encoded yet."""
        mask_BS = self.mask_BS[list(rows)]
        longest = int(mask_BS.sum(1).max())
        return Encoded(self._stepper, self.source[list(rows), :longest], mask_BS[:, :longest])


@dataclass(frozen=True)
class Joined:
    """Several searches: a list of hypotheses of each, empty where it finds none."""

    searches: tuple[Search[list[Hypothesis]], ...]

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[list[Hypothesis]] | None]:
        """Every sentence is encoded once; None where no search has a result."""
        lists = [search.find(stepper, batch, queries) for search in self.searches]
        rows = zip(*lists, strict=True)
        return [[own or [] for own in row] if any(own is not None for own in row) else None for row in rows]


class Search(Protocol[Result]):
    """Any search; each has its own type of result."""

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> Sequence[Result | None]:
        """A result for each query; None if the model gives no finite probability.

        Args:
            queries: one for each sentence of the batch.
        """


def find_or_relax(
    search: Search[Result],
    stepper: Stepper[Memory, State],
    batch: Encoded[Memory],
    queries: Sequence[Query],
    tell: Callable[[Query], None],
) -> list[Result | None]:
    """A result for each query; one for which nothing is found is searched again without its terms.

    Args:
        tell: is called with each query that is searched again.
    """
    results = list(search.find(stepper, batch, queries))
    rows = [row for row, result in enumerate(results) if result is None and queries[row].terms]
    if rows:
        relaxed = [replace(queries[row], terms=()) for row in rows]
        for row, result in zip(rows, search.find(stepper, batch.select(rows), relaxed), strict=True):
            tell(queries[row])
            results[row] = result
    return results
