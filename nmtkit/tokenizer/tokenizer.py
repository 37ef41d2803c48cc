"""The tokenizer of a translation model: one subword model for both languages (joint) or one for each."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nmtkit import files
from nmtkit.tokenizer.subwords import HINT, Subwords

JOINT, SOURCE, TARGET = "tokenizer.model", "tokenizer.source.model", "tokenizer.target.model"


@dataclass(frozen=True)
class Tokenizer:
    """`source` and `target` are the same object in a joint tokenizer."""

    source: Subwords
    target: Subwords

    @property
    def joint(self) -> bool:
        """Whether both languages share one vocabulary."""
        return self.source is self.target

    def hash(self) -> str:
        """The SHA-256 of the model bytes, in hexadecimal: equal tokenizers have equal hashes."""
        digest = hashlib.sha256(self.source.to_bytes())
        if not self.joint:
            digest.update(self.target.to_bytes())
        return digest.hexdigest()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes tokenizer.model, or tokenizer.source.model and tokenizer.target.model, in place of any before."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        models = {JOINT: self.source} if self.joint else {SOURCE: self.source, TARGET: self.target}
        for name, subwords in models.items():
            with files.replacing(folder / name) as temporary:
                temporary.write_bytes(subwords.to_bytes())
        for name in {JOINT, SOURCE, TARGET} - set(models):
            (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str = HINT) -> Tokenizer:
        """The tokenizer in a folder (of a model, or as `save` writes it) or in one .model file (joint).

        Args:
            fix: how error messages end.
        """
        path = Path(path)
        if not path.is_dir():
            joint = Subwords.load(path, fix)
            return cls(joint, joint)
        if (path / JOINT).exists():
            joint = Subwords.load(path / JOINT, fix)
            return cls(joint, joint)
        if not (path / SOURCE).exists() and not (path / TARGET).exists():
            raise ValueError(f"{path}: has neither {JOINT} nor {SOURCE} and {TARGET}; {fix}")
        return cls(Subwords.load(path / SOURCE, fix), Subwords.load(path / TARGET, fix))
