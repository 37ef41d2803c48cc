"""A run that begins with the weights of another: what is taken over piece by piece, what fits, and what is recorded."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.training_toys import FAMILIES, LEARNED, fingerprints, only_line, parallel, tokenizer, toy_run
from torch import Tensor

from nmtkit import checkpoint
from nmtkit.checkpoint import unique_weights
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.options import ModelOptions, options_to_mapping
from nmtkit.tokenizer.build import TokenizerOptions, train_tokenizer
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.parent import Parent, shared_rows
from nmtkit.training.recipe import check, train
from nmtkit.training.run import Run
from nmtkit.translator import Translator

MODELS: dict[str, ModelOptions] = {**FAMILIES, "convolutional": LEARNED["convolutional"]}
TEXT = ["red cat", "the green dog sees a fish", "house"]


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def folder_of(folder: Path, options: ModelOptions, sides: Tokenizer) -> Path:
    """A model folder around a random model."""
    options = replace(options, tie_source=sides.joint if options.tie_source is None else options.tie_source)
    torch.manual_seed(3)
    made = checkpoint.build_model(options, sides)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    sides.save(folder)
    mapping = options_to_mapping(options)
    checkpoint.save_options(folder, {"model": mapping, "tokenizer": {}, "defaults": {"beam": 3}})
    digest = checkpoint.model_hash(mapping, sides, unique_weights(made))
    checkpoint.save_weights(folder / checkpoint.BEST, unique_weights(made), digest, 12, {"loss": 1.5, "bleu": 30.0})
    return folder


def other(joint: bool = True) -> Tokenizer:
    """A tokenizer that knows some of the pieces of the toys' tokenizer, and others."""
    source, target = parallel(200, seed=0)
    more = ([f"{line} {word}" for line in lines] for lines, word in ((source, "zebra quagga"), (target, "gnu okapi")))
    return train_tokenizer(*more, TokenizerOptions(290, "bpe", joint), 1)


def child_of(parent: Path, folder: Path, **changes: Any) -> Run:
    """A run of one update at no rate, so that its first weights are kept."""
    run = toy_run(folder, "child", updates=1, validate_every=1, learning_rate=1e-30, valid_beam=3)
    return replace(run, **{"model": {}, "tokenizer": None, "init_from": parent, **changes})


def tables_of(made: Any) -> dict[str, Tensor]:
    return {
        "source": made.front.table.weight,
        "input": made.target_embedding.weight,
        "output": made.output_weight,
    }


def piece_rows(table: Tensor, vocabulary: Any) -> dict[str, np.ndarray]:
    names = vocabulary.pieces(range(vocabulary.size))
    return dict(zip(names, table.detach().numpy(), strict=True))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("family", MODELS)
