"""The demo: its checks fail where they must, and (slow) it passes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).parents[2] / "data" / "demo.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"translation": "Jane visits Africa in September.", "bleu": 70.0, "blamed": {1: 3, 5: 1}}


@pytest.mark.parametrize(
    "facts", [{}, {"translation": "Jane is visiting Africa in September."}, {"blamed": {1: 1, 5: 1}}]
)
def test_good_results_pass(demo: ModuleType, facts: dict[str, object]) -> None:
    assert demo.failures({**GOOD, **facts}) == []


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"translation": "Jane visited Africa last September."}, "Jane visited Africa last September."),
        ({"translation": ""}, "not among"),
        ({"bleu": 59.9}, "59.90"),
        ({"bleu": 95.1}, "95.10"),
        ({"blamed": {1: 0, 5: 0}}, "beam 1 has no"),
        ({"blamed": {1: 2, 5: 3}}, "beam 5 has more"),
    ],
)
def test_each_bad_result_is_named(demo: ModuleType, facts: dict[str, object], names: str) -> None:
    (failure,) = demo.failures({**GOOD, **facts})
    assert names in failure


@pytest.mark.slow
def test_the_demo_passes_and_is_quick_the_second_time(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--output", str(tmp_path / "demo")]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr[-2000:]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "0 updates left" in again.stderr
    assert "$ nmtkit train-tokenizer" not in again.stdout
