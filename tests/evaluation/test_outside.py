"""Scores of another tool: what is read, to which outputs they belong, and what their mean and interval are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.evaluation.metric import Direction
from nmtkit.evaluation.outside import OutsideScores, parse_scores
from nmtkit.evaluation.scoring import evaluate
from nmtkit.evaluation.threshold import Threshold

OUTPUTS = ["one", "two", "", "four"]
REFERENCES = [["a", "b", "c", "d"]]


def parsed(*lines: str, outputs: list[str] = OUTPUTS, direction: Direction = Direction.HIGHER) -> OutsideScores:
    return parse_scores(lines, "comet.txt", outputs, direction, "comet")


SCORES = parsed("0.5", " -1.25", "1e-1", "+.75")


def test_a_number_a_line_is_a_score_of_its_output() -> None:
    assert SCORES.values == (0.5, -1.25, 0.1, 0.75)
    assert SCORES.sentence_scores(OUTPUTS, REFERENCES) == [0.5, -1.25, 0.1, 0.75]
    assert SCORES.sentence_scores(OUTPUTS[1:3], [["b", "c"]], first=2) == [-1.25, 0.1]
    assert SCORES.corpus_score(OUTPUTS, REFERENCES) == pytest.approx(0.025)


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), seed=st.integers(0, 2**32 - 1))
def test_the_interval_is_that_of_means_of_drawn_scores(values: list[float], seed: int) -> None:
    outputs = [str(number) for number in range(len(values))]
    scores = parsed(*map(repr, values), outputs=outputs)
    (found,) = evaluate(outputs, [outputs], [scores], resamples=20, seed=seed)
    draws = np.random.default_rng(seed).choice(len(values), size=(20, len(values)), replace=True)
    ends = np.quantile([np.mean([values[index] for index in draw]) for draw in draws], [0.025, 0.975])
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), *ends), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e999", "0,7", "0.7 0.8", "1_0", "٣", "0x10", "0.7;"])
def test_what_is_no_finite_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"^comet.txt, line 2: .* is not a finite number; write one score a line"):
        parsed("0.5", text, "0.1", "0.2")


@pytest.mark.parametrize("lines", [[], ["1"], ["1"] * 3, ["1"] * 5])
def test_another_number_of_scores(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"^comet.txt has {len(lines)} scores?, but there are 4 outputs; write one"):
        parsed(*lines)


def test_other_outputs_are_refused_and_the_first_that_differs_is_named() -> None:
    other = r"^line 3: the scores of comet are of other outputs, here '' and not 'x'; score these outputs"
    with pytest.raises(ValueError, match=other):
        SCORES.statistics(["one", "two", "x", "y"], REFERENCES)
    with pytest.raises(ValueError, match=other):
        SCORES.statistics(["x", "four"], [["c", "d"]], first=3)
    for outputs, first in ((OUTPUTS[:3], None), ([*OUTPUTS, "five"], None), (["four", "five"], 4)):
        with pytest.raises(
            ValueError, match=r"^the scores of comet are of 4 outputs, not of [35]; score these outputs"
        ):
            SCORES.statistics(outputs, REFERENCES, first=first)
    with pytest.raises(ValueError, match="line 1: ") as caught:
        parsed("1", outputs=["long " * 1000]).statistics(["other"], [["r"]])
    assert len(str(caught.value)) < 250 and "\n" not in str(caught.value)


def test_their_scale_has_no_bounds_and_a_direction() -> None:
    assert Threshold(SCORES, -3.5).misses(-3.6) and not Threshold(SCORES, -3.5).misses(-3.4)
    lower = parsed("1", "2", "3", "4", direction=Direction.LOWER)
    assert Threshold(lower, 2.5).misses(2.6) and not Threshold(lower, 2.5).misses(2.4)
    assert lower.file.scale.direction is Direction.LOWER and lower.file.scale.title == "comet"
    with pytest.raises(ValueError, match="sentence score = inf is not possible: choose any number"):
        Threshold(SCORES, math.inf)


def test_the_signature_knows_scores_and_outputs() -> None:
    facts = SCORES.signature(1, 9, 3).split("|")
    assert facts[:2] == ["file:comet", "better:higher"] and facts[3:] == ["bs:9", "seed:3"]
    higher, others = parsed("0.5", "-1.25", "0.1", "0.76"), parsed("0.5", "-1.25", "0.1", "0.75", outputs=["x"] * 4)
    assert len({one.signature(1, 9, 3) for one in (SCORES, higher, others)}) == 3
    assert parsed("0.50", "-1.25", ".1", "0.75") == SCORES, "the same numbers"
    assert SCORES.origin == SCORES.file
