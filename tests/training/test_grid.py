"""Grid files: what is refused, what each variant is trained with, and that finished ones are left alone."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.models.build import build, parameters
from nmtkit.models.options import options_from_mapping
from nmtkit.settings import from_mapping
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training import grid
from nmtkit.training.grid import Grid, read_grid, to_toml, train_all
from nmtkit.training.options import TrainingOptions
from nmtkit.training.run import Run

GRID = """
train = "t"
dev = "d"
source-lang = "en"
target-lang = "de"
updates = 6
vocab-size = 300
seeds = [3, 4]

[model]
dropout = 0.25
units = 8

[variants.none]
preset = "rnn-no-attention"

[variants.dot]
preset = "bahdanau"
learning-rate = 0.5
model = { score = "general", units = 16 }
"""

plain = st.text() | st.integers(-(2**60), 2**60) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"\A[A-Za-z0-9_-]{1,8}\Z")


@given(
    st.dictionaries(names, plain | st.lists(st.integers(0, 9)) | st.dictionaries(names, plain, max_size=3), max_size=5)
)
def test_toml_is_read_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(values)) == values


def trained(monkeypatch: pytest.MonkeyPatch, code: int = 0) -> list[grid.Training]:
    """The trainings in their order; none is checked and none is done."""
    ran: list[grid.Training] = []

    def train_apart(config: Path, output: Path, tokenizer: Path | None, command: str) -> int:
        training = grid.Training("", 0, output, tokenizer)
        assert (training.config, training.command()) == (config, command)
        ran.append(training)
        return code

    monkeypatch.setattr(grid, "train_apart", train_apart)
    monkeypatch.setattr(grid, "_check", lambda _, training: f"{training.folder}: checked")
    return ran


def test_every_variant_has_the_common_options_and_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, output, ran = tmp_path / "grid.toml", tmp_path / "my runs", trained(monkeypatch)
    file.write_text(GRID)
    read, said = read_grid(file), []
    assert read.folders(output) == {
        "none": [output / "none-3", output / "none-4"],
        "dot": [output / "dot-3", output / "dot-4"],
    }
    train_all(read, output, said.append)
    assert [training.folder for training in ran] == [output / name for name in ("none-3", "none-4", "dot-3", "dot-4")]
    assert [training.tokenizer for training in ran] == [None, *3 * [output / "none-3"]], "one vocabulary for all"
    last = tomllib.loads((output / "dot-4.toml").read_text())
    assert last == {
        "train": "t",
        "dev": "d",
        "source-lang": "en",
        "target-lang": "de",
        "updates": 6,
        "seed": 4,
        "preset": "bahdanau",
        "learning-rate": 0.5,
        "model": {"dropout": 0.25, "units": 16, "score": "general"},
    }
    first = tomllib.loads((output / "none-3.toml").read_text())
    assert first["vocab-size"] == 300, "how the one tokenizer is made"
    assert first["model"] == {"dropout": 0.25, "units": 8} and "learning-rate" not in first
    assert said[:4] == [f"{training.folder}: checked" for training in ran]
    assert said[4:] == [f"{training.folder.name}: {training.command()}" for training in ran]
    words = ["nmtkit", "train", "--config", f"{output}/dot-4.toml", "--output", f"{output}/dot-4"]
    assert shlex.split(ran[-1].command()) == [*words, "--tokenizer", f"{output}/none-3"]


APART = [
    ('[model]\nfamily = "recurrent"\nunits = 8\n', {"model": {"family": "transformer", "width": 16}}),
    ('preset = "rnn-tiny"\n[model]\nunits = 8\n', {"model": {"family": "transformer", "width": 16}}),
    ('[model]\nfamily = "recurrent"\nunits = 8\n', {"preset": "transformer-tiny", "model": {"width": 16}}),
    ("[model]\nunits = 8\n", {"model": {"family": "transformer", "width": 16}}),
]
"""What all have of a model, and what a variant of another family says."""


@pytest.mark.parametrize(("common", "own"), APART)
def test_a_variant_of_another_family_takes_nothing_of_the_common_model(
    common: str, own: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    trained(monkeypatch)
    before, after = common.split("[model]")
    variant = to_toml({"variants.other": {}}) + "".join(
        f"{key} = {{ {to_toml(value).strip().replace(chr(10), ', ')} }}\n"
        if isinstance(value, dict)
        else to_toml({key: value})
        for key, value in own.items()
    )
    file.write_text(
        f'train = "t"\n{before}[training]\nupdates = 3\n[model]{after}'
        '[variants.gru]\nmodel = { score = "dot" }\n' + variant
    )
    train_all(read_grid(file), output, print)
    gru, other = (tomllib.loads((output / f"{name}-1.toml").read_text()) for name in ("gru", "other"))
    assert gru["model"]["units"] == 8 and gru["model"]["score"] == "dot"
    assert {key: other[key] for key in ("preset", "model") if key in other} == own
    assert gru["training"] == other["training"] == {"updates": 3}


def test_a_variant_of_the_same_family_takes_the_common_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    trained(monkeypatch)
    file.write_text(
        '[model]\nfamily = "recurrent"\nunits = 8\n'
        '[variants.named]\nmodel = { family = "recurrent", cell = "rnn" }\n[variants.preset]\npreset = "bahdanau"\n'
    )
    train_all(read_grid(file), output, print)
    named, preset = (tomllib.loads((output / f"{name}-1.toml").read_text()) for name in ("named", "preset"))
    assert named["model"] == {"family": "recurrent", "units": 8, "cell": "rnn"}
    assert preset["model"] == {"family": "recurrent", "units": 8} and preset["preset"] == "bahdanau"


def test_all_trainings_are_checked_before_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how the tokenizer is made, while there is none; with the shared one as soon as there is."""
    whole, file, output = grid._check, tmp_path / "grid.toml", tmp_path / "runs"
    ran = trained(monkeypatch)
    monkeypatch.setattr(grid, "_check", whole)
    file.write_text(GRID)
    asked: list[Run] = []
    refused = ""

    def check(run: Run) -> str:
        asked.append(run)
        assert not ran, "before anything is trained"
        if run.output.name == refused:
            raise ValueError("no")
        return ""

    monkeypatch.setattr(grid, "check", check)
    train_all(read_grid(file), output, print)
    assert [run.output for run in asked] == [output / name for name in ("none-3", "none-4", "dot-3", "dot-4")]
    assert {run.tokenizer for run in asked} == {TokenizerOptions(300)}
    assert [run.training.seed for run in asked] == [3, 4, 3, 4] and asked[0].training.updates == 6
    (output / "none-3").mkdir()
    (output / "none-3" / "tokenizer.model").write_bytes(b"")
    asked, ran[:] = [], []
    train_all(read_grid(file), output, print)
    assert [run.tokenizer for run in asked] == [TokenizerOptions(300), *3 * [output / "none-3"]]
    ran[:], refused = [], "dot-4"
    with pytest.raises(ValueError, match=f"{file}: nmtkit train --config .*dot-4.toml .*: no"):
        train_all(read_grid(file), output, print)
    assert not ran


