"""A whole run: data, tokenizer, model and training, from files to a model folder, new or resumed.

From Python:

    from nmtkit.training.config import load
    from nmtkit.training.recipe import train

    train(load("multi30k-tiny", train="data/train", dev="data/val", output="runs/multi30k"))
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import torch

import nmtkit
from nmtkit import checkpoint, files
from nmtkit.checkpoint import FolderOptions, Pairs, Provenance
from nmtkit.console import note
from nmtkit.devices import set_threads
from nmtkit.locks import locked
from nmtkit.memory import keep_freed_memory
from nmtkit.models.interface import Model
from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training import folder
from nmtkit.training.batch_size import largest_batch
from nmtkit.training.data import Data, Texts, encode, prepare_large
from nmtkit.training.freezing import counts, freeze
from nmtkit.training.loop import Trainer, Weights
from nmtkit.training.options import CONTINUABLE
from nmtkit.training.plan import Plan, resolve
from nmtkit.training.ranks import Ranks, joined
from nmtkit.training.run import Run
from nmtkit.training.segmentation import in_processes, make_sampler
from nmtkit.training.task import Scores
from nmtkit.training.translation import TranslationTask, validation_settings
from nmtkit.words import counted


def train(run: Run, look: Callable[[Data], None] = lambda data: None) -> None:
    """Train the model in `run.output`, or continue its training; under torchrun, with all of its processes.

    Args:
        look: is shown the text of a new run, once, in the first process.
    """
    keep_freed_memory()
    if run.threads is not None:
        set_threads(run.threads)
    with joined() as ranks:
        plan = ranks.together(lambda: resolve(run, ranks))
        plan = plan.in_precision(ranks.from_first(lambda: plan.run.training.precision))
        texts = ranks.together(lambda: Texts.read(run.data))
        if plan.stored is None:
            ranks.from_first(lambda: look(run.data))
        tokenizer = plan.tokenizer or _make_tokenizer(plan, texts, ranks)
        ranks.in_turn(lambda: prepare_large(run.data, tokenizer, plan.limits(), run.store))
        corpus, dev = ranks.together(lambda: encode(texts, run.data, tokenizer, plan.limits(), run.store))
        sampler = ranks.together(lambda: make_sampler(plan, tokenizer, corpus))
        torch.manual_seed(run.training.seed)
        model = checkpoint.build_model(plan.model, tokenizer).to(plan.device)
        plan = _with_batch_tokens(plan, model, ranks)
        if not run.training.batch_tokens and plan.stored is None:
            note(f"batches of {plan.run.training.batch_tokens} target pieces, which suits {plan.device}")
        if parent := plan.parent:
            ranks.from_first(lambda: parent.give(model, plan.model, tokenizer))
        training = plan.run.training
        pairs = Pairs(len(corpus), len(dev.corpus))
        ranks.from_first(lambda: _make_folder(plan, tokenizer))
        alone = locked(run.output) if ranks.first else nullcontext()
        with alone, in_processes(sampler, plan, ranks.local.size) as samplers:
            options = ranks.from_first(lambda: _begun(plan, tokenizer, pairs))
            keep, run_hash = _keeper(options, tokenizer), options.run_hash(CONTINUABLE)
            task = TranslationTask(corpus, dev, tokenizer, training, samplers)
            trainer = Trainer(model, task, training, run.output, keep, run_hash, ranks)
            ranks.together(trainer.resume)
            ranks.from_first(lambda: _tidy(plan, options, trainer, tokenizer))
            trainer.agree()
            _say_where(plan, trainer)
            if run.init_from:
                trainer.baseline()
            trainer.run()
    if trainer.position.step:
        note(f"done: {trainer.over()}; best at update {trainer.position.best_step}; the model is in {run.output}")


def check(run: Run) -> str:
    """What `train` would do, in one line; reads no text and writes nothing.

    Raises:
        ValueError, OSError: if it would fail because of its options, a missing file, or the folder that it
            continues, which may have made more updates than the options ask for.
    """
    plan = resolve(run)
    if plan.updates > run.training.updates:
        raise ValueError(
            f"{run.output} has made {counted(plan.updates, 'update')}, more than updates = {run.training.updates}: ask "
            "for as many, or choose another --output"
        )
    return str(plan)


def _make_tokenizer(plan: Plan, texts: Texts, ranks: Ranks) -> Tokenizer:
    """The tokenizer that the first process makes."""
    options, features, seed = plan.run.made_by, plan.features, plan.run.training.seed
    assert options is not None
    sides = "of the target" if features is not None else "joint" if options.joint else "one a side"
    note(f"training a tokenizer: {options.kind}, {counted(options.vocab_size, 'piece')}, {sides}")
    make = partial(train_tokenizer, texts.side(0), texts.side(1), options, seed, features)
    return Tokenizer.of_files(ranks.from_first(lambda: make().files()))


def _with_batch_tokens(plan: Plan, model: Model, ranks: Ranks) -> Plan:
    """The plan with the batch size that fits into the memory of every process's GPU, unless it has one."""
    training = plan.run.training
    if training.batch_tokens:
        return plan
    freeze(model, training.freeze)  # what is frozen needs no memory for gradients
    shapes = plan.limits(), plan.sizes, plan.features is not None
    find = partial(largest_batch, model, *shapes, training.precision, training.compile)
    tokens = ranks.together(find, min)
    return replace(plan, run=replace(plan.run, training=replace(training, batch_tokens=tokens)))


