"""The one objective: its values by hand, its bound by enumeration, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective, default_limit


@pytest.mark.parametrize(
    ("alpha", "total", "length", "expected"),
    [
        (0.0, -6.0, 3, -6.0),  # the plain log-probability
        (1.0, -6.0, 3, -2.0),  # the mean of a token
        (0.5, -6.0, 4, -3.0),  # √4 = 2
        (2.0, -18.0, 3, -2.0),
        (0.7, -1.0, 1, -1.0),  # one token: EOS alone
    ],
)
def test_final_by_hand(alpha: float, total: float, length: int, expected: float) -> None:
    assert Objective(alpha).final(total, length) == pytest.approx(expected, abs=1e-12)
    tensor = Objective(alpha).final(torch.tensor([total], dtype=torch.float64), length)
    assert tensor.tolist() == pytest.approx([expected], abs=1e-12)


def test_the_default_is_07() -> None:
    assert Objective().alpha == 0.7
    assert Objective().final(-5.0, 7) == pytest.approx(-5.0 / math.exp(0.7 * math.log(7)))


@settings(database=None, derandomize=True, max_examples=300)
@given(
    alpha=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0, 2.0]),
    total=st.floats(-50, 0),
    length=st.integers(1, 12),
    rest=st.lists(st.floats(-8, 0), max_size=12),
)
def test_bound_is_admissible(alpha: float, total: float, length: int, rest: list[float]) -> None:
    """Whatever follows the prefix, J of the whole is not above the bound (rounding apart)."""
    objective, limit = Objective(alpha), length + 12
    whole = objective.final(total + sum(rest), length + len(rest))
    assert whole <= objective.bound(total, float(limit)) + 1e-9


def test_bound_is_reached() -> None:
    """A prefix that goes on to the limit for nothing gets exactly its bound, so no smaller bound would do."""
    for alpha in (0.0, 0.5, 1.0):
        objective = Objective(alpha)
        assert objective.bound(-3.0, 9.0) == pytest.approx(objective.final(-3.0, 9), abs=1e-15)
    bounds = Objective(0.5).bound(torch.tensor([-4.0, -6.0]), torch.tensor([4.0, 9.0]))
    assert bounds.tolist() == pytest.approx([-2.0, -2.0])


@pytest.mark.parametrize("alpha", [-0.1, -5.0, math.nan, math.inf, -math.inf])
def test_impossible_alpha_is_refused_in_one_line(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha") as caught:
        Objective(alpha)
    message = str(caught.value)
    assert "\n" not in message and str(alpha) in message and "0.7" in message


def test_default_limit_follows_the_source() -> None:
    assert [default_limit(pieces) for pieces in (0, 1, 7)] == [10, 12, 24]


def test_hypothesis_counts_eos() -> None:
    assert Hypothesis((4, 5, 3), -1.0, -0.5).length == 3
    assert Hypothesis((3,), -1.0, -1.0).length == 1
