"""What every metric can do, by one that stands in no list."""

from __future__ import annotations

import pytest
from support.metric_toys import MISSING

from nmtkit.evaluation.metric import Direction, Reading, check_texts


def test_a_gain_is_better_in_either_direction() -> None:
    assert Direction.HIGHER.gain(3.0, 1.0) == Direction.LOWER.gain(1.0, 3.0) == 2.0
    assert Direction.HIGHER.gain(1.0, 3.0) == Direction.LOWER.gain(3.0, 1.0) == -2.0


def test_corpus_and_sentence_scores_follow_from_the_statistics() -> None:
    """Of two and of three words one is missing each."""
    outputs, references = ["a", "b c"], [["a x", "b c y"]]
    assert MISSING.sentence_scores(outputs, references) == pytest.approx([50.0, 100 / 3])
    assert MISSING.corpus_score(outputs, references) == pytest.approx(40.0)
    assert MISSING.origin is None and MISSING.reading(Reading(lowercase=True)) is MISSING


def test_texts_that_do_not_belong_together() -> None:
    check_texts(["a"], [["b"], [""]])
    for outputs, references, message in (
        (["a", "b"], [["a", "b"], ["a"]], "reference 2 has 1 line but the hypothesis has 2"),
        ([], [[]], "nothing to score"),
        (["a"], [], "no references"),
    ):
        with pytest.raises(ValueError, match=message):
            check_texts(outputs, references)
