"""`nmtkit compare`: folders or a grid in, tables, JSON and a picture out; the figures are tested with the analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from conftest import Data, head, refused, run_here, write_lines

import nmtkit
from nmtkit.files import sha256
from nmtkit.tokenizer.tokenizer import Tokenizer


@pytest.fixture
def command(model: Path, sibling: Path, data: Data) -> list[object]:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 12]
    return ["compare", model, sibling, *texts, "--device", "cpu"]


def test_folders_are_compared_with_the_first(command: list[object], data: Data, tmp_path: Path) -> None:
    outcome = run_here(*command, "--json", "-", "--buckets", 2)
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    references = head(data.folder / "dev.en", 8)
    for folder, contestant, updates in zip(command[1:3], found["contestants"], (24, 16), strict=True):
        outputs = run_here("translate", folder, "--input", data.folder / "dev.fr", "--max-length", 12).lines
        (run,) = contestant["runs"]
        assert run["outputs"] == outputs
        assert contestant["bleu"]["value"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [references]).score)
        facts = json.loads(run_here("info", folder, "--json", "-").out)
        assert run["parameters"] == facts["parameters"] and run["dev_loss"] == pytest.approx(facts["scores"]["loss"])
        assert run["trained"] > 0 and run["speed"] > 0
        assert run["updates"] == updates and run["folder"] == str(folder) and run["model"] == facts["hash"]
    assert sum(bucket["sentences"] for bucket in found["buckets"]) == 8 and 1 <= len(found["buckets"]) <= 2
    made_by = found["made_by"]
    assert made_by["source"] == {"file": str(data.folder / "dev.fr"), "sha256": sha256(data.folder / "dev.fr")}
    assert made_by["references"] == [{"file": str(data.folder / "dev.en"), "sha256": sha256(data.folder / "dev.en")}]
    assert made_by["search"] == {"max_length": 12} and made_by["nmtkit"] == nmtkit.__version__
    assert made_by["command"].startswith("nmtkit")
    shown = run_here(*command)
    assert shown.code == 0 and max(map(len, shown.lines)) <= 80 and "compared with the first" in shown.text
    picture = tmp_path / "a.svg"
    assert run_here(*command, "--plot", picture, "--quiet").code == 0 and "<svg" in picture.read_text("utf-8")


def test_a_grid_is_trained_once_and_compared(data: Data, tmp_path: Path) -> None:
    """Two variants, tiny and short; the second call trains nothing and finds the same scores."""
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    file.write_text(
        f'train = "{data.folder}/train"\ndev = "{data.folder}/dev"\nsource-lang = "fr"\ntarget-lang = "en"\n'
        'vocab-size = 400\nupdates = 2\nvalidate-every = 2\ndevice = "cpu"\nthreads = 1\n'
        "[training]\nbatch_tokens = 400\nwarmup = 1\nlog_every = 1\n"
        '[variants.none]\npreset = "rnn-no-attention"\nmodel = { units = 8, embedding = 8 }\n'
        '[variants.dot]\npreset = "bahdanau"\nmodel = { units = 8, encoder_units = 4, embedding = 8, score = "dot" }\n'
    )
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 5]
    words = ["compare", "--grid", file, "--output", output, *texts, "--device", "cpu"]
    first = run_here(*words, "--json", tmp_path / "a.json")
    assert first.code == 0, first.err
    assert "none-1: nmtkit train" in first.err and (output / "dot-1" / "weights.safetensors").exists()
    made = {path: path.stat().st_mtime_ns for path in output.glob("*/weights.safetensors")}
    again = run_here(*words, "--json", tmp_path / "b.json")
    assert again.code == 0 and {path: path.stat().st_mtime_ns for path in made} == made
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert [contestant["name"] for contestant in one["contestants"]] == ["none", "dot"]
    assert [contestant["bleu"] for contestant in one["contestants"]] == [
        contestant["bleu"] for contestant in two["contestants"]
    ]


def test_what_does_not_go_together_is_refused(command: list[object], data: Data, tmp_path: Path) -> None:
    texts: list[Any] = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    assert "either model folders, or --grid" in refused(run_here("compare", *texts), 2)
    grid = write_lines(tmp_path / "grid.toml", ["updates = 3"])
    assert "either model folders, or --grid" in refused(run_here("compare", *texts, "--grid", grid), 2)
    assert "has no variants" in refused(run_here("compare", *texts, "--grid", grid, "--output", tmp_path / "x"))
    assert "png, svg, pdf" in refused(run_here(*command, "--plot", "a.gif"), 2)
    read = data.folder / "dev.en"
    assert f"{read} is read" in refused(run_here(*command, "--json", read), 2)
    assert "does not exist" in refused(run_here(*command, "--json", tmp_path / "none" / "x.json"))
    assert "named twice" in refused(run_here(*command[:2], *command[1:]), 2)


def test_nothing_is_trained_before_everything_was_checked(data: Data, tmp_path: Path) -> None:
    """A variant that cannot be, a setting of the search, a finished variant changed: told before the first update."""
    common = (
        f'train = "{data.folder}/train"\ndev = "{data.folder}/dev"\nsource-lang = "fr"\ntarget-lang = "en"\n'
        'vocab-size = 400\nupdates = 1\nvalidate-every = 1\ndevice = "cpu"\n[model]\nunits = 8\nembedding = 8\n'
        '[variants.a]\npreset = "rnn-tiny"\n'
    )
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 5]
    words = ["compare", "--grid", file, "--output", output, *texts, "--device", "cpu"]
    for variant, said in (
        ('[variants.b]\npreset = "rnn-tiny"\nmodel = { score = "dot" }\n', ["b-1.toml", "encoder_units = 4"]),
        ('[variants.b]\npreset = "rnn-tny"\n', ["b-1.toml", "did you mean 'rnn-tiny'"]),
        ('[variants.b]\npreset = "rnn-tiny"\nmodel = { scoer = "dot" }\n', ["b-1.toml", "did you mean 'score'"]),
    ):
        file.write_text(common + variant)
        outcome = run_here(*words)
        line = outcome.err.splitlines()[-1]
        assert outcome.code == 1 and line.startswith(f"nmtkit: {file}: ") and all(part in line for part in said), line
        assert not (output / "a-1").exists() and "a-1: recurrent" in outcome.err
    file.write_text(common)
    assert "--min-length 9" in refused(run_here(*words, "--min-length", 9), 2) and not (output / "a-1").exists()
    assert run_here(*words, "--json", tmp_path / "a.json").code == 0
    file.write_text(common.replace("units = 8", "units = 4") + '[variants.b]\npreset = "rnn-tiny"\n')
    changed = run_here(*words)
    assert changed.code == 1 and "was begun with another configuration" in changed.err and not (output / "b-1").exists()


@pytest.mark.slow
def test_what_a_model_had_no_room_for_is_said(data: Data, tmp_path: Path) -> None:
    """Learned positions leave long pairs out: their loss is not that of all, and there was less to learn from."""
    file, output = tmp_path / "grid.toml", tmp_path / "runs"
    file.write_text(
        f'train = "{data.folder}/train"\ndev = "{data.folder}/dev"\nsource-lang = "fr"\ntarget-lang = "en"\n'
        'vocab-size = 400\nupdates = 1\nvalidate-every = 1\ndevice = "cpu"\n'
        '[model]\nfamily = "transformer"\nwidth = 8\nheads = 2\nfeedforward = 8\n'
        "encoder_layers = 1\ndecoder_layers = 1\n"
        '[variants.all]\n[variants.some]\nmodel = { positions = "learned", max_positions = 40 }\n'
        '[variants.roomy]\nmodel = { positions = "learned", max_positions = 4000 }\n'
    )
    texts: list[Any] = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 5]
    outcome = run_here("compare", "--grid", file, "--output", output, *texts, "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome.err
    kept = {
        name: json.loads((output / f"{name}-1" / "options.json").read_text())["provenance"]["pairs"]
        for name in ("all", "some", "roomy")
    }
    assert kept["all"] == kept["roomy"] == {"train": 200, "dev": 8}
    tokenizer = Tokenizer.load(output / "all-1")
    for part, count in kept["some"].items():
        pairs = zip(*(head(data.folder / f"{part}.{side}", 999) for side in ("fr", "en")), strict=True)
        fits = [max(map(len, map(tokenizer.source.encode, pair))) < 40 for pair in pairs if any(pair)]
        assert 0 < sum(fits) == count < len(fits)
    said = " ".join(outcome.err.split())
    some = "{train} pairs and validated on {dev}".format(**kept["some"])
    assert f"some-1 was trained on {some}, the first on 200 pairs and validated on 8" in said
    assert "roomy-1 was" not in said and said.count("no dev loss is shown") == 1
    losses = [one["runs"][0]["dev_loss"] for one in json.loads((tmp_path / "a.json").read_text())["contestants"]]
    assert losses[0] and losses[2] and losses[1] is None
    speeds = [one["runs"][0]["trained"] for one in json.loads((tmp_path / "a.json").read_text())["contestants"]]
    assert speeds == [None] * 3, "a hundred updates are needed for a speed"


def test_models_that_are_hard_to_compare_are_said_so(model: Path, copied: Path, data: Data, tmp_path: Path) -> None:
    """Another pair of languages, or a loss of other pieces: which is left out."""
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 5]
    options = json.loads((copied / "options.json").read_text())
    options["languages"]["target"], options["data"]["dev target"] = "de", "0" * 64
    (copied / "options.json").write_text(json.dumps(options))
    outcome = run_here("compare", model, copied, *texts, "--json", tmp_path / "a.json")
    assert outcome.code == 0 and "trained to translate fr to de, the first fr to en" in " ".join(outcome.err.split())
    first, second = json.loads((tmp_path / "a.json").read_text())["contestants"]
    assert first["runs"][0]["dev_loss"] > 0 and second["runs"][0]["dev_loss"] is None
