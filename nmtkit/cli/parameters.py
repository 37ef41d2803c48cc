"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from nmtkit.cli import paths
from nmtkit.cli.config import load_config, origin
from nmtkit.cli.errors import set_debug
from nmtkit.console import set_quiet
from nmtkit.decoding.objective import PENALTIES
from nmtkit.decoding.settings import SearchSettings
from nmtkit.devices import THREADS
from nmtkit.settings import Within, bounds, nearest, shown

if TYPE_CHECKING:
    from nmtkit.checkpoint import Facts
    from nmtkit.translator import Translator

SEARCH = "Search (the defaults are those of the model folder, see nmtkit info)"
MACHINE, COMMON = "Machine", "Common"
MANY = 1_000_000_000
"""The bounds of an option that declares none."""


def count(text: str, within: Within | int = 1, panel: str | None = None, default: str | bool = True) -> Any:
    """An option that takes a whole number within bounds, or one that is at least `within`.

    Args:
        default: the default in words, if that of the parameter is None.
    """
    check = _checking(Within(within, MANY) if isinstance(within, int) else within)
    return typer.Option(callback=check, metavar="N", help=text, rich_help_panel=panel, show_default=default)


def real(text: str, within: Within, panel: str | None = None, default: str | bool = True) -> Any:
    """An option that takes a number within bounds; `default` as for `count`."""
    check = _checking(within)
    return typer.Option(callback=check, metavar="X", help=text, rich_help_panel=panel, show_default=default)


def choice(
    text: str, values: tuple[str, ...], panel: str | None = None, default: str | bool = True, metavar: str | None = None
) -> Any:
    """An option that takes one of several words; `metavar` stands for them in the help if they are many."""

    def check(context: typer.Context, option: typer.CallbackParam, value: Any) -> Any:
        for word in value if isinstance(value, list) else [value]:
            if word is not None and word not in values:
                raise typer.BadParameter(f"{origin(context, option)}{word!r} is not known;{nearest(word, values)}")
        return value

    metavar = metavar or "|".join(values)
    return typer.Option(callback=check, metavar=metavar, help=text, rich_help_panel=panel, show_default=default)


def _checking(within: Within) -> Callable[..., Any]:
    """Callback of an option: the value, refused unless it is within the bounds."""

    def check(context: typer.Context, option: typer.CallbackParam, value: Any) -> Any:
        for number in value if isinstance(value, list) else [value]:
            if number is not None and number not in within:
                raise typer.BadParameter(f"{origin(context, option)}{shown(number)} is not possible: choose {within}")
        return value

    return check


def _flag(text: str, name: str, panel: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel)


def _count(name: str, text: str, default: str | bool = True) -> Any:
    """An option for a whole number among the settings of the search."""
    return count(text, bounds(SearchSettings, name), SEARCH, default)


def _real(name: str, text: str) -> Any:
    """An option for a number among the settings of the search."""
    return real(text, bounds(SearchSettings, name), SEARCH)


Folder = Annotated[Path, paths.argument(paths.PATH_TO_READ, "Model folder that `nmtkit train` made.", metavar="FOLDER")]
Folders = Annotated[
    list[Path], paths.argument(paths.PATH_TO_READ, "Model folder; several: an ensemble of them.", metavar="FOLDER")
]

LengthAlpha = Annotated[
    float | None, _real("length_alpha", "The score is log P / length^alpha: at 0 the sum, at 1 the mean per piece.")
]
LengthPenalty = Annotated[str | None, choice("length^alpha, or ((5 + length) / 6)^alpha.", PENALTIES, panel=SEARCH)]
SourceLang = Annotated[str, typer.Option("--source-lang", "-s", metavar="LANG", help="Ending of the source files.")]
TargetLang = Annotated[str, typer.Option("--target-lang", "-t", metavar="LANG", help="Ending of the target files.")]
BatchTokens = Annotated[int | None, _count("batch_tokens", "Most padded source pieces searched at a time.")]


@dataclass(frozen=True)
class SearchFlags:
    """The settings of a search that the user gave; None if not given."""

    beam: Annotated[int | None, _count("beam", "Hypotheses kept at each step; 1 is greedy search.")] = None
    length_alpha: LengthAlpha = None
    length_penalty: LengthPenalty = None
    max_length: Annotated[
        int | None,
        _count("max_length", "Most target pieces, with the end of sentence.", "2 × source pieces + 10"),
    ] = None
    max_length_ratio: Annotated[
        float | None, _real("max_length_ratio", "Most target pieces for each source piece.")
    ] = None
    min_length: Annotated[int | None, _count("min_length", "Fewest target pieces, with the end of sentence.")] = None
    min_length_ratio: Annotated[float | None, _real("min_length_ratio", "Fewest of them for each source piece.")] = None
    patience: Annotated[
        float | None, _real("patience", "Stop at patience × beam finished hypotheses: faster, may miss the best.")
    ] = None
    free_eos: Annotated[bool | None, _flag("Finished hypotheses take no beam slot.", "--free-eos", SEARCH)] = None
    forbid_unk: Annotated[bool | None, _flag("Never produce the unknown piece.", "--forbid-unk", SEARCH)] = None
    no_repeat_ngram: Annotated[
        int | None, _count("no_repeat_ngram", "Never repeat a sequence of N pieces; 0: no limit.")
    ] = None
    batch_tokens: BatchTokens = None


