"""What the options of blame-analysis become: refused together, or what the analysis takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import write_lines

from nmtkit.cli.blame_options import (
    CERTIFICATE_OPTIONS,
    OUTPUT_OPTIONS,
    REMEDY_OPTIONS,
    VERDICT_OPTIONS,
    budget,
    check,
    question,
    swept,
)
from nmtkit.evaluation.threshold import parse_threshold

GROUPS = {
    "verdicts": VERDICT_OPTIONS,
    "certificates": {**CERTIFICATE_OPTIONS, "exact": False},
    "remedies": {**REMEDY_OPTIONS, "save_best": False},
    "output": OUTPUT_OPTIONS,
}


def options(group: str, **given: Any) -> dict[str, Any]:
    """As the command gets them: what is not given is None, a switch is off."""
    usual = {name: False if hint is False else None for name, hint in GROUPS[group].items()}
    usual |= {name: False for name in ("exact", "save_best") if name in usual}
    return {**usual, **given}


def test_nothing_given_is_the_usual_question() -> None:
    check(1, *(options(group) for group in GROUPS))
    assert question(options("verdicts"), 3) == {} and budget(options("certificates")) is None
    assert swept(options("remedies")) == ([], [])


def test_what_is_given_is_what_the_analysis_takes(tmp_path: Path) -> None:
    errors = write_lines(tmp_path / "errors.txt", ["2", "3"])
    found = question(options("verdicts", errors_below="ter:40", errors=errors, tolerance=0.5), 3)
    assert found == {"threshold": parse_threshold("ter:40"), "errors": frozenset({2, 3}), "tolerance": 0.5}
    certified = budget(options("certificates", exact=True, budget_seconds=2.5, sample=7))
    assert certified is not None and (certified.steps, certified.seconds, certified.sample) == (10_000, 2.5, 7)
    assert swept(options("remedies", sweep_beams="1,5", sweep_alphas="0,0.5")) == ([1, 5], [0.0, 0.5])


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"remedies": {"save_best": True}}, "--save-best"),
        ({"remedies": {"plot": Path("a.svg")}}, "--plot"),
        ({"remedies": {"metric": ["ter"]}}, "--metric"),
        ({"remedies": {"train_text": Path("train")}}, "--train-sample"),
        ({"remedies": {"sweep_beams": "1;2"}}, "--sweep-beams '1;2' is no list of numbers"),
        ({"certificates": {"sample": 3}}, "--exact"),
        ({"output": {"details": 3}}, "--html"),
        ({"verdicts": {"errors_below": "scores:1"}}, "--scores-file"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, dict[str, Any]], word: str) -> None:
    with pytest.raises(typer.BadParameter, match=word):
        check(1, *(options(group, **given.get(group, {})) for group in GROUPS))
