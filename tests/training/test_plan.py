"""One resolution for `check` and `train`: what one refuses the other refuses, and what one says the other does."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.training_toys import FAMILIES, LEARNED, changed, only_line, tokenizer, toy_run

from nmtkit import checkpoint
from nmtkit.models.build import parameters
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.plan import resolve
from nmtkit.training.recipe import check, train
from nmtkit.training.run import Run


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("ready", [True, False])
def test_what_check_says_is_what_train_makes(family: str, joint: bool, ready: bool, tmp_path: Path) -> None:
    run = toy_run(tmp_path, family=family, updates=1, validate_every=1)
    made_by = TokenizerOptions(290, "bpe", joint)
    run = replace(run, model=replace(run.model, tie_source=None), tokenizer=tokenizer(joint) if ready else made_by)
    said, plan = check(run), resolve(run)
    assert not run.output.exists() and plan.stored is None and plan.updates == 0
    train(run)
    loaded = checkpoint.load(run.output)
    assert said == f"{run.output}: {family}, {parameters(loaded.model):,} parameters, 1 update"
    assert loaded.options.model == plan.model and plan.model.tie_source is joint
    assert plan.sizes == (loaded.options.tokenizer.source_size, loaded.options.tokenizer.target_size)
    assert check(run) == f"{said}, 1 of them made"
    again = resolve(run)
    assert again.stored == checkpoint.read_options(run.output) and again.updates == 1
    assert again.tokenizer is not None and again.tokenizer.hash() == loaded.tokenizer.hash()


def begun(folder: Path) -> Run:
    run = toy_run(folder, updates=1, validate_every=1)
    train(run)
    return run


REFUSED: dict[str, Any] = {
    "no file": lambda run: replace(run, data=replace(run.data, dev=run.data.dev.with_name("none"))),
    "device": lambda run: replace(run, device="tpu9"),
    "seed": lambda run: changed(run, seed=9),
    "another tokenizer": lambda run: replace(run, tokenizer=tokenizer(True, 290)),
    "no joint vocabulary": lambda run: replace(run, tokenizer=tokenizer(False), output=run.output / "new"),
    "a file": lambda run: replace(run, output=run.data.paths()["train source"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_one_refuses_the_other_refuses_in_the_same_words(what: str, tmp_path: Path) -> None:
    run = REFUSED[what](begun(tmp_path))
    told = []
    for call in (check, train):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call(run)
        assert only_line(caught.value)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_only_check_refuses_fewer_updates_than_were_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(tmp_path, updates=2)
    train(run)
    fewer = changed(run, updates=1)
    with pytest.raises(ValueError, match="has made 2 updates, more than updates = 1"):
        check(fewer)
    train(fewer)
    assert "0 updates left (2 updates made)" in capsys.readouterr().err


def test_a_model_with_a_limit_leaves_out_longer_pairs(tmp_path: Path) -> None:
    run = replace(toy_run(tmp_path, max_source=5, max_target=30), model=LEARNED["transformer"])
    assert resolve(run).limits() == (5, 7)
    assert resolve(replace(run, model=FAMILIES["transformer"])).limits() == (5, 30)


def test_the_configuration_is_what_the_folder_says(tmp_path: Path) -> None:
    run = begun(tmp_path)
    written = json.loads((run.output / "options.json").read_text(encoding="utf-8"))
    expected = resolve(replace(run, output=tmp_path / "new")).configuration(tokenizer()).written()
    assert {name: written[name] for name in expected} == expected
    assert set(expected) == {"model", "training", "tokenizer", "languages", "data"}
