"""The files of a command: each parameter says whether it is read or written; all are checked before the command begins.

In place of a file, `-` is standard input where it is read and standard output where it is written. No result may take
the place of what the command reads, of another result, or of a file that belongs to a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""Names of what a model folder holds; all in its folders is its own."""
MARKS = ("options.json", "weights.safetensors", "last.safetensors")
"""Any of them makes a folder a model folder, be it a damaged one."""


def _path(text: str | Path) -> Path:
    """The path of a name; `./-` keeps its folder, so that it is no standard stream."""
    if not str(text):
        raise typer.BadParameter("the name is empty; name a file or folder")
    path = Path(text)
    return Path.cwd() / path if path == STANDARD and str(text) != files.STANDARD else path


# What typer calls to make a path of a parameter says what the command does with it.


def file_to_read(text: str) -> Path:
    return _path(text)


def file_to_write(text: str) -> Path:
    return _path(text)


def file_to_write_in_new_folders(text: str) -> Path:
    return _path(text)


def file_to_go_on_with(text: str) -> Path:
    """Read and then replaced."""
    return _path(text)


def folder_to_read(text: str) -> Path:
    return _path(text)


def folder_to_write(text: str) -> Path:
    return _path(text)


def prefix_to_read(text: str) -> Path:
    """Of several files."""
    return _path(text)


def tokenizer_to_read(text: str) -> Path:
    """A file or a folder."""
    return _path(text)


READ = (file_to_read, file_to_go_on_with, folder_to_read, tokenizer_to_read)
STREAMED = (file_to_read, file_to_write, file_to_write_in_new_folders)
WRITTEN = (file_to_write, file_to_write_in_new_folders, file_to_go_on_with)
USES = (*READ, *WRITTEN, folder_to_write, prefix_to_read)

Use = Callable[[str], Path]


def read(text: str, *names: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names a file which the command reads."""
    return option(file_to_read, text, *names, panel=panel, default=default)


def written(text: str, *names: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names a file for a result."""
    return option(file_to_write, text, *names, panel=panel, default=default)


def prefix(text: str, panel: str | None = None, default: str | bool = False) -> Any:
    """An option that names files which the command reads, by what their names begin with."""
    return option(prefix_to_read, text, metavar="PREFIX", panel=panel, default=default)


def made(text: str, *names: str, panel: str | None = None) -> Any:
    """An option that names a folder for what the command makes."""
    return option(folder_to_write, text, *names, metavar="FOLDER", panel=panel)


def option(
    use: Use,
    text: str,
    *names: str,
    metavar: str = "FILE",
    panel: str | None = None,
    default: str | bool = False,
) -> Any:
    """An option that names what the command uses so; `default` in words, if it has one."""
    return typer.Option(*names, parser=use, metavar=metavar, help=text, rich_help_panel=panel, show_default=default)


def argument(use: Use, text: str, metavar: str) -> Any:
    """An argument that names what the command uses so."""
    return typer.Argument(parser=use, metavar=metavar, help=text, show_default=False)


@dataclass(frozen=True)
class Named:
    """A path and the flag that names it."""

    flag: str
    path: Path

    def __str__(self) -> str:
        return f"{self.flag} {self.path}"


def named(**values: Any) -> list[Named]:
    """The files among the values of flags, standard streams left out."""
    return [
        Named(f"--{name.replace('_', '-')}", path)
        for name, value in values.items()
        for path in _listed(value)
        if isinstance(path, Path) and path != STANDARD
    ]


def uses(hints: Mapping[str, Any]) -> dict[str, tuple[str, Use]]:
    """Of a command's parameters those that name files: the flag of each, and what is done with the file."""
    found: dict[str, tuple[str, Use]] = {}
    for name, hint in hints.items():
        for fact in get_args(hint):
            if isinstance(fact, typer.models.ParameterInfo) and fact.parser in USES:
                flags = [one for one in (fact.default, *(getattr(fact, "param_decls", None) or ())) if _is_flag(one)]
                found[name] = str(flags[0]) if flags else _flag(name, fact), fact.parser
    return found


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
    for use, one in named:
        if use is file_to_go_on_with and one.path == STANDARD:
            raise typer.BadParameter(f"{one}: is read again when the command goes on; name a file")
        if use is folder_to_write and one.path.exists() and not one.path.is_dir():
            raise ValueError(f"{one}: is a file; name a folder")
    streams = [(use, one) for use, one in named if use in STREAMED and one.path == STANDARD]
    taken = [one for use, one in streams if use in READ]
    if len(taken) > 1:
        raise typer.BadParameter(f"{taken[0]} and {taken[1]}: standard input is read once only; name a file for one")
    shared = [one for use, one in streams if use in WRITTEN]
    if len(shared) > 1:
        raise typer.BadParameter(f"{shared[0]} and {shared[1]} cannot share standard output: write one to a file")
    on_disk = [(use, one) for use, one in named if (use, one) not in streams]
    for use, one in on_disk:
        if use in WRITTEN:
            _check_writable(one, parents=use is file_to_write_in_new_folders)
    keep_apart(
        [part for use, one in on_disk if use in READ and use not in WRITTEN for part in _parts(one)],
        [one for use, one in on_disk if use in WRITTEN],
    )


def _check_writable(one: Named, parents: bool) -> None:
    try:
        files.check_replaceable(one.path, parents)
    except ValueError as error:
        raise ValueError(f"{one.flag} {error}") from None


def keep_apart(read: Iterable[Named], written: Iterable[Named]) -> None:
    """Refuse to write over a file that is read, over one that belongs to a model, or twice into one."""
    reads, writes = list(read), list(written)
    for number, one in enumerate(writes):
        if one.path.exists() and not one.path.is_file():
            continue  # a device or a pipe
        if (folder := _model_of(one.path)) is not None:
            raise typer.BadParameter(f"{one} belongs to the model in {folder}: name another file")
        if other := next((other for other in reads if _same(one.path, other.path)), None):
            raise typer.BadParameter(f"{one} is read and written ({other.flag} names it, too): name another file")
        if other := next((other for other in writes[:number] if _same(one.path, other.path)), None):
            raise typer.BadParameter(f"{one} is written twice ({other.flag} names it, too): name another file")


def _parts(one: Named) -> Iterator[Named]:
    """A file, or the files of a model folder, which may be links to elsewhere."""
    if not one.path.is_dir():
        yield one
        return
    for name in MODEL_FILES:
        if (one.path / name).exists():
            yield Named(one.flag, one.path / name)


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def _model_of(path: Path) -> Path | None:
    """The model folder that a file belongs to by its name, whether or not it is there."""
    for real in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        for folder in real.parents:
            inside = real.relative_to(folder).parts
            own = inside[0] in MODEL_FOLDERS or (len(inside) == 1 and inside[0] in MODEL_FILES)
            if own and any((folder / mark).is_file() for mark in MARKS):
                return folder
    return None
