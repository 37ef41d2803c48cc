"""The story of a run: what it counts, writes down and refuses, and that nothing is written before it is sure."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_toys import FAMILIES, LEARNED, fingerprints, only_line, tokenizer, toy_run, write_data

import nmtkit
from nmtkit import checkpoint
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.options import RecurrentOptions
from nmtkit.settings import to_mapping
from nmtkit.tokenizer.build import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training import recipe
from nmtkit.training.data import Data
from nmtkit.training.recipe import train
from nmtkit.training.run import Run
from nmtkit.translator import Translator


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def once(folder: Path, **changes: Any) -> Run:
    """A run of one update."""
    return replace(toy_run(folder, updates=1, validate_every=1), **changes)


def options_of(run: Run) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run.output / "options.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize(
    ("joint", "asked", "resolved"), [(True, None, True), (False, None, False), (True, False, False), (True, True, True)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_source_table_is_shared_where_the_tokenizer_is_joint(
    family: str, joint: bool, asked: bool | None, resolved: bool, tmp_path: Path
) -> None:
    run = once(tmp_path, model=replace(FAMILIES[family], tie_source=asked), tokenizer=tokenizer(joint))
    train(run)
    assert options_of(run)["model"]["tie_source"] is resolved
    made: Any = checkpoint.load(run.output).model
    assert (made.front.table.weight is made.target_embedding.weight) is resolved


def lines(path: Path, *text: str) -> None:
    path.write_text("".join(line + "\n" for line in text), encoding="utf-8")


def test_the_data_line_counts_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "cat " * 40
    train_pairs = [("cat", "katze"), ("dog", "hund"), ("cat", "katze"), ("", "hund"), ("dog", " "), (long, "hund")]
    train_pairs += [("dog", long), ("cat", "hund"), ("dog", "hund"), ("dog", "hund"), ("red cat", "rot katze")]
    dev_pairs = [("cat", "katze"), ("dog", "haus"), ("dog", "hund"), ("cat", "katze"), ("", "x"), (long, "a")]
    for name, pairs in (("train", train_pairs), ("dev", dev_pairs)):
        lines(tmp_path / f"{name}.en", *(x for x, _ in pairs))
        lines(tmp_path / f"{name}.de", *(y for _, y in pairs))
    train(toy_run(tmp_path, updates=1, validate_every=1, max_source=20, max_target=20))
    kept = [pair for pair in train_pairs if all(side.strip() and side != long for side in pair)]
    pieces = [sum(len(tokenizer().source.encode(pair[side])) + 1 for pair in kept) for side in (0, 1)]
    [found] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("data:")]
    assert found == (
        f"data: 11 pairs, 2 empty, 2 over-long, 3 duplicates; training on {len(kept)} pairs "
        f"({pieces[0]} source and {pieces[1]} target pieces); dev: 6 pairs, 1 empty, 1 over-long, 3 also in train"
    )
    assert len(kept) == 7


def broken(folder: Path, name: str, fault: str) -> None:
    path = folder / name
    if fault == "missing":
        path.unlink()
    elif fault == "unequal":
        path.write_text(path.read_text(encoding="utf-8") + "cat\n", encoding="utf-8")
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"cat\n\xff\n" + path.read_bytes())


@pytest.mark.parametrize("fault", ["missing", "unequal", "empty", "folder", "not UTF-8"])
@pytest.mark.parametrize("name", ["train.en", "train.de", "dev.en", "dev.de"])
def test_files_that_cannot_be_used_are_refused_before_anything_is_written(
    name: str, fault: str, tmp_path: Path
) -> None:
    run = once(tmp_path)
    broken(tmp_path, name, fault)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value, tmp_path / name), caught.value
    assert sorted(tmp_path.iterdir()) == before


def test_an_output_that_is_a_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = once(tmp_path)
    run.output.write_text("my notes", encoding="utf-8")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value, run.output, "folder")
    assert run.output.read_text(encoding="utf-8") == "my notes"


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer": tokenizer(joint=False)},
        {"tokenizer": Tokenizer(tokenizer(True, 290).source, tokenizer().target)},
        {"tokenizer": TokenizerOptions(vocab_size=100_000)},
        {"tokenizer": TokenizerOptions(vocab_size=10)},
        {"device": "gpu"},
        {"threads": 0},
    ],
    ids=[
        "one table of two vocabularies",
        "one table of two sizes",
        "too many pieces",
        "too few pieces",
        "device",
        "threads",
    ],
)
def test_what_cannot_be_made_is_refused_before_the_folder_is(changes: dict[str, Any], tmp_path: Path) -> None:
    run = once(tmp_path, **changes)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value)
    assert not run.output.exists()


@pytest.mark.parametrize("family", LEARNED)
def test_pairs_that_the_model_cannot_hold_are_left_out_before_the_first_update(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They hold seven pieces and the end; the search of the first validation could go on to 2 · 3 + 10."""
    run = once(tmp_path, model=LEARNED[family])
    train(run)
    sides = tokenizer()
    pairs = zip(
        *((tmp_path / f"train.{x}").read_text(encoding="utf-8").splitlines() for x in ("en", "de")), strict=True
    )
    lengths = [(len(sides.source.encode(x)), len(sides.target.encode(y))) for x, y in pairs]
    kept = [pair for pair in lengths if max(pair) <= 7]
    assert (6, 7) in kept and (5, 8) in lengths and len(kept) == 9
    told = capsys.readouterr().err
    assert "data: 30 pairs, 0 empty, 21 over-long, " in told and "training on 9 pairs " in told
    assert f"({sum(x + 1 for x, _ in kept)} source and {sum(y + 1 for _, y in kept)} target pieces)" in told
    assert "dev: 4 pairs, 0 empty, 3 over-long" in told and "cut to" not in told
    assert checkpoint.load(run.output).steps == 1