@dataclass(frozen=True)
class ObjectiveFlags:
    """The objective, for a command that does not search."""

    length_alpha: LengthAlpha = None
    length_penalty: LengthPenalty = None
    batch_tokens: BatchTokens = None


@dataclass(frozen=True)
class WeightsFlags:
    """The weights of a model folder to use."""

    weights: Annotated[str | None, choice("Which weights.", ("best", "last"), MACHINE, default="best")] = None


@dataclass(frozen=True)
class DeviceFlags:
    """The device that a model runs on."""

    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or cuda:N.", metavar="NAME", rich_help_panel=MACHINE, show_default="auto"),
    ] = None
    threads: Annotated[int | None, count("CPU threads.", THREADS, MACHINE, default="PyTorch's choice")] = None


@dataclass(frozen=True)
class MachineFlags(DeviceFlags, WeightsFlags):
    """The weights to use and the device that they run on."""


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        parser=paths.FILE_TO_READ,
        metavar="FILE",
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
COMMON_OPTIONS: dict[str, Any] = {"config": Config, "quiet": Quiet, "debug": Debug}
"""Options of every command. Their callbacks do the work; no command receives their values."""


def takes(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, for each name, a parameter that is a group of options.

    A group is a frozen dataclass whose fields are annotated with their options; the command gets an instance. The
    command line, its help and --config see the single options; those that all commands have come last. The files
    that they name are checked before the command begins.
    """
    members = {group: _members(kind) for group, kind in groups.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters: dict[str, inspect.Parameter] = {}
        for parameter in [*inspect.signature(command).parameters.values()]:
            if parameter.name in groups:
                parameters |= members[parameter.name]
            else:
                parameters[parameter.name] = parameter.replace(
                    annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY
                )
        parameters |= {name: _keyword(name, hint) for name, hint in COMMON_OPTIONS.items()}
        parameters = {
            name: parameter.replace(annotation=_documented(parameter.annotation, parameter.default))
            for name, parameter in parameters.items()
        }
        uses = paths.uses({name: parameter.annotation for name, parameter in parameters.items()})

        @functools.wraps(command)
        def run(**values: Any) -> None:
            paths.check(uses, values)
            for name in COMMON_OPTIONS:
                values.pop(name)
            chosen = {
                group: groups[group](**{name: values.pop(name) for name in options})
                for group, options in members.items()
            }
            command(**values, **chosen)

        run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
        run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)  # help wraps them itself
        run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        return run

    return decorate


@functools.cache  # hints of annotations are evaluated anew each time, which takes long
def _members(group: type) -> dict[str, inspect.Parameter]:
    """The options of a group as parameters."""
    hints = get_type_hints(group, include_extras=True)
    defaults = {field.name: None if field.default is MISSING else field.default for field in fields(group)}
    return {name: _keyword(name, hints[name], default) for name, default in defaults.items()}


def _documented(hint: Any, default: Any) -> Any:
    """A parameter with a name for its value and with its default in its help: the same style in all commands."""
    if get_origin(hint) is not Annotated:  # the context
        return hint
    kind, shared = get_args(hint)
    option = copy(shared)
    if option.metavar is None and _holds_paths(kind):
        option.metavar = "FILE"
    shown = option.show_default if isinstance(option.show_default, str) else default
    if shown not in (None, False, inspect.Parameter.empty):
        option.help = f"{option.help.removesuffix('.')} (default: {shown})."
    option.show_default = False
    return Annotated[kind, option]


def _holds_paths(kind: Any) -> bool:
    return kind is Path or any(map(_holds_paths, get_args(kind)))


def _keyword(name: str, hint: Any, default: Any = None) -> inspect.Parameter:
    """An option with its default; a switch without one is off."""
    default = False if default is None and get_args(hint)[0] is bool else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def given(*groups: Any, **options: Any) -> dict[str, Any]:
    """The options that the user gave (not None), from groups and single options, by name."""
    everything = {**{name: value for group in groups for name, value in vars(group).items()}, **options}
    return {name: value for name, value in everything.items() if value is not None}


def load_translator(folders: Sequence[Path], machine: MachineFlags) -> Translator:
    """The model of a folder, or the ensemble of several."""
    from nmtkit.translator import Translator

    return Translator.load(*folders, **given(machine))


def search_settings(model: Translator | Facts, search: SearchFlags | ObjectiveFlags, **more: Any) -> SearchSettings:
    """The folder's default settings with the options that the user gave."""
    try:
        return replace(model.defaults, **given(search, **more))
    except ValueError as error:
        raise typer.BadParameter(as_flags(str(error))) from None


def as_flags(text: str) -> str:
    """A message about settings of the search, with the names that these have on the command line."""
    names = "|".join([*(field.name for field in fields(SearchFlags)), "n_best"])
    return re.sub(rf"\b({names}) = ", lambda match: f"--{match[1].replace('_', '-')} ", text)


@contextmanager
def usage() -> Iterator[None]:
    """Turn a ValueError about options that do not fit together or are out of range into wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(as_flags(str(error))) from None