def test_with_the_same_vocabulary_the_model_is_the_parent_before_its_first_update(
    family: str, joint: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(MODELS[family], tie_source=None)
    parent = folder_of(tmp_path / "parent", options, tokenizer(joint))
    run = child_of(parent, tmp_path)
    before = Parent.read(parent)
    train(run)
    assert f"beginning with the weights of {parent}, of update 12\n" in capsys.readouterr().err
    models = [Translator.load(folder, device="cpu") for folder in (parent, run.output)]
    found, expected = (unique_weights(one.model) for one in reversed(models))
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    settings = SearchSettings(beam=3)
    for one, two in zip(*(model.search(TEXT, settings, None) for model in models), strict=True):
        assert [(best.text, best.total) for best in one] == [(best.text, best.total) for best in two]
    written = json.loads((run.output / "options.json").read_text(encoding="utf-8"))
    assert written["init_from"] == {"folder": str(parent), "hash": before.origin.hash, "updates": 12}
    assert checkpoint.load(run.output).options.model == before.options


@pytest.mark.parametrize("sides", ["joint", "separate", "joint to separate"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", MODELS)
def test_with_another_vocabulary_shared_pieces_keep_their_rows(
    family: str, tied: bool, sides: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = tokenizer(sides != "separate"), other(sides == "joint")
    options = replace(MODELS[family], tie_source=None, tie_output=tied)
    parent = folder_of(tmp_path / "parent", options, theirs)
    run = child_of(parent, tmp_path, tokenizer=ours)
    train(run)
    made, origin = checkpoint.load(run.output).model, checkpoint.load(parent).model
    torch.manual_seed(run.training.seed)
    fresh = checkpoint.build_model(checkpoint.read_options(run.output).model, ours)
    kept = {}
    for role, side in (("source", "source"), ("input", "target"), ("output", "target")):
        mine, drawn = (piece_rows(tables_of(model)[role], getattr(ours, side)) for model in (made, fresh))
        given = piece_rows(tables_of(origin)[role], getattr(theirs, side))
        for piece, row in mine.items():
            assert np.array_equal(row, given.get(piece, drawn[piece])), (role, piece)
        assert {"<pad>", "<s>", "<unk>", "</s>"} < set(mine) & set(given) != set(mine)
        kept[side] = len(set(mine) & set(given))
    mine, given = unique_weights(made), unique_weights(origin)
    rest = [name for name in mine if mine[name].shape[:1] not in ((290,), (300,))]
    assert rest and all(torch.equal(mine[name], given[name]) for name in rest)
    counts = (
        [f"{kept['target']} of 290 pieces"] if sides == "joint" else [f"{n} of 290 {s} pieces" for s, n in kept.items()]
    )
    assert f"; {' and '.join(counts)} are shared, and the others are new" in capsys.readouterr().err


def test_one_table_is_not_made_of_two(tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", replace(FAMILIES["recurrent"], tie_source=None), tokenizer(False))
    run = child_of(parent, tmp_path, tokenizer=other(True), model={"tie_source": True})
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check(run)
    assert only_line(caught.value, parent, "two tensors", "tie_source was False, now True")
    train(replace(run, model={}))
    assert checkpoint.read_options(run.output).model.tie_source is False


def test_special_tokens_are_shared_whatever_they_are_called() -> None:
    class Renamed(Subwords):
        def pieces(self, ids: Any) -> list[str]:
            return [f"[{i}]" if i < 4 else piece for i, piece in zip(ids, super().pieces(ids), strict=True)]

    one = tokenizer().source
    rows = shared_rows(one, Renamed(one.to_bytes()))
    assert rows == ([*range(300)], [*range(300)])


BAD: dict[str, tuple[Any, list[str]]] = {
    "family": (FAMILIES["transformer"], ["family is recurrent, not transformer"]),
    "width": ({"embedding": 8}, ["embeddings are 16 wide, not 8", "embedding was 16, now 8"]),
    "shape": ({"attention": 12}, ["its tensor decoder.", " is 8, not 12;", "attention was 8, now 12"]),
    "more": ({"encoder_layers": 2}, ["it has no tensor encoder.1", "encoder_layers was 1, now 2"]),
    "fewer": (
        {"bidirectional": False, "encoder_units": 16},
        ["its tensor decoder.", "bidirectional was True, now False"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_model_of_other_tensors_is_refused_before_anything_is_read(what: str, tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["recurrent"], tokenizer())
    changes, words = BAD[what]
    run = child_of(parent, tmp_path, model=changes)
    for call in (check, train):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call(run)
        assert only_line(caught.value, parent, "leave out the preset and the table [model]", *words), caught.value
    assert not run.output.exists()


def test_options_that_change_no_tensor_may_differ_and_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    run = child_of(parent, tmp_path, model={"dropout": 0.25, "attention_dropout": 0.5})
    train(run)
    assert "of update 12; dropout was 0.0, now 0.25; attention_dropout was 0.0, now 0.5\n" in capsys.readouterr().err
    assert checkpoint.read_options(run.output).model.dropout == 0.25
    train(run)
    assert "0 updates left" in capsys.readouterr().err


def test_the_parent_is_validated_first_and_kept_if_nothing_is_better(tmp_path: Path) -> None:
    """On the parent's own dev set it has the parent's scores; learning at random loses all that it knows."""
    parent = toy_run(tmp_path, "parent", updates=60, validate_every=60, learning_rate=0.01)
    train(parent)
    known = checkpoint.load_tensors(parent.output / checkpoint.BEST, checkpoint.WEIGHTS)
    run = toy_run(tmp_path, "child", updates=20, validate_every=10, learning_rate=1.0, warmup=1)
    run = replace(run, model={}, tokenizer=None, init_from=parent.output, data=parent.data)
    train(run)
    lines = [json.loads(line) for line in (run.output / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = {line["step"]: line["dev_loss"] for line in lines if "dev_loss" in line}
    assert list(scores) == [0, 10, 20] and scores[0] == pytest.approx(known[1]["scores"]["loss"], abs=1e-5)
    assert scores[0] < min(scores[10], scores[20])
    kept = checkpoint.load_tensors(run.output / checkpoint.BEST, checkpoint.WEIGHTS)
    assert kept[1]["steps"] == 0 and all(torch.equal(kept[0][name], known[0][name]) for name in known[0])
    train(replace(run, training=replace(run.training, updates=30)))
    again = (json.loads(line) for line in (run.output / "history.jsonl").read_text(encoding="utf-8").splitlines())
    assert [line["step"] for line in again if "dev_loss" in line] == [0, 10, 20, 30], "but only once"


def vectors(folder: Path, width: int) -> None:
    rng = np.random.default_rng(1)
    for name in ("train", "dev"):
        lines = (folder / f"{name}.en").read_text(encoding="utf-8").splitlines()
        np.savez(folder / f"{name}.npz", *(rng.normal(size=(2 + len(line) % 3, width)) for line in lines))


@pytest.mark.parametrize("family", MODELS)
def test_a_source_of_vectors(family: str, tmp_path: Path) -> None:
    run = toy_run(tmp_path, "parent", family="transformer", updates=2, validate_every=1)
    vectors(tmp_path, 5)
    run = replace(run, model=replace(MODELS[family], tie_source=None), data=replace(run.data, source_lang="npz"))
    train(run)
    child = child_of(run.output, tmp_path, data=run.data, tokenizer=other())
    train(child)
    mine, given = (unique_weights(checkpoint.load(folder).model) for folder in (child.output, run.output))
    for part in ("weight", "bias"):
        assert torch.equal(mine[f"front.linear.{part}"], given[f"front.linear.{part}"])
    train(replace(child, output=tmp_path / "same", tokenizer=None))
    same = checkpoint.load(tmp_path / "same")
    assert same.tokenizer.hash() == checkpoint.load(run.output).tokenizer.hash()
    assert all(torch.equal(tensor, given[name]) for name, tensor in unique_weights(same.model).items())
    vectors(tmp_path, 6)
    for changes, words in (
        ({}, ["vectors of 5 features, not vectors of 6 features"]),
        ({"data": replace(run.data, source_lang="en")}, ["vectors of 5 features, not text"]),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            check(replace(child, output=tmp_path / "new", **changes))
        assert only_line(caught.value, run.output, *words), caught.value


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    (parent / checkpoint.BEST).unlink()
    for folder, words in ((tmp_path / "none", "no such model folder"), (parent, "no such file")):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            train(child_of(folder, tmp_path))
        assert only_line(caught.value, folder, words)
    assert not (tmp_path / "child").exists()


def test_a_run_that_goes_on_does_not_read_its_parent_again(tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    run = child_of(parent, tmp_path)
    run = replace(run, training=replace(run.training, updates=4, learning_rate=0.01, validate_every=2))
    train(run)
    half = replace(run, output=tmp_path / "half", training=replace(run.training, updates=2))
    train(half)
    shutil.rmtree(parent)
    train(replace(half, training=run.training))
    assert fingerprints(half.output) == fingerprints(run.output)


def test_a_run_goes_on_only_with_the_same_parent(tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    run = child_of(parent, tmp_path)
    train(run)
    given = {"model": FAMILIES["transformer"], "tokenizer": tokenizer()}
    plain = replace(run, output=tmp_path / "plain", init_from=None, **given)
    train(plain)
    for changed, was, now in (
        (replace(run, init_from=tmp_path / "moved"), parent, tmp_path / "moved"),
        (replace(run, init_from=None, **given), parent, "none"),
        (replace(plain, init_from=parent), "none", parent),
    ):
        for call in (check, train):
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                call(changed)
            assert only_line(caught.value, changed.output, f"init_from folder was {was}, now {now}"), caught.value
    train(replace(run, init_from=Path(os.path.relpath(parent))))


def test_a_run_killed_before_its_first_state_begins_with_the_same_weights_or_not_at_all(tmp_path: Path) -> None:
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    run = child_of(parent, tmp_path)
    train(run)
    expected = unique_weights(checkpoint.load(run.output).model)
    for name in ("training", "weights.safetensors", "last.safetensors", "history.jsonl"):
        path = run.output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = shutil.copytree(run.output, tmp_path / "kept")
    train(run)
    found = unique_weights(checkpoint.load(run.output).model)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    folder_of(parent, FAMILIES["transformer"], tokenizer())
    trained = checkpoint.load(parent).model
    weights = {name: tensor + 1 for name, tensor in unique_weights(trained).items()}
    digest = checkpoint.read_options(parent).model_hash(tokenizer(), weights)
    checkpoint.save_weights(parent / checkpoint.BEST, weights, digest, 13, {"loss": 1.0, "bleu": 1.0})
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(replace(run, output=kept))
    assert only_line(caught.value, parent, kept, "other weights", "--output")


def test_weights_that_change_while_they_are_looked_at_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parent that is still trained: what is recorded must be what was taken."""
    parent = folder_of(tmp_path / "parent", FAMILIES["transformer"], tokenizer())
    read = Parent.read
    old = read(parent)
    monkeypatch.setattr(Parent, "read", lambda folder: replace(old, origin=replace(old.origin, hash="0" * 64)))
    run = child_of(parent, tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value, parent, "its weights have just changed")
    assert not run.output.exists()


def test_the_state_of_a_run_with_another_parent_is_another_runs(tmp_path: Path) -> None:
    parents = [folder_of(tmp_path / name, FAMILIES["transformer"], tokenizer()) for name in ("one", "two")]
    runs = [replace(child_of(parent, tmp_path), output=tmp_path / f"of {parent.name}") for parent in parents]
    for run in runs:
        train(run)
    shutil.rmtree(runs[1].output / "training")
    shutil.copytree(runs[0].output / "training", runs[1].output / "training")
    with pytest.raises(ValueError, match="belongs to another run"):
        train(runs[1])
