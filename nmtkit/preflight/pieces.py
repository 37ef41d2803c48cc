"""Lengths of lines: in the pieces of a tokenizer, or in words; and the pieces that stand for what it does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from nmtkit.preflight.reading import Rows, Side
from nmtkit.specials import UNK

if TYPE_CHECKING:
    from nmtkit.tokenizer.vocabulary import Vocabulary

BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def overlong(side: Side, most: int) -> Rows:
    """The rows with more than `most` words between spaces, of which no tokenizer makes fewer pieces."""
    long = np.flatnonzero(side.lengths > 2 * most)  # a word and its space
    return np.array([row for row in long.tolist() if len(side.lines[row].split()) > most], dtype=np.intp)


class Pieces:
    """Lengths in pieces."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._encode = vocabulary.encode
        self._bytes = np.zeros(vocabulary.size, dtype=bool)
        for number, piece in enumerate(vocabulary.pieces(range(vocabulary.size))):
            self._bytes[number] = bool(BYTE.fullmatch(piece))

    def counts(self, side: Side) -> tuple[Rows, Rows, Rows]:
        """For each row its pieces, and how many of them are unknown, and single bytes."""
        ids = [np.array(self._encode(line), dtype=np.intp) for line in side.lines]
        return (
            np.array([len(of_line) for of_line in ids], dtype=np.intp),
            np.array([np.count_nonzero(of_line == UNK) for of_line in ids], dtype=np.intp),
            np.array([np.count_nonzero(self._bytes[of_line]) for of_line in ids], dtype=np.intp),
        )
