"""Parallel text as ids: what is kept, what is left out, and how much of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmtkit.specials import EOS, PAD
from nmtkit.tokenizer.tokenizer import Tokenizer


class Ragged:
    """Many id sequences in one flat tensor."""

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        flat: list[int] = []
        ends = [0]
        for sequence in sequences:
            flat.extend(sequence)
            ends.append(len(flat))
        self._flat = torch.tensor(flat, dtype=torch.int32)
        self._ends = torch.tensor(ends, dtype=torch.int64)
        self.lengths: list[int] = self._ends.diff().tolist()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Tensor:
        return self._flat[self._ends[index] : self._ends[index + 1]]

    def padded(self, indices: Sequence[int]) -> Tensor:
        """The sequences of these indices as rows (B, longest), int64, PAD behind each."""
        index_B = torch.tensor(indices)
        start_B1, end_B1 = self._ends[index_B].unsqueeze(1), self._ends[index_B + 1].unsqueeze(1)
        place_BT = start_B1 + torch.arange(int((end_B1 - start_B1).max()))
        inside_BT = place_BT < end_B1
        return torch.where(inside_BT, self._flat[place_BT.clamp(max=len(self._flat) - 1)], PAD).long()


@dataclass(frozen=True)
class Counts:
    """What was found in a parallel text.

    Attributes:
        pairs: lines of each file.
        empty: pairs left out because a side is blank.
        overlong: pairs left out because a side has more pieces than allowed.
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
    """Pairs of id sequences, each ending in EOS."""

    source: Ragged
    target: Ragged
    counts: Counts

    def __len__(self) -> int:
        return len(self.source)


def load_corpus(
    source_lines: Sequence[str], target_lines: Sequence[str], tokenizer: Tokenizer, max_source: int, max_target: int
) -> Corpus:
    """Encode a parallel text; pairs with a blank or over-long side (in pieces, without EOS) are left out whole."""
    assert len(source_lines) == len(target_lines)
    kept: list[tuple[list[int], list[int]]] = []
    texts: set[tuple[str, str]] = set()
    empty = overlong = 0
    for source_line, target_line in zip(source_lines, target_lines, strict=True):
        if not source_line.strip() or not target_line.strip():
            empty += 1
            continue
        source, target = tokenizer.source.encode(source_line), tokenizer.target.encode(target_line)
        if len(source) > max_source or len(target) > max_target:
            overlong += 1
            continue
        kept.append(([*source, EOS], [*target, EOS]))
        texts.add((source_line, target_line))
    counts = Counts(len(source_lines), empty, overlong, len(kept) - len(texts))
    return Corpus(Ragged(pair[0] for pair in kept), Ragged(pair[1] for pair in kept), counts)
