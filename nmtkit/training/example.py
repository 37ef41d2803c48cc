"""The example of a configuration: every key with its default, bounds and meaning, taken from the dataclasses."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from nmtkit.models.options import FAMILIES, ModelOptions, options_to_mapping, preset
from nmtkit.settings import all_bounds, to_mapping
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.config import PRESET, Place
from nmtkit.training.options import TrainingOptions

WIDTH = 100
HEAD = """\
A configuration of nmtkit train: every key with its default. nmtkit train --config FILE reads it, flags win over it.
A key behind a # has no default, or none that could be written: take the # away to set it.
"""
MODEL = f"""\
The model, here that of the preset {PRESET}. In place of all this, preset = "NAME" at the top takes another one, and
keys of this table then change it.
"""
VALUES: Mapping[str, Any] = {
    "train": "data/train",
    "dev": "data/dev",
    "source_lang": "fr",
    "target_lang": "en",
    "output": "runs/model",
    "tokenizer": "tokenizer.model",
    "cache": "cache",
    "init_from": "runs/parent",
    "preset": PRESET,
    "tie_source": True,
}
"""Values to show for keys without a default; a number shows its smallest value."""


def example() -> str:
    """The text of the file, which changes nothing unless it is edited."""
    tables = {"training": TrainingOptions, "tokenizer": TokenizerOptions}
    default, others = preset(PRESET), [kind for kind in FAMILIES.values() if kind is not type(preset(PRESET))]
    parts: list[Iterable[str]] = [
        _comment(HEAD),
        _keys(Place, {}),
        *(["", f"[{name}]", *_keys(kind, to_mapping(kind()))] for name, kind in tables.items()),
        ["", *_comment(MODEL), "[model]", *_model(default)],
    ]
    for kind in others:
        head = f"A {kind.family} model has these keys in place of those above; shown are its own defaults."
        parts.append(["", *_comment(head), "#[model]", *(_off(line) for line in _model(kind()))])
    return "\n".join(line for part in parts for line in part) + "\n"


def descriptions(kind: type) -> dict[str, str]:
    """What the docstrings of a dataclass and its base classes say about each field."""
    descriptions: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        _, _, attributes = (cls.__doc__ or "").partition("Attributes:\n")
        for entry in re.split(r"\n(?= {8}\w)", attributes.split("\n\n")[0].rstrip()):
            names, _, text = " ".join(entry.split()).partition(": ")
            descriptions |= dict.fromkeys(names.split(", "), text)
    return descriptions


def _model(options: ModelOptions) -> Iterator[str]:
    yield f"family = {json.dumps(options.family)}"
    yield from _keys(type(options), options_to_mapping(options))


def _keys(kind: type, values: Mapping[str, Any]) -> Iterator[str]:
    """Each key with its comment; a key without a value is commented out."""
    meanings, within = descriptions(kind), all_bounds(kind)
    for field in fields(kind):
        default = values.get(field.name, field.default)
        known = isinstance(default, bool | int | float | str | list)
        limits = within.get(field.name)
        yield ""
        yield from _comment(" ".join(map(_sentence, [meanings[field.name], *([str(limits)] if limits else [])])))
        value = default if known else VALUES.get(field.name, limits and limits.low)
        line = f"{field.name} = {json.dumps(value, ensure_ascii=False)}"
        yield line if known else _off(line)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _sentence(text: str) -> str:
    """A text with a capital and a full stop, and without Python's names for values that TOML does not have."""
    text = re.sub(r"\b(null|None)\b", "left out", text.rstrip("."))
    return f"{text[0].upper()}{text[1:]}."


def _off(line: str) -> str:
    """A line that is commented out."""
    return line if line.startswith("#") or not line else f"#{line}"
