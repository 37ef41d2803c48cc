"""What the options of blame-analysis become: refused together, or what the analysis takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import write_lines

from nmtkit.cli.blame_options import (
    CertificateFlags,
    OutputFlags,
    RemedyFlags,
    VerdictFlags,
    budget,
    check,
    question,
    swept,
)
from nmtkit.cli.metrics import OutsideFlags
from nmtkit.evaluation.threshold import parse_threshold

GROUPS: dict[str, Any] = {
    "verdicts": VerdictFlags,
    "outside": OutsideFlags,
    "certificates": CertificateFlags,
    "remedies": RemedyFlags,
    "output": OutputFlags,
}
NONE = OutsideFlags()


def test_nothing_given_is_the_usual_question() -> None:
    check(1, *(group() for group in GROUPS.values()))
    assert question(VerdictFlags(), NONE, 3) == {} and budget(CertificateFlags()) is None
    assert swept(RemedyFlags()) == ([], [])


def test_what_is_given_is_what_the_analysis_takes(tmp_path: Path) -> None:
    errors = write_lines(tmp_path / "errors.txt", ["2", "3"])
    found = question(VerdictFlags(errors_below="ter:40", errors=errors, tolerance=0.5), NONE, 3)
    assert found == {"threshold": parse_threshold("ter:40"), "errors": frozenset({2, 3}), "tolerance": 0.5}
    certified = budget(CertificateFlags(exact=True, budget_seconds=2.5, sample=7))
    assert certified is not None and (certified.steps, certified.seconds, certified.sample) == (10_000, 2.5, 7)
    assert swept(RemedyFlags(sweep_beams="1,5", sweep_alphas="0,0.5")) == ([1, 5], [0.0, 0.5])


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
        check(1, *(group(**given.get(name, {})) for name, group in GROUPS.items()))
