"""Parallel text as ids, in memory or in a prepared folder, with counts of the pairs that are kept and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmtkit.batches.encoding import Counts, encode_pairs
from nmtkit.batches.hashes import Hashes, duplicates
from nmtkit.batches.shards import Facts, columns
from nmtkit.ragged import Joined, Ragged
from nmtkit.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Corpus:
    """Pairs of id sequences, each ending in EOS.

    Attributes:
        weights: for each of the corpora that it joins, the number of pairs and how often an epoch has them; empty: all
            pairs once.
        hashes: hashes of the pairs, for each of these corpora.
    """

    source: Ragged | Joined
    target: Ragged | Joined
    counts: Counts
    weights: tuple[tuple[int, int], ...] = ()
    hashes: tuple[Hashes, ...] = ()

    @property
    def shares(self) -> tuple[tuple[int, int], ...]:
        """As `weights`, never empty."""
        return self.weights or ((len(self), 1),)

    def __len__(self) -> int:
        return len(self.source)


def load_corpus(
    source_lines: Sequence[str], target_lines: Sequence[str], tokenizer: Tokenizer, max_source: int, max_target: int
) -> Corpus:
    """Encode a parallel text in memory, as `encode_pairs` does."""
    own = encode_pairs(source_lines, target_lines, tokenizer, max_source, max_target)
    counts = Counts(own.pairs, own.empty, own.overlong, duplicates(own.hashes))
    source, target = Ragged.of(own.source, own.source_lengths), Ragged.of(own.target, own.target_lengths)
    return Corpus(source, target, counts, hashes=(own.hashes,))


def open_corpus(folder: Path, facts: Facts) -> Corpus:
    """The corpus of a prepared folder, mapped from its files; ValueError if a file is missing or has another size."""
    mapped = columns(folder, facts)
    source, target = (
        Ragged(mapped[f"{side}.ids"], mapped[f"{side}.ends"].astype(np.int64, copy=False))
        for side in ("source", "target")
    )
    return Corpus(source, target, facts.counts, hashes=(mapped["pairs.hashes"],))


def join(corpora: Sequence[tuple[Corpus, int]]) -> Corpus:
    """Several corpora as one; an epoch has the pairs of each as often as the number beside it says."""
    if len(corpora) == 1 and corpora[0][1] == 1:
        return corpora[0][0]
    counts = [corpus.counts for corpus, _ in corpora]
    return Corpus(
        Joined([corpus.source for corpus, _ in corpora]),
        Joined([corpus.target for corpus, _ in corpora]),
        Counts(*(sum(getattr(own, name) for own in counts) for name in ("pairs", "empty", "overlong", "duplicates"))),
        tuple((len(corpus), weight) for corpus, weight in corpora),
        tuple(column for corpus, _ in corpora for column in corpus.hashes),
    )
