"""`nmtkit info`: what a folder says about itself is what is in it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from conftest import TRAINED, Data, environment, refused, run_here


def test_the_facts(model: Path, data: Data) -> None:
    import torch
    from safetensors import safe_open

    from nmtkit import __version__

    facts = json.loads(run_here("info", model, "--json", "-").out)
    with safe_open(model / "weights.safetensors", framework="pt") as stream:
        sizes = [stream.get_tensor(name).numel() for name in stream.keys()]  # noqa: SIM118
        header = json.loads(stream.metadata()["nmtkit"].partition(" ")[2])
    assert facts["parameters"] == sum(sizes)
    assert facts["hash"] == header["hash"] and len(facts["hash"]) == 64
    history = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
    validations = {line["step"]: line for line in history if "dev_loss" in line}
    assert set(validations) == {12, 24} and facts["steps"] in validations
    assert facts["scores"] == {name: validations[facts["steps"]][f"dev_{name}"] for name in ("loss", "bleu")}
    for role, name in (("train source", "train.fr"), ("dev target", "dev.en")):
        assert facts["data"][role] == hashlib.sha256((data.folder / name).read_bytes()).hexdigest()
    provenance = facts["provenance"]
    assert (provenance["nmtkit"], provenance["torch"]) == (__version__, torch.__version__)
    assert (provenance["device"], provenance["threads"]) == ("cpu", 1)
    assert provenance["python"] == ".".join(map(str, sys.version_info[:3]))
    assert shlex.split(provenance["command"])[:2] == ["nmtkit", "train"]
    assert shlex.split(provenance["command"])[-len(TRAINED) :] == TRAINED
    assert facts["model"]["width"] == 32 and facts["training"]["updates"] == 24
    assert facts["tokenizer"]["source_size"] == 400 and facts["defaults"]["beam"] == 2


def test_the_screen_shows_the_same(model: Path) -> None:
    facts = json.loads(run_here("info", model, "--json", "-").out)
    shown = run_here("info", model).text
    words = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[-1] for line in shown.splitlines() if line.strip()}
    assert words["hash"] == facts["hash"] and words["steps"] == str(facts["steps"])
    assert words["loss"] == f"{facts['scores']['loss']:.4g}"
    assert words["command"] == facts["provenance"]["command"]
    assert words["width"] == "32" and words["family"] == "transformer"


def test_json_into_a_file_leaves_the_screen(model: Path, tmp_path: Path) -> None:
    outcome = run_here("info", model, "--json", tmp_path / "facts.json")
    assert outcome.text == run_here("info", model).text
    assert json.loads((tmp_path / "facts.json").read_text()) == json.loads(run_here("info", model, "--json", "-").out)


def test_weights_best_or_last(two_weights: Path) -> None:
    model = two_weights
    best, last = (json.loads(run_here("info", model, "--json", "-", "--weights", one).out) for one in ("best", "last"))
    assert (best["steps"], last["steps"]) == (16, 24)
    assert best["hash"] != last["hash"]
    assert "'best'" in refused(run_here("info", model, "--weights", "bets"), code=2)


def test_quiet_and_a_config_file(model: Path, tmp_path: Path) -> None:
    config = tmp_path / "info.toml"
    config.write_text('weights = "last"\njson = "-"\nquiet = true\n')
    outcome = run_here("info", model, "--config", config)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["steps"] == 24
    assert run_here("info", model, "--quiet").out == run_here("info", model).out


def test_a_pipe_that_closes_early_is_a_quiet_end(model: Path) -> None:
    """Nobody reads: the first line already breaks the pipe."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "nmtkit", "info", str(model)]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment(), check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
