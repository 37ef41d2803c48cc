"""What cannot be asked is refused in one line that names it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nmtkit.blame.question import Question, check, read_errors
from nmtkit.evaluation.threshold import USUAL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"references": [["a"], ["a", "b"]]}, "reference 2 has 2 lines but the source has 1"),
        ({"references": []}, "there is no reference"),
        ({"sources": [], "references": [[]]}, "0 lines"),
        ({"tolerance": -1.0}, "tolerance = -1.0"),
        ({"tolerance": math.nan}, "tolerance = nan"),
        ({"tolerance": math.inf}, "tolerance = inf"),
        ({"tolerance": 0.0}, "choose from 1e-05 to 1,000, usually 0.0001"),
        ({"tolerance": 9.9e-6}, "tolerance = 9.9e-06 is not possible"),
        ({"listed": frozenset({2})}, "sentence 2 is listed as an error, but the source has 1 line;"),
        ({"listed": frozenset({0})}, "sentence 0 is listed"),
        ({"segmentations": 0}, "reference_segmentations = 0"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {
        "sources": ["x"],
        "references": [["a"]],
        "tolerance": 1e-5,
        "listed": frozenset({1}),
        "threshold": USUAL,
        "segmentations": 1,
    }

    def ask(sources: list[str], references: list[list[str]], **rest: Any) -> None:
        check(sources, references, Question(**rest))

    ask(**usual)
    with pytest.raises(ValueError, match=message) as refusal:
        ask(**{**usual, **change})
    assert "\n" not in str(refusal.value)


def test_errors_files(tmp_path: Path) -> None:
    path = tmp_path / "errors.txt"
    path.write_text("3\n\n 1 \n3\n")
    assert read_errors(path) == {1, 3}
    for bad in ("0", "-2", "1.5", "3 wrong", "²", "9" * 5000):
        path.write_text(f"3\n{bad}\n")
        with pytest.raises(ValueError, match=r"errors.txt, line 2: .* is not the number of a sentence"):
            read_errors(path)
