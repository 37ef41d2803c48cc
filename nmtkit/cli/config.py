"""`--config FILE`: a TOML file that holds any option of a command; flags win.

Top-level keys are the command's flags (dashes or underscores). `train` reads the tables [model], [training] and
[tokenizer] besides, whose keys are the fields of the options of that name. FILE may also be the name of a recipe
that comes with nmtkit.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import typer

from nmtkit.settings import nearest

TABLES = ("model", "training", "tokenizer")


def load_config(context: typer.Context, name: str | None) -> str | None:
    """Callback of --config: its values become the defaults of the command's options."""
    if name is None or context.resilient_parsing:
        return name
    try:
        values = {key.replace("-", "_"): value for key, value in _read(name).items()}
        known = {str(parameter.name): parameter for parameter in context.command.params}
        takes_tables = context.command.name == "train"
        tables = {key: values.pop(key) for key in TABLES if takes_tables and isinstance(values.get(key), dict)}
        for key in values:
            if key not in known or key == "config":
                choices = [*(set(known) - {"config"}), *(TABLES if takes_tables else ())]
                raise ValueError(f"{name}: unknown key {key!r};{nearest(key, choices)}")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    context.default_map = {**(context.default_map or {}), **values}
    context.meta["nmtkit.tables"] = tables
    return name


def tables(context: typer.Context) -> dict[str, dict[str, Any]]:
    """The tables of the configuration file by name, empty where there is none."""
    given = context.meta.get("nmtkit.tables", {})
    return {name: dict(given.get(name, {})) for name in TABLES}


def recipes() -> list[str]:
    """Names of the recipes that come with nmtkit."""
    folder = resources.files("nmtkit.training") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.is_file():
        text = path.read_bytes().decode("utf-8")
    elif name in recipes():
        text = (resources.files("nmtkit.training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise ValueError(f"{name}: no such file, nor a recipe of nmtkit's ({', '.join(recipes())})")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name}: not TOML: {error}") from None
