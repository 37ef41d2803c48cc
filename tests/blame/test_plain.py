"""Facts written as JSON and read back: exactly the same, and anything else refused."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blame_toys import GREEDY_IS_BEATEN, SMALL, ask, toy

from nmtkit.blame.findings import Provenance
from nmtkit.blame.plain import SILENT, from_plain, known_as, to_plain
from nmtkit.blame.records import Record
from nmtkit.blame.search_errors import Budget


class Colour(StrEnum):
    RED = "red"
    NONE = ""


@dataclass(frozen=True)
class Inner:
    numbers: tuple[float, ...]
    colour: Colour


@dataclass(frozen=True)
class Outer:
    text: str
    whole: int
    yes: bool
    inner: Inner
    others: tuple[Inner, ...]
    perhaps: int | None


floats = st.floats(allow_nan=False)
inners = st.builds(Inner, st.lists(floats).map(tuple), st.sampled_from(Colour))
outers = st.builds(
    Outer,
    st.text(),
    st.integers(),
    st.booleans(),
    inners,
    st.lists(inners).map(tuple),
    st.none() | st.integers(),
)


@given(outers)
def test_what_was_written_is_read(value: Outer) -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(value), allow_nan=False))) == value


def test_records_of_an_analysis() -> None:
    """Losses, divergences and certificates too, and log P = −∞."""
    found = ask(toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN), "b", "abab", beam=1, exact=Budget(steps=1))
    assert found.records[0].parting and found.records[0].certificate and found.records[0].divergence
    records = (*found.records, *SMALL.records)
    assert any(record.reference.total == -math.inf for record in records)
    for record in records:
        assert from_plain(Record, json.loads(json.dumps(to_plain(record)))) == record
    assert from_plain(Provenance, to_plain(found.provenance)) == found.provenance
    assert to_plain(replace(SMALL.records[1].output, total=-math.inf))["total"] is None
    assert to_plain({"x": (math.inf, 0.0)}) == {"x": ["inf", 0.0]}


@dataclass(frozen=True)
class Newer(Inner):
    more: tuple[int, ...] = ()


def test_what_an_earlier_version_did_not_write_has_its_default() -> None:
    assert from_plain(Newer, {"numbers": [0.5], "colour": "red"}) == Newer((0.5,), Colour.RED, ())
    with pytest.raises(ValueError, match="'colour' is missing"):
        from_plain(Newer, {"numbers": [0.5]})


@dataclass(frozen=True)
class Keyed:
    parting: int = field(default=1, metadata=known_as("loss"))
    origin: str | None = field(default=None, metadata=SILENT)
    whole: int = 0


def test_a_field_has_another_key_or_is_silent_while_it_has_its_default() -> None:
    assert to_plain(Keyed()) == {"loss": 1, "whole": 0}
    assert list(to_plain(Keyed(2, "x"))) == ["loss", "origin", "whole"]
    for value in (Keyed(), Keyed(2, "x", 3)):
        assert from_plain(Keyed, to_plain(value)) == value
    assert from_plain(Keyed, {"loss": 5, "parting": 6}) == Keyed(5)
    assert from_plain(Keyed, {"loss": 5}, whole=7) == Keyed(5, whole=7), "known beforehand"


VALID: dict[str, Any] = to_plain(Outer("a", 1, True, Inner((0.5,), Colour.RED), (), None))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"text": 1}, "1 is of another type"),
        ({"whole": 1.5}, "1.5"),
        ({"whole": True}, "True"),
        ({"whole": None}, "None"),
        ({"yes": 1}, "1 is of another type"),
        ({"inner": []}, "not a table"),
        ({"inner": {"numbers": [1.0]}}, "'colour' is missing"),
        ({"inner": {"numbers": ["x"], "colour": "red"}}, "'x'"),
        ({"inner": {"numbers": 1.0, "colour": "red"}}, "not a list"),
        ({"inner": {"numbers": [], "colour": "blue"}}, "blue"),
        ({"others": {}}, "not a list"),
    ],
)
def test_what_nobody_wrote_is_refused(change: dict[str, Any], word: str) -> None:
    assert from_plain(Outer, VALID) == Outer("a", 1, True, Inner((0.5,), Colour.RED), (), None)
    with pytest.raises(ValueError, match=word):
        from_plain(Outer, {**VALID, **change})
