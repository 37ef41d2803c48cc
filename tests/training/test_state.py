"""The state of a run: everything comes back, damage is named, and snapshots are never lost before they are replaced."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_toys import FAMILIES, add, corpus, model, only_line, tokenizer

from nmtkit.checkpoint import load_tensors, save_tensors
from nmtkit.models.interface import Model
from nmtkit.training.options import TrainingOptions
from nmtkit.training.position import Meter, Position
from nmtkit.training.state import KIND, RunState
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import make_optimizer
from nmtkit.training.validation import DevSet

PAIRS = corpus(6)
POSITION = Position(7, 2, 1, 3, -1.25, 4, 2, [2, 5], 12.5)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def prepared(family: str, seed: int, updates: int) -> tuple[Model, torch.optim.Optimizer]:
    made = model(FAMILIES[family], seed=seed)
    optimizer = make_optimizer(made, TrainingOptions())
    for _ in range(updates):
        update(made, optimizer)
    return made, optimizer


def update(made: Model, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    task = TranslationTask(PAIRS, DevSet([], [], PAIRS), tokenizer(), TrainingOptions())
    add(TaskLoss(made, task), list(range(6)))
    optimizer.step()


def tensors(made: Model, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    slots = [slot for _, one in sorted(optimizer.state_dict()["state"].items()) for _, slot in sorted(one.items())]
    return [*(p.detach().clone() for p in made.parameters()), *(slot.clone() for slot in slots)]


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_moments_and_position_come_back(family: str, tmp_path: Path) -> None:
    made, optimizer = prepared(family, seed=1, updates=3)
    state = RunState(tmp_path)
    assert not state.exists()
    for step in POSITION.snapshots:
        state.take_snapshot(made, Position(step), 1)
    state.save(made, optimizer, POSITION)
    assert state.exists()
    expected = tensors(made, optimizer)
    other, other_optimizer = prepared(family, seed=2, updates=1)
    position = RunState(tmp_path).load(other, other_optimizer)
    assert asdict(position) == asdict(POSITION)
    found = tensors(other, other_optimizer)
    assert len(found) == len(expected) == 4 * len(list(made.parameters()))  # weight, step, two moments
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    update(made, optimizer)
    update(other, other_optimizer)
    after = zip(tensors(made, optimizer), tensors(other, other_optimizer), strict=True)
    assert all(torch.equal(a, b) for a, b in after)


def test_a_state_without_an_update_comes_back_too(tmp_path: Path) -> None:
    RunState(tmp_path).save(*prepared("transformer", 1, 0), Position())
    made, optimizer = prepared("transformer", 2, 0)
    assert RunState(tmp_path).load(made, optimizer) == Position()
    assert not optimizer.state_dict()["state"]


def test_snapshots_that_count_stay_until_a_state_without_them_is_saved(tmp_path: Path) -> None:
    made, optimizer = prepared("transformer", 1, 0)
    state, position = RunState(tmp_path), Position()
    values = {}

    def files() -> list[str]:
        return sorted(path.name for path in tmp_path.glob("snapshot-*"))

    for step in (2, 4, 6, 8):
        update(made, optimizer)
        position.step = step
        values[step] = {name: p.detach().clone() for name, p in made.named_parameters()}
        state.take_snapshot(made, position, keep=2)
        if step in (4, 6):
            state.save(made, optimizer, position)
    assert position.snapshots == [6, 8]
    assert len(files()) == 4  # states that need the older ones are still on the disk
    saved = RunState(tmp_path).load(*prepared("transformer", 9, 0))
    assert (saved.step, saved.snapshots) == (6, [4, 6])
    for steps, where in (([4, 6], saved), ([6, 8], position)):
        for name, tensor in state.mean_of_snapshots(where).items():
            expected = sum(values[step][name].double() for step in steps) / 2
            torch.testing.assert_close(tensor, expected.float(), atol=1e-7, rtol=0)  # type: ignore[union-attr]
    state.save(made, optimizer, position)
    assert files() == [f"snapshot-{step}.safetensors" for step in (4, 6, 8)]  # the state before needs the first
    assert [path.name for path in state.paths()] == ["state-8.safetensors", "state-6.safetensors"]


def write(content: bytes) -> Any:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        write(b""),
        write(b"hello, no state"),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: save_tensors(path, load_tensors(path, KIND)[0], {"kind": "weights"}),
        lambda path: save_tensors(path, load_tensors(path, KIND)[0], {}),
    ],
)
def test_a_damaged_state_is_named(damage: Any, tmp_path: Path) -> None:
    made, optimizer = prepared("transformer", 1, 1)
    state = RunState(tmp_path)
    state.save(made, optimizer, POSITION)
    damage(state.path(7))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        state.load(made, optimizer)
    assert only_line(caught.value, state.path(7))


def test_a_failed_save_leaves_the_last_state_and_its_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, optimizer = prepared("transformer", 1, 1)
    state, position = RunState(tmp_path), Position(step=1)
    state.take_snapshot(made, position, 1)
    state.save(made, optimizer, position)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    later = Position(step=2, snapshots=[2])
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="No space"):
            state.save(made, optimizer, later)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_position_is_written_in_the_words_of_earlier_versions() -> None:
    meter = Meter(loss=12.5, predicted=30, read=40, seconds=1.5, updates=3, rate=0.25, waited=0.5, norm=4.0, skipped=1)
    position = Position(7, 2, 1, 3, -1.25, 4, 2, [2, 5], 12.5, meter=meter)
    written = position.header()
    assert written["meter"] == {
        "loss": 12.5, "target_tokens": 30, "source_tokens": 40, "seconds": 1.5, "updates": 3, "rate": 0.25,
        "waited": 0.5, "norm": 4.0, "skipped": 1,
    }  # fmt: skip
    assert Position.from_header(written) == position
    assert Position.from_header({"step": 3}) == Position(3)
    assert (meter.mean_loss(), meter.speed()) == (12.5 / 30, 35.0)
    facts = meter.facts()
    assert (facts["gradient_norm"], facts["waiting"]) == (2.0, 0.25)