CHILD = """
import signal, sys, time
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append("INT"))
signal.signal(signal.SIGTERM, lambda *_: heard.append("TERM"))
print("ready", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
print(*heard, flush=True)
sys.exit(130)
"""
PARENT = """
import sys
from nmtkit.training.process import call
sys.exit(call([sys.executable, "-c", sys.argv[1]]))
"""


@pytest.mark.parametrize(
    ("number", "heard"), [(signal.SIGINT, "INT"), (signal.SIGTERM, "TERM"), (signal.SIGHUP, "TERM")]
)
@pytest.mark.parametrize("group", [False, True])
def test_what_stops_the_grid_stops_its_training_once(number: signal.Signals, heard: str, group: bool) -> None:
    """Sent to the process alone or, as a terminal does, to its whole group; and the training is waited for."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.stdout.read() == f"{heard}\n"
    assert process.returncode == 130


def test_a_training_that_is_interrupted_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, ran = tmp_path / "grid.toml", trained(monkeypatch, code=130)
    file.write_text(GRID)
    with pytest.raises(KeyboardInterrupt):
        train_all(read_grid(file), tmp_path / "runs", print)
    assert len(ran) == 1


def test_a_training_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, ran = tmp_path / "grid.toml", trained(monkeypatch, code=1)
    file.write_text(GRID)
    with pytest.raises(ValueError, match="^none-3: training failed, see above"):
        train_all(read_grid(file), tmp_path / "runs", lambda text: None)
    assert len(ran) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = [", "not TOML"),
        ("updates = 5", "has no variants"),
        ("variants = 3", "has no variants"),
        ("[variants.a]\nupdates = 9", "variants.a has 'updates', but data and budget are the same"),
        ("[variants.a]\ntrain = 'x'", "variants.a has 'train'"),
        ("variants.a = 3", "variants.a = 3 is not a table"),
        ("seeds = 3\n[variants.a]", "seeds = 3 is not a list"),
        ("seeds = []\n[variants.a]", "is not a list"),
        ("seeds = [1, 1]\n[variants.a]", "has one twice"),
        ("seed = 3\n[variants.a]", "leave out seed"),
        ("[variants.'a/b']", "names a folder"),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words.replace("[", r"\[")) as refusal:
        read_grid(file)
    assert str(refusal.value).startswith(f"{file}: ") and "\n" not in str(refusal.value).split("not TOML")[0]


@pytest.mark.parametrize("name", ["attention", "attention-multi30k"])
def test_the_grids_that_come_along_compare_models_of_one_size(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variant can be built, has the parameters of additive attention within 10 %, and as many updates."""
    trained(monkeypatch)
    read = read_grid(ROOT / "data" / f"{name}.toml")
    train_all(read, tmp_path, print)
    sizes = {}
    for variant in read.variants:
        values = tomllib.loads((tmp_path / f"{variant}-1.toml").read_text())
        from_mapping(TrainingOptions, values["training"], "training")
        options = options_from_mapping({"tie_source": True, **values["model"]}, variant)
        size = read.common["vocab-size"]
        sizes[variant] = parameters(build(options, source_size=size, target_size=size))
        assert values["updates"] == read.common["updates"]
    assert len(sizes) == {"attention": 18, "attention-multi30k": 4}[name]
    assert all(abs(size / sizes["additive"] - 1) < 0.1 for size in sizes.values()), sizes


def test_no_grid_is_trained_in_a_model_folder(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text("{}")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"is a model folder; name another"):
        train_all(Grid({}, {"a": {}}, (1,)), tmp_path, print)
    assert sorted(tmp_path.iterdir()) == before
