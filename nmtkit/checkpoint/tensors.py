"""Tensors in a safetensors file whose header says what they are and reveals damage, even to itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nmtkit.files import replacing


def tensors_hash(tensors: Mapping[str, Tensor], *before: str) -> str:
    """SHA-256 over texts, and over the name, type, shape and values of each tensor."""
    digest = hashlib.sha256("".join(before).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


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
