"""Parallel text as ids, with counts of the pairs that are kept and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nmtkit.features import matrix_of
from nmtkit.ragged import Joined, Ragged
from nmtkit.specials import EOS
from nmtkit.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Counts:
    """Counts of the pairs of a parallel text.

    Attributes:
        pairs: lines of each file.
        empty: pairs left out because a side is blank.
        overlong: pairs left out because a side has too many pieces.
        duplicates: pairs that repeat an earlier one; they stay in.
    """

    pairs: int
    empty: int
    overlong: int
    duplicates: int

    @property
    def kept(self) -> int:
        return self.pairs - self.empty - self.overlong


@dataclass(frozen=True)
class Corpus:
    """Pairs of id sequences, each ending in EOS.

    Attributes:
        weights: for each of the corpora that it joins, the number of pairs and how often an epoch has them; empty: all
            pairs once.
    """

    source: Ragged | Joined
    target: Ragged | Joined
    counts: Counts
    weights: tuple[tuple[int, int], ...] = ()

    @property
    def shares(self) -> tuple[tuple[int, int], ...]:
        """As `weights`, never empty."""
        return self.weights or ((len(self), 1),)

    def __len__(self) -> int:
        return len(self.source)


def load_corpus(
    source_lines: Sequence[str], target_lines: Sequence[str], tokenizer: Tokenizer, max_source: int, max_target: int
) -> Corpus:
    """Encode a parallel text; pairs with a blank or over-long side (in pieces, without EOS) are left out entirely."""
    assert len(source_lines) == len(target_lines)
    sources: list[Any] = []
    targets: list[list[int]] = []
    read = tokenizer.source.encode if tokenizer.features is None else partial(matrix_of, where="the training text")
    texts: set[tuple[str, str]] = set()
    empty = overlong = 0
    for source_line, target_line in zip(source_lines, target_lines, strict=True):
        if not source_line.strip() or not target_line.strip():
            empty += 1
            continue
        source, target = read(source_line), tokenizer.target.encode(target_line)
        if len(source) > max_source or len(target) > max_target:
            overlong += 1
            continue
        sources.append(source)
        targets.append([*target, EOS])
        texts.add((source_line, target_line))
    counts = Counts(len(source_lines), empty, overlong, len(targets) - len(texts))
    if tokenizer.features is None:
        return Corpus(Ragged.of_ids([*source, EOS] for source in sources), Ragged.of_ids(targets), counts)
    return Corpus(Ragged.of_vectors(sources, tokenizer.features), Ragged.of_ids(targets), counts)
