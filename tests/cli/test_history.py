"""`nmtkit history`: what the trained folders hold, in a terminal, as a picture and as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import refused, run_here, run_process


def test_the_screen_shows_every_quantity_of_a_training(model: Path) -> None:
    outcome = run_here("history", model)
    lines = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
    dev = [line["dev_loss"] for line in lines if "dev_loss" in line]
    assert outcome.code == 0 and outcome.err == ""
    assert outcome.lines[0].startswith(f"{model.name}: 24 updates, ") and "2 validations" in outcome.lines[0]
    assert max(map(len, outcome.lines)) <= 80
    names = ("train loss", "dev loss", "BLEU", "learning rate", "gradient norm", "tokens/s", "waiting for data")
    for name in names:
        (row,) = [line for line in outcome.lines if line.startswith(f" {name} ")]
        if name == "dev loss":
            assert row.split()[-4:-1] == [f"{loss:.3f}" for loss in (dev[0], dev[-1], min(dev))]
    assert "0–24 updates" in outcome.text and "minutes" not in outcome.text
    assert "minutes" in run_here("history", model, "--axis", "minutes").text
    assert "'hours'" in refused(run_here("history", model, "--axis", "hours"), code=2)


def test_several_trainings_go_into_one_picture_and_one_file(model: Path, sibling: Path, tmp_path: Path) -> None:
    written = ["--plot", tmp_path / "all.svg", "--json", tmp_path / "all.json"]
    outcome = run_here("history", model, sibling, *written)
    assert outcome.code == 0
    assert outcome.err == f"{tmp_path}/all.json: 2 trainings\n{tmp_path}/all.svg: 2 trainings\n"
    assert all(name in outcome.text for name in (f"{model.name}: 24 updates", f"{sibling.name}: 16 updates"))
    assert (tmp_path / "all.svg").read_bytes().startswith(b"<?xml")
    first, second = json.loads((tmp_path / "all.json").read_text())["trainings"]
    lines = [json.loads(line) for line in (sibling / "history.jsonl").read_text().splitlines()]
    assert (first["name"], second["name"], second["folder"]) == (model.name, sibling.name, str(sibling))
    for key in ("train_loss", "dev_bleu", "gradient_norm"):
        measured = [(line["step"], line[key]) for line in lines if key in line]
        drawn = second["curves"][key]
        assert list(zip(drawn["updates"], drawn["values"], strict=True)) == measured
    standard = run_here("history", model, sibling, "--json", "-")
    assert json.loads(standard.out) == json.loads((tmp_path / "all.json").read_text())


def test_a_folder_with_nothing_but_a_torn_history_is_enough(model: Path, tmp_path: Path) -> None:
    """As of a training that runs on another machine."""
    text = (model / "history.jsonl").read_bytes()
    (tmp_path / "history.jsonl").write_bytes(text[: text.rindex(b'"step": 24') + 8])
    outcome = run_here("history", tmp_path)
    assert outcome.code == 0 and outcome.err == ""
    assert f"{tmp_path.name}: 2" in outcome.lines[0] and "1 validation" in outcome.lines[0]


def test_what_is_no_training_is_refused_in_a_line(model: Path, tmp_path: Path) -> None:
    assert "holds no history.jsonl, which train writes" in refused(run_here("history", tmp_path))
    assert "is no folder" in refused(run_here("history", tmp_path / "none"))
    assert "is no folder" in refused(run_here("history", model / "options.json"))
    assert "named twice" in refused(run_here("history", model, model), code=2)
    assert "as png, svg, pdf" in refused(run_here("history", model, "--plot", tmp_path / "a.gif"), code=2)
    assert "belongs to the model" in refused(run_here("history", model, "--json", model / "history.jsonl"), code=2)
    assert [*tmp_path.iterdir()] == []


def test_quiet_and_a_config_file_for_histories(model: Path, tmp_path: Path) -> None:
    (tmp_path / "history.toml").write_text('axis = "minutes"\nquiet = true\n')
    outcome = run_here("history", model, "--config", tmp_path / "history.toml", "--plot", tmp_path / "a.png")
    assert (outcome.code, outcome.err) == (0, "") and "minutes" in outcome.text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert run_here("history", model, "--quiet").out == run_here("history", model).out


def test_a_history_needs_no_torch(model: Path, tmp_path: Path) -> None:
    """Who watches a training does not wait for torch to load, nor take memory from it."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('torch is loaded')")
    outcome = run_process("history", model, PYTHONPATH=str(tmp_path))
    assert outcome.code == 0, outcome.err


def test_folders_of_one_name_are_told_apart_by_their_paths(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("first/some-model", "second/some-model", "third/other"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(model / "history.jsonl", name)
    outcome = run_here("history", "first/some-model", "second/some-model", "third/other")
    names = [line.partition(":")[0] for line in outcome.lines[:3]]
    assert names == ["first/some-model", "second/some-model", "other"]
    rows = [line.split()[0] for line in outcome.lines if line.endswith(" 24 ") and "some-model" in line]
    assert set(rows) == {"first/some-model", "…cond/some-model"}, "the end of a long name is what tells"
    assert run_here("history", "third/other/.").lines[0].startswith("other: ")
    monkeypatch.chdir(tmp_path / "third" / "other")
    assert run_here("history", ".").lines[0].startswith(".: ")
