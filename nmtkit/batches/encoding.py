"""Pairs of lines to ids: the one place where a pair is kept or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtkit.batches.hashes import Hashes, pair_hashes
from nmtkit.features import matrix_of
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
class Encoded:
    """The pairs of a part of a text that are kept.

    Attributes:
        source, target: sequences one after another, ids that end in EOS (int32) or vectors (positions, F).
        source_lengths, target_lengths: positions of each.
        hashes: a hash of each pair.
        pairs, empty, overlong: as in `Counts`.
    """

    source: NDArray[Any]
    source_lengths: NDArray[np.int64]
    target: NDArray[np.int32]
    target_lengths: NDArray[np.int64]
    hashes: Hashes
    pairs: int
    empty: int
    overlong: int


def encode_pairs(
    source_lines: Sequence[str], target_lines: Sequence[str], tokenizer: Tokenizer, max_source: int, max_target: int
) -> Encoded:
    """Encode a parallel text; pairs with a blank or over-long side (in pieces, without EOS) are left out entirely."""
    pairs = [pair for pair in zip(source_lines, target_lines, strict=True) if pair[0].strip() and pair[1].strip()]
    sources: Sequence[Any]
    if tokenizer.features is None:
        sources = tokenizer.source.encode_all([source for source, _ in pairs])
    else:
        sources = [matrix_of(source, "the training text") for source, _ in pairs]
    targets = tokenizer.target.encode_all([target for _, target in pairs])
    kept = [
        place
        for place, (source, target) in enumerate(zip(sources, targets, strict=True))
        if len(source) <= max_source and len(target) <= max_target
    ]
    own: list[Any] = [sources[place] for place in kept]
    ids, lengths = _ids(own) if tokenizer.features is None else _vectors(own, tokenizer.features)
    return Encoded(
        ids,
        lengths,
        *_ids([targets[place] for place in kept]),
        pair_hashes(pairs[place] for place in kept),
        len(source_lines),
        len(source_lines) - len(pairs),
        len(pairs) - len(kept),
    )


def _ids(sequences: Sequence[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sequences of ids with EOS, one after another, and their lengths."""
    lengths = np.fromiter((len(ids) + 1 for ids in sequences), np.int64, len(sequences))
    flat = (token for ids in sequences for token in (*ids, EOS))
    return np.fromiter(flat, np.int32, int(lengths.sum())), lengths


def _vectors(matrices: Sequence[NDArray[np.float32]], width: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lengths = np.fromiter(map(len, matrices), np.int64, len(matrices))
    return np.concatenate([np.zeros((0, width), np.float32), *matrices]), lengths
