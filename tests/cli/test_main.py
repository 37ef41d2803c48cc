"""The command itself: help without loading anything heavy, version, completion, unknown commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment, refused, run_here, run_process

from nmtkit import __version__
from nmtkit.cli.main import COMMANDS

HEAVY = {"torch", "sentencepiece", "sacrebleu", "safetensors", "numpy"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "nmtkit", *command.split(), "--help"]
    done = subprocess.run(words, capture_output=True, env=environment(), text=True, timeout=240, check=False)
    assert done.returncode == 0
    assert f"nmtkit {command}".strip() in done.stdout
    loaded = {line.split("|")[-1].strip() for line in done.stderr.split("\n") if line.startswith("import time:")}
    assert "nmtkit.cli.main" in loaded, "the list of imports was not read"
    assert not HEAVY & {name.split(".")[0] for name in loaded}


def test_help_names_every_command_and_h_is_help() -> None:
    outcome = run_here("-h")
    assert outcome.code == 0 and outcome.err == ""
    assert all(f" {command} " in outcome.text for command in COMMANDS)
    assert outcome == run_here("--help")


def test_version() -> None:
    """By `python -m nmtkit`, where the command is not found."""
    outcome = run_process("--version")
    assert (outcome.code, outcome.text, outcome.err) == (0, f"nmtkit {__version__}\n", "")


def test_completion_for_a_shell() -> None:
    shell = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m nmtkit --show-completion; exit $?"],
        env=environment(SHELL="/bin/bash"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    assert "complete" in shell.stdout and "COMP_WORDS" in shell.stdout
    assert subprocess.run(["bash", "-n"], input=shell.stdout, text=True, check=False).returncode == 0


def test_without_a_command_there_is_help() -> None:
    outcome = run_here()
    assert outcome.code in (0, 2) and "Usage" in outcome.text + outcome.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["translat"], ["translat", "translate"]),
        (["--bem"], ["--bem"]),
        (["translate"], ["folder"]),
        (["info", "x", "y"], ["y"]),
        (["translate", "x", "--baem", "2"], ["--baem", "--beam"]),
        (["translate", "x", "--beam"], ["--beam"]),
        (["translate", "x", "--beam", "wide"], ["--beam", "integer"]),
        (["translate", "x", "--length-alpha", "a"], ["--length-alpha", "a"]),
        (["train", "--train", "x"], ["--dev"]),
        (["train-tokenizer", "x"], ["--output"]),
        (["evaluate", "-y", "x"], ["--reference"]),
        (["evaluate", "-r", "x"], ["--source", "--hypotheses"]),
        (["evaluate", "folder", "-r", "x"], ["--source"]),
        (["evaluate", "folder", "-s", "x", "-y", "x", "-r", "x"], ["--hypotheses"]),
        (["evaluate", "-y", "x", "-r", "x", "-o", "y"], ["--output"]),
        (["evaluate", "-y", "x", "-r", "x", "--beam", "3"], ["--beam"]),
        (["evaluate", "-y", "x", "-r", "x", "--weights", "last"], ["--weights"]),
        (["blame-analysis", "x", "-s", "x"], ["--reference"]),
        (["blame-analysis", "x", "-s", "x", "-r", "x", "--examples", "-1"], ["--examples", "0"]),
        (["blame-analysis", "x", "-s", "x", "-r", "x", "--json", "-", "--tsv", "-"], ["--json", "--tsv"]),
        (["prepare", "--train", "x", "--train", "y"], ["--train is given 2 times"]),
        (["check-data", "--train=x", "-s", "a", "--train", "x"], ["--train is given 2 times", "once for each"]),
        (["info"], ["folder"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(words: list[str], named: list[str]) -> None:
    line = refused(run_here(*words), code=2)
    assert all(word.lower() in line.lower() for word in named), line


def test_some_options_may_come_again(tmp_path: Path) -> None:
    """train keeps all its texts; else the last value counts, so that scripts can say another."""
    words = ["train", "--train", tmp_path / "a", "--train", tmp_path / "b", "-s", "x", "-t", "y", "--dev", tmp_path]
    line = refused(run_here(*words, "--output", tmp_path / "o", "--updates", 1, "--updates", 2))
    assert "a.x: no such file" in line
