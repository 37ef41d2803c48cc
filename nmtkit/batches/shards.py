"""A prepared corpus on disk: a folder of flat columns, which are mapped into memory, and corpus.json, which says what
they are.

For each side the ids of all sequences stand one after another (uint16, or int32 for a vocabulary of more than 65,536
pieces), and beside them a 0 and the end of each sequence (int64). A column of hashes (uint64) has one of each pair. All
numbers are little-endian. corpus.json is written last: a folder without it is not finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmtkit.batches.encoding import Counts
from nmtkit.files import sha256, write_json
from nmtkit.settings import from_mapping, to_mapping
from nmtkit.tokenizer.tokenizer import FILES

FORMAT = 1
"""Version of the layout; a folder of a newer version is refused."""
FACTS, JOURNAL = "corpus.json", "journal.json"
COLUMNS = ("source.ids", "source.ends", "target.ids", "target.ends", "pairs.hashes")
NAMES = (FACTS, JOURNAL, *COLUMNS, *FILES)
"""All files of such a folder."""
PART = 1 << 20
"""Numbers that are looked at together."""
SMALL = 1 << 16
"""The largest vocabulary whose ids are stored as uint16."""

T = TypeVar("T")


@dataclass(frozen=True)
class TextFacts:
    """The text of one side.

    Attributes:
        language: the ending of its name.
        path: where it was; "-" for standard input.
        size: its bytes.
        mtime_ns: time of its last change, in nanoseconds.
        sha256: hash of its bytes, or of its lines if it came from standard input.
        vocabulary: pieces of its side of the tokenizer.
        positions: ids of all its sequences together.
    """

    language: str
    path: str
    size: int
    mtime_ns: int
    sha256: str
    vocabulary: int
    positions: int


@dataclass(frozen=True)
class Facts:
    """The content of corpus.json.

    Attributes:
        tokenizer: hash of the tokenizer.
        max_source, max_target: pairs with more pieces on a side are left out.
        columns: SHA-256 of every column.
    """

    tokenizer: str
    max_source: int
    max_target: int
    counts: Counts
    source: TextFacts
    target: TextFacts
    columns: Mapping[str, str]

    def written(self) -> dict[str, Any]:
        """As the file has it."""
        tables = {name: to_mapping(getattr(self, name)) for name in ("counts", "source", "target")}
        return {"format": FORMAT, **to_mapping(self), **tables, "columns": dict(self.columns)}


def identity(
    tokenizer: str, max_source: int, max_target: int, source: TextFacts, target: TextFacts
) -> dict[str, str | int | list[list[str | int]]]:
    """All that decides the content of a corpus, as JSON has it; of the texts place, size and time."""
    texts: list[list[str | int]] = [[text.language, text.path, text.size, text.mtime_ns] for text in (source, target)]
    return {"tokenizer": tokenizer, "max_source": max_source, "max_target": max_target, "texts": texts}


def prepared(path: Path) -> bool:
    """Whether a path names a prepared corpus, finished or not."""
    return (path / FACTS).is_file() or (path / JOURNAL).is_file()


def read_facts(folder: Path) -> Facts:
    """Read corpus.json; ValueError in one line for anything else."""
    path = folder / FACTS
    if (folder / JOURNAL).is_file() and not path.is_file():
        raise ValueError(f"{folder}: is not finished; run the command that prepares it again, and it goes on")
    if not path.is_file():
        raise ValueError(f"{folder}: is no prepared corpus (it has no {FACTS}); nmtkit prepare makes one")
    try:
        written = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, not JSON ({error}); prepare the corpus again") from None
    known = written.pop("format", None) if isinstance(written, dict) else None
    if type(known) is not int:
        raise ValueError(f"{path}: not written by nmtkit; name a folder that nmtkit prepare made")
    if known > FORMAT:
        raise ValueError(f"{path}: format {known} is newer than this nmtkit reads ({FORMAT}); install a newer nmtkit")
    try:
        sums = written.pop("columns")
        counts, source, target = (
            from_mapping(kind, written.pop(name), name)
            for name, kind in (("counts", Counts), ("source", TextFacts), ("target", TextFacts))
        )
        plain = from_mapping(_Plain, written, "corpus")
        if not isinstance(sums, dict) or sums.keys() != {*COLUMNS} or min(_numbers(counts, source, target)) < 0:
            raise ValueError("its numbers or hashes cannot be")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: damaged ({' '.join(str(error).split())}); prepare the corpus again") from None
    return Facts(**to_mapping(plain), counts=counts, source=source, target=target, columns=sums)  # type: ignore[arg-type]


def write_facts(folder: Path, facts: Facts) -> None:
    """Write corpus.json, which makes a folder a prepared corpus."""
    write_json(folder / FACTS, facts.written())
    (folder / JOURNAL).unlink(missing_ok=True)


def dtypes(source_vocabulary: int, target_vocabulary: int) -> dict[str, str]:
    """The types of the columns in NumPy's notation."""
    source, target = ("<u2" if size <= SMALL else "<i4" for size in (source_vocabulary, target_vocabulary))
    return dict(zip(COLUMNS, (source, "<i8", target, "<i8", "<u8"), strict=True))


