"""The `nmtkit` command: its subcommands and what they have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
import typer.core

import nmtkit
from nmtkit.cli.attention import attention
from nmtkit.cli.blame_analysis import blame_analysis
from nmtkit.cli.blame_compare import blame_compare
from nmtkit.cli.compare import compare
from nmtkit.cli.errors import USAGE, failed, reporting, shortened
from nmtkit.cli.evaluate import evaluate
from nmtkit.cli.guide import guide
from nmtkit.cli.info import info
from nmtkit.cli.inspect import inspect
from nmtkit.cli.parameters import COMMON
from nmtkit.cli.score import score
from nmtkit.cli.train import train
from nmtkit.cli.train_tokenizer import train_tokenizer
from nmtkit.cli.translate import translate
from nmtkit.console import tell
from nmtkit.interrupts import INTERRUPTED

UsageError: Any = typer.BadParameter.__base__  # from whichever command parser Typer comes with


def _plain(parameters: list[Any]) -> list[Any]:
    """Parameters as help shows them: switches and arguments have no type."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None
    return parameters


class _Command(typer.core.TyperCommand):
    """A command with plain switches, and with --help among the options that all commands have."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.rich_help_panel = COMMON
        return option


class _Group(typer.core.TyperGroup):
    """The group of all commands, with plain switches."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


app = typer.Typer(
    name="nmtkit",
    cls=_Group,
    help="Train translation models, translate, evaluate, and find out whether the search or the model is to blame.",
    epilog="A run: train-tokenizer, train, translate, evaluate, blame-analysis. Each command has its own --help; "
    "nmtkit guide is the manual.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
EPILOG = "In place of a FILE, - is standard input or standard output."
COMMANDS: dict[str, Callable[..., None]] = {
    "train-tokenizer": train_tokenizer,
    "train": train,
    "translate": translate,
    "inspect": inspect,
    "score": score,
    "evaluate": evaluate,
    "blame-analysis": blame_analysis,
    "blame-compare": blame_compare,
    "attention": attention,
    "compare": compare,
    "info": info,
    "guide": guide,
}
for name, command in COMMANDS.items():
    app.command(name, cls=_Command, epilog=EPILOG)(reporting(command))


def run() -> int:
    """Run the command that the arguments name; returns the exit code. Wrong usage is one line and code 2."""
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except UsageError as error:
        if len(sys.argv) < 2:
            error.show()  # no command at all: the help
        else:
            tell(f"nmtkit: {shortened(error.format_message())}")
        return USAGE
    except typer.Abort:
        return INTERRUPTED
    except OSError as error:  # of the help
        return failed(error)
    except SystemExit:  # Rich and Typer end so if the pipe that takes the help is closed
        if not {"--help", "-h", "--version"} & {*sys.argv}:
            raise
        return failed(BrokenPipeError())


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmtkit {nmtkit.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
