"""Scores as people and programs read them."""

from __future__ import annotations

from nmtkit.evaluation.metric import Direction, ScoresFile
from nmtkit.evaluation.metrics import BLEU, METRICS
from nmtkit.evaluation.scoring import Score
from nmtkit.report.evaluation import by_name, figure, lines, listed, to_json

SCORE = Score(BLEU, 31.456, 29.0, 33.333, "sig")


def test_lines_json_and_names() -> None:
    assert list(lines(SCORE)) == ["BLEU 31.46 (95 % percentile interval 29.00 to 33.33)", "  sig"]
    assert to_json(SCORE) == {"metric": "BLEU", "value": 31.456, "low": 29.0, "high": 33.333, "signature": "sig"}
    assert list(to_json(SCORE)) == ["metric", "value", "low", "high", "signature"]
    assert by_name([SCORE, Score(METRICS["ter"], 1.0, 0.0, 2.0, "s")]).keys() == {"bleu", "ter"}


def test_scores_that_lie_close_together_have_more_decimals() -> None:
    scale = ScoresFile("comet", Direction.HIGHER, "0").scale
    assert (figure(0.81234, scale), figure(81.234, BLEU), figure(81.234, BLEU, more=1)) == ("0.812", "81.2", "81.23")
    assert next(lines(Score(scale, 0.81234, 0.8, 0.82, "s"))).startswith("comet 0.8123 (95 %")


def test_lists() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
