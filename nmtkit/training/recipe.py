"""The story of a run: data, tokenizer, model, training, from files to a model folder, fresh or resumed."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import nmtkit
from nmtkit import checkpoint, files
from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.console import note, warn
from nmtkit.devices import pick_device, set_threads
from nmtkit.memory import keep_freed_memory
from nmtkit.models.build import build, parameters
from nmtkit.models.interface import Model
from nmtkit.models.options import ModelOptions, options_of_folder, options_to_mapping
from nmtkit.settings import from_mapping, to_mapping
from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training import folder
from nmtkit.training.loop import Trainer, Weights
from nmtkit.training.options import CONTINUABLE, TrainingOptions
from nmtkit.training.state import RunState
from nmtkit.training.task import Scores
from nmtkit.training.translation import TranslationTask, validation_settings
from nmtkit.training.validation import DevSet
from nmtkit.words import counted

CONTINUED = ("command", "started", "nmtkit", "torch", "threads", "device")
"""What is written down of every later call that goes on with a run."""


@dataclass(frozen=True)
class Data:
    """Where the parallel text is.

    Attributes:
        train: prefix of the training files: `train`.`source_lang` and `train`.`target_lang`.
        dev: prefix of the dev files.
        source_lang: ending of the source files.
        target_lang: ending of the target files.
    """

    train: Path
    dev: Path
    source_lang: str
    target_lang: str

    def __post_init__(self) -> None:
        if self.source_lang == self.target_lang:
            raise ValueError(
                f"source_lang and target_lang are both {self.source_lang!r}, so the model would learn to copy: "
                "name the endings of two different texts"
            )

    def paths(self) -> dict[str, Path]:
        """The four files by their role."""
        return {
            f"{part} {side}": Path(f"{prefix}.{language}")
            for part, prefix in (("train", self.train), ("dev", self.dev))
            for side, language in (("source", self.source_lang), ("target", self.target_lang))
        }


@dataclass(frozen=True)
class Run:
    """Everything a run is told.

    Attributes:
        tokenizer: a ready one, or how to make one.
        device: as for `Translator.load`.
        threads: CPU threads; None: torch's default.
        command: the command line, for the provenance.
    """

    data: Data
    output: Path
    model: ModelOptions
    training: TrainingOptions
    tokenizer: Tokenizer | TokenizerOptions
    device: str = "auto"
    threads: int | None = None
    command: str = ""


def train(run: Run) -> None:
    """Train, or go on with, the model in `run.output`."""
    keep_freed_memory()
    device = pick_device(run.device)
    if run.threads is not None:
        set_threads(run.threads)
    texts = {**_read(run.data, "train"), **_read(run.data, "dev")}
    resuming = folder.begun(run.output)
    if resuming:
        folder.refuse_lost(run.output)
    else:
        folder.refuse_new(run.output, run.tokenizer if isinstance(run.tokenizer, Tokenizer) else None)
    tokenizer = folder.own_tokenizer(run.output) if resuming else _make_tokenizer(run, texts)
    train_corpus, dev = _corpora(run, texts, tokenizer)
    configuration = _configuration(run, run.tokenizer if isinstance(run.tokenizer, Tokenizer) else tokenizer)
    if not resuming:
        _make_folder(run, tokenizer, configuration)
    with files.locked(run.output):
        begun = folder.begun(run.output)  # maybe by another training in the meantime
        pairs = {"train": len(train_corpus), "dev": len(dev.corpus)}
        if begun:
            options = checkpoint.read_options(run.output)
            _refuse_changes(run, options, configuration)
        else:
            options = _begin_folder(run, tokenizer, configuration, pairs)
        torch.manual_seed(run.training.seed)
        model = checkpoint.build_model(options, tokenizer, "model options").to(device)
        trainer = _trainer(run, options, tokenizer, model, train_corpus, dev)
        trainer.resume()
        files.remove_leftovers(run.output)
        files.remove_leftovers(run.output / folder.TRAINING)
        if begun:
            now = _provenance(run)
            call = {key: now[key] for key in CONTINUED}
            folder.note_continuation(run.output, options, run.training, call, over=bool(trainer.over()))
            folder.mend(run.output, trainer, options, tokenizer)
        _say_where(run, trainer, parameters(model))
        trainer.run()
    if trainer.position.step:
        note(f"done: {trainer.over()}; best at update {trainer.position.best_step}; the model is in {run.output}")


def check(run: Run) -> str:
    """What `train` would do, in one line; it reads no text and writes nothing.

    Raises:
        ValueError, OSError: where it would fail for its options, a file that is not there, or the folder it goes on
            with, also one that has made more updates than are asked for.
    """
    pick_device(run.device)
    for path in run.data.paths().values():
        files.open_text(path).close()
    made = 0
    if folder.begun(run.output):
        folder.refuse_lost(run.output)
        own = folder.own_tokenizer(run.output)
        given = run.tokenizer if isinstance(run.tokenizer, Tokenizer) else own
        _refuse_changes(run, checkpoint.read_options(run.output), _configuration(run, given))
        made = RunState(run.output / folder.TRAINING).step()
        if made > run.training.updates:
            raise ValueError(
                f"{run.output} has made {counted(made, 'update')}, more than updates = {run.training.updates}: ask "
                "for as many, or choose another --output"
            )
    else:
        folder.refuse_new(run.output, run.tokenizer if isinstance(run.tokenizer, Tokenizer) else None)
    joint = run.tokenizer.joint
    if isinstance(run.tokenizer, Tokenizer):
        sizes = run.tokenizer.source.size, run.tokenizer.target.size
    else:
        sizes = run.tokenizer.vocab_size, run.tokenizer.vocab_size
    _refuse_ties(run.model, joint)
    tied = replace(run.model, tie_source=joint if run.model.tie_source is None else run.model.tie_source)
    with torch.device("meta"):
        size = parameters(build(tied, source_size=sizes[0], target_size=sizes[1]))
    updates = counted(run.training.updates, "update") + (f", {made} of them made" if made else "")
    return f"{run.output}: {run.model.family}, {size:,} parameters, {updates}"


def _refuse_ties(model: ModelOptions, joint: bool) -> None:
    if model.tie_source and not joint:
        raise ValueError("tie_source needs one vocabulary for both sides: make a joint tokenizer or set it to false")


def _read(data: Data, part: str) -> dict[str, list[str]]:
    paths = {role: path for role, path in data.paths().items() if role.startswith(part)}
    return dict(zip(paths, files.read_parallel(*paths.values()), strict=True))


def _make_folder(run: Run, tokenizer: Tokenizer, configuration: Mapping[str, Any]) -> None:
    """An empty folder, unless no model could be built for it or it holds something else."""
    folder.refuse_new(run.output, tokenizer)
    _refuse_ties(run.model, tokenizer.joint)
    checkpoint.build_model(configuration, tokenizer, "model options")
    run.output.mkdir(parents=True, exist_ok=True)


def _begin_folder(
    run: Run, tokenizer: Tokenizer, configuration: Mapping[str, Any], pairs: Mapping[str, int]
) -> dict[str, Any]:
    """Write what describes a new model; options.json comes last and makes it a model folder.

    Args:
        pairs: as many as the model can hold of the data.
    """
    tokenizer.save(run.output)
    defaults = validation_settings(run.training)
    provenance = {**_provenance(run), "pairs": dict(pairs)}
    options = {**configuration, "defaults": to_mapping(defaults), "provenance": provenance}
    checkpoint.save_options(run.output, options)
    return options


def _make_tokenizer(run: Run, texts: Mapping[str, list[str]]) -> Tokenizer:
    if isinstance(run.tokenizer, Tokenizer):
        return run.tokenizer
    options = run.tokenizer
    sides = "joint" if options.joint else "one a side"
    note(f"training a tokenizer: {options.kind}, {counted(options.vocab_size, 'piece')}, {sides}")
    return train_tokenizer(texts["train source"], texts["train target"], options, run.training.seed)


def _configuration(run: Run, tokenizer: Tokenizer) -> dict[str, Any]:
    """What determines the weights, as it is written beside them."""
    tie_source = run.model.tie_source if run.model.tie_source is not None else tokenizer.joint
    made = run.tokenizer if isinstance(run.tokenizer, TokenizerOptions) else None
    return {
        "model": options_to_mapping(replace(run.model, tie_source=tie_source)),
        "training": to_mapping(run.training),
        "tokenizer": {
            "sha256": tokenizer.hash(),
            "joint": tokenizer.joint,
            "source_size": tokenizer.source.size,
            "target_size": tokenizer.target.size,
            "made_by": to_mapping(made) if made else None,
        },
        "languages": {"source": run.data.source_lang, "target": run.data.target_lang},
        "data": {role: files.sha256(path) for role, path in run.data.paths().items()},
    }


def _provenance(run: Run) -> dict[str, Any]:
    return {
        "nmtkit": nmtkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "device": str(pick_device(run.device)),
        "threads": torch.get_num_threads(),
        "command": run.command or " ".join(sys.argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {role: str(path) for role, path in run.data.paths().items()},
    }


def _refuse_changes(run: Run, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """A folder is only continued with the configuration and the data it was begun with.

    An option that is not written there is younger than the folder, and what held before it still does.
    """
    where = str(run.output / checkpoint.OPTIONS)
    stored = {
        **stored,
        "model": options_to_mapping(options_of_folder(stored["model"], f"{where}: model")),
        "training": to_mapping(from_mapping(TrainingOptions, stored["training"], f"{where}: training")),
    }
    differences = []
    for section, values in wanted.items():
        for key in sorted({*values, *stored.get(section, {})}):
            before, now = stored.get(section, {}).get(key), values.get(key)
            if before != now and not (section == "training" and key in CONTINUABLE):
                differences.append(f"{section} {key} was {_short(before)}, now {_short(now)}")
    if differences:
        raise ValueError(
            f"{run.output} was begun with another configuration: {'; '.join(differences)}. "
            "Go on with the old one, or choose another --output"
        )
    threads = stored.get("provenance", {}).get("threads")
    if threads != torch.get_num_threads():
        warn(
            f"begun with {counted(threads, 'thread')}, now {torch.get_num_threads()}: the weights may differ in the "
            "last bits"
        )


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)


def _corpora(run: Run, texts: Mapping[str, list[str]], tokenizer: Tokenizer) -> tuple[Corpus, DevSet]:
    """Both corpora as ids, without what the model cannot hold, and one line of counts about them."""
    asked, longest = (run.training.max_source, run.training.max_target), run.model.longest
    limits = tuple(most if longest is None else min(most, longest - 1) for most in asked)
    corpus = load_corpus(texts["train source"], texts["train target"], tokenizer, *limits)
    dev = load_corpus(texts["dev source"], texts["dev target"], tokenizer, *limits)
    known = set(zip(texts["train source"], texts["train target"], strict=True))
    overlap = sum(pair in known for pair in zip(texts["dev source"], texts["dev target"], strict=True))
    found = corpus.counts
    note(
        f"data: {counted(found.pairs, 'pair')}, {found.empty} empty, {found.overlong} over-long, "
        f"{counted(found.duplicates, 'duplicate')}; training on {counted(found.kept, 'pair')} "
        f"({sum(corpus.source.lengths)} source and {counted(sum(corpus.target.lengths), 'target piece')}); dev: "
        f"{counted(dev.counts.pairs, 'pair')}, "
        f"{dev.counts.empty} empty, {dev.counts.overlong} over-long, {overlap} also in train"
    )
    paths = run.data.paths()
    for name, part in (("train", corpus), ("dev", dev)):
        if not len(part):
            both = f"{paths[f'{name} source']} and {paths[f'{name} target']}"
            raise ValueError(
                f"{both}: every pair is empty or longer than {limits[0]} source or {counted(limits[1], 'target piece')}"
            )
    return corpus, DevSet(texts["dev source"], texts["dev target"], dev)


def _trainer(
    run: Run, options: Mapping[str, Any], tokenizer: Tokenizer, model: Model, corpus: Corpus, dev: DevSet
) -> Trainer:
    """The trainer, which keeps weights in the model's folder."""

    def keep(weights: Weights, scores: Scores, step: int, best: bool) -> None:
        digest = checkpoint.model_hash(options["model"], tokenizer, weights)
        for name in (checkpoint.LAST, *((checkpoint.BEST,) if best else ())):
            checkpoint.save_weights(run.output / name, weights, digest, step, scores)

    task = TranslationTask(corpus, dev, tokenizer, run.training)
    return Trainer(model, task, run.training, run.output, keep, folder.run_hash(options))


def _say_where(run: Run, trainer: Trainer, size: int) -> None:
    """One line on what begins, goes on, or is finished."""
    position = trainer.position
    if reason := trainer.over():
        more = 2 * max(position.step, run.training.updates)
        note(
            f"0 steps left ({reason}). To go on: a larger --updates (such as {more}) "
            "or, after lost patience, a larger --patience"
        )
    elif position.step:
        note(f"resuming at update {position.step}: {counted(run.training.updates - position.step, 'step')} left")
    else:
        note(
            f"training {run.model.family}, {size:,} parameters, {counted(run.training.updates, 'update')}, "
            f"on {trainer.model.device}"
        )
