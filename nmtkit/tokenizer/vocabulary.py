"""A vocabulary: text to ids and back, whatever makes the pieces. All that others ask of one side of a tokenizer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol


class Vocabulary(Protocol):
    """Pieces with ids from 0 to `size` − 1; PAD, BOS, UNK and EOS are those of `nmtkit.specials`."""

    @property
    def size(self) -> int:
        """How many pieces there are."""

    @property
    def features(self) -> int | None:
        """Numbers a position, where a source is vectors instead of text; None: text."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; PAD, BOS and EOS have none."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces of the ids as people see them."""

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        """The ids of whole pieces, as `pieces` gives them; ValueError for one that is none."""

    def segmentations(self, text: str, n: int) -> list[list[int]]:
        """Up to n different ways to write the text, `encode(text)` first, always the same."""

    def hash(self) -> str:
        """SHA-256 in hexadecimal: equal vocabularies have equal hashes."""

    def to_bytes(self) -> bytes:
        """The content of its file."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write its file, whole or not at all."""
