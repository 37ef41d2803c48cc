"""Settings of the search: every number has bounds, which no search needs to cross and nothing beyond gets past."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.settings import SearchSettings

LENGTH, RATIO = (1, 10_000), (1e-300, 100.0)
BOUNDS: dict[str, tuple[float, float]] = {
    "beam": (1, 10_000), "length_alpha": (0.0, 10.0), "n_best": (1, 5), "max_length": LENGTH, "min_length": LENGTH,
    "max_source": (1, 100_000), "batch_tokens": (1, 1_000_000), "max_length_ratio": RATIO, "min_length_ratio": RATIO,
    "patience": (1e-308, 1000.0), "no_repeat_ngram": (0, 10_000),
}  # fmt: skip
"""The least and the greatest value of every number; `n_best` is bounded by the beam of 5 besides."""


def test_every_number_is_in_the_table() -> None:
    kinds = {field.name: str(field.type) for field in dataclasses.fields(SearchSettings)}
    assert {name for name, kind in kinds.items() if "int" in kind or "float" in kind} == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_themselves_are_possible(name: str) -> None:
    for value in BOUNDS[name]:
        settings = SearchSettings(**{name: value})
        assert getattr(settings, name) == value
        least, most = settings.lengths(1000)
        assert 1 <= least <= most <= 100_000


@pytest.mark.parametrize("name", BOUNDS)
@given(value=st.sampled_from([-1, 10**9, 10**23, -(10**23), 10**400, math.nan, math.inf, -math.inf, 1e308, "", "5"]))
def test_anything_beyond_is_one_line_that_names_the_bounds(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} = .*choose (from|more than) [\d.,]+ (to|and at most) ") as caught:
        SearchSettings(**{name: value})
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


@pytest.mark.parametrize(("made", "value"), [(Objective, 10.1), (Objective, math.nan), (Rules, 1001), (Rules, 0.0)])
def test_the_parts_refuse_what_the_whole_does(made: type, value: float) -> None:
    with pytest.raises(ValueError, match=r"^(alpha|patience) = .*usually (0\.7|1)$"):
        made(value)


@pytest.mark.parametrize("name", ["length", "length_ratio"])
def test_a_minimum_above_the_maximum_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"min_{name} = 3 is more than max_{name} = 2"):
        SearchSettings(**{f"min_{name}": 3, f"max_{name}": 2})
    assert SearchSettings(**{f"min_{name}": 2, f"max_{name}": 2})
