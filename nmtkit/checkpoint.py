"""A model folder: options.json, the tokenizer, weights.safetensors (best) and last.safetensors.

The options and the tokenizer are written once, when training starts; the weights are replaced whole, and carry in
their header how many updates they had, their scores, and a hash over model options, tokenizer and tensors, so weights
that do not belong to the folder or were damaged are recognised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nmtkit.files import replacing, write_json
from nmtkit.models.build import build
from nmtkit.models.ensemble import Ensemble
from nmtkit.models.interface import Model
from nmtkit.models.options import options_of_folder
from nmtkit.settings import nearest
from nmtkit.tokenizer.tokenizer import Tokenizer

FORMAT = 1
"""Version of the folder's layout; a folder of a newer one is refused."""

OPTIONS, BEST, LAST = "options.json", "weights.safetensors", "last.safetensors"
WEIGHTS = "weights"
RESTORE = "the weights fit no other, so restore a copy"
"""What helps where a model folder's tokenizer is missing or damaged."""
FILES = {"best": BEST, "last": LAST}
"""Weights that can be asked for."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model.

    Attributes:
        model: in evaluation mode.
        options: all of options.json.
        hash: over model options, tokenizer and weights (SHA-256).
        steps: updates behind these weights.
        scores: on the dev set when they were saved: `loss` (nats a piece), `bleu`.
    """

    model: Model
    tokenizer: Tokenizer
    options: dict[str, Any]
    hash: str
    steps: int
    scores: dict[str, float]


