"""`nmtkit train`: parallel text to a model folder."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli import paths
from nmtkit.cli.config import tables
from nmtkit.cli.errors import failed
from nmtkit.cli.parameters import MACHINE, DeviceFlags, SourceLang, TargetLang, count, given, real, takes, usage
from nmtkit.cli.streams import write_result
from nmtkit.console import note, set_quiet
from nmtkit.models.options import DROPOUT, PRESETS
from nmtkit.settings import bounds, shown
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.config import PRESET, Config
from nmtkit.training.options import PRECISIONS, TrainingOptions

if TYPE_CHECKING:
    from nmtkit.training.data import Data

TOKENIZER, MODEL, TRAINING = "Tokenizer", "Model", "Training"
USUAL = TrainingOptions()


def _count(name: str, text: str) -> Any:
    """An option for a whole number among the options of training."""
    return count(text, bounds(TrainingOptions, name), TRAINING, default=f"{getattr(USUAL, name)}")


def _real(name: str, text: str) -> Any:
    """An option for a number among the options of training."""
    return real(text, bounds(TrainingOptions, name), TRAINING, default=f"{getattr(USUAL, name)}")


def _tokens(text: str) -> int:
    """The number of pieces of a batch; 0 for auto."""
    if str(text) == "auto":
        return 0
    within = bounds(TrainingOptions, "batch_tokens")
    try:
        number = int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a whole number nor auto") from None
    if number not in within or not number:
        raise typer.BadParameter(f"{shown(number)} is not possible: choose from 1 to {within.high:,}, or auto")
    return number


def _write_example(context: typer.Context, path: Path | None) -> None:
    """Callback of --write-config, which needs no other option; a --config after it is not read."""
    if path is None or context.resilient_parsing:
        return
    from nmtkit.training.example import example

    uses = {"write_config": ("--write-config", paths.FILE_TO_WRITE), "config": ("--config", paths.FILE_TO_READ)}
    named = [Path(after) for word, after in pairwise(sys.argv) if word == "--config"]
    try:
        paths.check(uses, {"write_config": path, "config": named})
        set_quiet(bool({"--quiet", "-q"} & {*sys.argv}))  # it may stand after --write-config
        write_result(path, example(), "every key of a configuration")
    except (ValueError, OSError) as error:
        raise typer.Exit(failed(error)) from None
    raise typer.Exit


@dataclass(frozen=True)
class TokenizerFlags:
    """A ready tokenizer, or how to make one."""

    tokenizer: Annotated[
        Path | None,
        paths.option(
            paths.PATH_TO_READ,
            "A .model file, or a folder with one.",
            metavar="PATH",
            panel=TOKENIZER,
            default="train one",
        ),
    ]
    vocab_size: Annotated[
        int | None,
        count("Pieces of the tokenizer to train.", bounds(TokenizerOptions, "vocab_size"), TOKENIZER, default="8000"),
    ]
    tokenizer_kind: Annotated[
        str | None,
        typer.Option(
            help="Kind of segmentation.", metavar="unigram|bpe", rich_help_panel=TOKENIZER, show_default="unigram"
        ),
    ]
    joint_vocab: Annotated[
        bool | None,
        typer.Option(
            "--joint-vocab/--separate-vocab",
            help="One vocabulary for both sides, or one for each.",
            rich_help_panel=TOKENIZER,
            show_default="--joint-vocab",
        ),
    ]
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A text that is always one piece, such as a tag; repeat for several.",
            rich_help_panel=TOKENIZER,
        ),
    ]


@dataclass(frozen=True)
class ModelFlags:
    """The architecture and size of the model."""

    init_from: Annotated[
        Path | None,
        paths.option(
            paths.PATH_TO_READ,
            "Begin with the best weights of this model folder, and its model and tokenizer unless others are given.",
            metavar="FOLDER",
            panel=MODEL,
        ),
    ]
    preset: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(PRESETS)}.", metavar="NAME", rich_help_panel=MODEL, show_default=PRESET),
    ]
    dropout: Annotated[
        float | None, real("Share of the units dropped out in training.", DROPOUT, MODEL, default="the preset's")
    ]


@dataclass(frozen=True)
class TrainingFlags:
    """Options that set the fields of `TrainingOptions`."""

    updates: Annotated[int | None, _count("updates", "Optimiser steps; more continue a finished run.")]
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            parser=_tokens,
            metavar="N|auto",
            help="Most padded target pieces of a batch; auto: what the memory of a GPU holds.",
            rich_help_panel=TRAINING,
            show_default=f"{USUAL.batch_tokens}",
        ),
    ]
    accumulate: Annotated[int | None, _count("accumulate", "Batches of an update, over all processes.")]
    learning_rate: Annotated[float | None, _real("learning_rate", "Peak learning rate, at the end of the warm-up.")]
    warmup: Annotated[int | None, _count("warmup", "Updates of linear growth.")]
    label_smoothing: Annotated[float | None, _real("label_smoothing", "Share of the target spread evenly.")]
    subword_regularization: Annotated[
        float | None, _real("subword_regularization", "Draw other segmentations in every epoch; 0: never.")
    ]
    validate_every: Annotated[int | None, _count("validate_every", "Updates between validations.")]
    average: Annotated[int | None, _count("average", "Keep the mean of the last N snapshots.")]
    ema: Annotated[float | None, _real("ema", "Decay of a moving average of the weights to keep instead; 0: off.")]
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A parameter not to train, or a pattern such as 'encoder.*'; repeat for several.",
            rich_help_panel=TRAINING,
        ),
    ]
    patience: Annotated[int | None, _count("patience", "Stop after N validations without a better score; 0: never.")]
    compile: Annotated[
        bool | None,
        typer.Option(
            "--compile",
            help="Compile the model first: minutes before the first update; a gain on GPUs, a loss on CPUs.",
            rich_help_panel=TRAINING,
        ),
    ]
    precision: Annotated[
        str | None,
        typer.Option(
            help=f"One of auto (by device and model), {', '.join(PRECISIONS)}.",
            metavar="NAME",
            rich_help_panel=TRAINING,
            show_default=USUAL.precision,
        ),
    ]
    seed: Annotated[int | None, _count("seed", "Seed of everything random.")]


@dataclass(frozen=True)
class PreparedFlags:
    """Where large texts are kept as ids."""

    cache: Annotated[
        Path | None,
        paths.option(
            paths.FOLDER_TO_WRITE,
            "Where large training texts are kept as ids.",
            metavar="FOLDER",
            panel=MACHINE,
            default="$NMTKIT_CACHE or ~/.cache/nmtkit",
        ),
    ] = None
    verify_data: Annotated[
        bool | None,
        typer.Option(
            "--verify-data",
            help="Compare the content of such texts, not only size and time.",
            rich_help_panel=MACHINE,
        ),
    ] = None


@takes(
    tokenizer=TokenizerFlags,
    model=ModelFlags,
    training=TrainingFlags,
    machine=DeviceFlags,
    texts=PreparedFlags,
)
def train(
    context: typer.Context,
    train: Annotated[
        list[Path],
        paths.prefix(
            "Prefix of the training files, PREFIX.fr and PREFIX.en, or a folder of `nmtkit prepare`; repeat for "
            "several. PREFIX:3 is three times in an epoch."
        ),
    ],
    dev: Annotated[Path, paths.prefix("Prefix of the files for validation.")],
    source_lang: SourceLang,
    target_lang: TargetLang,
    output: Annotated[
        Path, paths.output_folder("Model folder; a run that was interrupted there goes on.", "--output", "-o")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Say what would be trained, or why that is impossible; train nothing.")
    ] = False,
    write_config: Annotated[
        Path | None,
        typer.Option(
            parser=paths.FILE_TO_WRITE,
            callback=_write_example,
            is_eager=True,
            help="Write every key of a --config file with its default to this file; train nothing.",
        ),
    ] = None,
    *,
    tokenizer: TokenizerFlags,
    model: ModelFlags,
    training: TrainingFlags,
    machine: DeviceFlags,
    texts: PreparedFlags,
) -> None:
    """Train a model, or go on with an interrupted or finished run.

    The same command goes on where a killed run was, and ends with the same weights. All other options go into the
    tables model, training and tokenizer of a --config file, of which --write-config makes one.
    """
    from nmtkit.training import recipe

    files = {"train": train, "dev": dev, "source_lang": source_lang, "target_lang": target_lang, "output": output}
    flags = given(tokenizer, model, training, machine, texts)
    with usage():
        config = Config("", {}, tables(context)).changed({**files, **flags})
        run = config.run(command=shlex.join(["nmtkit", *sys.argv[1:]]))
    if check:
        note(recipe.check(run))
    else:
        recipe.train(run, _look)


def _look(data: Data) -> None:
    """Note in one line what is wrong with the first pairs of each training text."""
    from nmtkit.preflight.check import quick
    from nmtkit.preflight.options import Texts
    from nmtkit.report.preflight import summary

    for part in data.parts:
        if part.prepared or data.vectors:
            continue
        facts = quick(Texts.of(data.source_lang, data.target_lang, part.path, data.dev))
        if facts.problems:
            languages = f"-s {data.source_lang} -t {data.target_lang}"
            note(f"{part.path}: {summary(facts)}; nmtkit check-data --train {part.path} {languages} shows them")
