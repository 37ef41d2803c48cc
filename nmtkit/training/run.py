"""Everything that defines a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmtkit.models.options import ModelOptions
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide
from nmtkit.training.data import Data
from nmtkit.training.options import TrainingOptions


@dataclass(frozen=True)
class Run:
    """Everything that defines a run.

    Attributes:
        data: the parallel text.
        output: the model folder.
        tokenizer: a ready tokenizer or its path, or the options to make one.
        device: as for `Translator.load`.
        threads: CPU threads; None: torch's default.
        command: the command line, for the provenance.
    """

    data: Data
    output: Path
    model: ModelOptions
    training: TrainingOptions
    tokenizer: Tokenizer | Path | TokenizerOptions
    device: str = "auto"
    threads: int | None = None
    command: str = ""

    @property
    def made_by(self) -> TokenizerOptions | None:
        """The options to make the tokenizer; None if it is ready."""
        return self.tokenizer if isinstance(self.tokenizer, TokenizerOptions) else None

    def ready(self, features: int | None = None) -> Tokenizer | None:
        """The tokenizer, loaded if necessary; None if it is still to be made.

        Args:
            features: features per position if the source is vectors; then only the target side is used.
        """
        if isinstance(self.tokenizer, TokenizerOptions):
            return None
        tokenizer = Tokenizer.load(self.tokenizer) if isinstance(self.tokenizer, Path) else self.tokenizer
        return tokenizer if features is None else Tokenizer(VectorSide(features), tokenizer.target)
