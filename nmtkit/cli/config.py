"""`--config FILE`: a TOML file that holds any option of a command; flags win.

Top-level keys are the command's flags (dashes or underscores). `train` reads the tables [model], [training] and
[tokenizer] besides, whose keys are the fields of the options of that name; `tokenizer = "FILE"` is the flag. FILE may
also be the name of a recipe that comes with nmtkit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import typer

from nmtkit.settings import nearest

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}


def load_config(context: typer.Context, name: Path | None) -> Path | None:
    """Callback of --config: its values become the defaults of the command's options."""
    if name is None or context.resilient_parsing:
        return name
    from nmtkit.training.config import read_values, take_tables

    command, own = str(context.command.name), context.command.callback
    assert own is not None
    try:
        values = {key.replace("_", "-"): value for key, value in read_values(str(name)).items()}
        known = flags(own)
        tables = take_tables(values, str(name)) if command == "train" else {}
        for key in values:
            if key not in known:
                raise ValueError(f"{name}: unknown key {key!r};{nearest(key, [*known, *tables])}")
        defaults = {known[key][0]: _checked(value, known[key][1], f"{name}: {key}") for key, value in values.items()}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    context.default_map = {**(context.default_map or {}), **defaults}
    context.meta.update({"nmtkit.tables": tables, "nmtkit.config": name})
    return name


def origin(context: typer.Context, option: typer.CallbackParam) -> str:
    """The beginning of an error message: the configuration file that an option's value comes from, or nothing."""
    source = context.get_parameter_source(str(option.name))
    return f"{context.meta['nmtkit.config']}: " if source is not None and source.name == "DEFAULT_MAP" else ""


def tables(context: typer.Context) -> dict[str, dict[str, Any]]:
    """The tables of the configuration file by name; empty if there is no file."""
    return dict(context.meta.get("nmtkit.tables", {}))


def config_of(context: typer.Context) -> Path | None:
    """The configuration file of a command, or None."""
    return context.meta.get("nmtkit.config")


def flags(command: Callable[..., None]) -> dict[str, tuple[str, Any]]:
    """The long flags of a command, without their dashes and without --config: parameter name and type of each."""
    flags: dict[str, tuple[str, Any]] = {}
    for name, hint in get_type_hints(command, include_extras=True).items():
        kind, *facts = get_args(hint) if get_origin(hint) is not None else (hint,)
        for fact in facts:
            if isinstance(fact, typer.models.OptionInfo) and name != "config":
                longs = [text for text in (fact.default, *(fact.param_decls or ())) if str(text).startswith("--")]
                flag = str(longs[0]).split("/")[0] if longs else f"--{name}"
                flags[flag.removeprefix("--").replace("_", "-")] = (name, kind)
    return flags


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value, refused unless it has the parameter's type. A path is a text; a list of one item may be the item."""
    (kind,) = [kind for kind in (get_args(hint) if get_origin(hint) is UnionType else (hint,)) if kind is not NoneType]
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        return [_checked(part, item, where) for part in (value if isinstance(value, list) else [value])]
    kind = str if kind is Path else kind
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ValueError(f"{where} = {value!r} is not {KINDS[kind]}")
