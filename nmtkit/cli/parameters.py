"""Options that several commands share, each declared once."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli.config import load_config, origin
from nmtkit.cli.errors import set_debug
from nmtkit.console import set_quiet
from nmtkit.settings import nearest

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

SEARCH, MACHINE, COMMON = "Search", "Machine", "Common"


def count(text: str, least: int = 1, panel: str | None = None) -> Any:
    """An option that takes a whole number from `least` on."""
    return typer.Option(callback=_within(least, None), metavar="N", help=text, rich_help_panel=panel)


def real(text: str, most: float | None = None, panel: str | None = None, above: bool = False) -> Any:
    """An option that takes a number from 0 on, or above 0."""
    return typer.Option(callback=_within(0, most, above), metavar="X", help=text, rich_help_panel=panel)


def choice(text: str, values: tuple[str, ...], panel: str | None = None) -> Any:
    """An option that takes one of some words."""

    def check(context: typer.Context, option: typer.CallbackParam, value: str | None) -> str | None:
        if value is not None and value not in values:
            raise typer.BadParameter(f"{origin(context, option)}{value!r} is not known;{nearest(value, values)}")
        return value

    return typer.Option(callback=check, metavar="|".join(values), help=text, rich_help_panel=panel)


def _within(least: float, most: float | None, above: bool = False) -> Callable[..., Any]:
    """Callback of an option: the value, refused unless it is between the two."""
    asked = f"more than {least}" if above else f"{least} or more" if most is None else f"from {least} to {most}"

    def check(context: typer.Context, option: typer.CallbackParam, value: float | None) -> float | None:
        inside = value is None or least <= value <= (math.inf if most is None else most)
        if not inside or (above and value == least):
            raise typer.BadParameter(f"{origin(context, option)}{value} is not possible: choose {asked}")
        return value

    return check


Folder = Annotated[Path, typer.Argument(help="Model folder that `nmtkit train` made.", show_default=False)]

Beam = Annotated[int | None, count("Hypotheses kept at each step; 1 is greedy search.", panel=SEARCH)]
LengthAlpha = Annotated[
    float | None, real("Score is log P / length^alpha: 0 none, 1 mean of a token.", most=10, panel=SEARCH)
]
MaxLength = Annotated[
    int | None, count("Most target pieces, end of sentence counted (2 × source pieces + 10).", panel=SEARCH)
]
MaxLengthRatio = Annotated[
    float | None,
    real("Most target pieces for each source piece.", panel=SEARCH, above=True),
]
LengthPenalty = Annotated[
    str | None, choice("length^alpha, or ((5 + length) / 6)^alpha.", ("power", "gnmt"), panel=SEARCH)
]
BatchTokens = Annotated[int | None, count("Most padded source pieces searched at a time.", panel=SEARCH)]
WEIGHTS = choice("Which weights.", ("best", "last"), panel=MACHINE)
DEVICE = typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MACHINE)
Weights = Annotated[str, WEIGHTS]
Device = Annotated[str, DEVICE]
Threads = Annotated[int | None, count("CPU threads (as torch chooses).", panel=MACHINE)]

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

    with usage():
        return replace(translator.defaults, **given(**options))


@contextmanager
def usage() -> Iterator[None]:
    """Options that do not fit together or are out of range are wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def write_result(path: str, text: str) -> None:
    """Write a result to a file, or to standard output if it is "-"."""
    if path == "-":
        sys.stdout.write(text)
        return
    from nmtkit.files import write_text

    write_text(path, text)
