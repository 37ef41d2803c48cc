"""Training options: impossible ones are refused in one line that names the option, its value and the fix."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from support.training_toys import only_line

from nmtkit.training.options import CONTINUABLE, TrainingOptions

AT_LEAST_ONE = [
    "updates", "accumulate", "warmup", "max_source", "max_target", "validate_every", "snapshot_every",
    "average", "valid_beam", "save_every", "log_every",
]  # fmt: skip
AT_LEAST_ZERO = ["batch_tokens", "clip_norm", "weight_decay", "patience", "seed", "valid_length_alpha"]
BELOW_ONE = ["label_smoothing", "subword_regularization", "adam_beta1", "adam_beta2"]
NUMBERS = ["learning_rate", "clip_norm", "weight_decay", "valid_length_alpha", *BELOW_ONE]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in AT_LEAST_ONE for value in (0, -3)]
    + [(name, -1) for name in AT_LEAST_ZERO]
    + [(name, value) for name in BELOW_ONE for value in (-0.1, 1.0, 1.5)]
    + [("learning_rate", value) for value in (0.0, -0.001)]
    + [("best_by", value) for value in ("chrf", "", "BLEU")]
    + [("precision", value) for value in ("bf16", "", "Float32", "float64")]
    + [(name, math.nan) for name in NUMBERS]
    + [(name, value) for name in NUMBERS for value in (math.inf, 1e308)]
    + [(name, value) for name in [*AT_LEAST_ONE, *AT_LEAST_ZERO] for value in (math.inf, 10**23, 1e308)]
    + [(name, 10**9) for name in AT_LEAST_ONE]
    + [("learning_rate", 1.01), ("learning_rate", 1e9), ("average", 1001), ("weight_decay", 101), ("updates", 2.5)],
)
def test_what_is_impossible_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        TrainingOptions(**{name: value})
    assert only_line(caught.value, name, repr(value), "choose")


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, 1) for name in AT_LEAST_ONE]
    + [(name, 0) for name in AT_LEAST_ZERO]
    + [(name, 0.0) for name in BELOW_ONE]
    + [("best_by", "loss"), ("best_by", "bleu"), ("learning_rate", 1e-9), ("label_smoothing", 0.999)]
    + [("precision", value) for value in ("auto", "float32", "bfloat16", "float16")]
    + [("learning_rate", 1.0), ("updates", 10**8), ("batch_tokens", 10**6), ("seed", 2**32 - 1), ("average", 1000)],
)
def test_the_edge_of_the_possible_is_accepted(name: str, value: Any) -> None:
    assert getattr(TrainingOptions(**{name: value}), name) == value


def test_every_option_is_described_and_the_continuable_ones_exist() -> None:
    names = {field.name for field in dataclasses.fields(TrainingOptions)}
    attributes = (TrainingOptions.__doc__ or "").split("Attributes:")[1].splitlines()
    described = {line.strip().split(":")[0] for line in attributes if line.startswith("        ") and ":" in line}
    assert names == described
    assert set(CONTINUABLE) == {"updates", "patience", "log_every", "save_every"} and set(CONTINUABLE) < names


def test_a_moving_average_and_a_number_of_snapshots_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"ema = 0\.99 takes the place of average = 3"):
        TrainingOptions(ema=0.99, average=3)
    assert TrainingOptions(ema=0.99).average == TrainingOptions().average
