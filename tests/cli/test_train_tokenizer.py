"""`nmtkit train-tokenizer`, and its files given to `nmtkit train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Data, refused, run_here, write_lines


def load(path: Path) -> object:
    from nmtkit.tokenizer.subwords import Subwords

    return Subwords.load(path)


def test_a_joint_tokenizer_and_what_is_said(data: Data, tmp_path: Path) -> None:
    from nmtkit.tokenizer.subwords import Subwords

    output = tmp_path / "deep" / "er" / "tokenizer.model"
    texts = [data.folder / "train.fr", data.folder / "train.en"]
    outcome = run_here("train-tokenizer", *texts, "--vocab-size", 420, "--output", output)
    assert (outcome.code, outcome.out) == (0, b"")
    assert outcome.err == f"{output}: 420 pieces (unigram) from 400 lines\n"
    subwords = Subwords.load(output)
    assert (subwords.size, subwords.kind) == (420, "unigram")
    assert subwords.decode(subwords.encode("Où est-ce ? 😀")) == "Où est-ce ? 😀"
    again = tmp_path / "again.model"
    assert run_here("train-tokenizer", *texts, "--vocab-size", 420, "--output", again, "--quiet").err == ""
    assert again.read_bytes() == output.read_bytes()


def test_every_option_makes_another_tokenizer(data: Data, tmp_path: Path) -> None:
    output = tmp_path / "t.model"

    def trained(*flags: object) -> bytes:
        command = ["train-tokenizer", data.folder / "train.fr", "--output", output, "--vocab-size", 380, *flags]
        assert run_here(*command).code == 0
        return output.read_bytes()

    plain = trained()
    config = tmp_path / "t.toml"
    config.write_text('kind = "bpe"\n')
    others = [
        trained("--vocab-size", 381),
        trained("--kind", "bpe"),
        trained("--character-coverage", 0.98),
        trained("--max-lines", 150),
        trained("--max-lines", 150, "--seed", 2),
        trained(data.folder / "train.en"),
        trained("--symbols", "<2de>"),
    ]
    assert len({plain, *others}) == 8
    assert trained("--config", config) == others[1]
    assert trained("--seed", 2) == plain, "the seed draws the sample of --max-lines and nothing else"


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--vocab-size", 100], ["100", "raise"], 1),
        (["--vocab-size", 0], ["'--vocab-size'", "0 is not possible: choose from 1 to"], 2),
        (["--vocab-size", 99999], ["99,999", "lower"], 1),
        (["--kind", "bep"], ["'bep'", "'bpe'"], 2),
        (["--character-coverage", 1.5], ["1.5", "from 0.98 to 1"], 2),
        (["--max-lines", 0], ["'--max-lines'", "0 is not possible: choose from 1 to"], 2),
        (["--symbols", "a b"], ["'a b'", "space"], 2),
        (["--symbols", "</s>"], ["'</s>'", "already"], 2),
        (["--symbols", "x", "--symbols", "x"], ["'x'", "twice"], 2),
        (["none.txt"], ["none.txt", "no such file"], 1),
        (["--output", "."], ["folder"], 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_values_are_refused(
    data: Data, tmp_path: Path, flags: list[object], words: list[str], code: int
) -> None:
    command = ["train-tokenizer", data.folder / "train.fr", "--output", tmp_path / "t.model", "--vocab-size", 400]
    line = refused(run_here(*command, *flags), code)
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_text_that_is_not_utf_8_or_not_there(tmp_path: Path) -> None:
    latin, blank = tmp_path / "latin1.fr", write_lines(tmp_path / "blank.fr", ["", " "])
    latin.write_bytes(b"Oui.\ncaf\xe9\n")
    assert f"{latin}, line 2: not valid UTF-8" in refused(
        run_here("train-tokenizer", latin, "--output", tmp_path / "t.model")
    )
    assert "empty" in refused(run_here("train-tokenizer", blank, "--output", tmp_path / "t.model"))


def test_one_vocabulary_a_side_for_train(data: Data, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizers"
    for side, language, size in (("source", "fr", 380), ("target", "en", 370)):
        output = folder / f"tokenizer.{side}.model"
        text = data.folder / f"train.{language}"
        assert run_here("train-tokenizer", text, "--vocab-size", size, "--output", output).code == 0
    flags = data.flags(tmp_path / "run")
    outcome = run_here("train", *flags, "--tokenizer", folder, "--updates", 1)
    assert outcome.code == 0, outcome.err
    facts = json.loads(run_here("info", tmp_path / "run", "--json", "-").out)
    tokenizer = facts["tokenizer"]
    assert (tokenizer["joint"], tokenizer["source_size"], tokenizer["target_size"]) == (False, 380, 370)
    assert tokenizer["made_by"] is None and facts["model"]["tie_source"] is False
    for side in ("source", "target"):
        name = f"tokenizer.{side}.model"
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()
    (folder / "tokenizer.target.model").unlink()
    line = refused(run_here("train", *data.flags(tmp_path / "other"), "--tokenizer", folder, "--quiet"))
    assert "tokenizer.target.model" in line


def test_a_joint_one_for_train(data: Data, tmp_path: Path) -> None:
    """By file or by folder; it cannot be had ready and be made at the same time."""
    output = tmp_path / "tokenizer.model"
    texts = [data.folder / "train.fr", data.folder / "train.en"]
    assert run_here("train-tokenizer", *texts, "--vocab-size", 400, "--output", output).code == 0
    for name, given in (("by file", output), ("by folder", tmp_path)):
        run = tmp_path / name
        assert run_here("train", *data.flags(run), "--tokenizer", given, "--updates", 1, "--quiet").code == 0
        assert (run / "tokenizer.model").read_bytes() == output.read_bytes()
    flags = [*data.flags(tmp_path / "other"), "--tokenizer", output, "--vocab-size", 400, "--quiet"]
    line = refused(run_here("train", *flags), code=2)
    assert "ready made" in line and "vocab" in line and not (tmp_path / "other").exists()


def test_symbols_are_never_split(data: Data, tmp_path: Path) -> None:
    """Given twice on the command line, or as a list in a file; and told to train."""
    config, output = tmp_path / "a.toml", tmp_path / "t.model"
    config.write_text('symbols = ["<2de>", "⟨NAME⟩"]\n')
    text = [data.folder / "train.fr", "--vocab-size", 400, "--output", output, "--quiet"]
    assert run_here("train-tokenizer", *text, "--symbols", "<2de>", "--symbols", "⟨NAME⟩").code == 0
    first = output.read_bytes()
    assert run_here("train-tokenizer", *text, "--config", config).code == 0
    assert output.read_bytes() == first
    from nmtkit.tokenizer.subwords import Subwords

    subwords = Subwords.load(output)
    assert subwords.pieces(subwords.encode("<2de>⟨NAME⟩s"))[1:3] == ["<2de>", "⟨NAME⟩"]


def test_train_makes_a_tokenizer_with_symbols(data: Data, tmp_path: Path) -> None:
    flags = [*data.flags(tmp_path / "run"), "--vocab-size", 400, "--updates", 1, "--quiet"]
    assert run_here("train", *flags, "--symbols", "<2de>").code == 0
    made_by = json.loads(run_here("info", tmp_path / "run", "--json", "-").out)["tokenizer"]["made_by"]
    assert made_by["symbols"] == ["<2de>"] and made_by["vocab_size"] == 400
    assert run_here("train", *flags, "--symbols", "<2de>").code == 0, "the same goes on"
    assert "made_by" in refused(run_here("train", *flags))
    ready = [*data.flags(tmp_path / "other"), "--tokenizer", tmp_path / "run", "--symbols", "<x>", "--quiet"]
    assert "leave out symbols" in refused(run_here("train", *ready), 2)
    table = (data.folder / "tiny.toml").read_text() + '[tokenizer]\nsymbols = ["<2de>"]\n'
    (tmp_path / "table.toml").write_text(table)
    again = [*data.flags(tmp_path / "table")[:-2], "--config", tmp_path / "table.toml", *flags[-5:]]
    assert run_here("train", *again).code == 0
    one, other = (tmp_path / name / "tokenizer.model" for name in ("run", "table"))
    assert one.read_bytes() == other.read_bytes()
