"""`--config FILE`: any option by its flag's name, flags win, and one line for what is wrong, with the nearest key."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, Data, refused, run_here

from nmtkit.cli.main import COMMANDS

RECIPES = sorted((ROOT / "nmtkit" / "training" / "recipes").glob("*.toml"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "options.toml"


def columns(model: Path, *flags: object) -> list[list[str]]:
    outcome = run_here("translate", model, *flags, stdin=b"Jane a faim.\n")
    assert outcome.code == 0, outcome.err
    return [line.split("\t") for line in outcome.lines]


@pytest.mark.parametrize("name", ["length-alpha", "length_alpha"])
def test_dashes_and_underscores(model: Path, config: Path, name: str) -> None:
    config.write_text(f"{name} = 1\nmax-length = 3\nscores = true\n")
    ((score, total, length, _),) = columns(model, "--config", config)
    assert int(length) <= 3 and float(score) == pytest.approx(float(total) / int(length), abs=2e-6)


def test_flags_win_wherever_they_stand(model: Path, config: Path) -> None:
    config.write_text("n_best = 2\nscores = true\nmax-length = 3\n")
    for flags in (["--config", config, "--n-best", 1], ["--n-best", 1, "--config", config]):
        assert len(columns(model, *flags)) == 1
    assert len(columns(model, "--config", config)) == 2


def test_every_flag_of_every_command_is_a_key_by_its_own_name(tmp_path: Path) -> None:
    """Not by the name of a variable in the program: `json`, not `json_file`."""
    import typer.main

    from nmtkit.cli.main import app

    group = typer.main.get_command(app)
    for command in COMMANDS:
        parameters = group.commands[command].params  # type: ignore[attr-defined]
        flags = {max(one.opts, key=len).removeprefix("--") for one in parameters if one.opts[0].startswith("-")}
        assert "quiet" in flags
        for flag in flags - {"config"}:
            file = tmp_path / "one.toml"
            file.write_text(f"{flag} = [[1]]\nno-such-key-as-this = 1\n")
            outcome = run_here(command, "--config", file)
            assert f"unknown key '{flag.replace('-', '_')}'" not in outcome.err.replace("\n", " "), (command, flag)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("baem = 3", ["'baem'", "'beam'"]),
        ("json-file = 'x'", ["json"]),
        ("config = 'x'", ["'config'"]),
        ("beam = 'wide'", ["beam", "wide"]),
        ("beam = true", ["beam"]),
        ("beam = 2.5", ["beam", "2.5"]),
        ("beam = [2]", ["beam"]),
        ("scores = 'perhaps'", ["scores", "perhaps"]),
        ("length_alpha = 'a'", ["length-alpha", "a"]),
        ("device = 3", ["device", "3"]),
        ("[model]\nwidth = 3", ["'model'"]),
        ("beam = ", ["not TOML"]),
        ("beam = 2\nbeam = 3", ["not TOML"]),
        ("beam = 2\n[beam]\n", ["not TOML"]),
    ],
    ids=lambda value: value.replace("\n", " ") if isinstance(value, str) else "",
)
def test_what_is_wrong_in_a_file_is_one_line_that_names_it(
    model: Path, config: Path, text: str, named: list[str]
) -> None:
    config.write_text(text + "\n")
    line = refused(run_here("translate", model, "--config", config, stdin=b"Oui.\n"), code=2)
    assert all(word in line for word in [*named, "options.toml"]), line


def test_a_value_out_of_range_in_a_file(model: Path, config: Path) -> None:
    config.write_text("beam = 0\n")
    line = refused(run_here("translate", model, "--config", config, stdin=b"Oui.\n"), code=2)
    assert "'--beam'" in line and f"{config}: 0 is not possible: choose from 1 to" in line


@pytest.mark.parametrize("content", [b"\xff = 1\n", None, b"beam = 3\r\nscores = \xe9\n"], ids=["1", "folder", "2"])
def test_a_file_that_cannot_be_read(model: Path, config: Path, content: bytes | None) -> None:
    if content is None:
        config.mkdir()
    else:
        config.write_bytes(content)
    assert "options.toml" in refused(run_here("translate", model, "--config", config, stdin=b"Oui.\n"), code=2)


def test_windows_line_ends(model: Path, config: Path) -> None:
    config.write_bytes(b"scores = true\r\nmax-length = 3\r\n")
    assert len(columns(model, "--config", config)[0]) == 4


def test_neither_a_file_nor_a_recipe_lists_the_recipes(model: Path, tmp_path: Path) -> None:
    line = refused(run_here("translate", model, "--config", tmp_path / "none"), code=2)
    assert "no such file" in line and all(path.stem in line for path in RECIPES)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[model]\nwidht = 3", ["[model]", "'widht'", "'width'"]),
        ("[training]\nupdate = 3", ["[training]", "'update'", "'updates'"]),
        ("[tokenizer]\nvocabsize = 3", ["[tokenizer]", "'vocabsize'", "'vocab_size'"]),
        ("[modle]\nwidth = 3", ["modle", "model"]),
        ("model = 3", ["model"]),
        ('[model]\nwidth = "3"', ["[model]", "width", "'3'", "whole number"]),
        ("[model]\nwidth = true", ["[model]", "width", "whole number"]),
        ("[model]\nwidth = 30\nheads = 4", ["width = 30", "heads = 4"]),
        ("[model]\nwidth = 0", ["width = 0"]),
        ("[model]\ndropout = 1.0", ["dropout = 1.0"]),
        ('[model]\nfamily = "convolution"', ["'convolution'", "did you mean 'convolutional'?"]),
        ('[model]\nfamily = "graph"', ["'graph'", "transformer", "recurrent", "convolutional"]),
        ('[model]\nfamily = "recurrent"\nfeedforward = 4', ["[model]", "'feedforward'"]),
        ('[model]\nfamily = "recurrent"\nscore = "dot"', ["[model]", "score = 'dot'", "encoder_units = 128"]),
        ("[training]\nupdates = 2.5", ["[training]", "updates", "2.5"]),
        ("[training]\nlearning_rate = nan", ["learning_rate", "nan"]),
        ("[training]\nlearning_rate = inf", ["learning_rate", "inf"]),
        ("[training]\nclip_norm = nan", ["clip_norm", "nan"]),
        ("[training]\nweight_decay = inf", ["weight_decay", "inf"]),
        ("[training]\nvalid_length_alpha = nan", ["length", "alpha", "nan"]),
        ("[training]\nlabel_smoothing = 1.0", ["label_smoothing = 1.0"]),
        ('[training]\nbest_by = "ter"', ["'ter'", "bleu", "loss"]),
        ('[tokenizer]\nkind = "word"', ["'word'", "unigram", "bpe"]),
    ],
    ids=lambda value: value.replace("\n", " ") if isinstance(value, str) else "",
)
def test_what_is_wrong_in_a_table_is_one_line(
    data: Data, tmp_path: Path, config: Path, text: str, named: list[str]
) -> None:
    config.write_text(text + "\n")
    flags = [*data.flags(tmp_path / "run")[:-2], "--config", config, "--quiet"]
    outcome = run_here("train", *flags)
    line = refused(outcome, code=outcome.code or 1)
    assert outcome.code in (1, 2)
    assert all(word in line for word in named), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipes_are_found_by_name_and_fit(path: Path, data: Data, tmp_path: Path) -> None:
    """All that a recipe sets is taken: only the files, too small for its vocabulary, are refused."""
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    sizes = ["--train", data.folder / "train", "--dev", data.folder / "dev", "--output", tmp_path / "run", "--quiet"]
    names = ["-s", "fr", "-t", "en"]
    line = refused(run_here("train", "--config", path.stem, *sizes, *names))
    assert f"{recipe['tokenizer']['vocab_size']:,}" in line and "vocabulary" in line


def test_a_file_gives_all_that_train_needs(data: Data, tmp_path: Path, config: Path) -> None:
    """Required options too, and tables and flags together."""
    config.write_text(
        f'train = "{data.folder}/train"\ndev = "{data.folder}/dev"\nsource-lang = "fr"\ntarget-lang = "en"\n'
        f'output = "{tmp_path}/run"\nvocab-size = 400\nseed = 5\nupdates = 7\njoint-vocab = false\n'
        "[model]\nfamily = 'recurrent'\nembedding = 8\nunits = 8\nattention = 8\n"
        "[training]\nupdates = 1\nwarmup = 3\naccumulate = 2\n[tokenizer]\nkind = 'bpe'\nmax_lines = 50\n"
    )
    flags = ["--seed", 6, "--updates", 2, "--joint-vocab", "--quiet", "--batch-tokens", 500]
    outcome = run_here("train", "--config", config, *flags)
    assert outcome.code == 0, outcome.err
    facts = json.loads(run_here("info", tmp_path / "run", "--json", "-").out)
    assert (facts["model"]["family"], facts["model"]["units"]) == ("recurrent", 8)
    training = facts["training"]
    assert [training[key] for key in ("seed", "updates", "warmup", "accumulate", "batch_tokens")] == [6, 2, 3, 2, 500]
    assert facts["tokenizer"]["made_by"] == {"vocab_size": 400, "kind": "bpe", "joint": True, "max_lines": 50}


def test_a_tokenizer_that_is_there_is_named_as_by_the_flag(data: Data, tmp_path: Path, config: Path) -> None:
    """`tokenizer` is a table and a flag: a text is the flag, and the folder's pieces are taken as they are."""
    tiny = data.folder / "tiny.toml"
    config.write_text(f'tokenizer = "{tmp_path}/first"\nupdates = 1\n{tiny.read_text()}')
    first = run_here("train", *data.flags(tmp_path / "first"), "--quiet", "--vocab-size", 390, "--updates", 1)
    second = run_here("train", *data.flags(tmp_path / "second")[:-1], config, "--quiet")
    assert first.code == second.code == 0, first.err + second.err
    one, other = ((tmp_path / name / "tokenizer.model").read_bytes() for name in ("first", "second"))
    assert one == other
    config.write_text(f'tokenizer = "{tmp_path}/none"\n')
    assert "no such tokenizer" in refused(run_here("train", *data.flags(tmp_path / "third")[:-1], config))
