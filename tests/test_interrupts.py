"""Ctrl-C: one line and code 130, while modules are loaded and while C++ code works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Data, environment, refused, run_here

from nmtkit.interrupts import interruptible


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How a process ends that is asked to stop: its code and what it says."""
    process.send_signal(signal.SIGINT)
    return process.wait(60), process.stderr.read() if process.stderr else ""


@pytest.mark.parametrize("module", ["nmtkit.cli.errors", "nmtkit.cli.streams"])
def test_while_modules_are_loaded(module: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "nmtkit", "info", "nowhere"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stderr
        assert any(line.split("|")[-1].strip() == module for line in process.stderr), "it was never loaded"
        code, said = interrupted(process)
    assert (code, [line for line in said.splitlines() if not line.startswith("import time:")]) == (130, ["interrupted"])


def test_while_a_tokenizer_is_trained(tmp_path: Path) -> None:
    """SentencePiece would go on for minutes; nothing is left behind."""
    text, output = tmp_path / "text", tmp_path / "tokenizers" / "tokenizer.model"
    text.write_text("".join(f"{n} {n * n % 9973} {n**3 % 99991:x} {n * 7919 % 104729:o}\n" for n in range(400_000)))
    command = [sys.executable, "-m", "nmtkit", "train-tokenizer", str(text), "--output", str(output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        while len(os.listdir(f"/proc/{process.pid}/task")) == 1:  # threads of the training
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        began = time.monotonic()
        assert interrupted(process) == (130, "interrupted\n")
        assert time.monotonic() - began < 10
    assert list(tmp_path.iterdir()) == [text]


def test_interruptible_work_gives_its_result_or_its_error() -> None:
    assert interruptible(lambda: [3]) == [3]
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)


def test_interruptible_work_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmtkit.interrupts._abandoned", False)
    gate = threading.Event()
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(gate.wait)
    gate.set()


def test_while_a_grid_is_checked(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once, and no mistake of the grid."""
    from nmtkit.training import grid as grids
    from nmtkit.training import recipe

    grid = tmp_path / "grid.toml"
    grid.write_text(
        f'train = "{data.folder}/train"\ndev = "{data.folder}/dev"\nsource-lang = "fr"\ntarget-lang = "en"\n'
        '[variants.a]\npreset = "rnn-tiny"\n'
    )

    def stopped(run: recipe.Run) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(grids, "check", stopped)
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    outcome = run_here("compare", "--grid", grid, "--output", tmp_path / "runs", *texts)
    assert (outcome.code, outcome.out, outcome.err) == (130, b"", "interrupted\n")
    assert "no such file" in refused(run_here("compare", "--grid", "none", "--output", tmp_path / "runs", *texts))
