"""Several model folders are one model: the mean of their probabilities."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from conftest import Data, refused, run_here, write_lines
from support.training_toys import write_folder

SHORT = ("--max-length", 6)


def test_a_model_twice_is_the_model(model: Path) -> None:
    text = b"Jane a faim.\n\nIl dort.\n"
    once, twice = (
        [line.split("\t") for line in run_here("translate", *folders, *SHORT, "--scores", stdin=text).lines]
        for folders in ([model], [model, model])
    )
    assert [row[2:] for row in once] == [row[2:] for row in twice]
    for one, other in zip(once, twice, strict=True):
        assert [float(value) for value in one[:2]] == pytest.approx([float(value) for value in other[:2]], abs=1e-4)


def test_every_probability_is_the_mean_of_the_members(model: Path, sibling: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.fr", ["Jane a faim.", "Il dort."])
    target = write_lines(tmp_path / "a.en", ["Jane is hungry.", "He sleeps."])
    files = ["--source", source, "--target", target, "--tokens", "--form", "json"]
    first, second, both = (
        [json.loads(line) for line in run_here("score", *folders, *files).lines]
        for folders in ([model], [sibling], [model, sibling])
    )
    for records in zip(first, second, both, strict=True):
        rows = [[one["log_p"] for one in record["tokens"]] for record in records]
        expected = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in zip(*rows[:2], strict=True)]
        assert rows[2] == pytest.approx(expected, abs=1e-5) and max(map(abs, rows[0])) > 0
        assert rows[0] != pytest.approx(rows[1], abs=1e-2)


def test_evaluate_and_blame_take_several_folders(model: Path, sibling: Path, data: Data, tmp_path: Path) -> None:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    translated = run_here("translate", model, sibling, *SHORT, "--input", data.folder / "dev.fr")
    outcome = run_here("evaluate", model, sibling, *texts, *SHORT, "--resamples", 5, "--output", tmp_path / "out")
    assert outcome.code == 0 and (tmp_path / "out").read_bytes() == translated.out
    blamed = run_here("blame-analysis", model, sibling, *texts, *SHORT, "--json", "-")
    hashes = [json.loads(run_here("info", folder, "--json", "-").out)["hash"] for folder in (model, sibling)]
    found = json.loads(blamed.out)
    assert found["provenance"]["model"] == "+".join(hashes)
    assert [record["output"]["text"] for record in found["records"]] == translated.lines
    shown = " ".join(run_here("blame-analysis", model, sibling, *texts, *SHORT).text.split())
    assert f"model {hashes[0][:12]} + {hashes[1][:12]}" in shown


def test_vocabularies_that_differ_are_refused(model: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "other")
    line = refused(run_here("translate", model, tmp_path / "other", stdin=b"Oui.\n"))
    assert f"{tmp_path / 'other'}: " in line and str(model) in line and "--tokenizer" in line
