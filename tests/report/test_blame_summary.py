"""The head of the page of an error analysis: what stands there without a script."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from support.blame_toys import SMALL
from support.sweep_toys import MADE

from nmtkit.evaluation.metric import Direction, ScoresFile
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.scoring import Score
from nmtkit.report.blame_summary import summary


def words(*parts: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", "".join(parts))).split())


def test_rows_have_titles_counts_and_intervals() -> None:
    """Of six outputs five differ, and one of these is below chrF 60."""
    text = words(*summary(SMALL, None))
    assert "output ≠ reference 5" in text and "of these, below chrF 60 1" in text
    assert "1 of 6 outputs equals a reference" in text and "What other settings would bring" not in text
    assert "sentence threshold 60.0" in text and "scores file" not in text


def test_where_scores_of_another_tool_are_from() -> None:
    file = ScoresFile("comet", Direction.LOWER, "ab12")
    facts = replace(SMALL.provenance, sentence_metric="scores", scores_file=file)
    text = words(*summary(replace(SMALL, provenance=facts), None))
    assert "of these, comet above 60 1" in text and "scores file comet, lower is better, SHA-256 ab12" in text


def test_a_sweep_has_its_table_and_more_metrics_one_of_their_own() -> None:
    plain = words(*summary(SMALL, MADE))
    extra = Score(METRICS["ter"], 66.04, 60.0, 70.0, "s")
    wider = replace(MADE, settings=tuple(replace(one, scores=(*one.scores, extra)) for one in MADE.settings))
    more = words(*summary(SMALL, wider))
    assert "35.5 (33.5–38.5)" in plain and "TER" not in plain
    assert "TER (95 %)" in more and more.count("66.0 (60.0–70.0)") == len(MADE.settings)


def test_what_is_odd_in_a_name_is_escaped() -> None:
    facts = replace(SMALL.provenance, length_limit="<script>alert(1)</script>")
    assert "<script>" not in "".join(summary(replace(SMALL, provenance=facts), None))
