"""The `nmtkit` command: its subcommands and what they have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core

import nmtkit
from nmtkit.cli.errors import USAGE, failed, reporting, shortened
from nmtkit.cli.parameters import COMMON
from nmtkit.console import tell
from nmtkit.interrupts import INTERRUPTED

TEXT = "--train"
"""The option that `nmtkit train` takes several times."""
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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As a parser does: the last of several values counts, but no training text is dropped so."""
        _, _, given = self.make_parser(ctx).parse_args(args=[*args])
        times = sum(TEXT in option.opts and not getattr(option, "multiple", False) for option in given)
        if times > 1:
            raise UsageError(f"{TEXT} is given {times} times, but this command takes one text: run it once for each")
        return super().parse_args(ctx, args)

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


NAMES = (
    *("check-data", "train-tokenizer", "prepare", "train", "translate", "inspect", "score", "evaluate"),
    *("blame-analysis", "blame-compare", "attention", "compare", "history", "info", "export", "guide"),
)
"""The commands, in the order of the help. Each is the function of its name in the module of its name."""
EPILOG = "In place of a FILE, - is standard input or standard output."


def load(name: str) -> Callable[..., None]:
    """The function of a command; only now is its module imported."""
    module = name.replace("-", "_")
    command: Callable[..., None] = getattr(import_module(f"nmtkit.cli.{module}"), module)
    return command


def build(names: Iterable[str]) -> typer.Typer:
    """The application with some of its commands."""
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
    app.callback()(_common)
    for name in names:
        app.command(name, cls=_Command, epilog=EPILOG)(reporting(load(name)))
    return app


def __getattr__(name: str) -> Any:
    """`app`, which has all commands, and `COMMANDS`, their functions by name: both load everything."""
    if name == "COMMANDS":
        return {command: load(command) for command in NAMES}
    if name == "app":
        return build(NAMES)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def run() -> int:
    """Run the command that the arguments name; returns the exit code. Wrong usage is one line and code 2."""
    try:
        word = sys.argv[1] if len(sys.argv) > 1 else ""
        app = build([word] if word in NAMES else () if word == "--version" else NAMES)
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except UsageError as error:
        if len(sys.argv) < 2:
            error.show()  # no command at all: the help
        else:
            if os.environ.get("RANK", "0") == "0":  # under torchrun all processes are called wrongly; one says so
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


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
