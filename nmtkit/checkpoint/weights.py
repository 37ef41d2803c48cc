"""The weights of a model folder: which tensors they are, and the hash that tells which model they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmtkit.checkpoint.tensors import load_tensors, read_header, save_tensors, tensors_hash
from nmtkit.models.interface import Model
from nmtkit.tokenizer.tokenizer import Tokenizer

BEST, LAST = "weights.safetensors", "last.safetensors"
FILES = {"best": BEST, "last": LAST}
"""The files of the weights, by the name that the user gives."""
WEIGHTS = "weights"


def unique_weights(model: Model) -> dict[str, Tensor]:
    """A model's parameters and buffers by name, a shared one under its first name only."""
    names: dict[int, str] = {}
    weights = dict(model.state_dict(keep_vars=True))
    for name, tensor in weights.items():
        names.setdefault(id(tensor), name)
    return {name: weights[name].detach() for name in names.values()}


def load_weights(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a model: the inverse of `unique_weights`."""
    own = unique_weights(model)
    assert own.keys() == weights.keys()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def model_hash(model_options: Mapping[str, Any], tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over everything that determines the distribution.

    Args:
        model_options: as options.json has them, with fewer keys if an older version wrote it.
    """
    return tensors_hash(weights, json.dumps(model_options, sort_keys=True), tokenizer.hash())


def save_weights(
    path: Path, weights: Mapping[str, Tensor], folder_hash: str, steps: int, scores: Mapping[str, float]
) -> None:
    """Write weights with their header, whole or not at all."""
    save_tensors(path, weights, {"kind": WEIGHTS, "hash": folder_hash, "steps": steps, "scores": dict(scores)})


def read_weights(
    path: Path, model_options: Mapping[str, Any], tokenizer: Tokenizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and their header; ValueError if they are damaged, or not of these options and this tokenizer."""
    tensors, header = load_tensors(path, WEIGHTS)
    if header["hash"] != model_hash(model_options, tokenizer, tensors):
        raise ValueError(
            f"{path}: does not belong to this folder's options and tokenizer, or was damaged; restore a copy"
        )
    return tensors, header


def updates(folder: Path, weights: str) -> int:
    """Number of updates that led to the best or the last weights of a folder."""
    return int(read_header(folder / FILES[weights], WEIGHTS)["steps"])


def read_scores(folder: Path, weights: str) -> dict[str, float]:
    """The dev scores when the best or the last weights of a folder were saved."""
    return dict(read_header(folder / FILES[weights], WEIGHTS)["scores"])
