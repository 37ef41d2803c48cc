"""The source side of a model that reads vectors: no pieces, but a number of features for each position."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from nmtkit import files

WIDEST = 1_000_000


class VectorSide:
    """Stands where text has a vocabulary; whoever asks it for pieces is told that there are none.

    Attributes:
        size, features: numbers a position.
    """

    def __init__(self, width: int) -> None:
        self.size = self.features = width

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str) -> VectorSide:
        """What `save` wrote; ValueError, ending with `fix`, for anything else."""
        try:
            width = json.loads(Path(path).read_bytes())["features"]
        except (ValueError, KeyError, TypeError, RecursionError):
            width = None
        if type(width) is not int or not 1 <= width <= WIDEST:
            raise ValueError(f"{path}: does not say how many features a position has; {fix}")
        return cls(width)

    def encode(self, text: str) -> NoReturn:
        """There are no pieces."""
        raise ValueError("this model reads vectors, not text")

    def decode(self, ids: Iterable[int]) -> NoReturn:
        """There are no pieces."""
        raise ValueError("this model reads vectors, which are not written")

    def pieces(self, ids: Iterable[int]) -> NoReturn:
        """There are none."""
        raise ValueError("this model reads vectors, which have no pieces")

    def ids_of(self, pieces: Iterable[str]) -> NoReturn:
        """There are none."""
        raise ValueError("this model reads vectors, which have no pieces")

    def segmentations(self, text: str, n: int) -> NoReturn:
        """There are none."""
        raise ValueError("this model reads vectors, which have no pieces")

    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of its file, JSON."""
        return (json.dumps({"features": self.size}) + "\n").encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write its file, whole or not at all."""
        files.write_text(path, self.to_bytes().decode())
