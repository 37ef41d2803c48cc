"""The moving average against NumPy, what a skipped update leaves, and that it takes the place of snapshots."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.ranks_toys import together
from support.training_toys import FAMILIES, changed, corpus, model, parallel, tokenizer, toy_run

from nmtkit import checkpoint
from nmtkit.batches.corpus import load_corpus
from nmtkit.checkpoint import unique_weights
from nmtkit.training.averaging import MeanOfSnapshots, MovingAverage, make_average
from nmtkit.training.loop import Trainer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.position import Position
from nmtkit.training.ranks import ALONE, Ranks
from nmtkit.training.recipe import train
from nmtkit.training.state import KIND, RunState
from nmtkit.training.translation import TranslationTask
from nmtkit.training.validation import DevSet


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def no(failed: bool = False) -> torch.Tensor:
    return torch.tensor(failed)


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_average_is_the_recursion(family: str, decay: float) -> None:
    made = model(FAMILIES[family]).double()
    average = MovingAverage(made, decay)
    expected = {name: tensor.numpy().copy() for name, tensor in unique_weights(made).items()}
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 30):
        for tensor in unique_weights(made).values():
            tensor.add_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
        average.add(Position(step), no(), False)
        kept = min(decay, (1 + step) / (10 + step))
        for name, tensor in unique_weights(made).items():
            expected[name] = kept * expected[name] + (1 - kept) * tensor.numpy()
    for name, tensor in average.weights(Position()).items():
        np.testing.assert_allclose(tensor.numpy(), expected[name], atol=1e-12)


def test_an_update_that_was_skipped_does_not_enter() -> None:
    made = model()
    average = MovingAverage(made, 0.9)
    for step, failed in ((1, False), (2, True)):
        before = {name: tensor.clone() for name, tensor in average.tensors.items()}
        for tensor in unique_weights(made).values():
            tensor.add_(1.0)
        average.add(Position(step), no(failed), False)
        assert all(torch.equal(tensor, before[name]) == failed for name, tensor in average.tensors.items())


def test_a_loss_that_is_not_finite_leaves_the_average_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, averages = toy_run(tmp_path, updates=4, validate_every=4, learning_rate=0.1, ema=0.9), []
    made = Trainer._update

    def spoiled(trainer: Trainer, work: Any) -> None:
        averages.append({name: tensor.clone() for name, tensor in trainer.average.tensors.items()})
        parameter = next(trainer.model.parameters())
        hook = parameter.register_hook(lambda gradient: gradient * math.nan) if trainer.position.step == 1 else None
        made(trainer, work)
        if hook:
            hook.remove()

    monkeypatch.setattr(Trainer, "_update", spoiled)
    train(run)
    changes = [not torch.equal(a[name], b[name]) for a, b in pairwise(averages) for name in ["output_weight"]]
    assert changes == [True, False, True]


def test_it_is_what_is_validated_and_kept_and_no_snapshots_are_written(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=6, validate_every=3, learning_rate=0.05, snapshot_every=1, ema=0.7)
    plain = toy_run(tmp_path, "plain", updates=6, validate_every=3, learning_rate=0.05, snapshot_every=1, average=1)
    train(plain)
    train(run)
    assert not list((run.output / "training").glob("snapshot-*"))
    states = {
        step: checkpoint.load_tensors(plain.output / "training" / f"state-{step}.safetensors", KIND)[0]
        for step in (3, 6)
    }
    mine, _ = checkpoint.load_tensors(run.output / "training" / "state-6.safetensors", KIND)
    last, header = checkpoint.load_tensors(run.output / "last.safetensors", checkpoint.WEIGHTS)
    for name, tensor in last.items():
        assert torch.equal(mine[f"more.average.{name}"], tensor)
        assert torch.equal(mine[f"model.{name}"], states[6][f"model.{name}"]), "averaging changes no update"
    assert header["steps"] == 6 and any(not torch.equal(last[name], mine[f"model.{name}"]) for name in last)
    train(changed(run, updates=8))
    assert not list((run.output / "training").glob("snapshot-*"))


def test_lost_weights_are_those_of_the_average_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(tmp_path, updates=4, validate_every=2, learning_rate=0.05, ema=0.7)
    train(run)
    path = run.output / "last.safetensors"
    before = checkpoint.load_tensors(path, checkpoint.WEIGHTS)[0]
    path.unlink()
    train(run)
    assert "made again from the training state" in capsys.readouterr().err
    after = checkpoint.load_tensors(path, checkpoint.WEIGHTS)[0]
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_off_it_is_the_mean_of_snapshots(tmp_path: Path) -> None:
    made, state = model(), RunState(tmp_path)
    assert type(make_average(made, TrainingOptions(ema=0.5), state, True)) is MovingAverage
    assert type(make_average(made, TrainingOptions(), state, True)) is MeanOfSnapshots
    for writes, expected in ((True, [2, 4, 5]), (False, [])):
        position = Position()
        average = make_average(made, TrainingOptions(snapshot_every=2), state, writes)
        for position.step in range(1, 6):
            average.add(position, no(), position.step == 5)
        assert position.snapshots == expected and average.tensors == {}


def averages(ranks: Ranks, folder: str, frozen: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """What a training in several processes has in one of them at the end; each has begun with other weights."""
    options = TrainingOptions(updates=5, accumulate=3, batch_tokens=40, validate_every=5, ema=0.7, freeze=frozen)
    lines, pairs = parallel(4, seed=6), corpus(12)
    dev = DevSet(*lines, load_corpus(*lines, tokenizer(), 99, 99))
    task = TranslationTask(pairs, dev, tokenizer(), options)
    trainer = Trainer(model(seed=ranks.share.rank), task, options, Path(folder), lambda *_: None, ranks=ranks)
    trainer.agree()
    trainer.run()
    return {name: tensor.clone() for name, tensor in trainer.average.tensors.items()}


def test_all_processes_have_the_same_average(tmp_path: Path) -> None:
    alone = averages(ALONE, str(tmp_path), ("decoder.*",))
    (tmp_path / "two").mkdir()
    first, second = together(2, averages, str(tmp_path / "two"), ("decoder.*",))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name])
        torch.testing.assert_close(tensor, alone[name], atol=1e-5, rtol=0)
    fresh = unique_weights(model(seed=0))
    assert {name for name in fresh if torch.equal(fresh[name], first[name])} == {
        n for n in fresh if n[:8] == "decoder."
    }


@pytest.mark.parametrize("value", [1.0, -0.1, math.nan])
def test_impossible_decays(value: float) -> None:
    with pytest.raises(ValueError, match="ema = .* from 0 to below 1"):
        TrainingOptions(ema=value)
