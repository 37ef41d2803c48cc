"""Scores of metrics: lines for a terminal, JSON, and words for what is better and what is worse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nmtkit.evaluation.metric import Direction, Scale
from nmtkit.evaluation.scoring import Score

BEST = {Direction.HIGHER: "highest", Direction.LOWER: "lowest"}
IMPROVE = {Direction.HIGHER: "rise", Direction.LOWER: "fall"}
WORSEN = {Direction.HIGHER: "falls", Direction.LOWER: "rises"}


def lines(score: Score) -> Iterator[str]:
    """A line with the score and its interval, and one with its signature."""
    value, low, high = (figure(number, score.metric, more=1) for number in (score.value, score.low, score.high))
    yield f"{score.metric.title} {value} (95 % percentile interval {low} to {high})"
    yield f"  {score.signature}"


def figure(value: float, scale: Scale, more: int = 0) -> str:
    """A score with its usual decimals and `more` of them."""
    return f"{value:.{scale.decimals + more}f}"


def listed(titles: Iterable[str]) -> str:
    """The titles as a list in a sentence: BLEU, chrF and TER."""
    *others, last = titles
    return f"{', '.join(others)} and {last}" if others else last


def to_json(score: Score) -> dict[str, Any]:
    """All figures of a score."""
    return {**vars(score), "metric": score.metric.title}


def by_name(scores: Iterable[Score]) -> dict[str, Any]:
    """Scores by the names of their metrics."""
    return {score.metric.name: to_json(score) for score in scores}