def _make_folder(plan: Plan, tokenizer: Tokenizer) -> None:
    """Make the folder of a new model, unless it exists and holds something else."""
    if plan.stored is None:
        folder.refuse_new(plan.run.output, tokenizer)
        plan.run.output.mkdir(parents=True, exist_ok=True)


def _begun(plan: Plan, tokenizer: Tokenizer, pairs: Pairs) -> FolderOptions:
    """The options of the locked folder, which are written if the run is new."""
    output = plan.run.output
    if not folder.begun(output):
        return _begin(plan, tokenizer, pairs)
    if plan.stored is None:  # another training has begun it in the meantime
        resolve(plan.run)
    return checkpoint.read_options(output)


def _tidy(plan: Plan, options: FolderOptions, trainer: Trainer, tokenizer: Tokenizer) -> None:
    """Remove what killed processes left, record that the run goes on, and mend lost weights."""
    for place in (plan.run.output, plan.run.output / folder.TRAINING):
        files.remove_leftovers(place)
    if plan.stored is not None:
        folder.note_continuation(options, plan.run.training, _provenance(plan).call(), over=bool(trainer.over()))
        folder.mend(options, trainer, tokenizer)


def _begin(plan: Plan, tokenizer: Tokenizer, pairs: Pairs) -> FolderOptions:
    """Write the description of a new model; options.json comes last, because it makes the folder a model folder.

    Args:
        pairs: the numbers of pairs that the model can hold.
    """
    run = plan.run
    tokenizer.save(run.output)
    defaults, provenance = validation_settings(run.training), _provenance(plan, pairs)
    return checkpoint.begin(run.output, plan.configuration(tokenizer), defaults, provenance)


def _provenance(plan: Plan, pairs: Pairs | None = None) -> Provenance:
    """The provenance of this call."""
    return Provenance(
        nmtkit=nmtkit.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        device=str(plan.device),
        threads=torch.get_num_threads(),
        processes=plan.processes,
        command=plan.run.command or " ".join(sys.argv),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        files={role: files.absolute(path) for role, path in plan.run.data.paths().items()},
        pairs=pairs,
    )


def _keeper(options: FolderOptions, tokenizer: Tokenizer) -> Callable[[Weights, Scores, int, bool], None]:
    """A function that keeps validated weights in the model folder."""

    def keep(weights: Weights, scores: Scores, step: int, best: bool) -> None:
        digest = options.model_hash(tokenizer, weights)
        for name in (checkpoint.LAST, *((checkpoint.BEST,) if best else ())):
            checkpoint.save_weights(options.path.parent / name, weights, digest, step, scores)

    return keep


def _say_where(plan: Plan, trainer: Trainer) -> None:
    """Note in one line that training begins, goes on, or is finished."""
    position, updates = trainer.position, plan.run.training.updates
    if reason := trainer.over():
        note(
            f"0 updates left ({reason}). To go on: a larger --updates (such as {2 * max(position.step, updates)}) "
            "or, if patience has ended it, a larger --patience"
        )
    elif position.step:
        note(f"resuming at update {position.step:,}: {counted(updates - position.step, 'update')} left")
    else:
        processes = f" in {plan.processes} processes" if plan.processes > 1 else ""
        precision = plan.run.training.precision
        processes += "" if precision == "float32" else f", products in {precision}"
        note(
            f"training {plan.model.family}, {counts(trainer.model)}, {counted(updates, 'update')}, "
            f"on {trainer.model.device}{processes}"
        )
