"""The pipeline on real text (slow; Multi30k where MULTI30K names its folder or it lies beside the project)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu

FOLDER = Path(os.environ.get("MULTI30K", Path(__file__).parents[2] / "shared" / "multi30k"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FOLDER / "train.en").exists(), reason=f"Multi30k is not at {FOLDER}; set MULTI30K"),
]


def nmtkit(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nmtkit", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe's model after 500 updates."""
    output = tmp_path_factory.mktemp("multi30k") / "model"
    recipe = ("--config", "multi30k-tiny", "--updates", 500, "--validate-every", 500)
    nmtkit("train", *recipe, "--train", FOLDER / "train", "--dev", FOLDER / "val", "--output", output)
    return output


def test_the_first_500_updates_learn(model: Path) -> None:
    history = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
    losses = [line["train_loss"] for line in history if "train_loss" in line]
    assert losses[-1] < losses[0] - 2
    assert next(line["dev_bleu"] for line in history if "dev_bleu" in line) > 1


def test_translations_and_their_score_agree_with_sacrebleu(model: Path, tmp_path: Path) -> None:
    test = FOLDER / "test_2016_flickr"
    source = Path(f"{test}.en").read_text(encoding="utf-8")
    output = nmtkit("translate", model, text=source).stdout
    assert output.count("\n") == 1000
    (tmp_path / "out").write_text(output, encoding="utf-8")
    found = json.loads(nmtkit("evaluate", "-y", tmp_path / "out", "-r", f"{test}.de", "--json", "-").stdout)
    references = Path(f"{test}.de").read_text(encoding="utf-8").split("\n")[:1000]
    expected = sacrebleu.corpus_bleu(output.split("\n")[:1000], [references]).score
    assert found[0]["value"] == pytest.approx(expected, abs=1e-9)


def test_every_difference_gets_a_verdict(model: Path) -> None:
    val = ("--source", FOLDER / "val.en", "--reference", FOLDER / "val.de")
    report = json.loads(nmtkit("blame-analysis", model, *val, "--beam", 2, "--json", "-").stdout)
    assert len(report["records"]) == 1014
    assert {record["verdict"] for record in report["records"]} <= {"equal", "beam", "model", "unreachable"}
    for record in report["records"]:
        judge = record["references"][record["judge"]]
        if record["verdict"] == "beam":
            assert judge["score"] > record["output"]["score"]
