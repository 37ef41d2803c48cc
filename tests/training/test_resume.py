"""A run that is killed at any moment and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_toys import (
    INTERRUPTED,
    TIMES,
    Trainings,
    changed,
    fingerprint,
    fingerprints,
    only_line,
    state_of,
    tokenizer,
    toy_run,
)

from nmtkit import checkpoint
from nmtkit.training.history import read_history
from nmtkit.training.options import TrainingOptions
from nmtkit.training.recipe import train
from nmtkit.training.run import Run
from nmtkit.training.state import KIND, RunState

KILLED = -signal.SIGKILL
EVENTFUL: dict[str, Any] = {
    "updates": 130, "accumulate": 2, "batch_tokens": 50, "learning_rate": 0.01, "warmup": 10, "average": 3,
    "snapshot_every": 4, "validate_every": 12, "save_every": 6, "log_every": 5, "patience": 8, "best_by": "bleu",
}  # fmt: skip
"""Several epochs, and averages and patience that a resumed run must remember."""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def trainings() -> Iterator[Trainings]:
    server = Trainings()
    yield server
    server.close()


def eventful(folder: Path, output: str, **changes: Any) -> Run:
    run = toy_run(folder, output, **{**EVENTFUL, **changes})
    return replace(run, model=replace(run.model, dropout=0.2))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, trainings: Trainings) -> Run:
    run = eventful(tmp_path_factory.mktemp("uninterrupted"), "whole")
    nobody_says_this = "".join("Ω\n" for _ in range(4))  # BLEU stays 0, so an early validation stays the best
    run.data.paths()["dev target"].write_text(nobody_says_this, encoding="utf-8")
    status, log = trainings(run)
    assert status == 0, log
    return run


def beginning(run: Run, trainings: Trainings, folder: Path, **changes: Any) -> Run:
    """The same run in a new folder."""
    return replace(eventful(folder, "again", **changes), data=run.data)


def steps_of(run: Run) -> list[tuple[float, bool]]:
    """The steps of the history in order, each with whether it is a validation."""
    return [(line["step"], "dev_loss" in line) for line in read_history(run.output / "history.jsonl")]


def facts_of(run: Run) -> list[dict[str, float]]:
    """The history without what depends on the clock."""
    lines = read_history(run.output / "history.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def position_of(run: Run) -> dict[str, Any]:
    """That of the newest state, without what depends on the clock."""
    position: dict[str, Any] = checkpoint.load_tensors(state_of(run.output), KIND)[1]["position"]
    position["history"] = [json.loads(line) for line in position["history"]]
    for part in (position, position["meter"], *position["history"]):
        for name in TIMES:
            part.pop(name, None)
    return position


def assert_equal(run: Run, expected: Run) -> None:
    assert fingerprints(run.output) == fingerprints(expected.output)
    assert facts_of(run) == facts_of(expected)
    assert position_of(run) == position_of(expected)
    for step in position_of(run)["snapshots"]:
        assert (run.output / "training" / f"snapshot-{step}.safetensors").exists()


def test_the_uninterrupted_run_is_worth_comparing(uninterrupted: Run) -> None:
    steps = steps_of(uninterrupted)
    assert steps == sorted(set(steps))
    last, best = (checkpoint.load(uninterrupted.output, weights=name).steps for name in ("last", "best"))
    assert (best, last) == (24, 120)  # patience ended it
    assert read_history(uninterrupted.output / "history.jsonl")[-1]["epoch"] > 5


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_kills_at_random_moments(seed: int, uninterrupted: Run, trainings: Trainings, tmp_path: Path) -> None:
    run, rng = beginning(uninterrupted, trainings, tmp_path), random.Random(seed)
    kills = 0
    for _ in range(10):
        status, log = trainings(run, "", rng.randint(5, 330))
        assert status in (KILLED, 0), log
        kills += status == KILLED
    assert kills >= 5
    status, log = trainings(run)
    assert status == 0, log
    assert "resuming at update" in log or "0 updates left" in log
    assert_equal(run, uninterrupted)


MOMENTS = [
    "writing tokenizer.model",
    "before replacing tokenizer.model",
    "after replacing tokenizer.model",
    "writing options.json",
    "before replacing options.json",
    "after replacing options.json",
    "writing history.jsonl",
    "torn history",
    "recorded",
    "before update",
    "writing snapshot",
    "before replacing snapshot",
    "after replacing snapshot",
    "writing last.safetensors",
    "after replacing last.safetensors",
    "writing weights.safetensors",
    "before replacing weights.safetensors",
    "after replacing weights.safetensors",
    "writing state",
    "before replacing state",
    "after replacing state",
    "before unlinking state",
    "after unlinking state",
    "before unlinking snapshot",
    "after unlinking snapshot",
]


def test_a_kill_at_every_kind_of_moment(uninterrupted: Run, trainings: Trainings, tmp_path: Path) -> None:
    run = beginning(uninterrupted, trainings, tmp_path)
    for moment in MOMENTS:
        for number in (1, 2) if moment.startswith("writing") and "history" not in moment else (1,):
            status, log = trainings(run, moment, number)
            assert status == KILLED, f"{moment} {number}: {status}\n{log}"
    status, log = trainings(run)
    assert status == 0, log
    assert_equal(run, uninterrupted)


@pytest.mark.parametrize(("weights", "numbers"), [("weights", (1, 1, 1)), ("last", (1, 2, 3))])
def test_kills_between_the_weights_and_the_state(
    weights: str, numbers: tuple[int, ...], uninterrupted: Run, trainings: Trainings, tmp_path: Path
) -> None:
    run = beginning(uninterrupted, trainings, tmp_path)
    for number in numbers:
        status, log = trainings(run, f"after replacing {weights}.safetensors", number)
        assert status == KILLED, log
        assert run_step(run) < checkpoint.load(run.output, weights="last").steps  # the state is older
    assert trainings(run)[0] == 0
    assert_equal(run, uninterrupted)


def test_a_kill_between_the_first_weights_and_the_first_state_after_an_update(
    uninterrupted: Run, trainings: Trainings, tmp_path: Path
) -> None:
    run = beginning(uninterrupted, trainings, tmp_path, save_every=1000)
    assert trainings(run, "after replacing weights.safetensors", 1)[0] == KILLED
    assert run_step(run) == 0 and checkpoint.load(run.output).steps == 12
    status, log = trainings(run)
    assert status == 0, log
    assert_equal(run, uninterrupted)


def test_a_killed_run_leaves_nothing_behind(uninterrupted: Run, trainings: Trainings, tmp_path: Path) -> None:
    run = beginning(uninterrupted, trainings, tmp_path)
    for moment in ("writing state", "writing last", "writing snapshot"):
        assert trainings(run, moment, 2)[0] == KILLED
    assert trainings(run)[0] == 0
    found, expected = (
        sorted(str(path.relative_to(one.output)) for path in one.output.rglob("*")) for one in (run, uninterrupted)
    )
    assert found == expected


def test_ctrl_c_saves_the_state_and_the_run_goes_on(uninterrupted: Run, trainings: Trainings, tmp_path: Path) -> None:
    run = beginning(uninterrupted, trainings, tmp_path, save_every=1000)
    for number, moment in ((21, "before update"), (2, "after update"), (1, "writing last"), (2, "recorded")):
        before = run_step(run)
        status, log = trainings(run, moment, number, signal.SIGINT)
        assert status == INTERRUPTED, log
        assert "interrupted: saving the state" in log and "Traceback" not in log
        assert run_step(run) > before
        if moment == "before update":
            assert run_step(run) == 21
    assert trainings(run)[0] == 0
    assert_equal(run, uninterrupted)


def test_segmentations_that_are_drawn_are_those_of_an_uninterrupted_run(trainings: Trainings, tmp_path: Path) -> None:
    def run(output: str, **more: Any) -> Run:
        return eventful(tmp_path, output, **{"subword_regularization": 0.2, "updates": 40, "patience": 0, **more})

    assert trainings(run("whole"))[0] == trainings(run("plain", subword_regularization=0.0))[0] == 0
    kills = (("before update", 9, signal.SIGKILL), ("recorded", 2, signal.SIGKILL), ("after update", 5, signal.SIGINT))
    for moment, number, sign in kills:
        assert trainings(run("whole again"), moment, number, sign)[0] in (KILLED, INTERRUPTED)
    assert trainings(run("whole again"))[0] == 0
    assert_equal(run("whole again"), run("whole"))
    whole, plain = (facts_of(run(output)) for output in ("whole", "plain"))
    assert [line["step"] for line in whole] == [line["step"] for line in plain]
    assert all(
        one["train_loss"] != two["train_loss"] for one, two in zip(whole, plain, strict=True) if "train_loss" in one
    )


def run_step(run: Run) -> int:
    """The step of the saved state."""
    return RunState(run.output / "training").step()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_before_the_first_snapshot(number: signal.Signals, trainings: Trainings, tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=6, validate_every=6, snapshot_every=6)
    status, log = trainings(run, "before update", 3, number)
    assert status == INTERRUPTED, log
    assert run_step(run) == 3


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_more_updates_go_on_as_if_they_had_been_asked_for_at_once(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"family": family, "validate_every": 4, "snapshot_every": 2, "average": 3}
    long, short = toy_run(tmp_path, "long", updates=16, **settings), toy_run(tmp_path, "short", updates=8, **settings)
    train(long)
    train(short)
    capsys.readouterr()
    train(short)
    said = capsys.readouterr().err
    assert "0 updates left (8 updates made)" in said and "--updates" in said and "--patience" in said
    train(changed(short, updates=16, log_every=3, save_every=5, patience=50))
    assert "resuming at update 8: 8 updates left" in capsys.readouterr().err
    assert fingerprints(short.output) == fingerprints(long.output)
    assert [step for step in steps_of(short) if step[1]] == [(step, True) for step in (4, 8, 12, 16)]


def test_an_end_between_validations_changes_no_update(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"validate_every": 6, "snapshot_every": 6, "average": 2}
    long, short = toy_run(tmp_path, "long", updates=18, **settings), toy_run(tmp_path, "short", updates=9, **settings)
    train(long)
    train(short)
    train(changed(short, updates=18))
    assert [step for step, dev in steps_of(short) if dev] == [6, 9, 12, 18]
    assert fingerprint(state_of(short.output)) == fingerprint(state_of(long.output))
    assert fingerprint(short.output / "last.safetensors") == fingerprint(long.output / "last.safetensors")


def test_a_run_that_lost_patience_goes_on_with_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"updates": 12, "validate_every": 2, "learning_rate": 1e-30, "best_by": "bleu"}
    run, whole = toy_run(tmp_path, "run", patience=2, **settings), toy_run(tmp_path, "whole", patience=4, **settings)
    train(run)
    assert run_step(run) == 6  # BLEU 0 and the same loss at 2, 4 and 6
    train(run)
    assert "0 updates left (no better bleu in 2 validations)" in capsys.readouterr().err
    train(changed(run, patience=4))
    train(whole)
    assert run_step(run) == 10 and fingerprints(run.output) == fingerprints(whole.output)


def one_changed_line(run: Run) -> Run:
    path = run.data.paths()["train source"]
    text = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*text[:5], text[5] + " red", *text[6:]]) + "\n", encoding="utf-8")
    return run


def other_dev(run: Run) -> Run:
    path = run.data.paths()["dev target"]
    path.write_text(path.read_text(encoding="utf-8").upper(), encoding="utf-8")
    return run


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: changed(run, dropout=0.4), ["dropout", "0.0", "0.4"]),
        (lambda run: changed(run, learning_rate=0.5), ["learning_rate", "0.001", "0.5"]),
        (lambda run: changed(run, seed=7), ["seed", "1", "7"]),
        (lambda run: changed(run, average=4), ["average", "2", "4"]),
        (one_changed_line, ["train source"]),
        (other_dev, ["dev target"]),
        (lambda run: replace(run, tokenizer=tokenizer(True, 299)), ["tokenizer"]),
        (lambda run: replace(run, tokenizer=tokenizer(False)), ["tokenizer"]),
        (lambda run: replace(run, data=replace(run.data, source_lang="de", target_lang="en")), ["languages"]),
        (lambda run: changed(run, dropout=0.4, seed=7), ["dropout", "seed"]),
    ],
    ids=["dropout", "rate", "seed", "average", "line", "dev", "tokenizer", "sides", "languages", "two"],
)
def test_another_configuration_is_refused_by_name(change: Any, named: list[str], tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2)
    train(run)
    before = {path: path.read_bytes() for path in run.output.rglob("*") if path.is_file()}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(changed(change(run), updates=4))
    assert only_line(caught.value, run.output, "--output", *named), caught.value
    assert {path: path.read_bytes() for path in run.output.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["updates", "patience", "log_every", "save_every"])
def test_what_does_not_change_the_updates_made_may_differ(name: str, tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2)
    train(run)
    train(changed(run, **{name: 5}))
    options = checkpoint.read_options(run.output)
    assert getattr(options.training(TrainingOptions), name) == 5 and len(options.provenance.continued) == 1


def test_what_rounds_otherwise_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(tmp_path, updates=2)
    train(run)
    path = run.output / "options.json"
    options = json.loads(path.read_text(encoding="utf-8"))
    options["provenance"] |= {"threads": 7, "torch": "2.9.0", "device": "cuda:0", "processes": 3}
    path.write_text(json.dumps(options), encoding="utf-8")
    capsys.readouterr()
    train(run)
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    changes = f"torch 2.9.0, now {torch.__version__}; device cuda, now cpu; 3 processes, now 1; 7 threads, now 1"
    assert warnings == [f"warning: begun with {changes}: the weights may differ in the last bits"]


def test_kills_with_a_moving_average_and_frozen_parameters(trainings: Trainings, tmp_path: Path) -> None:
    """From a parent, too, so that all that a run may begin with comes back."""
    parent = toy_run(tmp_path, "parent", updates=4)
    train(parent)
    own = {"ema": 0.8, "average": 1, "freeze": ("encoder.*", "*.bias"), "updates": 60, "weight_decay": 0.1}
    whole, again = (eventful(tmp_path, output, **own) for output in ("whole", "again"))
    whole, again = (replace(run, model={"dropout": 0.2}, init_from=parent.output) for run in (whole, again))
    status, log = trainings(whole)
    assert status == 0, log
    moments = ["after replacing options.json", "before update", "writing state", "after replacing last", "after update"]
    for number, moment in enumerate(moments, start=1):
        assert trainings(again, moment, 4 * number if "update" in moment else 1)[0] == KILLED
    for number in (7, 19):
        assert trainings(again, "after update", number)[0] == KILLED
    status, log = trainings(again)
    assert status == 0, log
    assert "resuming at update" in log
    assert_equal(again, whole)
    assert not list((again.output / "training").glob("snapshot-*"))
