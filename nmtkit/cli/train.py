"""`nmtkit train`: parallel text to a model folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli.config import tables
from nmtkit.cli.parameters import MODEL_OPTIONS, Options, count, given, real, takes, usage
from nmtkit.console import note
from nmtkit.models.options import DROPOUT, PRESETS
from nmtkit.settings import bounds, from_mapping
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.options import TrainingOptions

if TYPE_CHECKING:
    from nmtkit.models.options import ModelOptions

TOKENIZER, MODEL, TRAINING = "Tokenizer", "Model", "Training"


def _count(name: str, text: str) -> Any:
    """An option for a whole number among the options of training."""
    return count(text, bounds(TrainingOptions, name), TRAINING)


def _real(name: str, text: str) -> Any:
    """An option for a number among the options of training."""
    return real(text, bounds(TrainingOptions, name), TRAINING)


TRAINING_OPTIONS: Options = {
    "updates": Annotated[int | None, _count("updates", "Optimiser steps; more continue a finished run (10000).")],
    "batch_tokens": Annotated[int | None, _count("batch_tokens", "Most padded target pieces of a batch (4096).")],
    "learning_rate": Annotated[float | None, _real("learning_rate", "Peak, at the end of the warm-up (0.001).")],
    "warmup": Annotated[int | None, _count("warmup", "Updates of linear growth (1000).")],
    "label_smoothing": Annotated[float | None, _real("label_smoothing", "Share of the target spread evenly (0.1).")],
    "validate_every": Annotated[int | None, _count("validate_every", "Updates between validations (500).")],
    "average": Annotated[int | None, _count("average", "Keep the mean of so many last snapshots (5).")],
    "patience": Annotated[int | None, _count("patience", "Validations without a better score; 0: never stop (10).")],
    "seed": Annotated[int | None, _count("seed", "Of everything random (1).")],
}
"""Fields of `TrainingOptions`."""


@takes(training=TRAINING_OPTIONS, machine={name: MODEL_OPTIONS[name] for name in ("device", "threads")})
def train(
    context: typer.Context,
    train: Annotated[Path, typer.Option(help="Prefix of the training files: PREFIX.fr and PREFIX.en.")],
    dev: Annotated[Path, typer.Option(help="Prefix of the files for validation.")],
    source_lang: Annotated[str, typer.Option("--source-lang", "-s", help="Ending of the source files.")],
    target_lang: Annotated[str, typer.Option("--target-lang", "-t", help="Ending of the target files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model folder; an interrupted run in it goes on.")],
    tokenizer: Annotated[
        Path | None, typer.Option(help="A .model file, or a folder with one (train one).", rich_help_panel=TOKENIZER)
    ] = None,
    vocab_size: Annotated[
        int | None,
        count("Pieces of the tokenizer to train (8000).", bounds(TokenizerOptions, "vocab_size"), panel=TOKENIZER),
    ] = None,
    tokenizer_kind: Annotated[
        str | None, typer.Option(help="unigram or bpe (unigram).", rich_help_panel=TOKENIZER)
    ] = None,
    joint_vocab: Annotated[
        bool | None,
        typer.Option(
            "--joint-vocab/--separate-vocab", help="One vocabulary, or one a side.", rich_help_panel=TOKENIZER
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(PRESETS)} (transformer-small).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    dropout: Annotated[float | None, real("Instead of the preset's.", DROPOUT, panel=MODEL)] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would be trained, or why it cannot be; train nothing.")
    ] = False,
    *,
    training: Options,
    machine: Options,
) -> None:
    """Train a model, or go on with an interrupted or finished run.

    The same command goes on where a killed run was, and ends with the same weights. All other options, by the names
    that `nmtkit info --json -` shows, go into the tables model, training and tokenizer of a --config file.
    """
    from nmtkit.tokenizer.tokenizer import Tokenizer
    from nmtkit.training import recipe

    given_tables = tables(context)
    of_tokenizer = given(vocab_size=vocab_size, kind=tokenizer_kind, joint=joint_vocab)
    with usage():
        model = _model(preset, {**given_tables["model"], **given(dropout=dropout)})
        options = from_mapping(TrainingOptions, {**given_tables["training"], **given(**training)}, "[training]")
        new_tokenizer = from_mapping(TokenizerOptions, {**given_tables["tokenizer"], **of_tokenizer}, "[tokenizer]")
        if tokenizer and of_tokenizer:
            named = ", ".join(of_tokenizer)
            raise ValueError(f"--tokenizer {tokenizer} is ready made: leave out {named}, or let train make one")
        data = recipe.Data(train, dev, source_lang, target_lang)
    run = recipe.Run(
        data=data,
        output=output,
        model=model,
        training=options,
        tokenizer=Tokenizer.load(tokenizer) if tokenizer else new_tokenizer,
        command=shlex.join(["nmtkit", *sys.argv[1:]]),
        **given(**machine),
    )
    if check:
        note(recipe.check(run))
    else:
        recipe.train(run)


def _model(preset_name: str | None, changes: dict[str, Any]) -> ModelOptions:
    """The preset with changes, or a family named by the [model] table with its own defaults."""
    from nmtkit.models.options import options_from_mapping, options_to_mapping, preset

    if "family" in changes and preset_name is None:
        return options_from_mapping(changes, "[model]")
    base = options_to_mapping(preset(preset_name or "transformer-small"))
    return options_from_mapping({**base, **changes}, "[model]")
