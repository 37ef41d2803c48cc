"""What follows from the facts of a text: rows, their shares, and the scale of the sentence scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.blame_toys import SMALL

from nmtkit.blame.findings import Errors, Row, Share
from nmtkit.blame.plain import to_plain
from nmtkit.blame.records import BLAMED, Verdict
from nmtkit.evaluation.metric import Direction, ScoresFile
from nmtkit.evaluation.metrics import CHRF, METRICS


def row(kind: Errors, *numbers: int) -> Row:
    return Row(kind, numbers, tuple(Share(verdict, place, 0.5, 0.0, 1.0) for place, verdict in enumerate(BLAMED)))


def test_a_row_knows_its_errors_and_the_share_of_each_verdict() -> None:
    one = row(Errors.DIFFERENT, 3, 8)
    assert one.errors == 2 and [one.of(verdict).count for verdict in BLAMED] == [0, 1, 2]
    assert one.of(Verdict.MODEL).verdict == Verdict.MODEL


@pytest.mark.parametrize(
    ("numbers", "deciding"),
    [(((1, 2), (2,), (2,)), 2), (((1, 2), (2,), ()), 1), (((1,), (), ()), 0), (((), (), ()), 0)],
)
def test_the_strictest_row_that_has_errors_decides(numbers: tuple[tuple[int, ...], ...], deciding: int) -> None:
    kinds = (Errors.DIFFERENT, Errors.WORSE, Errors.LISTED)
    rows = tuple(row(kind, *own) for kind, own in zip(kinds, numbers, strict=True))
    assert replace(SMALL, rows=rows).deciding is rows[deciding]


def test_the_scale_is_that_of_the_metric_or_of_the_file() -> None:
    """And where a metric computed the scores, nothing of a file is written."""
    facts = SMALL.provenance
    assert facts.scale == CHRF and replace(facts, sentence_metric="ter").scale == METRICS["ter"]
    assert "scores_file" not in to_plain(facts)
    file = ScoresFile("comet", Direction.LOWER, "ab")
    outside = replace(facts, sentence_metric="scores", scores_file=file)
    assert (outside.scale.title, outside.scale.direction) == ("comet", Direction.LOWER)
    assert to_plain(outside)["scores_file"] == {"title": "comet", "direction": "lower", "sha256": "ab"}
