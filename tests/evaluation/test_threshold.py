"""Thresholds as the command line writes them, and what is worse than one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.evaluation.metrics import CHRF, METRICS
from nmtkit.evaluation.threshold import USUAL, Threshold, parse_threshold


def test_thresholds():
    assert parse_threshold("chrf:60") == USUAL == Threshold(CHRF, 60.0)
    for text, wanted in (("bleu:0.5", 0.5), ("chrf++:100", 100.0), ("ter:140", 140.0)):
        found = parse_threshold(text)
        assert (found.metric.name, found.value) == (text.partition(":")[0], wanted)
    for text in ("", "60", "meteor:60", "chr:60"):
        with pytest.raises(ValueError, match=r"write METRIC:N with bleu, chrf, chrf\+\+ or ter, for example chrf:60"):
            parse_threshold(text)
    for text in ("chrf", "chrf:", "chrf:x", "chrf:-1", "chrf:101", "chrf:nan", "chrf:6:0"):
        with pytest.raises(ValueError, match="is not a threshold; write chrf:N with N from 0 to 100$"):
            parse_threshold(text)
    for text in ("ter:-1", "ter:inf", "ter:nan"):
        with pytest.raises(ValueError, match="is not a threshold; write ter:N with N from 0 on$"):
            parse_threshold(text)


@pytest.mark.parametrize("value", [-0.5, 100.5, math.nan, math.inf])
def test_impossible_values(value):
    with pytest.raises(ValueError, match=f"sentence score = {value} is not possible: choose from 0 to 100"):
        Threshold(CHRF, value)


def test_the_threshold_itself_is_good_enough():
    assert [Threshold(CHRF, 40.0).misses(score) for score in (39.9, 40.0, 40.1)] == [True, False, False]
    assert [Threshold(METRICS["ter"], 40.0).misses(score) for score in (39.9, 40.0, 40.1)] == [False, False, True]


@given(text=st.text(), value=st.floats(0, 100), metric=st.sampled_from(list(METRICS)))
def test_any_text_is_a_threshold_or_a_clear_error(text, value, metric):
    assert parse_threshold(f"{metric}:{value!r}") == Threshold(METRICS[metric], value)
    for candidate in (text, f"{metric}:{text}"):
        try:
            found = parse_threshold(candidate)
            assert found.metric in METRICS.values() and found.value in found.metric.within
        except ValueError as error:
            assert "is not a threshold" in str(error)
