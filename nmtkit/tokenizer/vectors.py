"""The source side of a model that reads vectors: no pieces, but a number of features for each position."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from nmtkit import files

WIDEST = 1_000_000


class VectorSide:
    """Takes the place of a vocabulary; its methods for text and pieces raise ValueError.

    Attributes:
        size, features: the number of features per position.
    """

    def __init__(self, width: int) -> None:
        self.size = self.features = width

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str) -> VectorSide:
        """Read what `save` wrote; ValueError, which ends with `fix`, for anything else."""
        return cls.from_bytes(Path(path).read_bytes(), str(path), fix)

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "the source's side", fix: str = "write it again") -> VectorSide:
        """The content of the file; error messages call it `name` and end with `fix`."""
        try:
            width = json.loads(content)["features"]
        except (ValueError, KeyError, TypeError, RecursionError):
            width = None
        if type(width) is not int or not 1 <= width <= WIDEST:
            raise ValueError(f"{name}: does not say how many features a position has; {fix}")
        return cls(width)

    def encode(self, text: str) -> NoReturn:
        """ValueError: vectors are not text."""
        raise ValueError("this model reads vectors, not text")

    def encode_all(self, texts: Sequence[str]) -> NoReturn:
        """ValueError: vectors are not text."""
        raise ValueError("this model reads vectors, not text")

    def decode(self, ids: Iterable[int]) -> NoReturn:
        """ValueError: vectors are not text."""
        raise ValueError("this model reads vectors, which are not written")

    def pieces(self, ids: Iterable[int]) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def spellings(self) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def ids_of(self, pieces: Iterable[str]) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def segmentations(self, text: str, n: int) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def sample(self, text: str, alpha: float, seed: int) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def restores(self, ids: list[int]) -> NoReturn:
        """ValueError: vectors have no pieces."""
        raise ValueError("this model reads vectors, which have no pieces")

    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of the file, which is JSON."""
        return (json.dumps({"features": self.size}) + "\n").encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        files.write_text(path, self.to_bytes().decode())
