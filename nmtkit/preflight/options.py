"""What is checked, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nmtkit.packed import stored
from nmtkit.settings import Within, check_bounds

Two = tuple[Path, Path]
"""The files of source and target."""
IN_MEMORY = 1 << 19
"""Hashes of pairs that are kept in memory before they go to the disk, for each side."""


@dataclass(frozen=True)
class Texts:
    """The files: the text that is checked, and those that it should not overlap with."""

    train: Two
    dev: Two | None = None
    test: Two | None = None

    @classmethod
    def of(
        cls, source_lang: str, target_lang: str, train: Path, dev: Path | None = None, test: Path | None = None
    ) -> Texts:
        """The files of these prefixes and endings; ValueError if they cannot be two texts."""
        from nmtkit.features import is_features  # loads NumPy, which the help of a command does not need

        if source_lang == target_lang:
            raise ValueError(f"both languages are {source_lang!r}: name the endings of two different texts")
        for language in (source_lang, target_lang):
            if is_features(f"x.{language}"):
                raise ValueError(f"{language!r} names vectors, but only text can be checked: name the ending of a text")
        train_files, dev_files, test_files = (
            two_files(prefix, source_lang, target_lang, stored) if prefix else None for prefix in (train, dev, test)
        )
        assert train_files
        return cls(train_files, dev_files, test_files)


@dataclass(frozen=True)
class Options:
    """How a text is checked.

    Attributes:
        max_source: most pieces, or words without a tokenizer, of a source.
        max_target: likewise of a target.
        examples: pairs that are kept of each kind of finding.
        most: pairs that are looked at, the first ones; None: all.
        in_memory: hashes that are kept in memory before they go to the disk.
    """

    max_source: Annotated[int, Within(1, 100_000)] = 256
    max_target: Annotated[int, Within(1, 100_000)] = 256
    examples: Annotated[int, Within(0, 1000)] = 2
    most: int | None = None
    in_memory: int = IN_MEMORY

    def __post_init__(self) -> None:
        check_bounds(self)


def two_files(
    prefix: Path, source_lang: str, target_lang: str, find: Callable[[Path], Path] = lambda path: path
) -> Two:
    """The files of a prefix; `find` gives the path under which each really is."""
    return find(Path(f"{prefix}.{source_lang}")), find(Path(f"{prefix}.{target_lang}"))
