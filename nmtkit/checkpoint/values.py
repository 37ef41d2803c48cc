"""The sections of options.json as typed values; a value that a folder does not have is None or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nmtkit.models.options import ModelOptions, options_to_mapping
from nmtkit.settings import to_mapping
from nmtkit.tokenizer.options import TokenizerOptions, made_by_to_mapping
from nmtkit.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenizerFacts:
    """The facts about a tokenizer that a model folder records.

    Attributes:
        sha256: the value of `Tokenizer.hash`.
        joint: one vocabulary for both sides.
        source_size, target_size: number of pieces.
        made_by: the options with which training made it; None if the user gave it.
    """

    sha256: str | None = None
    joint: bool | None = None
    source_size: int | None = None
    target_size: int | None = None
    made_by: TokenizerOptions | None = None

    @classmethod
    def of(cls, tokenizer: Tokenizer, made_by: TokenizerOptions | None) -> TokenizerFacts:
        return cls(tokenizer.hash(), tokenizer.joint, tokenizer.source.size, tokenizer.target.size, made_by)

    def written(self) -> dict[str, Any]:
        """As options.json has it."""
        made_by = self.made_by and made_by_to_mapping(self.made_by)
        return {**to_mapping(self), "made_by": made_by}


@dataclass(frozen=True)
class Languages:
    """Language codes: the endings of the files that a model was trained on."""

    source: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class Pairs:
    """Numbers of pairs that were used, since a model cannot hold over-long ones."""

    train: int
    dev: int


@dataclass(frozen=True)
class Call:
    """A call that continued a run.

    Attributes:
        command: the command line.
        started: time in UTC, ISO 8601.
        nmtkit, torch: versions.
        threads: CPU threads of each process.
        processes: number of processes that trained together.
        device: the device that it trained on.
    """

    command: str | None = None
    started: str | None = None
    nmtkit: str | None = None
    torch: str | None = None
    threads: int | None = None
    device: str | None = None
    processes: int | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from: its first call, the machine, the files, and the calls that continued the run.

    Attributes:
        nmtkit, torch, python: versions.
        machine: operating system and processor.
        device, threads, processes, command, started: as in `Call`.
        files: paths of the texts, by role ("train source" …).
        pairs: None in folders that do not have them.
        continued: later calls.
    """

    nmtkit: str | None = None
    torch: str | None = None
    python: str | None = None
    machine: str | None = None
    device: str | None = None
    threads: int | None = None
    command: str | None = None
    started: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    pairs: Pairs | None = None
    continued: tuple[Call, ...] = ()
    processes: int | None = None

    def call(self) -> Call:
        """The part that is recorded when this call continues a run."""
        return Call(self.command, self.started, self.nmtkit, self.torch, self.threads, self.device, self.processes)

    def written(self) -> dict[str, Any]:
        """The section of options.json when a run begins."""
        own = {key: value for key, value in to_mapping(self).items() if key != "continued"}
        return {**own, "files": dict(self.files), "pairs": self.pairs and to_mapping(self.pairs)}


@dataclass(frozen=True)
class ChosenOn:
    """The text on which the default settings of the search were chosen, and their score there.

    Attributes:
        sources_sha256, references_sha256: hashes of the texts.
        sentences: number of sentences.
        bleu: BLEU with these settings.
        signature: sacreBLEU's signature of that BLEU.
    """

    sources_sha256: str | None = None
    references_sha256: tuple[str, ...] = ()
    sentences: int | None = None
    bleu: float | None = None
    signature: str | None = None


@dataclass(frozen=True)
class Origin:
    """The model folder whose weights a run began with.

    Attributes:
        folder: its path, absolute.
        hash: hash of its model.
        updates: number of updates that led to the weights.
    """

    folder: str | None = None
    hash: str | None = None
    updates: int | None = None


@dataclass(frozen=True)
class Configuration:
    """Everything that determines the weights of a model.

    Attributes:
        training: options of training, a dataclass of the caller.
        data: SHA-256 of the files of text, by role.
        init_from: where the first weights come from; None: they are drawn.
    """

    model: ModelOptions
    training: Any
    tokenizer: TokenizerFacts
    languages: Languages
    data: Mapping[str, str]
    init_from: Origin | None = None

    def written(self) -> dict[str, dict[str, Any]]:
        """The sections of options.json that hold these values."""
        return {
            "model": options_to_mapping(self.model),
            "training": to_mapping(self.training),
            "tokenizer": self.tokenizer.written(),
            "languages": to_mapping(self.languages),
            "data": dict(self.data),
            **({"init_from": to_mapping(self.init_from)} if self.init_from else {}),
        }
