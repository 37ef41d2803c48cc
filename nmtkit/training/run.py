"""Everything that defines a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmtkit.batches.cache import Cache, default_root
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
        cache: folder for prepared texts; None: the usual one.
        verify_data: compare the content of prepared texts, not only size and time.
    """

    data: Data
    output: Path
    model: ModelOptions
    training: TrainingOptions
    tokenizer: Tokenizer | Path | TokenizerOptions
    device: str = "auto"
    threads: int | None = None
    command: str = ""
    cache: Path | None = None
    verify_data: bool = False

    @property
    def store(self) -> Cache:
        """The prepared texts."""
        return Cache(self.cache or default_root(), self.verify_data)

    @property
    def made_by(self) -> TokenizerOptions | None:
        """The options to make the tokenizer; None if it is ready, as that of a prepared corpus is."""
        if isinstance(self.tokenizer, TokenizerOptions) and not self._folders():
            return self.tokenizer
        return None

    def ready(self, features: int | None = None) -> Tokenizer | None:
        """The tokenizer, loaded if necessary; None if it is still to be made.

        Args:
            features: features per position if the source is vectors; then only the target side is used.
        """
        if self.made_by is not None:
            return None
        own = self._folders()[0] if isinstance(self.tokenizer, TokenizerOptions) else self.tokenizer
        tokenizer = Tokenizer.load(own) if isinstance(own, Path) else own
        return tokenizer if features is None else Tokenizer(VectorSide(features), tokenizer.target)

    def _folders(self) -> list[Path]:
        """The prepared corpora of the training text."""
        return [part.path for part in self.data.parts if part.prepared]
