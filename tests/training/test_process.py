"""A training in a process of its own: the same model, one line for what went wrong, and Ctrl-C that saves."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, environment
from support.training_toys import fingerprints, state_of, toy_run, write_data

from nmtkit import checkpoint
from nmtkit.training.config import load
from nmtkit.training.process import call, main, train_apart
from nmtkit.training.recipe import train
from nmtkit.training.state import RunState


def write(folder: Path, updates: int = 2, more: str = "") -> Path:
    """A configuration of a tiny training."""
    data, path = write_data(folder), folder / "a.toml"
    path.write_text(
        f"train = '{data.train}'\ndev = '{data.dev}'\nsource-lang = 'en'\ntarget-lang = 'de'\nthreads = 1\n"
        f"device = 'cpu'\nupdates = {updates}\nvocab-size = 300\n{more}[training]\nbatch_tokens = 60\n"
        "validate_every = 1000\nlog_every = 1\nwarmup = 4\n"
        "[model]\nfamily = 'transformer'\nwidth = 16\nfeedforward = 16\nheads = 2\nencoder_layers = 1\n"
        "decoder_layers = 1\n",
        encoding="utf-8",
    )
    return path


def test_it_trains_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    config, here, apart = write(tmp_path), tmp_path / "here", tmp_path / "apart"
    assert train_apart(config, apart, None, "nmtkit train --config a.toml") == 0
    assert "done: 2 updates made" in capfd.readouterr().err
    train(load(config, output=here))
    assert fingerprints(apart) == fingerprints(here)
    assert checkpoint.read_options(apart).provenance.command == "nmtkit train --config a.toml"


def test_a_ready_tokenizer_and_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(tmp_path, updates=1, validate_every=1)
    train(run)
    capsys.readouterr()
    config = write(tmp_path, more="quiet = true\n")
    config.write_text(config.read_text().replace("vocab-size = 300\n", ""))
    assert main(str(config), str(tmp_path / "b"), str(run.output), "x") == 0
    assert all(line.startswith("warning: ") for line in capsys.readouterr().err.splitlines())
    assert checkpoint.read_options(tmp_path / "b").tokenizer.sha256 == checkpoint.load(run.output).tokenizer.hash()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a: is\nwrong"), "nmtkit: a: is wrong"),
        (FileNotFoundError(2, "No such file", "b.fr"), "nmtkit: b.fr: No such file"),
        (MemoryError(), "nmtkit: out of memory: choose a smaller batch_tokens or vocab_size"),
        (RuntimeError("CUDA out of memory."), "nmtkit: out of memory: choose a smaller batch_tokens"),
        (RuntimeError("shapes"), "nmtkit: shapes (internal error)"),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: Any) -> None:
        raise error

    monkeypatch.setattr("nmtkit.training.recipe.train", fail)
    assert main(str(write(tmp_path)), str(tmp_path / "a"), "", "x") == 1
    told = capsys.readouterr().err
    assert told.startswith(said) and told.count("\n") == 1


def test_ctrl_c_saves_the_state_and_is_told_by_the_code(tmp_path: Path) -> None:
    config, output = write(tmp_path, updates=100_000), tmp_path / "a"
    words = [sys.executable, "-m", "nmtkit.training.process", str(config), str(output), "", "x"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True) as one:
        assert one.stderr is not None
        for line in one.stderr:
            if line.startswith("update 3/"):
                one.send_signal(signal.SIGINT)
                break
        rest = one.stderr.read()
    assert one.returncode == 130 and rest.endswith("interrupted\n") and "saving the state" in rest
    assert RunState(output / "training").step() >= 3 and state_of(output).exists()


def test_the_exit_code_is_the_commands() -> None:
    assert call([sys.executable, "-c", "import sys; sys.exit(7)"]) == 7
    assert call([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]) == -signal.SIGTERM
