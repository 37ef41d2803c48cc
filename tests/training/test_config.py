"""TOML to run: what a file says, what is changed of it, which wins, and one line for what cannot be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Data, run_here
from support.training_toys import only_line, write_data

from nmtkit import checkpoint
from nmtkit.models.options import RecurrentOptions, preset
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.config import PRESET, SHORT, Config, load, read, recipes
from nmtkit.training.options import TrainingOptions
from nmtkit.training.recipe import check, train

FILES = {"train": "t", "dev": "d", "source_lang": "fr", "target_lang": "en", "output": "o"}
TOP = "train = 't'\ndev = 'd'\nsource-lang = 'fr'\ntarget_lang = 'en'\noutput = 'o'\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "a.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_lines_train_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    data = write_data(tmp_path)
    small = {"width": 16, "feedforward": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
    few = {"updates": 2, "validate_every": 2, "batch_tokens": 60}

    run = load("multi30k-tiny", train=data.train, dev=data.dev, output=tmp_path / "run", model=small, training=few,
               vocab_size=300)  # fmt: skip
    train(run)

    options = checkpoint.load(tmp_path / "run").options
    assert options.training(TrainingOptions).learning_rate == 0.005, "the recipe's"
    assert options.training(TrainingOptions).updates == 2, "ours"
    assert options.tokenizer.made_by == TokenizerOptions(300, "bpe")
    assert (options.languages.source, options.languages.target) == ("en", "de")
    assert check(run).endswith("2 updates, 2 of them made")


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    run = load(write(tmp_path, TOP))
    assert (run.model, run.training, run.tokenizer) == (preset(PRESET), TrainingOptions(), TokenizerOptions())
    assert (run.device, run.threads, run.command) == ("auto", None, "")
    assert run.data.paths()["dev target"] == Path("d.en") and run.output == Path("o")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "nmtkit/training/recipes").glob("*.toml")))
def test_recipes_are_found_by_name(name: str) -> None:
    assert name in recipes()
    run = load(name, **{**FILES, "preset": "transformer-tiny"})
    values = read(name)
    assert {key: getattr(run.training, key) for key in values.tables["training"]} == values.tables["training"]


def test_short_keys_are_those_of_a_table_and_win_over_it(tmp_path: Path) -> None:
    text = (
        f"{TOP}updates = 5\nbatch-tokens = 50\nvocab-size = 400\njoint-vocab = false\ntokenizer-kind = 'bpe'\n"
        "dropout = 0.25\n[training]\nupdates = 6\naccumulate = 3\n[tokenizer]\nvocab_size = 500\nmax_lines = 9\n"
        "[model]\ndropout = 0.5\nwidth = 128\n"
    )
    run = load(write(tmp_path, text))
    assert run.training == TrainingOptions(updates=5, batch_tokens=50, accumulate=3)
    assert run.tokenizer == TokenizerOptions(400, "bpe", joint=False, max_lines=9)
    assert run.model == replace(preset(PRESET), dropout=0.25, width=128)  # type: ignore[call-arg]


@pytest.mark.parametrize("key", SHORT)
def test_every_short_key_has_its_home(key: str) -> None:
    table, name = SHORT[key]
    values: dict[str, Any] = {"tokenizer_kind": "bpe", "joint_vocab": False, "learning_rate": 0.5, "dropout": 0.5}
    values |= {"label_smoothing": 0.5, "symbols": ["<x>"], "precision": "float16", "ema": 0.5, "freeze": ["encoder.*"]}
    values |= {"compile": True}
    values |= {"label_smoothing": 0.5, "subword_regularization": 0.5, "symbols": ["<x>"]}
    value = values.get(key, 17)
    short, long = load_values({key: value}), load_values({table: {name: value}})
    assert short == long != load_values({})


def load_values(values: dict[str, Any]) -> Any:
    return Config.of({**FILES, **values}, "x").run()


def test_changes_win_over_the_file_wherever_they_are_made(tmp_path: Path) -> None:
    path = write(tmp_path, f"{TOP}updates = 5\npreset = 'bahdanau'\n[training]\nwarmup = 9\n[model]\nunits = 64\n")
    assert load(path, updates=7).training.updates == load(path, training={"updates": 7}).training.updates == 7
    assert load(path, training={"seed": 3}).training == TrainingOptions(updates=5, warmup=9, seed=3)
    model = load(path, model={"attention": 32}).model
    assert model == replace(preset("bahdanau"), units=64, attention=32)  # type: ignore[call-arg]
    assert load(path, output=tmp_path, threads=2).output == tmp_path


def test_a_family_in_the_table_is_a_model_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, f"{TOP}[model]\nfamily = 'recurrent'\nunits = 8\n")
    assert load(path).model == RecurrentOptions(units=8)


def test_a_ready_tokenizer_is_a_path_that_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    run = load(write(tmp_path, f"tokenizer = '{tmp_path}/none'\n{TOP}"))
    assert run.tokenizer == tmp_path / "none" and run.made_by is None
    with pytest.raises(ValueError, match="no such tokenizer"):
        run.ready()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("updatse = 3", ["unknown key 'updatse'; did you mean 'updates'?"]),
        ("[modle]\nwidth = 3", ["'modle'", "'model'"]),
        ("model = 3", ["model = 3 is not a table"]),
        ("threads = 0", ["threads = 0 is not possible: choose from 1"]),
        ("device = 3", ["device = 3 is not a text"]),
        ("updates = 'many'", ["[training]: updates = 'many' is not a whole number"]),
        ("[training]\nupdates = 0", ["[training]: updates = 0"]),
        ("[model]\nwidht = 3", ["[model]: unknown key 'widht'; did you mean 'width'?"]),
        ("[tokenizer]\nkind = 'word'", ["[tokenizer]: kind = 'word'"]),
        ("preset = 'tiny'", ["unknown preset 'tiny'"]),
        ("vocab-size = 300\ntokenizer = 'x'", ["ready made: leave out vocab_size"]),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(text: str, named: list[str], tmp_path: Path) -> None:
    top, _, tables = text.partition("[")
    path = write(tmp_path, f"{top}\n{TOP}{'[' if tables else ''}{tables}\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load(path)
    assert only_line(caught.value, *named), caught.value
    assert str(path) in str(caught.value) or "preset" in text or "ready made" in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.toml: the key 'dev' is missing"):
        load(write(tmp_path, "train = 'x'\nsource-lang = 'fr'\ntarget-lang = 'en'\noutput = 'o'\n"))
    with pytest.raises(ValueError, match=r"none: no such file, nor a recipe of nmtkit's \(jane, "):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match="both 'fr'"):
        load(write(tmp_path, TOP), target_lang="fr")


def test_keys_that_only_the_command_knows_change_no_run(tmp_path: Path) -> None:
    plain = load(write(tmp_path, TOP))
    assert load(write(tmp_path, f"quiet = true\n{TOP}")) == plain


def test_a_file_is_the_same_run_for_python_and_the_command_line(data: Data, tmp_path: Path) -> None:
    text = (
        f"train = '{data.folder}/train'\ndev = '{data.folder}/dev'\nsource-lang = 'fr'\ntarget-lang = 'en'\n"
        f"output = '{tmp_path}/run'\nvocab-size = 400\nupdates = 7\ndevice = 'cpu'\n[model]\nwidth = 128\n"
    )
    path = write(tmp_path, text)
    outcome = run_here("train", "--config", path, "--check")
    assert outcome.code == 0 and outcome.err == check(load(path)) + "\n"


def test_with_init_from_the_model_and_the_tokenizer_are_that_folders_unless_they_are_named() -> None:
    run = load_values({"init_from": "runs/old"})
    assert (run.init_from, run.model, run.tokenizer) == (Path("runs/old"), {}, None)
    assert load_values({"init_from": "runs/old", "dropout": 0.5}).model == {"dropout": 0.5}
    assert load_values({"init_from": "runs/old", "preset": "bahdanau"}).model == preset("bahdanau")
    named = {"init_from": "runs/old", "model": {"family": "recurrent", "units": 8}}
    assert load_values(named).model == RecurrentOptions(units=8)
    assert load_values({"init_from": "runs/old", "vocab_size": 300}).tokenizer == TokenizerOptions(300)
    assert load_values({"init_from": "runs/old", "tokenizer": "x.model"}).tokenizer == Path("x.model")
    with pytest.raises(ValueError, match="without init_from"):
        replace(run, init_from=None)
