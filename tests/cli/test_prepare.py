"""`prepare`, and how `train` uses what it makes: folders of ids, several texts, the cache of large ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import JANE, TRAINED, Data, environment, head, refused, run_here, run_process, write_lines

from nmtkit.batches import cache
from nmtkit.batches.shards import COLUMNS, read_facts

SHORT = ["--updates", 2, "--validate-every", 2, "--device", "cpu", "--threads", "1"]


def flags(data: Data, model: Path, output: Path) -> list[object]:
    """What `nmtkit prepare` must be given."""
    text = ["--train", data.folder / "train", "--source-lang", "fr", "--target-lang", "en"]
    return [*text, "--tokenizer", model, "--output", output]


def columns_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in COLUMNS}


def test_prepared_ahead_is_what_train_makes_of_the_text(
    data: Data, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By --train, --source-lang, --target-lang, --tokenizer, --output, --workers, --max-source and --max-target."""
    outcome = run_process("prepare", *flags(data, model, tmp_path / "ids"), "--workers", 2)
    facts = read_facts(tmp_path / "ids")
    assert outcome.code == 0 and outcome.out == b""
    positions = f"{facts.source.positions:,} source and {facts.target.positions:,} target pieces"
    assert f"ids: 200 pairs, 0 empty, 0 over-long, {facts.counts.duplicates} duplicates; kept 200 ({positions}, 0." in (
        outcome.err
    )
    monkeypatch.setattr(cache, "LARGE", 10)
    own = [*data.flags(tmp_path / "text"), "--tokenizer", model, *SHORT, "--cache", tmp_path / "cache"]
    assert run_here("train", *own).code == 0
    [folder] = (tmp_path / "cache").iterdir()
    assert columns_of(folder) == columns_of(tmp_path / "ids")
    again = ["--train", tmp_path / "ids", *data.flags(tmp_path / "folder")[2:], *SHORT]
    assert run_here("train", *again, "--quiet").err == ""
    for name in ("weights.safetensors", "last.safetensors"):
        assert (tmp_path / "folder" / name).read_bytes() == (tmp_path / "text" / name).read_bytes()
    (tmp_path / "few.toml").write_text('max-source = 45\nquiet = true\noutput = "no"\n')
    few = ["--config", tmp_path / "few.toml", "--max-target", 40, "--workers", "1"]
    outcome = run_here("prepare", *flags(data, model, tmp_path / "few"), *few, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    facts = read_facts(tmp_path / "few")
    assert (facts.max_source, facts.max_target) == (45, 40) and 0 < facts.counts.overlong < 200
    line = refused(run_here("train", "--train", tmp_path / "few", *data.flags(tmp_path / "x")[2:], *SHORT))
    assert "few: was prepared for max_source = 45 and max_target = 40, but the run has 256 and 256" in line


def test_lines_of_source_and_target_from_standard_input(data: Data, model: Path, tmp_path: Path) -> None:
    pairs = zip(*(head(data.folder / f"train.{language}", 200) for language in ("fr", "en")), strict=True)
    stdin = "".join(f"{x}\t{y}\n" for x, y in pairs).encode()
    assert run_here("prepare", *flags(data, model, tmp_path / "file"), "--workers", 1).code == 0
    words = flags(data, model, tmp_path / "ids")
    words[1] = "-"
    outcome = run_here("prepare", *words, "--workers", 1, stdin=stdin)
    assert outcome.code == 0 and "if this is stopped, it starts over" in outcome.err
    assert columns_of(tmp_path / "ids") == columns_of(tmp_path / "file")
    sums = [
        (facts.source.sha256, facts.target.sha256) for facts in map(read_facts, [tmp_path / "ids", tmp_path / "file"])
    ]
    assert sums[0] == sums[1]
    line = refused(run_here("prepare", *words, stdin=stdin))
    assert "holds a corpus of other texts, tokenizer or limits" in line


def test_several_texts_with_weights(data: Data, model: Path, tmp_path: Path) -> None:
    for language in ("fr", "en"):
        write_lines(tmp_path / f"more.{language}", head(JANE / f"train.{language}", 20, 300))
    own = data.flags(tmp_path / "run")[2:]
    both = ["--train", data.folder / "train", "--train", f"{tmp_path}/more:3", *own, "--tokenizer", model, *SHORT]
    outcome = run_here("train", *both)
    assert outcome.code == 0 and "data: 220 pairs" in outcome.err
    recorded = json.loads((tmp_path / "run" / "options.json").read_text())["data"]
    assert (recorded["train weight"], recorded["train 2 weight"]) == ("1", "3")
    both[3] = f"{tmp_path}/more:2"
    assert "data train 2 weight was 3, now 2" in refused(run_here("train", *both))
    both[3] = f"{tmp_path}/more:0"
    assert "the weight of " in refused(run_here("train", *both), 2)
    config = tmp_path / "both.toml"
    config.write_text(
        f'train = ["{data.folder}/train", "{tmp_path}/more:3"]\n' + (data.folder / "tiny.toml").read_text()
    )
    words = [*own[: own.index("--config")], "--config", config, "--tokenizer", model, *SHORT]
    assert "0 updates left" in run_here("train", *words).err


def test_the_cache_of_large_texts(data: Data, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--cache says where it is, --verify-data looks at the content."""
    monkeypatch.setattr(cache, "LARGE", 10)
    for language in ("fr", "en"):
        write_lines(tmp_path / f"train.{language}", head(data.folder / f"train.{language}", 60))

    def run(name: str, *more: object) -> str:
        words = ["--train", tmp_path / "train", *data.flags(tmp_path / name)[2:], "--tokenizer", model, *SHORT]
        outcome = run_here("train", *words, "--cache", tmp_path / "cache", *more)
        assert outcome.code == 0, outcome.err
        return outcome.err

    assert "preparing" in run("a") and "preparing" not in run("b")
    path = tmp_path / "train.fr"
    before = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "preparing" not in run("c")
    assert "train.fr: is not the text that" in run("d", "--verify-data")
    assert "preparing" not in run("e", "--verify-data")


def test_what_cannot_be_prepared(data: Data, model: Path, tmp_path: Path) -> None:
    words = flags(data, model, tmp_path / "ids")

    def line(place: int, value: object) -> str:
        return refused(run_here("prepare", *words[:place], value, *words[place + 1 :], "--workers", 1))

    assert "nothing.fr: no such file" in line(1, tmp_path / "nothing")
    assert "vectors are not prepared" in line(3, "npz")
    assert "no such tokenizer" in line(7, tmp_path / "nothing.model")
    assert "holds history.jsonl; name a new or empty folder for the corpus" in line(9, model)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "journal.json").write_text("{}")
    words = ["--train", tmp_path / "a", *data.flags(tmp_path / "x")[2:], "--tokenizer", model, *SHORT]
    assert "a: is not finished; run the command that prepares it again" in refused(run_here("train", *words))
    assert "leave out vocab_size" in refused(run_here("train", *words[:-8], *TRAINED), 2)


def test_ctrl_c_ends_it_in_one_line_and_it_goes_on(data: Data, model: Path, tmp_path: Path) -> None:
    for language in ("fr", "en"):
        write_lines(tmp_path / f"train.{language}", head(data.folder / f"train.{language}", 200) * 300)
    words = flags(Data(tmp_path), model, tmp_path / "ids")
    command = [sys.executable, "-m", "nmtkit", "prepare", *map(str, words), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), start_new_session=True) as process:
        column, deadline = tmp_path / "ids" / "pairs.hashes", time.monotonic() + 60  # the last that a block fills
        while not (column.exists() and column.stat().st_size > 8 * 4096) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
        assert process.wait(30) == 130
    assert lines == ["interrupted"]
    done = json.loads((tmp_path / "ids" / "journal.json").read_text())["done"]["pairs"]
    assert 0 < done < 60_000
    outcome = run_here("prepare", *words, "--workers", 1)
    assert outcome.code == 0 and f"ids: going on after {done:,} pairs\n" in outcome.err
    assert read_facts(tmp_path / "ids").counts.pairs == 60_000
