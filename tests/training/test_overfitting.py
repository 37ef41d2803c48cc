"""Overfitting: a rise that a person would see is found once, and noise is not taken for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.training.overfitting import begins, overfitting

Lines = list[dict[str, Any]]
FALLING = [3.0, 2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
RISE = [3.0, 2.5, 2.25, 2.125, 2.0625, 2.125, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5]
"""The lowest is the fifth. Second differences: .25 .125 .0625 .125 .0625 .125 0 0 0 0."""


def history(dev: Sequence[float], train: Sequence[float]) -> Lines:
    """A line of progress at 50, 100, 150, … updates, a validation at 100, 200, 300, …"""
    lines: Lines = []
    for number, (loss, own) in enumerate(zip(dev, train, strict=True), start=1):
        lines += [{"step": 100 * number - 50, "train_loss": own}, {"step": 100 * number, "train_loss": own}]
        lines.append({"step": 100 * number, "dev_loss": loss, "dev_bleu": 10.0})
    return lines


def first_hint(lines: Lines) -> list[int]:
    """The updates of the validations whose hint is shown."""
    ends = [end for end in range(1, len(lines) + 1) if "dev_loss" in lines[end - 1]]
    return [lines[end - 1]["step"] for end in ends if begins(lines[:end])]


def test_a_rise_is_found_by_hand() -> None:
    """At 2.0625 + six times the noise, which is the median second difference over 0.67448975 √6."""
    lines = history(RISE, FALLING)
    expected = []
    for count in range(6, 13):
        bends = sorted(abs(RISE[i] - 2 * RISE[i + 1] + RISE[i + 2]) for i in range(count - 2))
        middle = (bends[(count - 3) // 2] + bends[(count - 2) // 2]) / 2
        limit = 2.0625 + max(0.020625, 6 * middle / (0.67448975 * math.sqrt(6)))
        if all(loss > limit for loss in RISE[count - 3 : count]):
            expected.append(100 * count)
    assert expected and first_hint(lines) == expected[:1]
    found = overfitting(lines)
    assert found is not None
    assert (found.best_step, found.best_loss, found.dev_loss) == (500, 2.0625, 3.5)
    before, after = [0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6], [0.6, 0.5, 0.5, 0.4, 0.4, 0.3, 0.3]
    assert (found.train_before, found.train_after) == pytest.approx((sum(before) / 7, sum(after) / 7))
    assert expected[0] > 800, "the first three after the best do not stand out"
    text = str(found)
    assert "since update 500 the dev loss has risen from 2.062 to 3.500" in text and "\n" not in text


@pytest.mark.parametrize(
    ("dev", "train"),
    [
        (RISE, FALLING[::-1]),  # the training diverges
        (RISE, [1.0] * 12),
        (sorted(RISE, reverse=True), FALLING),
        ([2.0] * 12, FALLING),
        ([3, 2.5, 2.2, 2.1, 2.0, 2.001, 2.002, 2.003, 2.004, 2.005, 2.006, 2.007], FALLING),  # below one per cent
        ([*RISE[:4], 2.06, 2.1, 2.3, 2.5, 2.7, 2.9, 3.1, 2.061], FALLING),  # the last is as good as the best
        (RISE[:5], FALLING[:5]),
        ([5.0, 1.0, 2.0, 3.0, 4.0], FALLING[:5]),  # too few
    ],
)
def test_nothing_else_is_one(dev: list[float], train: list[float]) -> None:
    lines = history(dev, train)
    assert overfitting(lines) is None and begins(lines) is None


def test_a_second_rise_is_told_again_but_not_the_same_one() -> None:
    again = [*RISE, 2.0, 1.9, 1.8, 1.9, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.2]
    lines = history(again, list(np.linspace(3, 0.1, len(again))))
    hints = first_hint(lines)
    assert len(hints) == 2 and hints[0] <= 1200 and hints[1] > 1500
    dip = [*RISE[:10], 2.2, *RISE[10:], 3.75, 4.0]  # not better than the best: the same rise
    hints = first_hint(history(dip, list(np.linspace(3, 0.1, len(dip)))))
    assert len(hints) == 1


@pytest.mark.parametrize("noise", [0.001, 0.003, 0.01, 0.03])
def test_noise_on_a_plateau_is_seldom_taken_for_a_rise(noise: float) -> None:
    """Of 200 trainings with 60 validations each, at most one in twenty gives a hint at any of them."""
    rng, fooled = np.random.default_rng(7), 0
    for _ in range(200):
        dev = 2 * (1 + noise * rng.standard_normal(60))
        fooled += bool(first_hint(history(dev.tolist(), np.linspace(2, 1, 60).tolist())))
    assert fooled <= 10


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.003])
def test_a_steady_rise_is_found_soon_in_spite_of_noise(noise: float) -> None:
    """The dev loss falls to validation 7 and then rises by one per cent each time."""
    rng, places = np.random.default_rng(3), np.arange(25)
    for _ in range(50):
        dev = (2 + 3 * np.exp(-places) + 0.02 * np.maximum(0, places - 6)) * (1 + noise * rng.standard_normal(25))
        hints = first_hint(history(dev.tolist(), np.linspace(2, 1, 25).tolist()))
        assert hints and hints[0] <= 1900, "twelve validations after the best at the latest"


def test_lines_without_losses_and_losses_that_are_no_numbers_do_not_count() -> None:
    lines = history(RISE, FALLING)
    found = overfitting(lines)
    more = [{"step": 1}, *lines, {"step": 1200, "train_loss": math.nan}, {"step": 1200, "dev_loss": math.inf}]
    assert overfitting(more) == found
    assert overfitting([]) is None and begins([]) is None
    assert overfitting([line for line in lines if "train_loss" not in line]) is None


LOSSES = st.lists(st.floats(0.01, 10), min_size=1, max_size=20)


@given(dev=LOSSES, scale=st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_the_unit_of_the_loss_does_not_matter(dev: list[float], scale: float) -> None:
    train = list(np.linspace(2, 1, len(dev)))
    one, other = overfitting(history(dev, train)), overfitting(history([scale * loss for loss in dev], train))
    assert (one is None) == (other is None)


@given(dev=LOSSES)
def test_what_is_found_is_a_rise_and_is_told_once_for_a_best(dev: list[float]) -> None:
    lines = history(dev, list(np.linspace(2, 1, len(dev))))
    told = []
    for end in range(3, len(lines) + 1, 3):
        found, new = overfitting(lines[:end]), begins(lines[:end])
        if found:
            seen = dev[: end // 3]
            assert found.best_loss == min(seen) and min(seen[-3:]) > 1.01 * min(seen)
            assert (found.best_step in told) == (new is None)
        else:
            assert new is None
        told += [new.best_step] if new else []
    assert len(told) == len(set(told))
