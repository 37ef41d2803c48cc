"""The learning rate against the formula of Vaswani et al. 2017, 5.3, and against numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.training.schedule import learning_rate


@given(st.integers(1, 10**7), st.floats(1e-6, 10), st.integers(1, 10**5))
def test_the_formula(step: int, peak: float, warmup: int) -> None:
    formula = peak * warmup**0.5 * min(step**-0.5, step * warmup**-1.5)
    assert learning_rate(step, peak, warmup) == pytest.approx(formula, rel=1e-12)


def test_by_hand() -> None:
    found = [learning_rate(step, 0.004, 100) for step in (1, 25, 50, 100, 400, 10_000)]
    assert found == pytest.approx([0.00004, 0.001, 0.002, 0.004, 0.002, 0.0004], rel=1e-12)
    assert [learning_rate(step, 1.0, 1) for step in (1, 4, 100)] == [1.0, 0.5, 0.1]


@given(st.integers(1, 10**4), st.integers(1, 300))
def test_it_grows_in_the_warmup_and_falls_after_it(step: int, warmup: int) -> None:
    before, after = learning_rate(step, 1.0, warmup), learning_rate(step + 1, 1.0, warmup)
    assert before < after if step < warmup else before > after
    assert 0 < before <= learning_rate(warmup, 1.0, warmup) == 1.0
