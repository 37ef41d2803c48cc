"""Which errors a row counts, in words."""

from __future__ import annotations

from nmtkit.blame.findings import Errors, Provenance, Row
from nmtkit.evaluation.metric import Direction, Scale


def title(row: Row, facts: Provenance) -> str:
    """The title of a row."""
    return {
        Errors.DIFFERENT: "output ≠ reference",
        Errors.WORSE: f"of these, {worse(facts.scale, facts.sentence_threshold)}",
        Errors.LISTED: "of these, judged wrong by a person",
    }[row.kind]


def worse(scale: Scale, threshold: float) -> str:
    """Sentence scores that are not good enough, in words: "below chrF 60", "TER above 40"."""
    if scale.direction is Direction.HIGHER:
        return f"below {scale.title} {threshold:g}"
    return f"{scale.title} above {threshold:g}"
