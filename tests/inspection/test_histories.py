"""Histories as curves: every finite value in its place, whatever else a line holds or lacks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.evaluation.metric import Direction
from nmtkit.inspection.histories import Point, all_quantities, of_lines, read

LINES: list[dict[str, Any]] = [
    {"step": 10, "epoch": 0, "seconds": 1.5, "train_loss": 3.0, "learning_rate": 0.1, "skipped": 2},
    {"step": 10, "epoch": 0, "seconds": 2.5, "dev_loss": 2.5, "dev_bleu": 4.0, "dev_chrf": 20.0},
    {"step": 20, "epoch": 1, "seconds": 4.0, "train_loss": 1.0, "learning_rate": 0.2, "skipped": 1},
    {"step": 20, "epoch": 1, "seconds": 5.0, "dev_loss": 2.0, "dev_bleu": 4.0, "dev_chrf": 19.0},
    {"step": 30, "epoch": 2, "seconds": 6.0, "train_loss": math.nan, "learning_rate": 0.3, "gradient_norm": 7},
]


def test_curves_hold_what_was_measured_and_where() -> None:
    history = of_lines(LINES, "a", "runs/a")
    keys = [curve.quantity.key for curve in history.curves]
    assert keys == ["train_loss", "dev_loss", "dev_bleu", "dev_chrf", "learning_rate", "gradient_norm"]
    train, dev, bleu, chrf, rate, norm = history.curves
    assert train.points == (Point(10, 1.5, 3.0), Point(20, 4.0, 1.0)) and train.not_finite == 1
    assert norm.points == (Point(30, 6.0, 7),) and not norm.not_finite
    assert (train.best, dev.best) == (Point(20, 4.0, 1.0), Point(20, 5.0, 2.0))
    assert bleu.best == Point(10, 2.5, 4.0), "the first of equal ones"
    assert chrf.best == Point(10, 2.5, 20.0) and rate.best is None
    assert (history.step, history.epoch, history.seconds) == (30, 2, 6.0)
    assert (history.validations, history.skipped, history.overfitting) == (2, 3, None)
    assert history.curve("dev_bleu") is bleu and history.curve("waiting") is None


def test_quantities_of_several_histories_are_in_the_usual_order() -> None:
    old = of_lines([{"step": 1, "tokens_per_second": 5.0, "dev_bleu": 1.0}], "old", "old")
    new = of_lines([{"step": 1, "waiting": 0.5, "train_loss": 1.0, "gradient_norm": 1.0, "dev_acc": 3}], "new", "new")
    quantities = all_quantities([old, new])
    keys = [quantity.key for quantity in quantities]
    assert keys == ["train_loss", "dev_acc", "dev_bleu", "gradient_norm", "tokens_per_second", "waiting"]
    assert [quantity.direction for quantity in quantities[:3]] == [Direction.LOWER, Direction.HIGHER, Direction.HIGHER]


def test_a_history_is_read_as_far_as_it_is_written(tmp_path: Path) -> None:
    """The training still runs, or was killed in a line."""
    lines = [json.dumps(line) for line in LINES[:2]]
    (tmp_path / "history.jsonl").write_text("\n".join([*lines, '{"step": 20, "train_l']))
    history = read(tmp_path, "a")
    assert (history.name, history.folder, history.step) == ("a", str(tmp_path), 10)
    assert history == of_lines(LINES[:2], "a", str(tmp_path))


def test_folders_without_a_history(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none: is no folder; name a model folder"):
        read(tmp_path / "none", "none")
    with pytest.raises(ValueError, match=r"holds no history\.jsonl, which train writes; name a model folder"):
        read(tmp_path, "a")
    for text in ("", '{"step": 1', '{"step": 1}\n', '{"step": 1, "train_loss": NaN}\n'):
        (tmp_path / "history.jsonl").write_text(text)
        with pytest.raises(ValueError, match=r"history\.jsonl: holds nothing to show; .* after log_every updates"):
            read(tmp_path, "a")


NUMBERS = st.floats(-1e99, 1e99) | st.sampled_from([math.nan, math.inf, -math.inf]) | st.integers(-(2**62), 2**62)
KEYS = st.sampled_from(["epoch", "seconds", "train_loss", "dev_loss", "dev_bleu", "skipped", "waiting", "else"])


@given(
    lines=st.lists(
        st.fixed_dictionaries({"step": st.integers(0, 99)}).flatmap(
            lambda step: st.dictionaries(KEYS, NUMBERS).map(lambda more: {**more, **step})
        ),
        min_size=1,
        max_size=9,
    )
)
def test_any_numbers_make_a_history(lines: list[dict[str, float]]) -> None:
    history = of_lines(lines, "a", "a")
    for curve in history.curves:
        values = [line[curve.quantity.key] for line in lines if curve.quantity.key in line]
        assert [point.value for point in curve.points] == [value for value in values if math.isfinite(value)]
        assert len(curve.points) + curve.not_finite == len(values)
