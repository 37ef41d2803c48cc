"""Settings as frozen dataclasses: read from and written to the plain mappings of TOML and JSON, checked by type."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls`; keys that are missing take their defaults.

    Raises ValueError beginning with `where` (a file, a table) for an unknown key, a value of another type, a missing
    key without default, and whatever the dataclass itself refuses.
    """
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: {mapping!r} is not a table of keys and values; restore a copy")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise ValueError(f"{where}: unknown key {key!r};{nearest(key, fields)}")
    hints = typing.get_type_hints(cls)
    values = {key: _checked(value, hints[key], f"{where}: {key}") for key, value in mapping.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ValueError(f"{where}: the key {name!r} is missing; add it ({_describe(hints[name])})")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def to_mapping(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass instance by name, tuples as lists; `from_mapping` takes them back."""
    values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance) if field.init}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: " did you mean 'y'?" or, if nothing is near, the list of what is known."""
    choices = list(known)
    matches = difflib.get_close_matches(word, choices, n=1)
    return f" did you mean {matches[0]!r}?" if matches else f" known are {', '.join(choices)}"


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value as the type asks for it (an int becomes a float, a list a tuple); ValueError if it does not fit."""
    for kind in _alternatives(hint):
        if kind is float and type(value) is int:
            try:
                return float(value)
            except OverflowError:
                break
        if typing.get_origin(kind) is tuple:
            if isinstance(value, list | tuple) and all(type(item) is str for item in value):
                return tuple(value)
        elif type(value) is kind:
            return value
    raise ValueError(f"{where} = {value!r} is not {_describe(hint)}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """`X | None` as (X, NoneType), anything else alone; asserts that the type is one that settings support."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kinds = typing.get_args(hint) if union else (hint,)
    assert set(kinds) <= {int, float, bool, str, types.NoneType, tuple[str, ...]}, f"unsupported settings type {hint}"
    return kinds


def _describe(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text in quotes",
        types.NoneType: "null",
        tuple[str, ...]: "a list of texts",
    }
    return " or ".join(names[kind] for kind in _alternatives(hint))
