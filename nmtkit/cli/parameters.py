"""Options that several commands share, each declared once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli.config import load_config
from nmtkit.cli.errors import set_debug
from nmtkit.console import set_quiet

if TYPE_CHECKING:
    from nmtkit.translator import SearchSettings, Translator

SEARCH, MACHINE, COMMON = "Search", "Machine", "Common"

Folder = Annotated[Path, typer.Argument(help="Model folder that `nmtkit train` made.", show_default=False)]

Beam = Annotated[
    int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy search.", rich_help_panel=SEARCH)
]
LengthAlpha = Annotated[
    float | None,
    typer.Option(help="Score is log P / length^alpha: 0 none, 1 mean of a token.", rich_help_panel=SEARCH),
]
MaxLength = Annotated[
    int | None,
    typer.Option(help="Most target pieces, end of sentence counted (2 × source pieces + 10).", rich_help_panel=SEARCH),
]
BatchTokens = Annotated[
    int | None, typer.Option(help="Most padded source pieces searched at a time.", rich_help_panel=SEARCH)
]
WEIGHTS = typer.Option(help="Which weights: best or last.", rich_help_panel=MACHINE)
DEVICE = typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MACHINE)
Weights = Annotated[str, WEIGHTS]
Device = Annotated[str, DEVICE]
Threads = Annotated[int | None, typer.Option(help="CPU threads (as torch chooses).", rich_help_panel=MACHINE)]

Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        callback=load_config,
        is_eager=True,
        help="TOML file with any of these options.",
        rich_help_panel=COMMON,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=set_quiet, help="Only results and warnings.", rich_help_panel=COMMON)
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=set_debug, help="Show tracebacks of errors.", rich_help_panel=COMMON)
]


def given(**options: Any) -> dict[str, Any]:
    """The options that the user gave (not None)."""
    return {name: value for name, value in options.items() if value is not None}


def load_translator(folder: Path, device: str, threads: int | None, weights: str) -> Translator:
    """The model of a folder."""
    from nmtkit.translator import Translator

    return Translator.load(folder, device=device, threads=threads, weights=weights)


def search_settings(translator: Translator, **options: Any) -> SearchSettings:
    """The folder's default settings with the options that the user gave."""
    from dataclasses import replace

    return replace(translator.defaults, **given(**options))


def write_result(path: str, text: str) -> None:
    """Write a result to a file, or to standard output if it is "-"."""
    if path == "-":
        sys.stdout.write(text)
        return
    from nmtkit.files import write_text

    write_text(path, text)
