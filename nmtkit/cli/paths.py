"""The files of a command: each parameter says whether it is read or written; all are checked before the command begins.

In place of a file, `-` is standard input if it is read and standard output if it is written. No result may replace a
file that the command reads, another result, or a file that belongs to a model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import typer

from nmtkit import files

STANDARD = Path(files.STANDARD)
MODEL_FILES = (
    *("options.json", "weights.safetensors", "last.safetensors", "history.jsonl"),
    *("tokenizer.model", "tokenizer.source.model", "tokenizer.target.model", "tokenizer.source.json"),
)
MODEL_FOLDERS = ("training",)
"""The names of the files and folders of a model folder. Every file inside these folders belongs to the model."""
MARKS = ("options.json", "weights.safetensors", "last.safetensors")
"""Files each of which makes a folder a model folder, even a damaged one."""


@dataclass(frozen=True)
class Use:
    """What a command does with a path; Typer calls it to turn the text of a parameter into the path."""

    reads: bool = False
    """What the path names must not be written over."""
    writes: bool = False
    """A file is replaced when the command succeeds."""
    streams: bool = False
    """`-` is standard input or standard output."""
    makes_parents: bool = False
    """The folders above a file that is written need not exist."""
    makes_folder: bool = False
    """The path names a folder, which need not exist."""

    __name__ = "path"  # Typer asks every parser for it

    def __call__(self, text: str) -> Path:
        """The path of a name; `./-` keeps its folder, so that it is no standard stream."""
        if not str(text):
            raise typer.BadParameter("the name is empty; name a file or folder")
        path = Path(text)
        return Path.cwd() / path if path == STANDARD and str(text) != files.STANDARD else path


FILE_TO_READ = Use(reads=True, streams=True)
FILE_TO_WRITE = Use(writes=True, streams=True)
FILE_IN_NEW_FOLDERS = Use(writes=True, streams=True, makes_parents=True)
FILE_TO_CONTINUE = Use(reads=True, writes=True)
PATH_TO_READ = Use(reads=True)
FOLDER_TO_WRITE = Use(makes_folder=True)
PREFIX_TO_READ = Use()


def read(text: str, *names: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names a file which the command reads."""
    return option(FILE_TO_READ, text, *names, panel=panel, default=default)


