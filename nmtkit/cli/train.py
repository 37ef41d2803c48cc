"""`nmtkit train`: parallel text to a model folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli import paths
from nmtkit.cli.config import tables
from nmtkit.cli.parameters import MODEL_OPTIONS, Options, count, given, real, takes, usage
from nmtkit.console import note
from nmtkit.models.options import PRESETS

if TYPE_CHECKING:
    from nmtkit.models.options import ModelOptions

TOKENIZER, MODEL, TRAINING = "Tokenizer", "Model", "Training"


TRAINING_OPTIONS: Options = {
    "updates": Annotated[
        int | None,
        count("Optimiser steps; more continue a finished run (10000).", panel=TRAINING),
    ],
    "batch_tokens": Annotated[
        int | None,
        count("Most padded target pieces of a batch (4096).", panel=TRAINING),
    ],
    "learning_rate": Annotated[
        float | None,
        real("Peak, at the end of the warm-up (0.001).", panel=TRAINING, above=True),
    ],
    "warmup": Annotated[int | None, count("Updates of linear growth (1000).", panel=TRAINING)],
    "label_smoothing": Annotated[
        float | None,
        real("Share of the target spread evenly (0.1).", panel=TRAINING),
    ],
    "validate_every": Annotated[
        int | None,
        count("Updates between validations (500).", panel=TRAINING),
    ],
    "average": Annotated[
        int | None,
        count("Keep the mean of so many last snapshots (5).", panel=TRAINING),
    ],
    "patience": Annotated[
        int | None,
        count("Validations without a better score; 0: never stop (10).", 0, panel=TRAINING),
    ],
    "seed": Annotated[int | None, count("Of everything random (1).", 0, panel=TRAINING)],
}
"""Fields of `TrainingOptions`."""


@takes(training=TRAINING_OPTIONS, machine={name: MODEL_OPTIONS[name] for name in ("device", "threads")})
def train(
    context: typer.Context,
    train: Annotated[Path, paths.prefix("Prefix of the training files: PREFIX.fr and PREFIX.en.")],
    dev: Annotated[Path, paths.prefix("Prefix of the files for validation.")],
    source_lang: Annotated[str, typer.Option("--source-lang", "-s", help="Ending of the source files.")],
    target_lang: Annotated[str, typer.Option("--target-lang", "-t", help="Ending of the target files.")],
    output: Annotated[Path, paths.made("Model folder; an interrupted run in it goes on.", "--output", "-o")],
    tokenizer: Annotated[
        Path | None,
        paths.option(
            paths.tokenizer_to_read, "A .model file, or a folder with one (train one).", metavar="PATH", panel=TOKENIZER
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        count("Pieces of the tokenizer to train (8000).", panel=TOKENIZER),
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
    dropout: Annotated[float | None, real("Instead of the preset's.", panel=MODEL)] = None,
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
    from nmtkit.settings import from_mapping
    from nmtkit.tokenizer.build import TokenizerOptions
    from nmtkit.tokenizer.tokenizer import Tokenizer
    from nmtkit.training import recipe
    from nmtkit.training.options import TrainingOptions

    given_tables = tables(context)
    of_tokenizer = given(vocab_size=vocab_size, kind=tokenizer_kind, joint=joint_vocab)
    with usage():
        model = _model(preset, {**given_tables["model"], **given(dropout=dropout)})
        options = from_mapping(TrainingOptions, {**given_tables["training"], **given(**training)}, "[training]")
        new_tokenizer = from_mapping(TokenizerOptions, {**given_tables["tokenizer"], **of_tokenizer}, "[tokenizer]")
        if tokenizer and of_tokenizer:
            named = ", ".join(of_tokenizer)
            raise ValueError(f"--tokenizer {tokenizer} is ready made: leave out {named}, or let train make one")
    run = recipe.Run(
        data=recipe.Data(train, dev, source_lang, target_lang),
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
