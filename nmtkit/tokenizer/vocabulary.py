"""A vocabulary: text to ids and back, whatever makes the pieces; the interface of one side of a tokenizer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Protocol


class Vocabulary(Protocol):
    """Pieces with ids from 0 to `size` − 1; PAD, BOS, UNK and EOS are those of `nmtkit.specials`."""

    @property
    def size(self) -> int:
        """The number of pieces."""

    @property
    def features(self) -> int | None:
        """Features per position if the source is vectors; None if it is text."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, each as `encode` gives them."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; PAD, BOS and EOS have none."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces of the ids as people see them."""

    def spellings(self) -> list[bytes]:
        """The bytes that each piece adds to a text, by id; also the space that `decode` drops at the beginning."""

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        """The ids of whole pieces, as `pieces` gives them; ValueError for a text that is not a piece."""

    def segmentations(self, text: str, n: int) -> list[list[int]]:
        """Up to n different segmentations of the text, `encode(text)` first, always the same ones."""

    def sample(self, text: str, alpha: float, seed: int) -> list[int]:
        """A random segmentation of the text, always the same for the same seed; alpha says how random."""

    def restores(self, ids: list[int]) -> bool:
        """Whether the ids, from `encode`, are those of the text that `decode` makes of them, which `sample` needs."""

    def hash(self) -> str:
        """SHA-256 in hexadecimal: equal vocabularies have equal hashes."""

    def to_bytes(self) -> bytes:
        """The content of the vocabulary's file."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary's file, whole or not at all."""
