"""A source of vectors instead of text: trained on, gone on with, translated, scored, looked into and blamed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Outcome, refused, run_here, write_lines

WORDS = ["one", "two", "three", "four", "five", "six"]
WIDTH = 8


def sentences(count: int, seed: int) -> tuple[list[np.ndarray], list[str]]:
    """Every word is a vector of its own, with noise; a sentence is to be written in its order."""
    generator = np.random.default_rng(seed)
    table = np.random.default_rng(0).normal(size=(len(WORDS), WIDTH))
    chosen = [generator.permutation(len(WORDS))[: generator.integers(1, 5)] for _ in range(count)]
    noise = [generator.normal(scale=0.1, size=(len(words), WIDTH)) for words in chosen]
    matrices = [(table[words] + own).astype(np.float32) for words, own in zip(chosen, noise, strict=True)]
    return matrices, [" ".join(WORDS[word] for word in words) for words in chosen]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    for name, count, seed in (("train", 400, 1), ("dev", 20, 2), ("test", 20, 3)):
        matrices, texts = sentences(count, seed)
        np.savez(folder / f"{name}.npz", *matrices)
        write_lines(folder / f"{name}.en", texts)
    (folder / "tiny.toml").write_text(TINY.replace("warmup = 2", "warmup = 30"))
    return folder


def train(corpus: Path, output: Path, *more: object) -> Outcome:
    files = ["--train", corpus / "train", "--dev", corpus / "dev", "-s", "npz", "-t", "en"]
    flags = ["--config", corpus / "tiny.toml", "--vocab-size", 278, "--device", "cpu", "--threads", 1]
    return run_here("train", *files, *flags, "--output", output, *more)


@pytest.fixture(scope="module")
def spoken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "spoken"
    outcome = train(corpus, folder, "--updates", 300, "--validate-every", 150)
    assert outcome.code == 0, outcome.err
    return folder


def test_it_learns_what_vectors_say(spoken: Path, corpus: Path) -> None:
    outcome = run_here("translate", spoken, "-i", corpus / "test.npz", "--quiet")
    expected = (corpus / "test.en").read_text().splitlines()
    right = sum(one == other for one, other in zip(outcome.lines, expected, strict=True))
    assert right >= 18, outcome.text


def test_a_run_goes_on_and_a_tokenizer_is_taken(spoken: Path, corpus: Path, tmp_path: Path) -> None:
    """Of a tokenizer that another model has, the target side."""
    folder = Path(shutil.copytree(spoken, tmp_path / "copy"))
    outcome = train(corpus, folder, "--updates", 310, "--validate-every", 150)
    assert outcome.code == 0 and "resuming at update 300" in outcome.err
    again = train(corpus, tmp_path / "new", "--tokenizer", spoken, "--updates", 2, "--validate-every", 2)
    assert again.code != 0 and "leave out vocab_size" in again.err
    files = [
        "--train",
        corpus / "train",
        "--dev",
        corpus / "dev",
        "-s",
        "npz",
        "-t",
        "en",
        "--output",
        tmp_path / "new",
    ]
    more = ["--config", corpus / "tiny.toml", "--tokenizer", spoken, "--updates", 2, "--validate-every", 2]
    assert run_here("train", *files, *more).code == 0
    for name in ("tokenizer.target.model", "tokenizer.source.json"):
        assert (tmp_path / "new" / name).read_bytes() == (spoken / name).read_bytes()
    assert "8 features" not in refused(train(corpus, spoken, "--check", "--updates", 1))


def test_scores_are_those_of_the_search(spoken: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    assert run_here("translate", spoken, "-i", corpus / "test.npz", "--scores", "-o", out).code == 0
    found = [line.split("\t") for line in out.read_text().splitlines()]
    write_lines(tmp_path / "out.en", [row[-1] for row in found])
    scored = run_here("score", spoken, "-s", corpus / "test.npz", "-t", tmp_path / "out.en")
    rows = [line.split("\t") for line in scored.lines]
    assert [float(row[2]) for row in rows] == pytest.approx([float(row[0]) for row in found], abs=1e-4)


def test_blame_names_the_vectors(spoken: Path, corpus: Path, tmp_path: Path) -> None:
    """A source is where its vectors are; the limit counts them; an empty matrix is a blank line."""
    matrices, texts = sentences(4, 5)
    np.savez(tmp_path / "some.npz", *matrices, np.zeros((0, WIDTH), dtype=np.float32))
    write_lines(tmp_path / "some.en", [*texts, ""])
    report = tmp_path / "report.json"
    flags = [
        "--exact",
        "--budget-steps",
        50,
        "--sweep-beams",
        1,
        "--train-sample",
        10,
        "--html",
        tmp_path / "page.html",
    ]
    files = ["-s", tmp_path / "some.npz", "-r", tmp_path / "some.en", "--json", report]
    outcome = run_here("blame-analysis", spoken, *files, *flags)
    assert outcome.code == 0, outcome.err
    records = json.loads(report.read_text())["records"]
    for number, (record, matrix) in enumerate(zip(records, matrices, strict=False), start=1):
        assert record["source"].startswith(f"some.npz[{number}]: {len(matrix)} × {WIDTH} features, ")
        assert record["source_pieces"] == len(matrix) and record["limit"] == 2 * len(matrix) + 10
    assert (records[4]["source"], records[4]["limit"], records[4]["verdict"]) == ("", 1, "equal")


def test_attention_is_to_numbered_positions(spoken: Path, corpus: Path) -> None:
    outcome = run_here("attention", spoken, "-s", corpus / "test.npz", "--line", 1, "--json", "-")
    shown = json.loads(outcome.lines[0])
    assert shown["columns"] == [str(place) for place in range(1, len(np.load(corpus / "test.npz")["arr_0"]) + 1)]


def test_text_and_vectors_are_not_mixed_up(spoken: Path, model: Path, corpus: Path, tmp_path: Path) -> None:
    text = write_lines(tmp_path / "text", ["one"])
    assert "line 1: this model reads vectors, but this is text" in refused(run_here("translate", spoken, "-i", text))
    outcome = run_here("translate", model, "-i", corpus / "test.npz")
    assert "line 1: this model reads text, but these are vectors" in refused(outcome)
    np.savez(tmp_path / "narrow.npz", np.zeros((2, WIDTH - 1)))
    wrong = refused(run_here("translate", spoken, "-i", tmp_path / "narrow.npz"))
    assert "line 1: 7 features per position, but the model reads 8" in wrong
    files = ["--train", corpus / "train", "--dev", corpus / "dev", "-s", "en", "-t", "npz", "--output", tmp_path / "no"]
    assert "target_lang = 'npz' names feature files" in refused(run_here("train", *files), 2)
