"""The plan of a run, resolved before any text is read: `check` shows it, and `train` carries it out."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import torch

from nmtkit import checkpoint
from nmtkit.checkpoint import Configuration, FolderOptions, Languages, Origin, TokenizerFacts
from nmtkit.console import warn
from nmtkit.features import read_features, width_of
from nmtkit.files import open_text
from nmtkit.models.build import build
from nmtkit.models.interface import Model
from nmtkit.models.options import ModelOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training import folder
from nmtkit.training.batch_size import ON_CPU
from nmtkit.training.data import Data
from nmtkit.training.freezing import counts, freeze
from nmtkit.training.options import CONTINUABLE, TrainingOptions
from nmtkit.training.parent import Parent
from nmtkit.training.precision import default
from nmtkit.training.ranks import ALONE, Ranks
from nmtkit.training.run import Run
from nmtkit.training.state import RunState
from nmtkit.words import counted


@dataclass(frozen=True)
class Plan:
    """A run that has been checked, except for its texts.

    Attributes:
        device: the device to train on.
        model: options of the model, with all ties of tables decided.
        tokenizer: the folder's own, or a ready one; None if training makes it.
        features: features per position if the source is vectors; None if it is text.
        sizes: numbers of source and target pieces, or of features and target pieces.
        stored: options of the folder that the run continues; None for a new run.
        updates: number of updates already made.
        processes: number of processes that train together.
        parent: the model whose weights the run still has to take over, or None.
    """

    run: Run
    device: torch.device
    model: ModelOptions
    tokenizer: Tokenizer | None
    features: int | None
    sizes: tuple[int, int]
    stored: FolderOptions | None
    updates: int
    processes: int = 1
    parent: Parent | None = None

    def in_precision(self, precision: str) -> Plan:
        """The same plan with another precision."""
        return replace(self, run=replace(self.run, training=replace(self.run.training, precision=precision)))

    def limits(self) -> tuple[int, int]:
        """The most source pieces (or vectors) and target pieces of a pair, EOS not counted, which vectors lack."""
        return _limits(self.run, self.model)

    def configuration(self, tokenizer: Tokenizer) -> Configuration:
        """Everything that determines the weights, once there is a tokenizer."""
        origin = self.parent.origin if self.parent else self.stored.init_from if self.stored else None
        return _configuration(self.run, self.model, tokenizer, origin)

    def outline(self) -> Model:
        """The model without its numbers, its frozen parameters marked."""
        with torch.device("meta"):
            source, target = self.sizes
            vectors = self.features is not None
            model = build(self.model, source_size=source, target_size=target, features=vectors)
        freeze(model, self.run.training.freeze)
        return model

    def __str__(self) -> str:
        updates = counted(self.run.training.updates, "update") + (
            f", {self.updates:,} of them made" * bool(self.updates)
        )
        return f"{self.run.output}: {self.model.family}, {counts(self.outline())}, {updates}"


def resolve(run: Run, ranks: Ranks = ALONE) -> Plan:
    """Check options, files and folder; writes nothing.

    Args:
        ranks: the processes that train together.

    Raises:
        ValueError, OSError: for a missing device or file, a folder that holds something else or was begun with
            another configuration, and options that do not fit together.
    """
    device = ranks.device(run.device)
    _warn_of_idle(ranks.share.size, run.training.accumulate)
    for prefix in (*(part.path for part in run.data.parts if not part.prepared), run.data.dev):
        for path in run.data.files(prefix):
            open_text(path).close()
    stored = _stored(run)
    run = settled(run, stored, device)
    features = _features(run.data) if run.data.vectors else None
    ready = run.ready(features)
    state = RunState(run.output / folder.TRAINING)
    parent = Parent.read(run.init_from) if run.init_from and not state.exists() else None
    tokenizer: Tokenizer | None
    if stored:
        tokenizer = folder.own_tokenizer(stored)
        given, options = ready or tokenizer, run.options(stored.model)
        refuse_changes(stored, _configuration(run, _tied(options, given.joint), given, _origin(run, stored)))
        _warn_of_changes(stored, device, ranks.share.size, run.threads or torch.get_num_threads())
    else:
        tokenizer = parent.tokenizer if parent and run.tokenizer is None else ready
        options = run.options(parent.child() if parent else None)
        folder.refuse_new(run.output, tokenizer)
    joint, sizes = _vocabulary(run, tokenizer, features)
    model = _tied(options, joint)
    if model.tie_source and not joint:
        raise ValueError("tie_source needs one vocabulary for both sides: make a joint tokenizer or set it to false")
    if run.training.compile and not model.compiles:
        raise ValueError(f"compile = true: a {model.family} model is compiled anew for each length; leave it out")
    for part in run.data.parts:
        if part.prepared and tokenizer is not None:
            run.data.own(part, tokenizer, _limits(run, model))
    if run.training.precision == "float16" and device.type == "cpu":
        warn("float16 is slow on a CPU, which has no instructions for it: choose bfloat16 or float32")
    if run.training.precision == "auto":
        run = replace(run, training=replace(run.training, precision=default(device, model)))
    plan = Plan(run, device, model, tokenizer, features, sizes, stored, state.step(), ranks.share.size, parent)
    outline = plan.outline()
    if parent:
        parent.check(outline, model, features)
        _refuse_other_weights(stored, parent)
    return plan


def _stored(run: Run) -> FolderOptions | None:
    """The options of the folder that the run continues; None for a new run."""
    if not folder.begun(run.output):
        return None
    folder.refuse_lost(run.output)
    return checkpoint.read_options(run.output)


def settled(run: Run, stored: FolderOptions | None, device: torch.device) -> Run:
    """The run with what its options leave open: as the folder has it, or as it suits the device.

    What only a trial on a GPU can tell stays open.
    """
    training = run.training
    if not training.batch_tokens:
        open_tokens = ON_CPU if device.type == "cpu" else 0
        tokens = stored.training(TrainingOptions).batch_tokens if stored else open_tokens
        training = replace(training, batch_tokens=tokens)
    if training.precision == "auto" and stored:
        training = replace(training, precision=stored.training(TrainingOptions).precision)
    return replace(run, training=training)


def refuse_changes(stored: FolderOptions, wanted: Configuration) -> None:
    """Refuse to continue a folder with another configuration or other data than it was begun with.

    An option that the folder does not have is newer than the folder; its default is what held before.
    """
    before, now = stored.configuration(TrainingOptions).written(), wanted.written()
    differences = [
        f"{section} {key} was {_short(was.get(key))}, now {_short(becomes.get(key))}"
        for section in {**now, **before}
        for was, becomes in [(before.get(section, {}), now.get(section, {}))]
        for key in sorted({*becomes, *was})
        if was.get(key) != becomes.get(key) and not (section == "training" and key in CONTINUABLE)
    ]
    if differences:
        raise ValueError(
            f"{stored.path.parent} was begun with another configuration: {'; '.join(differences)}. "
            "Go on with the old one, or choose another --output"
        )


def _warn_of_changes(stored: FolderOptions, device: torch.device, processes: int, threads: int) -> None:
    """Warn of what rounds otherwise than when the run was begun."""
    was = stored.provenance
    now = [
        ("torch {}", was.torch, torch.__version__),
        ("device {}", was.device and was.device.partition(":")[0], device.type),
        ("{} processes", was.processes, processes),
        ("{} threads", was.threads, threads if device.type == "cpu" else was.threads),
    ]
    changes = [f"{text.format(before)}, now {after}" for text, before, after in now if before not in (None, after)]
    if changes:
        warn(f"begun with {'; '.join(changes)}: the weights may differ in the last bits")


def _warn_of_idle(processes: int, accumulate: int) -> None:
    if accumulate % processes:
        warn(
            f"{processes} processes, but accumulate = {accumulate}: some have nothing to do in each update. Take a "
            f"number of processes that divides {accumulate}, or begin a new run with a multiple of {processes}"
        )


def _origin(run: Run, stored: FolderOptions) -> Origin | None:
    """The origin that a run asks for; the one that the folder records if that is the same folder, which is not read."""
    if run.init_from is None:
        return None
    folder, known = os.path.abspath(run.init_from), stored.init_from or Origin()
    return replace(known, folder=folder)


def _refuse_other_weights(stored: FolderOptions | None, parent: Parent) -> None:
    """Refuse a run that was begun, but stopped before its first state, if the weights to begin with are others now."""
    if stored and stored.init_from != parent.origin:
        raise ValueError(
            f"{parent.origin.folder}: has other weights than when {stored.path.parent} was begun with them; choose "
            "another --output"
        )


def _configuration(run: Run, model: ModelOptions, tokenizer: Tokenizer, origin: Origin | None) -> Configuration:
    return Configuration(
        model,
        run.training,
        TokenizerFacts.of(tokenizer, run.made_by),
        Languages(run.data.source_lang, run.data.target_lang),
        run.data.identity(tokenizer, _limits(run, model), run.store),
        origin,
    )


def _limits(run: Run, model: ModelOptions) -> tuple[int, int]:
    most = (run.training.max_source, run.training.max_target)
    if model.longest is None:
        return most
    return min(most[0], model.longest - (not run.data.vectors)), min(most[1], model.longest - 1)


def _features(data: Data) -> int:
    """Features per position of a source of vectors; ValueError if its files differ."""
    sources = [data.files(part.path)[0] for part in data.parts]
    widths = [width_of(read_features(source), str(source)) for source in sources]
    for source, width in zip(sources, widths, strict=True):
        if width != widths[0]:
            raise ValueError(f"{source}: has {width} features per position, but {sources[0]} has {widths[0]}")
    return widths[0]


def _vocabulary(run: Run, tokenizer: Tokenizer | None, features: int | None) -> tuple[bool, tuple[int, int]]:
    """Whether both sides share one vocabulary, and the sizes of both."""
    if tokenizer is not None:
        return tokenizer.joint, (tokenizer.source.size, tokenizer.target.size)
    assert run.made_by is not None
    if features is not None:
        return False, (features, run.made_by.vocab_size)
    return run.made_by.joint, (run.made_by.vocab_size, run.made_by.vocab_size)


def _tied(model: ModelOptions, joint: bool) -> ModelOptions:
    """Tie the tables of source and target if they share a vocabulary, unless the options decide."""
    return replace(model, tie_source=joint) if model.tie_source is None else model


def _short(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
