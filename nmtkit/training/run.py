"""Everything that defines a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    init_from: Path | None = None

    def __post_init__(self) -> None:
        if self.init_from is None and (isinstance(self.model, Mapping) or self.tokenizer is None):
            raise ValueError("without init_from, the options of a model and a tokenizer are needed")

    @property
    def made_by(self) -> TokenizerOptions | None:
        """The options to make the tokenizer; None if it is ready."""
        return self.tokenizer if isinstance(self.tokenizer, TokenizerOptions) else None

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
        if self.tokenizer is None or isinstance(self.tokenizer, TokenizerOptions):
            return None
        tokenizer = Tokenizer.load(self.tokenizer) if isinstance(self.tokenizer, Path) else self.tokenizer
        return tokenizer if features is None else Tokenizer(VectorSide(features), tokenizer.target)
