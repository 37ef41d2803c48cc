"""Dataclasses from mappings and back."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit import settings


@dataclasses.dataclass(frozen=True)
class Options:
    steps: int = 10
    rate: float = 0.5
    shared: bool = True
    name: str = "small"
    limit: int | None = None
    share: float | None = None
    marks: tuple[str, ...] = ("a",)

    def __post_init__(self):
        if self.steps == 666:
            raise ValueError("steps = 666 is too many")


@dataclasses.dataclass(frozen=True)
class Needy:
    path: str


NUMBER = st.floats(allow_nan=False)
OPTIONS = st.builds(
    Options,
    steps=st.integers().filter(lambda steps: steps != 666),
    rate=NUMBER,
    shared=st.booleans(),
    name=st.text(),
    limit=st.none() | st.integers(),
    share=st.none() | NUMBER,
    marks=st.lists(st.text()).map(tuple),
)


@given(options=OPTIONS)
def test_there_and_back_through_json(options):
    mapping = settings.to_mapping(options)
    assert type(mapping["marks"]) is list
    mapping = json.loads(json.dumps(mapping))
    assert settings.from_mapping(Options, mapping, "here") == options


def test_missing_keys_take_defaults():
    assert settings.from_mapping(Options, {}, "here") == Options()
    assert settings.from_mapping(Options, {"steps": 3}, "here") == Options(steps=3)


def test_a_whole_number_is_a_number_and_becomes_a_float():
    options = settings.from_mapping(Options, {"rate": 2, "share": 1}, "here")
    assert (options.rate, options.share) == (2.0, 1.0)
    assert type(options.rate) is float and type(options.share) is float


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"stepps": 1}, r"^a\.toml: unknown key 'stepps'; did you mean 'steps'\?$"),
        ({"xyzzy": 1}, r"unknown key 'xyzzy'; known are steps, rate, shared, name, limit, share, marks"),
        ({"steps": True}, r"^a\.toml: steps = True is not a whole number$"),
        ({"steps": 1.0}, r"steps = 1\.0 is not a whole number"),
        ({"steps": "1"}, r"steps = '1' is not a whole number"),
        ({"steps": None}, r"steps = None is not a whole number"),
        ({"rate": False}, r"rate = False is not a number"),
        ({"rate": 10**400}, "rate = 1e400 is not a number"),
        ({"shared": 1}, r"shared = 1 is not true or false"),
        ({"name": 1}, r"name = 1 is not a text in quotes"),
        ({"limit": 1.5}, r"limit = 1\.5 is not a whole number or null"),
        ({"marks": "abc"}, r"marks = 'abc' is not a list of texts"),
        ({"marks": [1]}, r"marks = \[1\] is not a list of texts"),
        ({"steps": 666}, r"^a\.toml: steps = 666 is too many$"),
    ],
)
def test_what_is_refused(mapping, message):
    with pytest.raises(ValueError, match=message) as caught:
        settings.from_mapping(Options, mapping, "a.toml")
    assert "\n" not in str(caught.value)


@given(key=st.text(), value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_any_mapping_gives_options_or_one_clear_line(key, value):
    for name in (key, *(field.name for field in dataclasses.fields(Options))):
        try:
            settings.from_mapping(Options, {name: value}, "here")
        except ValueError as error:
            assert str(error).startswith("here: ") and "\n" not in str(error)


def test_a_key_without_default_is_asked_for():
    with pytest.raises(ValueError, match=r"^a\.toml: the key 'path' is missing; add it \(a text in quotes\)$"):
        settings.from_mapping(Needy, {}, "a.toml")


def test_nearest():
    assert settings.nearest("transfomer", ["lstm", "transformer"]) == " did you mean 'transformer'?"
    assert settings.nearest("zzz", ["lstm", "gru"]) == " known are lstm, gru"
