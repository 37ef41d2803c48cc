"""Turn facts into what JSON can hold, and back: a later command reads what a report wrote.

A field of a dataclass may have another key in JSON, and may be left out while it has its default.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")

SILENT = types.MappingProxyType({"silent": True})
"""Metadata of a field that is left out while it has its default."""


def known_as(key: str) -> Mapping[str, Any]:
    """Metadata of a field that has another key in files."""
    return {"key": key}


def _key(field: Field[Any]) -> str:
    return str(field.metadata.get("key", field.name))


def to_plain(value: Any) -> Any:
    """The value as mappings, lists, texts and numbers. JSON has no infinity: −∞ becomes null and ∞ the text "inf"."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = [field for field in fields(value) if not (field.metadata.get("silent") and _usual(field, value))]
        return {_key(field): to_plain(getattr(value, field.name)) for field in shown}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if value < 0 else str(value)
    return value.value if isinstance(value, StrEnum) else value


def _usual(field: Field[Any], value: Any) -> bool:
    return bool(getattr(value, field.name) == field.default)


def from_plain(kind: type[T], value: Any, **known: Any) -> T:
    """The inverse of `to_plain` for a dataclass of numbers, texts, enumerations, tuples and other such dataclasses.

    A missing field has its default, so that files of an earlier version can be read.

    Args:
        known: values of the fields that are not read from `value`.

    Raises:
        ValueError: for a value that `to_plain` cannot have made.
    """
    parsed: T = _parsed(kind, value, known)
    return parsed


def _parsed(kind: Any, value: Any, known: Mapping[str, Any] = types.MappingProxyType({})) -> Any:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _parsed(inner, value)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is not a list")
        return tuple(_parsed(arguments[0], item) for item in value)
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is not a table")
        hints, read = typing.get_type_hints(kind), [field for field in fields(kind) if field.name not in known]
        if missing := [_key(field) for field in read if _key(field) not in value and field.default is MISSING]:
            raise ValueError(f"{missing[0]!r} is missing")
        given = {field.name: _parsed(hints[field.name], value[_key(field)]) for field in read if _key(field) in value}
        return kind(**given, **known)
    if kind is float:
        if value in (None, "inf"):
            return -math.inf if value is None else math.inf
        kind = (float, int)
    elif issubclass(kind, StrEnum):
        return kind(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{value!r} is of another type")
    return float(value) if kind == (float, int) else value
