"""Models spoiled on purpose, and whether blame says what was done to them (minutes: `make test-slow`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import JANE, head, run_here, write_lines

pytestmark = pytest.mark.slow

LANGUAGES = ["-s", "fr", "-t", "en"]


def trained(folder: Path, data: Path, *flags: object) -> Path:
    common = ["--config", "jane", *LANGUAGES, "--dev", JANE / "dev", "--device", "cpu"]
    outcome = run_here("train", *common, "--train", data / "train", "--output", folder, *flags)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for half the recipe's time."""
    return trained(tmp_path_factory.mktemp("good") / "model", JANE, "--updates", 700, "--validate-every", 350)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The first 300 lines of dev."""
    folder = tmp_path_factory.mktemp("texts")
    return tuple(write_lines(folder / f"dev.{side}", head(JANE / f"dev.{side}", 300)) for side in ("fr", "en"))  # type: ignore[return-value]


def report(model: Path, source: Path, reference: Path, *flags: object) -> dict[str, Any]:
    words = ["blame-analysis", model, "--source", source, "--reference", reference, "--device", "cpu"]
    outcome = run_here(*words, *flags, "--json", "-")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_a_search_too_narrow_is_the_searches_fault(good: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    """References that the model itself likes best, found by a beam of 20: what greedy search misses of them is the
    search's fault and nobody else's, and a wider beam reaches them."""
    source, _ = texts
    reference = tmp_path / "wide.en"
    flags = ["--length-alpha", 0.7, "--max-length", 60]
    run_here("translate", good, "--input", source, "--output", reference, "--beam", 20, *flags)
    found = report(good, source, reference, "--beam", 1, *flags, "--errors-below", "chrf:100")
    missed = [record for record in found["records"] if record["verdict"] != "equal"]
    assert len(missed) >= 15
    assert sum(record["verdict"] == "beam" for record in missed) >= 0.95 * len(missed)
    assert found["advice"][0].startswith("Mostly the search") and "beam of 5 instead of greedy" in found["advice"][0]
    widths = [record["loss"]["width"] for record in missed if record["verdict"] == "beam"]
    assert sum(width is not None and width <= 20 for width in widths) >= 0.9 * len(widths)
    wide = report(good, source, reference, "--beam", 20, *flags)
    assert sum(record["verdict"] == "beam" for record in wide["records"]) == 0


def test_certificates_see_what_the_rule_does_not(good: Path, texts: tuple[Path, Path]) -> None:
    """At α = 0 greedy search has more proved search errors than a beam of 5 has."""
    flags = ["--length-alpha", 0, "--exact", "--sample", 100, "--budget-steps", 1000]
    narrow, wide = (report(good, *texts, "--beam", beam, *flags)["proofs"] for beam in (1, 5))
    assert narrow["proved"] >= 80 and narrow["proved_errors"] > wide["proved_errors"] > -1
    assert narrow["errors"]["least"] >= narrow["proved_errors"] >= 5


def test_a_model_stopped_early_wants_longer_training(texts: tuple[Path, Path], tmp_path: Path) -> None:
    model = trained(tmp_path / "model", JANE, "--updates", 140, "--validate-every", 70)
    found = report(model, *texts, "--train-sample", 500)
    assert found["fit"]["high"] < 0.5 and found["fit"]["best_update"] == found["fit"]["last_update"] == 140
    assert any(sentence.startswith("So train it longer first") for sentence in found["advice"]), found["advice"]


def test_a_model_of_little_data_wants_more(texts: tuple[Path, Path], tmp_path: Path) -> None:
    """A fiftieth of the corpus, no dropout, no smoothing, read a hundred times."""
    for side in ("fr", "en"):
        write_lines(tmp_path / f"train.{side}", head(JANE / f"train.{side}", 400))
    config = tmp_path / "spoiled.toml"
    config.write_text(
        (JANE.parent.parent / "nmtkit/training/recipes/jane.toml")
        .read_text("utf-8")
        .replace("dropout = 0.1", "dropout = 0.0")
        .replace("vocab_size = 4000", "vocab_size = 1000")
        .replace("label_smoothing = 0.1", "label_smoothing = 0.0"),
        "utf-8",
    )
    model = trained(tmp_path / "model", tmp_path, "--config", config, "--updates", 400, "--validate-every", 200)
    found = report(model, *texts, "--weights", "last", "--train-sample", 400)
    assert found["fit"]["low"] > 0.5, found["fit"]
    assert any(sentence.startswith("So give it more data or more regularisation") for sentence in found["advice"])


def test_an_exponent_that_favours_short_output_is_said(good: Path, texts: tuple[Path, Path]) -> None:
    """A wide beam at α = 0 finds short translations; under α = 1 the longer references are preferred to them."""
    found = report(good, *texts, "--beam", 50, "--length-alpha", 0, "--max-length", 60)
    turned = {flip["alpha"]: flip["to_beam"] for flip in found["flips"]}
    assert turned[1.0] >= turned[0.5] >= 0 and turned[1.0] >= 3
    shown = run_here(
        *("blame-analysis", good, "--source", texts[0], "--reference", texts[1], "--beam", 50, "--length-alpha", 0),
        *("--max-length", 60),
    )
    assert f"would turn {turned[1.0]} of the" in " ".join(shown.text.split())