def model_hash(model_options: Mapping[str, Any], tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over everything that determines the distribution."""
    return tensors_hash(weights, json.dumps(model_options, sort_keys=True), tokenizer.hash())


def tensors_hash(tensors: Mapping[str, Tensor], *before: str) -> str:
    """SHA-256 over texts, and over the name, type, shape and values of each tensor."""
    digest = hashlib.sha256("".join(before).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def unique_weights(model: Model) -> dict[str, Tensor]:
    """A model's parameters and buffers by name, a shared one under its first name only."""
    names: dict[int, str] = {}
    weights = dict(model.state_dict(keep_vars=True))
    for name, tensor in weights.items():
        names.setdefault(id(tensor), name)
    return {name: weights[name].detach() for name in names.values()}


def load_weights(model: Model, weights: Mapping[str, Tensor]) -> None:
    """The inverse of `unique_weights`."""
    own = unique_weights(model)
    assert own.keys() == weights.keys()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def save_options(folder: Path, options: Mapping[str, Any]) -> None:
    """Write options.json, which makes a folder a model folder."""
    write_json(folder / OPTIONS, {"format": FORMAT, **options})


def save_defaults(folder: Path, defaults: Mapping[str, Any], chosen_on: Mapping[str, Any]) -> None:
    """Change a model folder's default settings of the search, and note what they were chosen on."""
    options = read_options(folder)
    merged = {**options["defaults"], **defaults}
    write_json(folder / OPTIONS, {**options, "defaults": merged, "defaults_chosen_on": dict(chosen_on)})


def save_weights(
    path: Path, weights: Mapping[str, Tensor], folder_hash: str, steps: int, scores: Mapping[str, float]
) -> None:
    """Write weights with their header, whole or not at all."""
    save_tensors(path, weights, {"kind": WEIGHTS, "hash": folder_hash, "steps": steps, "scores": dict(scores)})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file, whole or not at all; equal content gives equal bytes.

    The header is one JSON text beside its own SHA-256, since the order of several metadata keys is not fixed.
    """
    text = json.dumps(header, sort_keys=True)
    metadata = {"nmtkit": f"{hashlib.sha256(text.encode()).hexdigest()} {text}"}
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header that `save_tensors` wrote; ValueError names a file missing, damaged or of another kind."""
    header = read_header(path, kind)
    with _opened(path) as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    if header.get("content") not in (None, tensors_hash(tensors)):
        raise ValueError(f"{path}: damaged, its content is not what was written; restore a copy")
    return tensors, header


def read_header(path: Path, kind: str) -> dict[str, Any]:
    """The header that `save_tensors` wrote; ValueError as for `load_tensors`."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; nmtkit train writes it at the first validation")
    with _opened(path) as stream:
        digest, _, text = (stream.metadata() or {}).get("nmtkit", "").partition(" ")
    if digest != hashlib.sha256(text.encode()).hexdigest():
        raise ValueError(f"{path}: not written by nmtkit, or its header was damaged; train again or restore a copy")
    header = json.loads(text)
    if header.get("kind") != kind:
        raise ValueError(f"{path}: holds {header.get('kind')}, not {kind}; restore a copy")
    return dict(header)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as stream:
            yield stream
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or no safetensors file ({error}); train again or restore a copy") from None


def read_options(folder: Path) -> dict[str, Any]:
    """options.json of a model folder; ValueError in one line for anything that is none."""
    path = folder / OPTIONS
    if folder.is_file():
        raise ValueError(f"{folder}: a file, no model folder; name texts behind their options, see --help")
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such model folder; nmtkit train --output {folder} makes one")
    if not path.is_file():
        raise ValueError(f"{folder}: not a model folder (it has no {OPTIONS}); nmtkit train --output makes one")
    try:
        options = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, not JSON ({error}); restore a copy") from None
    known = options.get("format") if isinstance(options, dict) else None
    if type(known) is not int or not {"model", "tokenizer", "defaults"} <= options.keys():
        raise ValueError(f"{path}: not written by nmtkit; name a folder that nmtkit train made")
    if known > FORMAT:
        raise ValueError(f"{path}: format {known} is newer than this nmtkit reads ({FORMAT}); install a newer nmtkit")
    if not isinstance(options["model"], dict):
        raise ValueError(f"{path}: model = {options['model']!r} is not a table of keys and values; restore a copy")
    return dict(options)


def updates(folder: Path, weights: str) -> int:
    """Updates behind the best or the last weights of a folder."""
    return int(read_header(folder / FILES[weights], WEIGHTS)["steps"])


def read_scores(folder: Path, weights: str) -> dict[str, float]:
    """Scores on the dev set when the best or the last weights of a folder were saved."""
    return dict(read_header(folder / FILES[weights], WEIGHTS)["scores"])


def build_model(options: Mapping[str, Any], tokenizer: Tokenizer, where: str) -> Model:
    """The freshly initialised model that a folder's options describe."""
    model_options = options_of_folder(options["model"], where)
    return build(model_options, source_size=tokenizer.source.size, target_size=tokenizer.target.size)


def read_weights(
    path: Path, model_options: Mapping[str, Any], tokenizer: Tokenizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and their header; ValueError where they are damaged, or not of these options and this tokenizer."""
    tensors, header = load_tensors(path, WEIGHTS)
    if header["hash"] != model_hash(model_options, tokenizer, tensors):
        raise ValueError(
            f"{path}: does not belong to this folder's options and tokenizer, or was damaged; restore a copy"
        )
    return tensors, header


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
    tensors, header = read_weights(path, options["model"], tokenizer)
    model = build_model(options, tokenizer, str(folder / OPTIONS))
    if unique_weights(model).keys() != tensors.keys():
        raise ValueError(f"{path}: holds the weights of a model that this nmtkit builds otherwise; train it again")
    load_weights(model, tensors)
    model.eval()
    model.to(device)
    return Checkpoint(model, tokenizer, options, header["hash"], header["steps"], header["scores"])


def load_ensemble(
    folders: Sequence[str | Path], *, weights: str = "best", device: torch.device | str = "cpu"
) -> Checkpoint:
    """Load one model folder as it is, or several as one model: options and scores are the first's.

    Raises:
        ValueError: where the vocabularies of two folders differ, so that their probabilities have no mean.
    """
    first, *others = (load(folder, weights=weights, device=device) for folder in folders)
    for folder, other in zip(folders[1:], others, strict=True):
        if other.tokenizer.hash() != first.tokenizer.hash():
            raise ValueError(
                f"{folder}: has another vocabulary than {folders[0]}; an ensemble needs one, so train its members with "
                f"--tokenizer {folders[0]}"
            )
    if not others:
        return first
    model = Ensemble([first.model, *(other.model for other in others)]).eval()
    return replace(first, model=model, hash="+".join([first.hash, *(other.hash for other in others)]))
