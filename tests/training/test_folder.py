"""A model folder is never overwritten, mended where it can be, and left as it was by a training that is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.training_toys import TIMES, changed, fingerprint, fingerprints, only_line, state_of, tokenizer, toy_run

from nmtkit import checkpoint
from nmtkit.files import sha256
from nmtkit.tokenizer.build import TokenizerOptions
from nmtkit.training import recipe
from nmtkit.training.history import read_history
from nmtkit.training.recipe import train
from nmtkit.training.run import Run
from nmtkit.training.state import KIND, SNAPSHOT, RunState

UPDATES = 8
SETTINGS = {"validate_every": 4, "snapshot_every": 2, "save_every": 2, "average": 2, "log_every": 3}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def run_of(folder: Path, output: str = "out", **training: object) -> Run:
    return toy_run(folder, output, **{"updates": UPDATES, **SETTINGS, **training})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained to the end; to be copied, not changed."""
    run = run_of(tmp_path_factory.mktemp("finished"))
    train(run)
    return run


@pytest.fixture(scope="module")
def whole(finished: Run) -> Run:
    """The same with twice the updates."""
    run = replace(changed(finished, updates=2 * UPDATES), output=finished.output.with_name("whole"))
    train(run)
    return run


@pytest.fixture
def copy(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be damaged."""
    return replace(finished, output=Path(shutil.copytree(finished.output, tmp_path / "copy")))


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def history(output: Path) -> list[dict[str, float]]:
    lines = read_history(output / "history.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def refusal(run: Run) -> str:
    """What a training is refused with; it leaves everything as it was, and --check says the same."""
    before = contents(run.output)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(run)
    assert only_line(caught.value, run.output), caught.value
    assert contents(run.output) == before
    return str(caught.value)


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


def flip(path: Path, place: int = -5) -> None:
    """One bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("updates", [UPDATES, 2 * UPDATES])
@pytest.mark.parametrize("gone", ["folder", "states"])
def test_a_model_without_its_training_state_is_not_trained_over(gone: str, updates: int, copy: Run) -> None:
    if gone == "folder":
        shutil.rmtree(copy.output / "training")
    else:
        for path in (copy.output / "training").glob("state*"):
            path.unlink()
    run = changed(copy, updates=updates)
    assert "training" in refusal(run) and "--output" in refusal(run)
    with pytest.raises(ValueError, match="no training state"):
        recipe.check(run)


@pytest.mark.parametrize(
    "name", ["history.jsonl", "weights.safetensors", "last.safetensors", "training/state-8.safetensors"]
)
def test_a_folder_in_the_place_of_a_file_is_refused_at_once(name: str, copy: Run) -> None:
    (copy.output / name).unlink()
    (copy.output / name).mkdir()
    assert f"{name}: is a folder" in refusal(changed(copy, updates=2 * UPDATES))


def test_a_run_that_was_killed_before_its_first_state_begins_anew(copy: Run, finished: Run) -> None:
    shutil.rmtree(copy.output / "training")
    for name in (checkpoint.BEST, checkpoint.LAST):
        (copy.output / name).unlink()
    train(copy)
    assert fingerprints(copy.output) == fingerprints(finished.output)
    assert history(copy.output) == history(finished.output)


def test_a_finished_run_is_left_as_it_is(copy: Run) -> None:
    before = contents(copy.output)
    train(copy)
    assert contents(copy.output) == before


@pytest.mark.parametrize("damage", [Path.unlink, flip, lambda path: os.truncate(path, 99)])
def test_best_weights_come_back_from_the_last_where_they_are_the_same(
    damage: Callable[[Path], None], copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkpoint.updates(copy.output, "best") == checkpoint.updates(copy.output, "last") == UPDATES
    before = contents(copy.output)
    damage(copy.output / checkpoint.BEST)
    train(copy)
    assert contents(copy.output) == before
    [told] = warnings(capsys)
    assert checkpoint.BEST in told and "made again from last.safetensors" in told


@pytest.mark.parametrize("snapshots", [True, False])
def test_weights_are_made_again_from_the_state(snapshots: bool, copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    expected = fingerprint(copy.output / checkpoint.LAST)
    for name in (checkpoint.BEST, checkpoint.LAST):
        (copy.output / name).unlink()
    if not snapshots:
        for path in (copy.output / "training").glob("snapshot*"):
            path.unlink()
    train(copy)
    told = warnings(capsys)
    how = "made again from the snapshots of" if snapshots else f"best weights, of update {UPDATES}, are lost"
    assert any(how in line for line in told)
    for name in ("best", "last"):
        assert checkpoint.load(copy.output, weights=name).steps == UPDATES
        assert (fingerprint(copy.output / checkpoint.FILES[name]) == expected) == snapshots
    if not snapshots:  # then the weights of the last update itself take the place of the mean
        state = checkpoint.load_tensors(state_of(copy.output), KIND)[0]
        weights = checkpoint.load_tensors(copy.output / checkpoint.BEST, checkpoint.WEIGHTS)[0]
        assert weights.keys() == {name[6:] for name in state if name.startswith("model.")}
        assert all(weights[name].equal(state[f"model.{name}"]) for name in weights)


def test_best_weights_of_an_earlier_update_come_back_from_their_snapshots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, best_by="loss", learning_rate=1.0, patience=1, average=5)  # the first validation is the best
    train(run)
    best, last = (checkpoint.updates(run.output, name) for name in ("best", "last"))
    assert (best, last) == (4, 8)
    before = contents(run.output)
    (run.output / checkpoint.BEST).unlink()
    train(run)
    assert contents(run.output) == before
    assert any("made again from the snapshots of update 4" in line for line in warnings(capsys))


def test_lost_best_weights_of_an_earlier_update_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, best_by="loss", learning_rate=1.0, patience=1)  # the first validation is the best
    train(run)
    best, last = (checkpoint.updates(run.output, name) for name in ("best", "last"))
    assert best < last
    (run.output / checkpoint.BEST).unlink()
    train(run)
    assert any(f"best weights, of update {best}, are lost" in line for line in warnings(capsys))
    assert checkpoint.load(run.output).steps == last
    assert fingerprint(run.output / checkpoint.BEST) == fingerprint(run.output / checkpoint.LAST)
    assert len(RunState(run.output / "training").paths()) == 2  # the state before is still there
    before = contents(run.output)
    train(run)  # it is over still
    assert contents(run.output) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [("thesis.tex", "holds thesis.tex"), ("weights.safetensors", "options.json is gone"), ("training", "training")],
)
def test_a_folder_that_holds_something_else_is_refused(name: str, said: str, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.output.mkdir()
    (run.output / name).write_text("two years of work", encoding="utf-8")
    assert said in refusal(run)
    with pytest.raises(ValueError, match=re.escape(said)):
        recipe.check(run)


def test_no_tokenizer_is_trained_for_a_folder_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = replace(run_of(tmp_path), tokenizer=TokenizerOptions(vocab_size=285, kind="bpe"))
    run.output.mkdir()
    (run.output / "thesis.tex").touch()
    assert "holds thesis.tex" in refusal(run)
    assert "training a tokenizer" not in capsys.readouterr().err


def test_the_tokenizer_of_the_model_may_be_there_before(tmp_path: Path) -> None:
    run = run_of(tmp_path, updates=1)
    tokenizer().save(run.output)
    (run.output / ".gitkeep").touch()
    recipe.check(run)
    train(run)
    assert checkpoint.load(run.output).steps == 1


def test_another_tokenizer_is_not_written_over(tmp_path: Path) -> None:
    run = run_of(tmp_path, updates=1)
    tokenizer(vocab_size=290).save(run.output)
    assert "tokenizer.model" in refusal(run)
    new = replace(run, tokenizer=TokenizerOptions(vocab_size=285, kind="bpe"))
    recipe.check(new)  # only the training of the tokenizer tells
    assert "tokenizer.model" in refusal(new)


@pytest.mark.parametrize("damage", ["flipped", "replaced"])
def test_a_model_with_another_tokenizer_does_not_go_on(damage: str, copy: Run) -> None:
    path = copy.output / "tokenizer.model"
    path.write_bytes(tokenizer(vocab_size=290).source.to_bytes() if damage == "replaced" else b"no model")
    run = changed(copy, updates=2 * UPDATES)
    assert "tokenizer.model" in refusal(run)
    with pytest.raises(ValueError, match=r"tokenizer\.model"):
        recipe.check(run)


def foreign(path: Path) -> None:
    """Put the state of a run with another seed there."""
    other = run_of(path.parent.parent.parent, "other", seed=2)
    train(other)
    shutil.copy(other.output / "training" / path.name, path)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "flipped value": flip,
    "flipped header": lambda path: flip(path, 40),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: path.write_bytes(b"") and None,
    "foreign": foreign,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_gives_way_to_the_one_before(
    damage: str, copy: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, before = RunState(copy.output / "training").paths()
    DAMAGE[damage](newest)
    capsys.readouterr()
    train(changed(copy, updates=2 * UPDATES))
    told = capsys.readouterr().err
    assert f"warning: {newest}: " in told and "going on from update 6 instead" in told
    assert "resuming at update 6: 10 updates left" in told and before.name == "state-6.safetensors"
    assert fingerprints(copy.output) == fingerprints(whole.output)
    assert history(copy.output) == history(whole.output)


@pytest.mark.parametrize("damage", DAMAGE)
def test_without_a_state_that_is_whole_nothing_is_written(damage: str, copy: Run) -> None:
    for path in RunState(copy.output / "training").paths():
        DAMAGE[damage](path)
    for updates in (UPDATES, 2 * UPDATES):
        said = refusal(changed(copy, updates=updates))
        assert "state-8.safetensors" in said and "(state-6.safetensors cannot be used either)" in said
        assert "choose another --output to start over" in said


def without_a_tensor(path: Path) -> None:
    tensors, header = checkpoint.load_tensors(path, SNAPSHOT)
    del tensors[min(tensors)]
    checkpoint.save_tensors(path, tensors, {**header, "content": checkpoint.tensors_hash(tensors)})


@pytest.mark.parametrize("damage", [flip, without_a_tensor, Path.unlink, foreign])
def test_a_damaged_snapshot_is_left_out_of_the_mean(
    damage: Callable[[Path], None], copy: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = copy.output / "training" / "snapshot-8.safetensors"
    damage(snapshot)
    capsys.readouterr()
    train(changed(copy, updates=2 * UPDATES))
    [told] = [line for line in warnings(capsys) if "snapshot" in line]
    assert str(snapshot) in told and "the mean of the last snapshots is made without it" in told
    assert fingerprint(state_of(copy.output)) == fingerprint(state_of(whole.output))  # no update is another one


@pytest.mark.parametrize("damage", ["flipped", "gone", "garbage", "more"])
def test_a_damaged_history_is_written_again(damage: str, copy: Run, whole: Run) -> None:
    path = copy.output / "history.jsonl"
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":
        for place in range(5, path.stat().st_size, 40):
            flip(path, place)
    else:
        path.write_bytes(b"\xff\n{}\n" if damage == "garbage" else path.read_bytes() + b'{"step": 7}\n')
    train(changed(copy, updates=2 * UPDATES))
    assert history(copy.output) == history(whole.output)


def test_the_state_of_an_older_version_is_read(copy: Run, whole: Run) -> None:
    """It had no step in its name, no hash of its content, and no history; the means began anew."""
    folder = copy.output / "training"
    path = state_of(copy.output)
    tensors, header = checkpoint.load_tensors(path, KIND)
    for name in ("best_loss", "meter", "history"):
        del header["position"][name]
    for old in RunState(folder).paths():
        old.unlink()
    checkpoint.save_tensors(folder / "state.safetensors", tensors, {"kind": KIND, "position": header["position"]})
    assert RunState(folder).step() == UPDATES
    train(changed(copy, updates=2 * UPDATES))
    names = ("state", checkpoint.LAST)  # it did not know the loss that decides between equal scores
    found, expected = fingerprints(copy.output), fingerprints(whole.output)
    assert [found[name] for name in names] == [expected[name] for name in names]
    assert [line["step"] for line in history(copy.output)] == [line["step"] for line in history(whole.output)]
    assert not (folder / "state.safetensors").exists()


def test_a_refused_or_finished_call_leaves_no_line_of_provenance(copy: Run) -> None:
    flip(state_of(copy.output))
    flip(RunState(copy.output / "training").paths()[1])
    refusal(changed(copy, updates=2 * UPDATES))
    options = json.loads((copy.output / "options.json").read_text(encoding="utf-8"))
    assert "continued" not in options["provenance"]
