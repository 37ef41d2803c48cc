"""One way to fail: one line that names the file and what to do, and an exit code; damaged model folders above all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Data, refused, run_here, write_lines


def edit_options(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "options.json"
    options = json.loads(path.read_text())
    change(options)
    path.write_text(json.dumps(options))


def set_option(section: str, key: str, value: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        edit_options(folder, lambda options: options[section].__setitem__(key, value))  # type: ignore[attr-defined]

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit of the last number, as a bad disk does it."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "no folder": (shutil.rmtree, "", ["no such model folder"]),
    "a file": (lambda folder: (shutil.rmtree(folder), folder.write_text("x")), "", ["folder"]),
    "no options": (lambda folder: (folder / "options.json").unlink(), "", ["options.json"]),
    "options cut": (lambda folder: cut(folder / "options.json"), "options.json", ["not JSON"]),
    "options not UTF-8": (lambda folder: (folder / "options.json").write_bytes(b"\xff"), "options.json", []),
    "options a list": (lambda folder: (folder / "options.json").write_text("[]"), "options.json", ["not written by"]),
    "options of another program": (
        lambda folder: (folder / "options.json").write_text('{"model": 1}'),
        "options.json",
        ["not written by"],
    ),
    "newer format": (
        lambda folder: edit_options(folder, lambda options: options.__setitem__("format", 99)),
        "options.json",
        ["99", "newer"],
    ),
    "model no table": (
        lambda folder: edit_options(folder, lambda options: options.__setitem__("model", 3)),
        "options.json",
        [],
    ),
    "defaults no table": (
        lambda folder: edit_options(folder, lambda options: options.__setitem__("defaults", [1])),
        "options.json",
        ["defaults"],
    ),
    "other sizes": (set_option("model", "width", 64), "weights.safetensors", ["does not belong"]),
    "defaults with an unknown key": (set_option("defaults", "baem", 3), "options.json", ["'baem'", "'beam'"]),
    "defaults with a wrong type": (set_option("defaults", "beam", "3"), "options.json", ["beam", "whole number"]),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors", ["no such file"]),
    "weights cut": (lambda folder: cut(folder / "weights.safetensors"), "weights.safetensors", ["damaged"]),
    "weights empty": (lambda folder: (folder / "weights.safetensors").write_bytes(b""), "weights.safetensors", []),
    "weights with a wrong bit": (lambda folder: flip(folder / "weights.safetensors"), "weights.safetensors", []),
    "no tokenizer": (lambda folder: (folder / "tokenizer.model").unlink(), "", ["tokenizer.model", "restore a copy"]),
    "tokenizer cut": (
        lambda folder: cut(folder / "tokenizer.model"),
        "tokenizer.model",
        ["SentencePiece", "restore a copy"],
    ),
    "tokenizer a folder": (
        lambda folder: ((folder / "tokenizer.model").unlink(), (folder / "tokenizer.model").mkdir()),
        "tokenizer.model",
        [],
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_model_folders_get_one_clear_line(copied: Path, name: str) -> None:
    damage, file, words = DAMAGE[name]
    damage(copied)
    line = refused(run_here("translate", copied, stdin=b"Oui.\n"))
    assert str(copied / file if file else copied) in line
    assert all(word in line for word in words), line
    assert "train-tokenizer" not in line, "no other tokenizer fits the weights"


def test_a_tokenizer_of_the_same_size_from_another_folder(copied: Path, data: Data, tmp_path: Path) -> None:
    other = tmp_path / "tokenizer.model"
    assert run_here("train-tokenizer", data.folder / "train.en", "--vocab-size", 400, "--output", other).code == 0
    shutil.copy(other, copied / "tokenizer.model")
    assert "does not belong to this folder" in refused(run_here("translate", copied, stdin=b"Oui.\n"))


def test_weights_of_another_folder(copied: Path, data: Data, tmp_path: Path) -> None:
    """Of the same sizes and from the same data, but with a tokenizer of its own."""
    flags = [*data.flags(tmp_path / "other"), "--vocab-size", 400, "--tokenizer-kind", "bpe", "--updates", 1]
    assert run_here("train", *flags, "--quiet").code == 0
    shutil.copy(tmp_path / "other" / "weights.safetensors", copied / "weights.safetensors")
    assert "does not belong to this folder" in refused(run_here("translate", copied, stdin=b"Oui.\n"))


@pytest.mark.parametrize("command", ["translate", "info", "evaluate", "blame-analysis"])
def test_every_command_says_that_there_is_no_such_folder(command: str, data: Data, tmp_path: Path) -> None:
    files = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    outcome = run_here(command, tmp_path / "none", *(files if command in ("evaluate", "blame-analysis") else []))
    assert f"{tmp_path / 'none'}: no such model folder" in refused(outcome)


def test_debug_shows_the_traceback_and_the_same_line(tmp_path: Path) -> None:
    line = refused(run_here("info", tmp_path))
    outcome = run_here("info", tmp_path, "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last)") and outcome.err.endswith(line)
    assert refused(run_here("info", tmp_path)) == line


def test_an_internal_error_says_so_in_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("mat1 and mat2\n  shapes cannot be multiplied")

    monkeypatch.setattr("nmtkit.decoding.beam.Beam.find", broken)
    outcome = run_here("translate", model, stdin=b"Oui.\n")
    expected = "nmtkit: mat1 and mat2 shapes cannot be multiplied (internal error: --debug shows where)\n"
    assert outcome.code == 1 and outcome.err.endswith(expected)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_out_of_memory_says_what_to_make_smaller(
    model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("nmtkit.decoding.beam.Beam.find", full)
    outcome = run_here("translate", model, stdin=b"Oui.\n")
    assert outcome.code == 1 and all("--batch-tokens" in line for line in outcome.err.splitlines() if "memory" in line)
    assert outcome.err.splitlines()[-1].startswith("nmtkit: out of memory")


def test_out_of_memory_names_the_options_that_were_given(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("nmtkit.decoding.beam.Beam.find", full)
    outcome = run_here("translate", model, "--beam", 999, "--max-length", 5, stdin=b"Oui.\n")
    assert outcome.err.endswith("out of memory: choose a smaller --beam than 999 or a smaller --max-length than 5\n")


def test_out_of_memory_names_no_option_that_the_command_lacks(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    texts = ["--hypotheses", data.folder / "dev.en", "--reference", data.folder / "dev.en"]
    with monkeypatch.context() as patch:
        patch.setattr("nmtkit.evaluation.scoring.evaluate", full)
        assert refused(run_here("evaluate", *texts, "--resamples", 2000)).endswith("smaller --resamples than 2000\n")
    monkeypatch.setattr("nmtkit.inspection.traces.read_traces", full)
    assert refused(run_here("inspect", "x")).endswith("take smaller files, or a machine with more of it\n")


def test_a_value_of_a_hundred_thousand_characters_does_not_fill_the_screen(model: Path) -> None:
    assert len(refused(run_here("translate", model, "--beam", "9" * 100_000), code=2)) < 1100
    for flags in (["--length-penalty", "x" * 100_000], ["--input", "y" * 100_000]):
        line = refused(run_here("translate", model, *flags), code=1 if "--input" in flags else 2)
        assert len(line) < 1100 and " … " in line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root, where it may mount, can make a file system that is soon full")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_old_file(model: Path, small_disk: Path) -> None:
    output = small_disk / "a.en"
    output.write_text("old\n")
    (small_disk / "filler").write_bytes(bytes(56 * 1024))
    flags = ["--max-length", 2, "--scores", "--quiet", "--output", output]
    line = refused(run_here("translate", model, *flags, stdin=b"\n" * 1000))
    assert str(output) in line and "No space left" in line and "free some space" in line
    assert output.read_text() == "old\n"
    assert sorted(path.name for path in small_disk.iterdir()) == ["a.en", "filler"]


def test_a_full_disk_while_training_names_the_file(data: Data, small_disk: Path) -> None:
    line = refused(run_here("train", *data.flags(small_disk / "run"), "--vocab-size", 400, "--updates", 1, "--quiet"))
    assert str(small_disk / "run") in line and "No space left" in line and "free some space" in line


@pytest.mark.parametrize("command", ["evaluate", "blame-analysis", "info", "train-tokenizer", "translate"])
def test_a_full_device_behind_a_result_file(command: str, model: Path, data: Data, tmp_path: Path) -> None:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 4]
    flags: dict[str, list[object]] = {
        "evaluate": [model, *texts, "--json", "/dev/full"],
        "blame-analysis": [model, *texts, "--tsv", "/dev/full"],
        "info": [model, "--json", "/dev/full"],
        "train-tokenizer": [data.folder / "train.fr", "--vocab-size", 400, "--output", "/dev/full"],
        "translate": [model, "--quiet", "--input", write_lines(tmp_path / "a", ["Oui."]), "--output", "/dev/full"],
    }
    assert "No space left" in refused(run_here(command, *flags[command]))
