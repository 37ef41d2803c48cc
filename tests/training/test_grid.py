"""Grid files: what is refused, what each variant is trained with, and that finished ones are left alone."""

from __future__ import annotations

import subprocess
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
from nmtkit.training import grid
from nmtkit.training.grid import read_grid, to_toml, train_all
from nmtkit.training.options import TrainingOptions

GRID = """
train = "t"
dev = "d"
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
model = { score = "dot", units = 16 }
"""

plain = st.text() | st.integers(-(2**60), 2**60) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"\A[A-Za-z0-9_-]{1,8}\Z")


@given(
    st.dictionaries(names, plain | st.lists(st.integers(0, 9)) | st.dictionaries(names, plain, max_size=3), max_size=5)
)
def test_toml_is_read_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(values)) == values


def commands(monkeypatch: pytest.MonkeyPatch, code: int = 0) -> list[list[str]]:
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        ran.append(command[3:])
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(grid.subprocess, "run", run)
    return ran


def test_every_variant_has_the_common_options_and_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, output, ran = tmp_path / "grid.toml", tmp_path / "runs", commands(monkeypatch)
    file.write_text(GRID)
    read, said = read_grid(file), []
    assert read.folders(output) == {
        "none": [output / "none-3", output / "none-4"],
        "dot": [output / "dot-3", output / "dot-4"],
    }
    train_all(read, output, said.append)
    assert [command[command.index("--output") + 1] for command in ran] == [
        str(output / name) for name in ("none-3", "none-4", "dot-3", "dot-4")
    ]
    assert "--tokenizer" not in ran[0]
    assert all(command[-2:] == ["--tokenizer", str(output / "none-3")] for command in ran[1:]), "one vocabulary for all"
    last = tomllib.loads((output / "dot-4.toml").read_text())
    assert last == {
        "train": "t",
        "dev": "d",
        "updates": 6,
        "seed": 4,
        "preset": "bahdanau",
        "learning-rate": 0.5,
        "model": {"dropout": 0.25, "units": 16, "score": "dot"},
    }
    first = tomllib.loads((output / "none-3.toml").read_text())
    assert first["vocab-size"] == 300, "how the one tokenizer is made"
    assert first["model"] == {"dropout": 0.25, "units": 8} and "learning-rate" not in first
    assert len(said) == 4 and said[0].startswith("none-3: nmtkit train --config")


def test_a_variant_of_another_family_takes_nothing_of_the_common_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    commands(monkeypatch)
    file.write_text(
        'train = "t"\n[training]\nupdates = 3\n[model]\nfamily = "recurrent"\nunits = 8\n'
        '[variants.gru]\nmodel = { score = "dot" }\n[variants.other]\nmodel = { family = "transformer", width = 16 }\n'
    )
    train_all(read_grid(file), output, print)
    gru, other = (tomllib.loads((output / f"{name}-1.toml").read_text()) for name in ("gru", "other"))
    assert gru["model"] == {"family": "recurrent", "units": 8, "score": "dot"}
    assert other["model"] == {"family": "transformer", "width": 16}
    assert gru["training"] == other["training"] == {"updates": 3}


def test_a_training_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, ran = tmp_path / "grid.toml", commands(monkeypatch, code=1)
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
    commands(monkeypatch)
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
