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
    """Sentences in a model's source language, whether they are text or vectors.

    Attributes:
        first: number of the first sentence in the whole text.
        lengths: positions that the model reads of each sentence, including its end.
        units: length of each sentence for a length limit: its pieces without the end of sentence, or its vectors.
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
        """A batch of sentences as `Model.encode` takes it: ids (B, S) or vectors (B, S, F), and the mask (B, S)."""

    def show(self, index: int) -> str:
        """A sentence as people read it."""

    def names(self, index: int) -> tuple[str, ...]:
        """The positions of a sentence as people read them: its pieces, the end of sentence last."""


class Lines:
    """Lines of text, tokenised once, cut if they are too long.

    Args:
        most: most pieces of a line that the model reads, without its end.
        first: number of the first line.
        cut: called with the number and the pieces of each line that is longer.

    Raises:
        ValueError: if a line is vectors; names the line.
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
        """The pieces that the model reads."""
        return tuple(self._vocabulary.pieces(self._ids[index].tolist()))


class Vectors:
    """Sentences of feature vectors, cut if they are too long. They have no end of sentence.

    A sentence without positions is blank; the model reads one vector of zeros for it.

    Args:
        lines: `Described`.
        width: features per position that the model reads.
        most: most positions of a sentence that the model reads.
        first: number of the first sentence.
        cut: called with the number and the positions of each sentence that is longer.

    Raises:
        ValueError: if a line is text, or vectors of another width; names the line.
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
                raise ValueError(f"line {number}: {matrix.shape[1]} features per position, but the model reads {width}")
            if len(matrix) > most:
                cut(number, len(matrix))
            self.units[index] = min(len(matrix), most)
            matrices.append(matrix[:most] if len(matrix) else np.zeros((1, width), dtype=np.float32))
        self._vectors = Ragged.of_vectors(matrices, width)
        self.lengths = self._vectors.lengths

    def blank(self, index: int) -> bool:
        """Whether the sentence has no positions."""
        return not self.units[index]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Vectors (B, S, F) and mask."""
        return self._vectors.rows(indices)

    def show(self, index: int) -> str:
        """The place, the shape and a hash of the vectors."""
        return self._lines[index]

    def names(self, index: int) -> tuple[str, ...]:
        """The numbers of the positions that the model reads, from 1."""
        return tuple(str(place) for place in range(1, self.lengths[index] + 1))
