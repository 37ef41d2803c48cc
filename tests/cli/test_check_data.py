"""`nmtkit check-data` from its options to what it shows and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import JANE, Data, environment, head, refused, run_here, write_lines

LANGUAGES = ["-s", "fr", "-t", "en"]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A prefix: 200 pairs of which line 2 is blank, 3 repeats 1, 4 is a dev pair, 5 has a tag; 1 and 5 are clean."""
    texts = {language: head(JANE / f"train.{language}", 200) for language in ("fr", "en")}
    for language, lines in texts.items():
        lines[1] = " "
        lines[2] = lines[0]
        lines[3] = head(JANE / f"dev.{language}", 1)[0]
        lines[4] = f"<b>{lines[4]}"
        write_lines(tmp_path / f"damaged.{language}", lines)
    return tmp_path / "damaged"


def test_what_is_found_is_shown_in_80_columns(damaged: Path, data: Data, tmp_path: Path) -> None:
    (tmp_path / "check.toml").write_text(f'train = "{damaged}"\nsource_lang = "fr"\ntarget_lang = "en"\n')
    held_out = ["--dev", data.folder / "dev", "--test", data.folder / "dev"]
    languages = ["--source-lang", "fr", "--target-lang", "en"]
    outcome = run_here("check-data", "--train", damaged, *languages, *held_out, "--quiet")
    assert outcome.code == 0 and outcome.err == ""
    assert max(map(len, outcome.lines)) <= 80
    rows = [" ".join(line.split()) for line in outcome.lines]
    assert rows[0] == "damaged.fr and damaged.en: 200 pairs, 3 (1.5 %) with a problem."
    for row in ("blank side 1 0.5 % 1 1", "repeats an earlier pair 1 0.5 %", "pair is in dev 1 0.5 %"):
        assert row in rows
    assert "pair is in test 1 0.5 %" in rows and "HTML tags or entities 1 0.5 % 1 1" in rows
    assert "3 = line 1" in rows and "4 = dev line 1" in rows and "4 = test line 1" in rows
    assert rows.index("remarks") > rows.index("pair is in test 1 0.5 %") > rows.index("problems")
    without = run_here("check-data", "--config", tmp_path / "check.toml")
    assert without.code == 0 and "in dev" not in without.text and "repeats" in without.text


def test_as_many_examples_as_asked_for_and_none(damaged: Path) -> None:
    words = ["check-data", "--train", damaged, *LANGUAGES]
    assert "3 = line 1" in run_here(*words, "--examples", 1).text
    none = run_here(*words, "--examples", 0)
    assert "= line" not in none.text and "repeats an earlier pair" in none.text


def test_json_and_a_clean_copy(damaged: Path, data: Data, tmp_path: Path) -> None:
    copy, report = tmp_path / "clean", tmp_path / "found.json"
    words = ["check-data", "--train", damaged, *LANGUAGES, "--dev", data.folder / "dev"]
    outcome = run_here(*words, "--write-clean", copy, "--json", report)
    reasons = "blank side 1, repeats an earlier pair 1, pair is in dev 1"
    said = f"{copy}.fr and {copy}.en: 197 of 200 pairs; left out: {reasons}"
    assert said in outcome.err.split("\n") and f"{report}: what was found in 200 pairs" in outcome.err
    for language in ("fr", "en"):
        lines = head(Path(f"{damaged}.{language}"), 200)
        assert head(Path(f"{copy}.{language}"), 999)[:-1] == [lines[0], *lines[4:]]
    value = json.loads(report.read_text(encoding="utf-8"))
    assert value["problems"]["in_dev"]["examples"][0]["other"] == 1
    assert [name for name, found in value["problems"].items() if found["pairs"]] == ["empty", "duplicate", "in_dev"]
    again = run_here("check-data", "--train", copy, *LANGUAGES, "--dev", data.folder / "dev", "--json", "-")
    assert again.err == "" and not any(found["pairs"] for found in json.loads(again.text)["problems"].values())


def test_lengths_are_words_or_pieces(damaged: Path, model: Path) -> None:
    words = ["check-data", "--train", damaged, *LANGUAGES, "--json", "-"]
    longest = [max(len(line.split()) for line in head(Path(f"{damaged}.{language}"), 200)) for language in ("fr", "en")]

    def overlong(*more: object) -> int:
        return int(json.loads(run_here(*words, *more).text)["problems"]["over_long"]["pairs"])

    assert overlong("--max-source", longest[0], "--max-target", longest[1]) == 0
    assert overlong("--max-source", longest[0] - 1) > 0 and overlong("--max-target", longest[1] - 1) > 0
    assert overlong("--max-source", longest[0], "--max-target", longest[1], "--tokenizer", model) > 0
    table = run_here(*words[:-2], "--tokenizer", model, "--max-source", 5)
    assert "(more than 5 pieces in the source, 256 in the target)" in table.text
    assert "byte_pieces" in run_here(*words, "--tokenizer", model).text and "byte_pieces" not in run_here(*words).text


def test_strict_ends_with_1_if_there_are_problems(damaged: Path, data: Data) -> None:
    outcome = run_here("check-data", "--train", damaged, *LANGUAGES, "--strict")
    assert outcome.code == 1 and outcome.err == "" and "repeats an earlier pair" in outcome.text
    assert run_here("check-data", "--train", data.folder / "dev", *LANGUAGES, "--strict").code == 0


def test_nothing_is_written_over_what_is_read_and_nothing_halfway(damaged: Path, tmp_path: Path) -> None:
    words = ["check-data", "--train", damaged, *LANGUAGES]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert f"--write-clean {damaged}.fr is read and written" in refused(run_here(*words, "--write-clean", damaged), 2)
    assert "--json" in refused(run_here(*words, "--json", f"{damaged}.en"), 2)
    assert "is written twice" in refused(
        run_here(*words, "--write-clean", tmp_path / "x", "--json", tmp_path / "x.en"), 2
    )
    assert "does not exist; create it first" in refused(run_here(*words, "--write-clean", tmp_path / "no" / "x"))
    with open(f"{damaged}.en", "a", encoding="utf-8") as stream:
        stream.write("one more\n")
    line = refused(run_here(*words, "--write-clean", tmp_path / "clean"))
    assert f"{damaged}.fr has 200 lines, {damaged}.en has 201 lines" in line
    assert {*tmp_path.iterdir()} == {*before}


def test_wrong_usage(damaged: Path) -> None:
    words = ["check-data", "--train", damaged]
    assert "both languages are 'fr'" in refused(run_here(*words, "-s", "fr", "-t", "fr"), 2)
    assert "'npz' names vectors" in refused(run_here(*words, "-s", "npz", "-t", "en"), 2)
    assert "no such file" in refused(run_here(*words, "-s", "fr", "-t", "de"))
    assert "choose from 1 to 100,000" in refused(run_here(*words, *LANGUAGES, "--max-source", 0), 2)


def test_it_needs_no_torch(damaged: Path) -> None:
    """It starts in a moment, and torch would take a second."""
    code = (
        "import sys; sys.argv = ['nmtkit', *sys.argv[1:]]\nfrom nmtkit.cli.main import run\n"
        "assert run() == 0 and 'torch' not in sys.modules"
    )
    words = ["check-data", "--train", str(damaged), *LANGUAGES]
    subprocess.run([sys.executable, "-c", code, *words], env=environment(), check=True, capture_output=True)
