"""What a run comes to, resolved before any text is read: the one thing that `check` says and `train` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from nmtkit import checkpoint
from nmtkit.checkpoint import Configuration, FolderOptions, Languages, TokenizerFacts
from nmtkit.console import warn
from nmtkit.devices import pick_device
from nmtkit.features import read_features, width_of
from nmtkit.files import open_text, sha256
from nmtkit.models.build import build, parameters
from nmtkit.models.options import ModelOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training import folder
from nmtkit.training.options import CONTINUABLE, TrainingOptions
from nmtkit.training.run import Run
from nmtkit.training.state import RunState
from nmtkit.words import counted


@dataclass(frozen=True)
class Plan:
    """A run that nothing speaks against but its texts.

    Attributes:
        device: where it trains.
        model: the options with all ties decided.
        tokenizer: the folder's own, or a ready one; None: it is to be made.
        features: numbers a position, where the source is vectors; None: it is text.
        sizes: pieces of source and target, or features and pieces.
        stored: of the folder that the run goes on with; None: it begins.
        updates: made before.
    """

    run: Run
    device: torch.device
    model: ModelOptions
    tokenizer: Tokenizer | None
    features: int | None
    sizes: tuple[int, int]
    stored: FolderOptions | None
    updates: int

    def limits(self) -> tuple[int, int]:
        """The most source pieces (or vectors) and target pieces of a pair, EOS not counted, which vectors lack."""
        training, longest = self.run.training, self.model.longest
        most = (training.max_source, training.max_target)
        if longest is None:
            return most
        return min(most[0], longest - (self.features is None)), min(most[1], longest - 1)

    def configuration(self, tokenizer: Tokenizer) -> Configuration:
        """What determines the weights, with the tokenizer once there is one."""
        return _configuration(self.run, self.model, tokenizer)

    def parameters(self) -> int:
        """How many numbers are trained."""
        with torch.device("meta"):
            source, target = self.sizes
            vectors = self.features is not None
            return parameters(build(self.model, source_size=source, target_size=target, features=vectors))

    def __str__(self) -> str:
        updates = counted(self.run.training.updates, "update") + (f", {self.updates} of them made" * bool(self.updates))
        return f"{self.run.output}: {self.model.family}, {self.parameters():,} parameters, {updates}"


def resolve(run: Run) -> Plan:
    """Look at options, files and folder; nothing is written.

    Raises:
        ValueError, OSError: for a device or a file that is not there, a folder that holds something else or is gone on
            with otherwise than it was begun, and options that do not fit together.
    """
    device = pick_device(run.device)
    for path in run.data.paths().values():
        open_text(path).close()
    source = run.data.paths()["train source"]
    features = width_of(read_features(source), str(source)) if run.data.vectors else None
    ready = run.ready(features)
    stored, tokenizer = None, ready
    if folder.begun(run.output):
        folder.refuse_lost(run.output)
        stored = checkpoint.read_options(run.output)
        tokenizer = folder.own_tokenizer(stored)
        given = ready or tokenizer
        refuse_changes(stored, _configuration(run, _tied(run.model, given.joint), given))
        _warn_of_threads(stored, run.threads or torch.get_num_threads())
    else:
        folder.refuse_new(run.output, ready)
    joint, sizes = _vocabulary(run, tokenizer, features)
    model = _tied(run.model, joint)
    if model.tie_source and not joint:
        raise ValueError("tie_source needs one vocabulary for both sides: make a joint tokenizer or set it to false")
    return Plan(run, device, model, tokenizer, features, sizes, stored, RunState(run.output / folder.TRAINING).step())


def refuse_changes(stored: FolderOptions, wanted: Configuration) -> None:
    """A folder is only gone on with in the configuration and with the data that it was begun with.

    An option that is not written there is younger than the folder, and what held before it still does.
    """
    before, now = stored.configuration(TrainingOptions).written(), wanted.written()
    differences = [
        f"{section} {key} was {_short(before[section].get(key))}, now {_short(now[section].get(key))}"
        for section in now
        for key in sorted({*now[section], *before[section]})
        if before[section].get(key) != now[section].get(key) and not (section == "training" and key in CONTINUABLE)
    ]
    if differences:
        raise ValueError(
            f"{stored.path.parent} was begun with another configuration: {'; '.join(differences)}. "
            "Go on with the old one, or choose another --output"
        )


def _warn_of_threads(stored: FolderOptions, now: int) -> None:
    before = stored.provenance.threads
    if before is not None and before != now:
        warn(f"begun with {counted(before, 'thread')}, now {now}: the weights may differ in the last bits")


def _configuration(run: Run, model: ModelOptions, tokenizer: Tokenizer) -> Configuration:
    return Configuration(
        model,
        run.training,
        TokenizerFacts.of(tokenizer, run.made_by),
        Languages(run.data.source_lang, run.data.target_lang),
        {role: sha256(path) for role, path in run.data.paths().items()},
    )


def _vocabulary(run: Run, tokenizer: Tokenizer | None, features: int | None) -> tuple[bool, tuple[int, int]]:
    """Whether both sides share it, and its sizes."""
    if tokenizer is not None:
        return tokenizer.joint, (tokenizer.source.size, tokenizer.target.size)
    assert run.made_by is not None
    if features is not None:
        return False, (features, run.made_by.vocab_size)
    return run.made_by.joint, (run.made_by.vocab_size, run.made_by.vocab_size)


def _tied(model: ModelOptions, joint: bool) -> ModelOptions:
    """One table for source and target wherever one vocabulary allows it, unless the options say."""
    return replace(model, tie_source=joint) if model.tie_source is None else model


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
