"""`nmtkit evaluate`: the figures are sacreBLEU's, of texts or of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from conftest import JANE, Data, head, refused, run_here, write_lines
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

COUNT = 12


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Path]:
    """References, other references, and outputs between the two."""
    first = head(JANE / "test.en", COUNT)
    second = [line.replace(" the ", " this ").lower() for line in first]
    outputs = [line if number % 3 else line.replace(" a ", " one ").upper() for number, line in enumerate(second)]
    lines = {"first": first, "second": second, "outputs": outputs}
    return {name: write_lines(tmp_path / f"{name}.en", content) for name, content in lines.items()}


def scores(*flags: object) -> dict[str, dict[str, Any]]:
    outcome = run_here("evaluate", *flags, "--json", "-")
    assert outcome.code == 0, outcome.err
    return {score["metric"]: score for score in json.loads(outcome.out)}


def lines(path: Path) -> list[str]:
    return head(path, COUNT)


@pytest.mark.parametrize("lowercase", [False, True], ids=["cased", "lower case"])
@pytest.mark.parametrize("sets", [["first"], ["first", "second"]], ids=["one reference", "two"])
def test_the_figures_are_sacrebleus(texts: dict[str, Path], lowercase: bool, sets: list[str]) -> None:
    references = [flag for name in sets for flag in ("--reference", texts[name])]
    flags = ["--lowercase"] if lowercase else []
    found = scores("--hypotheses", texts["outputs"], *references, *flags, "--resamples", 20)
    for name, metric in (("BLEU", BLEU(lowercase=lowercase)), ("chrF", CHRF(lowercase=lowercase))):
        expected = metric.corpus_score(lines(texts["outputs"]), [lines(texts[one]) for one in sets])
        assert found[name]["value"] == pytest.approx(expected.score, abs=1e-9)
        ours = dict(part.split(":") for part in found[name]["signature"].split("|"))
        theirs = dict(part.split(":") for part in str(metric.get_signature()).split("|"))
        assert {key: ours[key] for key in theirs} == theirs
        assert ours["version"] == sacrebleu.__version__ and ours["nrefs"] == str(len(sets))
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]


def test_tokenize_resamples_and_seed(texts: dict[str, Path]) -> None:
    command = ["-y", texts["outputs"], "-r", texts["first"], "--resamples", 20]
    plain, again = scores(*command), scores(*command)
    characters = scores(*command, "--tokenize", "char")["BLEU"]
    expected = BLEU(tokenize="char").corpus_score(lines(texts["outputs"]), [lines(texts["first"])]).score
    assert characters["value"] == pytest.approx(expected, abs=1e-9) and "tok:char" in characters["signature"]
    assert plain == again
    other = scores(*command, "--seed", 1)
    assert other["BLEU"]["value"] == plain["BLEU"]["value"] and other["BLEU"]["low"] != plain["BLEU"]["low"]
    assert "bs:20" in plain["BLEU"]["signature"] and "seed:1|" in other["BLEU"]["signature"]


def test_the_screen_shows_value_interval_and_signature(texts: dict[str, Path], tmp_path: Path) -> None:
    command = ["-y", texts["outputs"], "-r", texts["first"], "--resamples", 20]
    found = scores(*command)
    outcome = run_here("evaluate", *command, "--json", tmp_path / "scores.json")
    said = f"{tmp_path / 'scores.json'}: 2 scores\n"
    assert (outcome.code, outcome.err, len(outcome.lines)) == (0, said, 4)
    for name, (figures, signature) in zip(found, zip(*[iter(outcome.lines)] * 2, strict=True), strict=True):
        score = found[name]
        assert figures.startswith(f"{name} {score['value']:.2f} ")
        assert f"{score['low']:.2f} to {score['high']:.2f}" in figures
        assert signature.strip() == score["signature"]
    assert json.loads((tmp_path / "scores.json").read_text()) == list(found.values())
    assert run_here("evaluate", *command, "--quiet").out == outcome.out


def test_a_model_is_scored_by_what_translate_gives(model: Path, data: Data, tmp_path: Path) -> None:
    search = ["--beam", 3, "--length-alpha", 1.5, "--max-length", 7, "--batch-tokens", 50]
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--resamples", 20]
    translated = run_here("translate", model, *search, "--input", data.folder / "dev.fr")
    found = scores(model, *texts, *search, "--output", tmp_path / "out.en", "--quiet")
    assert (tmp_path / "out.en").read_bytes() == translated.out
    alone = scores("-y", tmp_path / "out.en", "-r", data.folder / "dev.en", "--resamples", 20)
    for name, score in found.items():
        assert {**score, "model": None, "search": None} == alone[name]
        assert score["model"] == json.loads(run_here("info", model, "--json", "-").out)["hash"]
        assert (score["search"]["beam"], score["search"]["length_alpha"]) == (3, 1.5)
    shown = run_here("evaluate", model, *texts, *search, "--forbid-unk", "--patience", 2)
    assert shown.lines[-1] == (
        f"  model {found['BLEU']['model'][:12]}, beam 3, α 1.5 (power), patience 2, forbid unk, at most 7 pieces"
    )


def test_what_is_read_is_not_written_over(model: Path, data: Data, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.fr", lines(data.folder / "dev.fr"))
    before = source.read_bytes()
    texts = ["--source", source, "--reference", data.folder / "dev.en"]
    assert "name another file" in refused(run_here("evaluate", model, *texts, "--output", source), 2)
    assert source.read_bytes() == before


def test_search_options_weights_device_and_threads(
    model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from nmtkit.translator import Translator

    seen: list[Any] = []
    find = Translator.find

    def spy(self: Translator, search: Any, source: Any, settings: Any, *rest: Any, **more: Any) -> Any:
        seen.append(settings)
        return find(self, search, source, settings, *rest, **more)

    monkeypatch.setattr(Translator, "find", spy)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: seen.append(count))
    config = tmp_path / "evaluate.toml"
    config.write_text("beam = 4\nresamples = 20\n")
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--config", config]
    flags = ["--length-alpha", 0.25, "--max-length", 4, "--batch-tokens", 77, "--device", "cpu", "--threads", 2]
    scores(model, *texts, *flags)
    threads, settings = seen
    assert threads == 2
    lengths = ["--min-length", 2, "--min-length-ratio", 0.5, "--max-length-ratio", 1.5, "--length-penalty", "gnmt"]
    rules = ["--patience", 1.5, "--free-eos", "--forbid-unk", "--no-repeat-ngram", 3]
    scores(model, *texts, *lengths, *rules)
    found = seen[-1]
    assert (found.min_length, found.min_length_ratio, found.max_length_ratio) == (2, 0.5, 1.5)
    assert (found.length_penalty, found.patience, found.free_eos, found.forbid_unk) == ("gnmt", 1.5, True, True)
    assert found.no_repeat_ngram == 3
    assert (settings.beam, settings.length_alpha, settings.max_length, settings.batch_tokens) == (4, 0.25, 4, 77)
    files = [model, *texts, "--beam", 2, "--max-length", 9]
    wanted = {which: tmp_path / f"{which}.en" for which in ("best", "last")}
    for which, output in wanted.items():
        scores(*files, "--weights", which, "--output", output)
        expected = run_here("translate", model, "--max-length", 9, "--weights", which, "-i", data.folder / "dev.fr")
        assert output.read_bytes() == expected.out


@pytest.mark.parametrize(("mark", "line"), [("▁", "▁Jane ▁vis it s"), ("@@", "Jane vis@@ its")])
def test_subword_marks_left_in_the_output_get_a_warning(texts: dict[str, Path], mark: str, line: str) -> None:
    content = lines(texts["outputs"])
    write_lines(texts["outputs"], [*content[:4], line, *content[5:]])
    outcome = run_here("evaluate", "-y", texts["outputs"], "-r", texts["first"], "--resamples", 20, "--quiet")
    assert outcome.code == 0 and len(outcome.lines) == 4
    assert outcome.err.count("\n") == 1 and outcome.err.startswith("warning: line 5 ")
    assert mark in outcome.err


def test_files_that_cannot_be_scored(texts: dict[str, Path], tmp_path: Path) -> None:
    short, latin, empty = tmp_path / "short.en", tmp_path / "latin.en", tmp_path / "empty.en"
    write_lines(short, lines(texts["first"])[:-1])
    latin.write_bytes(b"one\ntwo \xe9\n")
    empty.write_bytes(b"")
    outputs = texts["outputs"]
    line = refused(run_here("evaluate", "-y", outputs, "-r", texts["first"], "-r", short))
    assert f"{outputs} has {COUNT} lines" in line and f"{short} has {COUNT - 1} lines" in line
    assert f"{latin}, line 2: not valid UTF-8" in refused(run_here("evaluate", "-y", latin, "-r", latin))
    assert f"{empty} has 0 lines" in refused(run_here("evaluate", "-y", empty, "-r", empty))
    assert f"{tmp_path / 'no'}: no such file" in refused(run_here("evaluate", "-y", outputs, "-r", tmp_path / "no"))
    assert f"{tmp_path}: is a folder" in refused(run_here("evaluate", "-y", tmp_path, "-r", outputs))


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--tokenize", "13b"], ["'13b'", "'13a'"], 1),
        (["--resamples", 1], ["'--resamples'", "from 2 to"], 2),
        (["--seed", -1], ["'--seed'", "-1 is not possible: choose from 0 to"], 2),
        (["--json", "nowhere/x.json"], ["nowhere", "does not exist"], 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_values_are_refused(
    texts: dict[str, Path], flags: list[object], words: list[str], code: int
) -> None:
    line = refused(run_here("evaluate", "-y", texts["outputs"], "-r", texts["first"], "--resamples", 20, *flags), code)
    assert all(word in line for word in words), line