def test_the_limits_named_are_those_in_force(tmp_path: Path) -> None:
    run = once(tmp_path, model=replace(LEARNED["transformer"], max_positions=4))  # type: ignore[call-arg]
    lines(tmp_path / "train.en", "cat " * 9)
    lines(tmp_path / "train.de", "katze")
    for limits, named in (({}, (3, 3)), ({"max_target": 2}, (3, 2)), ({"max_source": 1}, (1, 3))):
        with pytest.raises(ValueError, match=f"longer than {named[0]} source or {named[1]} target pieces"):
            train(replace(run, training=replace(run.training, **limits)))
    assert not run.output.exists()


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize("fault", ["blank", "long"])
def test_data_without_a_usable_pair_is_refused_before_anything_is_written(
    part: str, fault: str, tmp_path: Path
) -> None:
    run = toy_run(tmp_path, updates=1, validate_every=1, max_source=30)
    lines(tmp_path / f"{part}.en", *{"blank": [" ", ""], "long": ["cat " * 40] * 2}[fault])
    lines(tmp_path / f"{part}.de", "katze", "hund")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value, tmp_path / f"{part}.en", tmp_path / f"{part}.de")
    assert not run.output.exists()


def test_a_run_refused_for_its_data_can_be_made_with_better_options(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=1, validate_every=1, max_source=1)
    with pytest.raises(ValueError, match="longer than 1 source"):
        train(run)
    train(replace(run, training=replace(run.training, max_source=100)))
    assert checkpoint.load(run.output).steps == 1


def test_what_is_written_down(tmp_path: Path) -> None:
    run = once(tmp_path, command="nmtkit train --some thing")
    run = replace(run, training=replace(run.training, valid_beam=3, valid_length_alpha=0.25))
    begun = datetime.now(UTC) - timedelta(seconds=1)
    train(run)
    options = options_of(run)
    names = {"train source": "train.en", "train target": "train.de", "dev source": "dev.en", "dev target": "dev.de"}
    paths = {role: tmp_path / name for role, name in names.items()}
    assert options["data"] == {r: hashlib.sha256(path.read_bytes()).hexdigest() for r, path in paths.items()}
    provenance = options["provenance"]
    assert provenance["files"] == {role: str(path) for role, path in paths.items()}
    assert provenance["nmtkit"] == nmtkit.__version__ and provenance["torch"] == torch.__version__
    assert provenance["python"] == platform.python_version() and platform.machine() in provenance["machine"]
    assert (provenance["device"], provenance["threads"]) == ("cpu", 1)
    assert provenance["command"] == "nmtkit train --some thing"
    assert begun <= datetime.fromisoformat(provenance["started"]) <= datetime.now(UTC)
    assert options["languages"] == {"source": "en", "target": "de"}
    assert options["training"] == {**to_mapping(run.training), "precision": "float32"}
    size = tokenizer().source.size
    assert options["tokenizer"] == {
        "sha256": hashlib.sha256((run.output / "tokenizer.model").read_bytes()).hexdigest(),
        "joint": True,
        "source_size": size,
        "target_size": size,
        "made_by": None,
    }
    assert Translator.load(run.output, device="cpu").defaults == SearchSettings(beam=3, length_alpha=0.25)
    assert options["format"] == checkpoint.FORMAT


