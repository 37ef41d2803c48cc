"""Which errors a row counts, in words that follow the direction of the metric."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.blame_toys import SMALL

from nmtkit.blame.findings import Errors, Row
from nmtkit.evaluation.metric import Direction, ScoresFile
from nmtkit.report.rows import title, worse


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({}, "below chrF 60"),
        ({"sentence_metric": "bleu", "sentence_threshold": 12.5}, "below BLEU 12.5"),
        ({"sentence_metric": "ter", "sentence_threshold": 40.0}, "TER above 40"),
        ({"sentence_metric": "scores", "scores_file": ScoresFile("comet", Direction.HIGHER, "0")}, "below comet 60"),
        ({"sentence_metric": "scores", "scores_file": ScoresFile("loss", Direction.LOWER, "0")}, "loss above 60"),
    ],
)
def test_titles(facts: dict[str, object], wanted: str) -> None:
    provenance = replace(SMALL.provenance, **facts)  # type: ignore[arg-type]
    assert title(Row(Errors.DIFFERENT, (), ()), provenance) == "output ≠ reference"
    assert title(Row(Errors.WORSE, (), ()), provenance) == f"of these, {wanted}"
    assert title(Row(Errors.LISTED, (), ()), provenance) == "of these, judged wrong by a person"
    assert worse(provenance.scale, provenance.sentence_threshold) == wanted