def columns(folder: Path, facts: Facts) -> dict[str, NDArray[Any]]:
    """The columns, mapped read-only; ValueError if one is missing, has another size, or disagrees with corpus.json."""
    kept = facts.counts.kept
    sizes = (facts.source.positions, kept + 1, facts.target.positions, kept + 1, kept)
    mapped = {}
    kinds = dtypes(facts.source.vocabulary, facts.target.vocabulary)
    for (name, kind), length in zip(kinds.items(), sizes, strict=True):
        path, wanted = folder / name, length * np.dtype(kind).itemsize
        actual = path.stat().st_size if path.is_file() else None
        if actual != wanted:
            state = "is gone" if actual is None else f"has {actual:,} bytes, not {wanted:,}"
            raise ValueError(f"{path}: {state}; delete the folder and prepare the corpus again")
        whole = np.memmap(path, kind, "r", shape=(length,)) if length else np.zeros(0, kind)
        mapped[name] = whole.view(np.ndarray)
    for side, text in (("source", facts.source), ("target", facts.target)):
        ends = mapped[f"{side}.ends"]
        if ends[0] != 0 or ends[-1] != text.positions:
            raise ValueError(f"{folder / side}.ends: damaged; delete the folder and prepare the corpus again")
    return mapped


def check_ends(folder: Path, facts: Facts) -> None:
    """ValueError if a sequence of a corpus ends before it begins, as when two processes write at once."""
    mapped = columns(folder, facts)
    for name in ("source.ends", "target.ends"):
        for first in range(0, len(mapped[name]), PART):
            if (np.diff(mapped[name][first : first + PART + 1]) <= 0).any():
                raise ValueError(f"{folder / name}: was written by several processes at once; prepare the corpus again")


def verify(folder: Path, facts: Facts) -> None:
    """ValueError if a column has another content than when it was made, or a text that is still there has changed."""
    for name in COLUMNS:
        if sha256(folder / name) != facts.columns[name]:
            raise ValueError(f"{folder / name}: damaged; delete the folder and prepare the corpus again")
    for text in (facts.source, facts.target):
        if text.path != "-" and Path(text.path).is_file() and sha256(text.path) != text.sha256:
            raise ValueError(
                f"{text.path}: is not the text that {folder} was made of; delete the folder and prepare it again, or "
                "put the text back"
            )


@dataclass(frozen=True)
class _Plain:
    """The keys of corpus.json that are no tables."""

    tokenizer: str
    max_source: int
    max_target: int


def _numbers(*parts: Any) -> list[int]:
    values = [getattr(part, field.name) for part in parts for field in fields(part)]
    return [value for value in values if type(value) is int]
