"""The tokenizer of a translation model: one vocabulary for both languages (joint) or one for each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nmtkit.tokenizer.subwords import HINT, Subwords
from nmtkit.tokenizer.vectors import VectorSide
from nmtkit.tokenizer.vocabulary import Vocabulary

JOINT, SOURCE, TARGET = "tokenizer.model", "tokenizer.source.model", "tokenizer.target.model"
VECTORS = "tokenizer.source.json"
"""Replaces the file of the source's model if the source is vectors."""
FILES = (JOINT, SOURCE, TARGET, VECTORS)


@dataclass(frozen=True)
class Tokenizer:
    """The vocabularies of source and target: the same object in a joint tokenizer."""

    source: Vocabulary
    target: Vocabulary

    @property
    def joint(self) -> bool:
        """Whether both languages share one vocabulary."""
        return self.source is self.target

    @property
    def features(self) -> int | None:
        """Features per position if the source is vectors; None if it is text."""
        return self.source.features

    def hash(self) -> str:
        """The SHA-256 of the model bytes, in hexadecimal: equal tokenizers have equal hashes."""
        if self.joint:
            return self.source.hash()
        return hashlib.sha256(self.source.to_bytes() + self.target.to_bytes()).hexdigest()

    def files(self) -> dict[str, bytes]:
        """The files that `save` writes: tokenizer.model, or tokenizer.source.model and tokenizer.target.model."""
        return {name: vocabulary.to_bytes() for name, vocabulary in self._sides().items()}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> Tokenizer:
        """The inverse of `files`."""
        if JOINT in files:
            joint = Subwords.from_bytes(files[JOINT])
            return cls(joint, joint)
        target = Subwords.from_bytes(files[TARGET])
        return cls(
            VectorSide.from_bytes(files[VECTORS]) if VECTORS in files else Subwords.from_bytes(files[SOURCE]), target
        )

    def _sides(self) -> dict[str, Vocabulary]:
        if self.joint:
            return {JOINT: self.source}
        return {SOURCE if self.features is None else VECTORS: self.source, TARGET: self.target}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer's files into a folder, in place of older ones."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        sides = self._sides()
        for name, vocabulary in sides.items():
            vocabulary.save(folder / name)
        for name in set(FILES) - set(sides):
            (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str = HINT) -> Tokenizer:
        """The tokenizer in a folder (of a model, or as `save` writes it) or in one .model file (joint).

        Args:
            fix: the end of error messages, which says what to do.
        """
        path = Path(path)
        if not path.is_dir():
            joint = Subwords.load(path, fix)
            return cls(joint, joint)
        if (path / JOINT).exists():
            joint = Subwords.load(path / JOINT, fix)
            return cls(joint, joint)
        if (path / VECTORS).exists():
            return cls(VectorSide.load(path / VECTORS, fix), Subwords.load(path / TARGET, fix))
        if not (path / SOURCE).exists() and not (path / TARGET).exists():
            raise ValueError(f"{path}: has neither {JOINT} nor {SOURCE} and {TARGET}; {fix}")
        return cls(Subwords.load(path / SOURCE, fix), Subwords.load(path / TARGET, fix))
