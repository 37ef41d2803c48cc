"""What a model reads: lines of text, or vectors; each kind knows its lengths, its batches, and how to show a sentence.

Shape key: B sentences, S source positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from nmtkit.features import matrix_of, refuse_vectors
from nmtkit.ragged import Ragged
from nmtkit.specials import EOS
from nmtkit.tokenizer.vocabulary import Vocabulary


class Source(Protocol):
    """Some sentences in a model's source language, whatever they are made of.

    Attributes:
        first: number of the first sentence in the text that they are a part of.
        lengths: positions that the model reads of each sentence, its end counted.
        units: what a length limit counts of each: pieces without the end of sentence, or vectors.
    """

    @property
    def first(self) -> int: ...
    @property
    def lengths(self) -> Sequence[int]: ...
    @property
    def units(self) -> Sequence[int]: ...

    def blank(self, index: int) -> bool:
        """Whether there is nothing to translate, so that only the empty translation is right."""

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Some sentences as `Model.encode` takes them: ids (B, S), or vectors (B, S, F), and the mask (B, S)."""

    def show(self, index: int) -> str:
        """A sentence as people read it."""

    def names(self, index: int) -> tuple[str, ...]:
        """The positions of a sentence as people read them: its pieces, the end of sentence last."""


class Lines:
    """Lines of text, tokenised once, cut where they are too long.

    Args:
        most: pieces that are read of a line, its end not counted.
        first: number of the first line.
        cut: is told the number and the pieces of a line that is longer.

    Raises:
        ValueError: naming the line, for vectors.
    """

    def __init__(
        self,
        lines: Sequence[str],
        vocabulary: Vocabulary,
        most: int,
        first: int = 1,
        cut: Callable[[int, int], None] = lambda number, pieces: None,
    ) -> None:
        self._lines, self._vocabulary, self.first = lines, vocabulary, first
        ids = []
        for number, line in enumerate(lines, start=first):
            refuse_vectors(line, f"line {number}")
            pieces = vocabulary.encode(line)
            if len(pieces) > most:
                cut(number, len(pieces))
            ids.append([*pieces[:most], EOS])
        self._ids = Ragged.of_ids(ids)
        self.lengths = self._ids.lengths
        self.units = [length - 1 for length in self.lengths]

    def blank(self, index: int) -> bool:
        """Whether the line is nothing but white space."""
        return not self._lines[index].strip()

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids (B, S) and mask."""
        return self._ids.rows(indices)

    def show(self, index: int) -> str:
        """The line."""
        return self._lines[index]

    def names(self, index: int) -> tuple[str, ...]:
        """The pieces that are read."""
        return tuple(self._vocabulary.pieces(self._ids[index].tolist()))


class Vectors:
    """Sentences of feature vectors, cut where they are too long. They have no end of sentence.

    A sentence without positions is blank; the model reads one vector of zeros for it.

    Args:
        lines: `Described`.
        width: features that the model reads of a position.
        most: positions that are read of a sentence.
        first: number of the first sentence.
        cut: is told the number and the positions of a sentence that is longer.

    Raises:
        ValueError: naming the line, for text and for vectors of another width.
    """

    def __init__(
        self,
        lines: Sequence[str],
        width: int,
        most: int,
        first: int = 1,
        cut: Callable[[int, int], None] = lambda number, positions: None,
    ) -> None:
        self._lines, self.first, self.units = lines, first, [0] * len(lines)
        matrices = []
        for index, line in enumerate(lines):
            number = first + index
            matrix = matrix_of(line, f"line {number}")
            if matrix.shape[1] != width:
                raise ValueError(f"line {number}: {matrix.shape[1]} features a position, but the model reads {width}")
            if len(matrix) > most:
                cut(number, len(matrix))
            self.units[index] = min(len(matrix), most)
            matrices.append(matrix[:most] if len(matrix) else np.zeros((1, width), dtype=np.float32))
        self._vectors = Ragged.of_vectors(matrices, width)
        self.lengths = self._vectors.lengths

    def blank(self, index: int) -> bool:
        """Whether there are no positions."""
        return not self.units[index]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Vectors (B, S, F) and mask."""
        return self._vectors.rows(indices)

    def show(self, index: int) -> str:
        """Where the vectors are, how many, and a hash of them."""
        return self._lines[index]

    def names(self, index: int) -> tuple[str, ...]:
        """The numbers of the positions that are read, from 1."""
        return tuple(str(place) for place in range(1, self.lengths[index] + 1))
