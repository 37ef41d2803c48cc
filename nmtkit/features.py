"""Feature files: sources that are vectors instead of text, such as the frames of speech or the regions of an image.

A file holds a matrix (positions, features) for each sentence: `.npz` or `.safetensors` with one array per sentence,
whose names end in numbers (arr_0, arr_1, …) that order them, or `.npy` with one array (sentences, positions, features).
A matrix without positions stands for a blank line.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nmtkit.files import belonging, read_lines

ENDINGS = (".npz", ".npy", ".safetensors")
"""The endings of the names of feature files."""
Matrix = NDArray[np.float32]


class Described(str):
    """A sentence of vectors as a line of text: the line describes the vectors, which are kept as an attribute.

    Two such lines are equal only if their vectors are, since the line contains a hash of them.

    Attributes:
        matrix: the vectors, (positions, features).
    """

    __slots__ = ("matrix",)
    matrix: Matrix

    @classmethod
    def of(cls, matrix: Matrix, name: str) -> Described:
        """The line of a matrix; empty if the matrix has no positions."""
        positions, width = matrix.shape
        digest = hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()[:12]
        line = cls(f"{name}: {positions} × {width} features, {digest}" if positions else "")
        line.matrix = matrix
        return line


def is_features(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds vectors, by the ending of its name."""
    return Path(path).suffix in ENDINGS


def read_source(path: str | os.PathLike[str]) -> list[str]:
    """The sentences of a source: lines of text, or `Described` vectors."""
    return [*read_features(path)] if is_features(path) else read_lines(path)


def read_sources(source: str | os.PathLike[str], *texts: str | os.PathLike[str]) -> list[list[str]]:
    """A source and the texts that belong to it line by line; ValueError if their lengths differ or are 0."""
    return belonging([source, *texts], [read_source(source), *map(read_lines, texts)])


def read_features(path: str | os.PathLike[str]) -> list[Described]:
    """The sentences of a feature file.

    Raises:
        ValueError: unless all arrays are matrices of finite numbers with one width; names file and array.
    """
    Path(path).open("rb").close()
    try:
        arrays = _arrays(Path(path))
    except (OSError, ValueError, EOFError, AttributeError, BadZipFile) as error:
        raise ValueError(
            f"{path}: not a feature file that can be read ({' '.join(str(error).split())[:120]}); write it again"
        ) from None
    width: int | None = None
    lines = []
    for number, (name, array) in enumerate(arrays.items(), start=1):
        where = f"{path}: {name}"
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{where} is of shape {array.shape} and type {array.dtype}; write a matrix of numbers (positions, "
                "features) for each sentence"
            )
        width = array.shape[1] if width is None else width
        if array.shape[1] != width or not width:
            raise ValueError(f"{where} has {array.shape[1]} features per position; write {width} for all")
        matrix = array.astype(np.float32)
        if not np.isfinite(matrix).all():
            raise ValueError(f"{where} has values that are not finite in float32; write others")
        lines.append(Described.of(matrix, f"{Path(path).name}[{number}]"))
    return lines


def width_of(lines: Sequence[str], where: str) -> int:
    """Features per position of the sentences of a source; ValueError, beginning with `where`, for lines of text."""
    if not lines:
        raise ValueError(f"{where}: has no sentences; give at least one")
    return int(matrix_of(lines[0], where).shape[1])


def matrix_of(line: str, where: str) -> Matrix:
    """The vectors of a sentence; ValueError, beginning with `where`, for a line of text."""
    matrix: Matrix | None = getattr(line, "matrix", None)
    if matrix is None:
        raise ValueError(f"{where}: this model reads vectors, but this is text; name a file *{', *'.join(ENDINGS)}")
    return matrix


def refuse_vectors(line: str, where: str) -> None:
    """ValueError, beginning with `where`, for a sentence of vectors, since the model reads text."""
    if isinstance(line, Described):
        raise ValueError(f"{where}: this model reads text, but these are vectors; name a text file")


def _arrays(path: Path) -> Mapping[str, NDArray[np.generic]]:
    """The arrays of the sentences in order, by the names that errors give them."""
    if path.suffix == ".npy":
        whole = np.load(path, allow_pickle=False)
        if whole.ndim != 3:
            raise ValueError(f"the array has the shape {whole.shape}, not (sentences, positions, features)")
        return {f"sentence {number}": matrix for number, matrix in enumerate(whole, start=1)}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in _ordered(archive.files)}
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return {name: tensors[name] for name in _ordered(list(tensors))}


def _ordered(names: Sequence[str]) -> list[str]:
    """Names in the order of the numbers that they end in; ValueError for a name without one, or a number twice."""
    numbers: dict[int, str] = {}
    for name in names:
        ending = re.search(r"[0-9]+$", name)
        if ending is None:
            raise ValueError(f"the name {name!r} does not end in the number of a sentence")
        if int(ending[0]) in numbers:
            raise ValueError(f"{numbers[int(ending[0])]!r} and {name!r} have the same number")
        numbers[int(ending[0])] = name
    return [numbers[number] for number in sorted(numbers)]