@pytest.mark.parametrize("joint", [True, False])
def test_a_tokenizer_is_trained_on_the_training_text_alone(joint: bool, tmp_path: Path) -> None:
    made_by = TokenizerOptions(vocab_size=290, kind="bpe", joint=joint)
    run = once(tmp_path, tokenizer=made_by, model=replace(FAMILIES["transformer"], tie_source=None))
    train(run)
    names = ["tokenizer.model"] if joint else ["tokenizer.source.model", "tokenizer.target.model"]
    assert sorted(path.name for path in run.output.glob("tokenizer*")) == names
    written = options_of(run)["tokenizer"]
    assert (written["joint"], written["source_size"], written["target_size"]) == (joint, 290, 290)
    assert TokenizerOptions(**written["made_by"]) == made_by
    other = replace(run, output=tmp_path / "other")
    lines(tmp_path / "dev.en", *["a dog"] * 4)
    train(other)
    for name in names:
        assert (other.output / name).read_bytes() == (run.output / name).read_bytes()


def test_the_seed_determines_the_weights(tmp_path: Path) -> None:
    def trained(output: str, seed: int) -> dict[str, str]:
        run = toy_run(tmp_path, output, updates=5, seed=seed)
        train(replace(run, model=replace(run.model, dropout=0.2)))
        return fingerprints(run.output)

    first = trained("a", 1)
    torch.manual_seed(999)
    assert trained("b", 1) == first
    other = trained("c", 2)
    assert all(other[name] != first[name] for name in first)


def test_the_folder_is_made_with_its_parents_and_what_it_says_is_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = once(tmp_path, output=tmp_path / "runs" / "deep", model=RecurrentOptions(embedding=8, units=8, attention=8))
    train(run)
    said = capsys.readouterr().err
    parameters = sum(p.numel() for p in checkpoint.load(run.output).model.parameters())
    assert f"training recurrent, {parameters:,} parameters, 1 update, on cpu" in said
    assert re.search(rf"^done: 1 update made; best at update 1; the model is in {run.output}$", said, re.M)
    present = {path.name for path in run.output.iterdir()}
    assert present == {
        "options.json", "tokenizer.model", "weights.safetensors", "last.safetensors", "history.jsonl", "training",
    }  # fmt: skip


def test_a_folder_that_another_training_begins_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the folder and its lock: what has another seed refuses it, as it would later."""
    run, make = once(tmp_path), recipe._make_folder

    def slowly(*arguments: Any) -> None:
        make(*arguments)
        monkeypatch.setattr(recipe, "_make_folder", make)
        train(replace(run, training=replace(run.training, seed=run.training.seed + 1)))

    monkeypatch.setattr(recipe, "_make_folder", slowly)
    with pytest.raises(ValueError, match="training seed was"):
        train(run)
    assert options_of(run)["training"]["seed"] == run.training.seed + 1


def test_prefixes_may_have_dots(tmp_path: Path) -> None:
    data = Data(tmp_path / "a.b", tmp_path / "dev.v2", "fr.txt", "en")
    assert data.paths() == {
        "train source": tmp_path / "a.b.fr.txt",
        "train target": tmp_path / "a.b.en",
        "dev source": tmp_path / "dev.v2.fr.txt",
        "dev target": tmp_path / "dev.v2.en",
    }
    assert write_data(tmp_path).paths()["dev target"] == tmp_path / "dev.de"
