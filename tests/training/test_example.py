"""The example of a configuration: all keys, their true defaults, and nothing that is not read."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nmtkit.models.options import FAMILIES, PRESETS, options_from_mapping, options_to_mapping
from nmtkit.settings import to_mapping
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.config import PRESET, Config, Place, load
from nmtkit.training.example import VALUES, descriptions, example
from nmtkit.training.options import TrainingOptions

FILES = {"train": "t", "dev": "d", "source_lang": "fr", "target_lang": "en", "output": "o"}
TEXT = example()
OTHERS = [name for name in FAMILIES if name != PRESETS[PRESET].family]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "example.toml"


def other(family: str) -> str:
    """The part of a family that is not the default's, with its keys read."""
    (part,) = [part for part in TEXT.split("\n#[model]\n")[1:] if f'family = "{family}"' in part]
    return "[model]\n" + re.sub(r"(?m)^#(?=\w)", "", part)


def test_as_it_is_it_changes_nothing(file: Path) -> None:
    file.write_text(TEXT, encoding="utf-8")
    assert load(file, **FILES) == Config.of(FILES, "").run()


def test_it_has_every_key_of_every_dataclass_once() -> None:
    shown = re.findall(r"(?m)^#?(\w+) = ", TEXT)
    models = [name for kind in FAMILIES.values() for name in ["family", *_names(kind)]]
    assert sorted(shown) == sorted([*_names(Place), *_names(TrainingOptions), *_names(TokenizerOptions), *models])


def _names(kind: type) -> list[str]:
    return [one.name for one in dataclasses.fields(kind)]


def test_keys_stand_in_their_tables() -> None:
    values = tomllib.loads(TEXT)
    assert values["training"] == to_mapping(TrainingOptions())
    assert values["tokenizer"] == {k: v for k, v in to_mapping(TokenizerOptions()).items() if v is not None}
    assert values["model"] == {k: v for k, v in options_to_mapping(PRESETS[PRESET]).items() if v is not None}
    assert values["device"] == "auto" and values["verify_data"] is False
    assert set(values) == {"device", "verify_data", "training", "tokenizer", "model"}


@pytest.mark.parametrize("family", OTHERS)
def test_the_keys_of_another_family_are_its_defaults(family: str) -> None:
    values = tomllib.loads(other(family))["model"]
    default = options_to_mapping(FAMILIES[family]())
    assert {key: value for key, value in values.items() if default[key] is not None} == {
        key: value for key, value in default.items() if value is not None
    }
    without = {key: value for key, value in values.items() if default[key] is not None}
    assert options_from_mapping(without, "x") == FAMILIES[family]()


def test_what_stands_behind_a_hash_can_be_read_without_it() -> None:
    text = re.sub(r"(?m)^#(?=\w)", "", TEXT.split("[training]")[0])
    values = tomllib.loads(text)
    assert set(values) == set(_names(Place))
    assert values["threads"] == 1 and {key: values[key] for key in FILES} == {key: VALUES[key] for key in FILES}


CHANGED: dict[type, Any] = {int: lambda n: n + 1, float: lambda x: x / 2 + 0.01, bool: lambda b: not b}
WORDS = {"best_by": "loss", "precision": "float16", "kind": "bpe", "norm": "post", "device": "cpu"}
TOGETHER = {"heads", "position_width", "max_positions", "positions", "symbols", "freeze", "family", "width"}
"""Keys that cannot change alone, and lists."""
ALONE = [line for line in re.findall(r"(?m)^\w+ = .*$", TEXT) if line.split()[0] not in TOGETHER]


@pytest.mark.parametrize("line", ALONE)
def test_a_changed_key_is_honoured(line: str, file: Path) -> None:
    name, value = next(iter(tomllib.loads(line).items()))
    new = WORDS[name] if isinstance(value, str) else CHANGED[type(value)](value)
    written = str(new).lower() if isinstance(new, bool) else repr(new)
    file.write_text(TEXT.replace(f"\n{line}\n", f"\n{name} = {written}\n", 1), encoding="utf-8")
    run, usual = load(file, **FILES), Config.of(FILES, "").run()
    parts = [(one, other) for one, other in zip(vars(run).values(), vars(usual).values(), strict=True) if one != other]
    assert len(parts) == 1
    one, before = parts[0]
    if dataclasses.is_dataclass(one):
        assert getattr(one, name) == new
        assert dataclasses.replace(one, **{name: getattr(before, name)}) == before  # type: ignore[type-var]
    else:
        assert one == new


def test_keys_that_change_together(file: Path) -> None:
    text = TEXT.replace("\nwidth = 256\n", "\nwidth = 240\n").replace("\nheads = 4\n", "\nheads = 5\n")
    text = text.replace('\npositions = "sinusoidal"\n', '\npositions = "learned"\n').replace("= 1024", "= 99")
    text = text.replace("\nfreeze = []\n", '\nfreeze = ["encoder.*"]\n')
    file.write_text(text.replace("\nsymbols = []\n", '\nsymbols = ["<x>"]\n'), encoding="utf-8")
    run = load(file, **FILES)
    model: Any = run.model
    assert (model.width, model.heads, model.positions, model.max_positions, model.feedforward) == (
        *(240, 5, "learned", 99),
        99,
    )
    assert run.made_by is not None and run.made_by.symbols == ("<x>",)
    assert run.training.freeze == ("encoder.*",)


def test_every_key_has_its_meaning_and_bounds_above_it() -> None:
    assert "\n# Updates of linear growth;" in TEXT
    assert re.search(
        r"\n# Share of the target spread evenly \(Szegedy 2016\)\. From 0 to below 1\.\nlabel_smoothing = 0.1", TEXT
    )
    assert re.search(r"\n# Inner width of the .*\. From 1 to 65,536\.\nfeedforward = 1024", TEXT)
    assert "None" not in TEXT and "null" not in TEXT
    for line, before in zip(TEXT.split("\n")[1:], TEXT.split("\n"), strict=False):
        assert len(line) < 120
        if re.match(r"#?\w+ = ", line) and "family" not in line:
            assert before.startswith("# ") and before.endswith("."), line


@pytest.mark.parametrize("kind", [Place, TrainingOptions, TokenizerOptions, *FAMILIES.values()])
def test_docstrings_describe_every_field(kind: type) -> None:
    found = descriptions(kind)
    assert set(_names(kind)) <= set(found)
    assert all(found[name] and "\n" not in found[name] for name in _names(kind))
