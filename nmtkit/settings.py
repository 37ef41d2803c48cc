"""Settings as frozen dataclasses: converted from and to TOML and JSON, and checked by type and bounds."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import numbers
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Within:
    """The bounds of a number. A field of a dataclass is annotated with them: `beam: Annotated[int, Within(1, 100)]`.

    Attributes:
        low: the least value.
        high: the greatest value.
        above: the value must be above `low`.
        below: the value must be below `high`.
        usual: the usual value, for error messages, or None.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    usual: float | None = None

    def __contains__(self, value: Any) -> bool:
        high_enough = self.low < value if self.above else self.low <= value
        return bool(high_enough and (value < self.high if self.below else value <= self.high))

    def __str__(self) -> str:
        low, high = (f"{bound:,}" if isinstance(bound, int) else f"{bound:g}" for bound in (self.low, self.high))
        usual = "" if self.usual is None else f", usually {self.usual:g}"
        if self.above:
            return f"more than {low} and {'below' if self.below else 'at most'} {high}{usual}"
        return f"from {low} to {'below ' if self.below else ''}{high}{usual}"

    def check(self, name: str, value: Any, whole: bool = False) -> None:
        """ValueError unless the value is a number (a whole one) within the bounds."""
        kind: type = numbers.Integral if whole else numbers.Real
        if not isinstance(value, kind):
            raise ValueError(f"{name} = {shown(value)} is not a {'whole ' * whole}number: choose {self}")
        if value not in self:
            raise ValueError(f"{name} = {shown(value)} is not possible: choose {self}")


SEED = Within(0, 2**32 - 1)
"""The bounds of the seed of a random generator; NumPy takes no larger one."""


def check_bounds(instance: Any) -> None:
    """ValueError if a field of a dataclass instance has a value outside the bounds in its annotation."""
    cls: type = type(instance)
    for name, (within, whole) in _bounded(cls).items():
        value = getattr(instance, name)
        if value is not None:
            within.check(name, value, whole)


def bounds(cls: type, name: str) -> Within:
    """The bounds that a field of a dataclass is annotated with."""
    return _bounded(cls)[name][0]


def all_bounds(cls: type) -> dict[str, Within]:
    """The bounds of all fields of a dataclass that have bounds, by name."""
    return {name: within for name, (within, _) in _bounded(cls).items()}


@functools.cache
def _bounded(cls: type) -> dict[str, tuple[Within, bool]]:
    """The fields that have bounds: the bounds, and whether the number must be whole."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {
        name: (fact, float not in _alternatives(typing.get_args(hint)[0]))
        for name, hint in hints.items()
        if typing.get_origin(hint) is typing.Annotated
        for fact in typing.get_args(hint)[1:]
        if type(fact) is Within
    }


def shown(value: Any) -> str:
    """A value as an error message shows it; a whole number of many digits is shown by its size."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return f"{'-' * (value < 0)}1e{math.floor(math.log10(abs(value)))}"
    return repr(value)


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls`; missing keys take their defaults.

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
    """The end of an error message: " did you mean 'y'?" or, if no known word is near, the list of them."""
    choices = list(known)
    matches = difflib.get_close_matches(word, choices, n=1)
    return f" did you mean {matches[0]!r}?" if matches else f" known are {', '.join(choices)}"


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value converted to the type (an int to a float, a list to a tuple); ValueError if it does not fit."""
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
    raise ValueError(f"{where} = {shown(value)} is not {_describe(hint)}")


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
