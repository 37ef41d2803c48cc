"""Everything that defines a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmtkit.batches.cache import Cache, default_root
from nmtkit.models.options import ModelOptions, options_from_mapping, options_to_mapping
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
        model: options of the model, or changes to those of the model in `init_from`.
        tokenizer: a ready tokenizer or its path, or the options to make one; None: that of `init_from`.
        device: as for `Translator.load`.
        threads: CPU threads; None: torch's default.
        command: the command line, for the provenance.
        cache: folder for prepared texts; None: the usual one.
        verify_data: compare the content of prepared texts, not only size and time.
        init_from: a model folder whose best weights the training begins with.
    """

    data: Data
    output: Path
    model: ModelOptions | Mapping[str, Any]
    training: TrainingOptions
    tokenizer: Tokenizer | Path | TokenizerOptions | None
    device: str = "auto"
    threads: int | None = None
    command: str = ""
    cache: Path | None = None
    verify_data: bool = False
    init_from: Path | None = None

    def __post_init__(self) -> None:
        if self.init_from is None and (isinstance(self.model, Mapping) or self.tokenizer is None):
            raise ValueError("without init_from, the options of a model and a tokenizer are needed")

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

    def options(self, base: ModelOptions | None) -> ModelOptions:
        """The options of the model.

        Args:
            base: those of the model in `init_from`, or of the folder that the run continues.
        """
        if not isinstance(self.model, Mapping):
            return self.model
        assert base is not None
        return options_from_mapping({**options_to_mapping(base), **self.model}, "[model]")

    def ready(self, features: int | None = None) -> Tokenizer | None:
        """The tokenizer, loaded if necessary; None if it is still to be made, or that of `init_from`.

        Args:
            features: features per position if the source is vectors; then only the target side is used.
        """
        if self.tokenizer is None or self.made_by is not None:
            return None
        own = self._folders()[0] if isinstance(self.tokenizer, TokenizerOptions) else self.tokenizer
        tokenizer = Tokenizer.load(own) if isinstance(own, Path) else own
        return tokenizer if features is None else Tokenizer(VectorSide(features), tokenizer.target)

    def _folders(self) -> list[Path]:
        """The prepared corpora of the training text."""
        return [part.path for part in self.data.parts if part.prepared]