def written(text: str, *names: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names a file for a result."""
    return option(FILE_TO_WRITE, text, *names, panel=panel, default=default)


def prefix(text: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names the common beginning of several files which the command reads."""
    return option(PREFIX_TO_READ, text, metavar="PREFIX", panel=panel, default=default)


def output_folder(text: str, *names: str, panel: str | None = None) -> Any:
    """An option that names a folder for the results of the command."""
    return option(FOLDER_TO_WRITE, text, *names, metavar="FOLDER", panel=panel)


def option(
    use: Use,
    text: str,
    *names: str,
    metavar: str = "FILE",
    panel: str | None = None,
    default: str | bool = False,
) -> Any:
    """An option that names a path for a use; `default` says in words what its default is, if it has one."""
    return typer.Option(*names, parser=use, metavar=metavar, help=text, rich_help_panel=panel, show_default=default)


def argument(use: Use, text: str, metavar: str) -> Any:
    """An argument that names a path for a use."""
    return typer.Argument(parser=use, metavar=metavar, help=text, show_default=False)


@dataclass(frozen=True)
class Named:
    """A path and the flag that names it."""

    flag: str
    path: Path

    def __str__(self) -> str:
        return f"{self.flag} {self.path}"


def named(**values: Any) -> list[Named]:
    """The files among the values of flags, without the standard streams."""
    return [
        Named(f"--{name.replace('_', '-')}", path)
        for name, value in values.items()
        for path in _listed(value)
        if isinstance(path, Path) and path != STANDARD
    ]


def distinct(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their names, or by their paths where names are equal; a folder that is named twice is refused."""
    names = [folder.name or str(folder) for folder in folders]
    named = {
        name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, folders, strict=True)
    }
    if len(named) < len(folders):
        raise typer.BadParameter("a folder is named twice: name each once")
    return named


def uses(hints: Mapping[str, Any]) -> dict[str, tuple[str, Use]]:
    """The parameters of a command that name files, each with its flag and what the command does with the file."""
    uses: dict[str, tuple[str, Use]] = {}
    for name, hint in hints.items():
        for fact in get_args(hint):
            if isinstance(fact, typer.models.ParameterInfo) and isinstance(fact.parser, Use):
                names = (fact.default, *(getattr(fact, "param_decls", None) or ()))
                flags = [text for text in names if _is_flag(text)]
                uses[name] = str(flags[0]) if flags else _flag(name, fact), fact.parser
    return uses


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_flag(text: Any) -> bool:
    return isinstance(text, str) and text.startswith("--")


def _flag(name: str, fact: typer.models.ParameterInfo) -> str:
    is_option = isinstance(fact, typer.models.OptionInfo)
    return f"--{name.replace('_', '-')}" if is_option else str(fact.metavar or name.upper())


def check(uses: Mapping[str, tuple[str, Use]], values: Mapping[str, Any]) -> None:
    """Refuse files of a command that would be lost or cannot be written, and a standard stream used twice.

    Raises:
        typer.BadParameter: where a file would be lost, or a stream is used twice.
        ValueError: where something else has the name, or there is no folder for it.
    """
    named = [
        (use, Named(flag, path))
        for name, (flag, use) in uses.items()
        for path in _listed(values[name])
        if path is not None
    ]
    for use, file in named:
        if use == FILE_TO_CONTINUE and file.path == STANDARD:
            raise typer.BadParameter(f"{file}: is read again when the command goes on; name a file")
        if use.makes_folder and file.path.exists() and not file.path.is_dir():
            raise ValueError(f"{file}: is a file; name a folder")
    streams = [(use, file) for use, file in named if use.streams and file.path == STANDARD]
    inputs = [file for use, file in streams if use.reads]
    if len(inputs) > 1:
        raise typer.BadParameter(f"{inputs[0]} and {inputs[1]}: standard input is read once only; name a file for one")
    outputs = [file for use, file in streams if use.writes]
    if len(outputs) > 1:
        raise typer.BadParameter(f"{outputs[0]} and {outputs[1]} cannot share standard output: write one to a file")
    on_disk = [(use, file) for use, file in named if (use, file) not in streams]
    for use, file in on_disk:
        if use.writes:
            check_writable(file, use.makes_parents)
    keep_apart(
        [part for use, file in on_disk if use.reads and not use.writes for part in _parts(file)],
        [file for use, file in on_disk if use.writes],
    )


def check_writable(file: Named, parents: bool = False) -> None:
    """ValueError if no file can be written under this name."""
    try:
        files.check_replaceable(file.path, parents)
    except ValueError as error:
        raise ValueError(f"{file.flag} {error}") from None


def keep_apart(read: Iterable[Named], written: Iterable[Named]) -> None:
    """Refuse to write over a file that is read or that belongs to a model, and to write twice to one file."""
    reads, writes = list(read), list(written)
    for number, file in enumerate(writes):
        if file.path.exists() and not file.path.is_file():
            continue  # a device or a pipe
        if (folder := _model_of(file.path)) is not None:
            raise typer.BadParameter(f"{file} belongs to the model in {folder}: name another file")
        if twin := _twin(file, reads):
            raise typer.BadParameter(f"{file} is read and written ({twin.flag} names it, too): name another file")
        if twin := _twin(file, writes[:number]):
            raise typer.BadParameter(f"{file} is written twice ({twin.flag} names it, too): name another file")


def _parts(named: Named) -> Iterator[Named]:
    """A file, or the files of a model folder, which may be links to other places."""
    if not named.path.is_dir():
        yield named
        return
    for name in MODEL_FILES:
        if (named.path / name).exists():
            yield Named(named.flag, named.path / name)


def _twin(file: Named, others: Iterable[Named]) -> Named | None:
    """The first of the others that names the same file."""
    return next((other for other in others if _same(file.path, other.path)), None)


def _same(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return os.path.samefile(first, second)
    return os.path.realpath(first) == os.path.realpath(second)


def _model_of(path: Path) -> Path | None:
    """The model folder that a file belongs to by its name, whether or not it is there."""
    for real in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        for folder in real.parents:
            inside = real.relative_to(folder).parts
            own = inside[0] in MODEL_FOLDERS or (len(inside) == 1 and inside[0] in MODEL_FILES)
            if own and any((folder / mark).is_file() for mark in MARKS):
                return folder
    return None
