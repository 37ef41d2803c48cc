"""Model folder to model: options, tokenizer and weights that belong together, alone or as an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nmtkit.checkpoint.options import FolderOptions, read_options
from nmtkit.checkpoint.tensors import read_header
from nmtkit.checkpoint.weights import FILES, WEIGHTS, load_weights, unique_weights
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.build import build
from nmtkit.models.ensemble import Ensemble
from nmtkit.models.interface import Model
from nmtkit.models.options import ModelOptions
from nmtkit.settings import nearest
from nmtkit.tokenizer.tokenizer import Tokenizer

RESTORE = "the weights fit no other, so restore a copy"
"""The end of an error message if a model folder's tokenizer is missing or damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model.

    Attributes:
        model: the model, in evaluation mode.
        options: the content of options.json.
        hash: SHA-256 over model options, tokenizer and weights.
        steps: number of updates that led to these weights.
        scores: scores on the dev set when the weights were saved: `loss` (nats per piece), `bleu`.
    """

    model: Model
    tokenizer: Tokenizer
    options: FolderOptions
    hash: str
    steps: int
    scores: dict[str, float]


def build_model(options: ModelOptions, tokenizer: Tokenizer) -> Model:
    """The freshly initialised model that options describe."""
    return build(
        options,
        source_size=tokenizer.source.size,
        target_size=tokenizer.target.size,
        features=tokenizer.features is not None,
    )


def load(folder: str | Path, *, weights: str = "best", device: torch.device | str = "cpu") -> Checkpoint:
    """Load a model folder.

    Args:
        weights: "best" or "last".
    """
    if weights not in FILES:
        raise ValueError(f"weights = {weights!r} is not one of a model folder's;{nearest(weights, FILES)}")
    folder = Path(folder)
    options = read_options(folder)
    tokenizer = Tokenizer.load(folder, RESTORE)
    path = folder / FILES[weights]
    tensors, header = options.read_weights(path, tokenizer)
    model = build_model(options.model, tokenizer)
    if unique_weights(model).keys() != tensors.keys():
        raise ValueError(f"{path}: holds the weights of a model that this nmtkit builds otherwise; train it again")
    load_weights(model, tensors)
    model.eval()
    model.to(device)
    return Checkpoint(model, tokenizer, options, header["hash"], header["steps"], header["scores"])


@dataclass(frozen=True)
class Facts:
    """What is known of a model that is not loaded: the default settings of its search, and its hash."""

    defaults: SearchSettings
    hash: str


def read_facts(folders: Sequence[str | Path], weights: str = "best") -> Facts:
    """The facts of a model folder, or of several as one ensemble; ValueError for a folder that has none."""
    options = [read_options(Path(folder)) for folder in folders]
    headers = [read_header(Path(folder) / FILES[weights], WEIGHTS) for folder in folders]
    return Facts(options[0].defaults, "+".join(header["hash"] for header in headers))


def load_ensemble(
    folders: Sequence[str | Path], *, weights: str = "best", device: torch.device | str = "cpu"
) -> Checkpoint:
    """Load one model folder, or several as an ensemble, with the options and scores of the first.

    Raises:
        ValueError: if the vocabularies of two folders differ, so that their probabilities have no mean.
    """
    first, *others = (load(folder, weights=weights, device=device) for folder in folders)
    for folder, member in zip(folders[1:], others, strict=True):
        if member.tokenizer.hash() != first.tokenizer.hash():
            raise ValueError(
                f"{folder}: has another vocabulary than {folders[0]}; an ensemble needs one, so train its members with "
                f"--tokenizer {folders[0]}"
            )
    if not others:
        return first
    model = Ensemble([first.model, *(member.model for member in others)]).eval()
    return replace(first, model=model, hash="+".join([first.hash, *(member.hash for member in others)]))
