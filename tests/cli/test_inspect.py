"""`nmtkit inspect`: from a search's own notes to the terminal and to a page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Data, Outcome, environment, head, refused, run_here, write_lines


@pytest.fixture(scope="module")
def trace(model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of eight sentences and a blank one, with their references."""
    folder = tmp_path_factory.mktemp("inspect")
    source = write_lines(folder / "source", [*head(data.folder / "dev.fr", 8), ""])
    known = write_lines(folder / "known", [*head(data.folder / "dev.en", 8), ""])
    files = ["--input", source, "--output", folder / "out", "--trace", folder / "beam.trace", "--reference", known]
    outcome = run_here("translate", model, "--max-length", 6, *files)
    assert outcome.code == 0, outcome.err
    return folder / "beam.trace"


def records(trace: Path) -> list[dict[str, Any]]:
    """The sentences of the file, read without nmtkit."""
    return [json.loads(line) for line in trace.read_text(encoding="utf-8").split("\n")[1:-1]]


def shown(*arguments: object) -> Outcome:
    outcome = run_here("inspect", *arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def sentences(outcome: Outcome) -> list[int]:
    return [int(found) for found in re.findall(r"^line (\d+): ", outcome.text, re.MULTILINE)]


def titles(outcome: Outcome) -> list[int]:
    return [int(found) for found in re.findall(r"^step (\d+): ", outcome.text, re.MULTILINE)]


def test_the_first_sentence_is_shown_as_it_was_searched(trace: Path, data: Data) -> None:
    outcome = shown(trace)
    first, header = records(trace)[0], json.loads(trace.read_text(encoding="utf-8").split("\n")[0])
    assert sentences(outcome) == [1] and titles(outcome) == [1, 2, 3][: len(first["steps"])]
    assert "sentence 1 of 9" in outcome.err and "--line" in outcome.err
    words = " ".join(outcome.text.split())
    assert f"line 1: {' '.join(head(data.folder / 'dev.fr', 1)[0].split())}" in words
    output = first["outputs"][0]
    assert f"output 1: J {output['score']:.3f} {' '.join(output['text'].split())}".strip() in words
    kept = [one for one in first["steps"][1]["candidates"] if one["fate"] != "pruned"]
    assert header["beam"] == len(kept) == 2, "the trained model's default"
    size = header["vocabulary"]
    assert f"step 1: {size} first pieces" in words
    assert re.search(rf"step 2: {first['steps'][1]['prefixes']} × {size} = [\d,]+ candidates", words)
    assert "★ the reference" in words and "tree of what was kept" in words


def test_lines_are_chosen_in_the_order_asked_for(trace: Path) -> None:
    outcome = shown(trace, "--line", 3, "--line", 9, "--line", 1)
    assert sentences(outcome) == [3, 9, 1] and "more sentences" not in outcome.err
    by_line = {record["line"]: record for record in records(trace)}
    assert by_line[3]["source"][:60] in outcome.text
    alone = [shown(trace, "--line", number).text for number in (3, 9, 1)]
    assert outcome.text == "".join(alone)


@pytest.mark.parametrize("most", [0, 1, 2, 50])
def test_as_many_steps_as_asked_for(trace: Path, most: int) -> None:
    outcome = shown(trace, "--line", 2, "--steps", most)
    taken = len(records(trace)[1]["steps"])
    assert taken > 2 and titles(outcome) == list(range(1, min(most, taken) + 1))
    assert "tree of what was kept" in outcome.text


def embedded(page: Path) -> list[dict[str, Any]]:
    [value] = re.findall(r"^const data = (.*);$", page.read_text(encoding="utf-8"), re.MULTILINE)
    found: list[dict[str, Any]] = json.loads(value)["sentences"]
    return found


def test_a_page_of_all_sentences_or_of_those_chosen(trace: Path, tmp_path: Path) -> None:
    outcome = shown(trace, "--html", tmp_path / "all.html")
    assert outcome.out == b"" and f"{tmp_path / 'all.html'}: 9 sentences" in outcome.err
    for found, record in zip(embedded(tmp_path / "all.html"), records(trace), strict=True):
        assert (found["line"], found["source"]) == (record["line"], record["source"])
        assert [one["text"] for one in found["outputs"]] == [one["text"] for one in record["outputs"]]
        assert [len(step["candidates"]) for step in found["steps"]] == [
            len(step["candidates"]) for step in record["steps"]
        ]
        assert found["reference"]["text"] == record["reference"]["scored"]["text"]
    outcome = shown(trace, "--html", tmp_path / "two.html", "--line", 5, "--line", 2)
    assert [one["line"] for one in embedded(tmp_path / "two.html")] == [5, 2] and outcome.out == b""


def test_quiet_leaves_only_the_results(trace: Path, tmp_path: Path) -> None:
    loud, quiet = shown(trace), shown(trace, "--quiet")
    assert loud.err and quiet.err == "" and quiet.out == loud.out
    assert shown(trace, "--html", tmp_path / "page.html", "--quiet").err == ""
    assert len(embedded(tmp_path / "page.html")) == 9


def test_a_config_file_gives_the_flags(trace: Path, tmp_path: Path) -> None:
    config = tmp_path / "inspect.toml"
    config.write_text("steps = 1\nquiet = true\n")
    outcome = shown(trace, "--config", config)
    assert (sentences(outcome), titles(outcome), outcome.err) == ([1], [1], "")
    assert titles(shown(trace, "--config", config, "--steps", 0)) == []


@pytest.mark.parametrize(("value", "chosen"), [("[4, 2]", [4, 2]), ("4", [4])])
def test_a_config_file_chooses_lines(trace: Path, tmp_path: Path, value: str, chosen: list[int]) -> None:
    config = tmp_path / "inspect.toml"
    config.write_text(f"line = {value}\n")
    assert sentences(shown(trace, "--config", config)) == chosen


def test_a_sentence_that_is_not_there_is_refused(trace: Path, tmp_path: Path) -> None:
    text = refused(run_here("inspect", trace, "--line", 1, "--line", 10))
    assert f"{trace}: has no sentence 10" in text and "1 to 9" in text
    assert "no sentence 99" in refused(run_here("inspect", trace, "--line", 99, "--html", tmp_path / "none.html"))
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize("flags", [("--line", 0), ("--line", -1), ("--line", "one"), ("--steps", -1)])
def test_impossible_numbers_are_a_usage_error(trace: Path, flags: tuple[str, object]) -> None:
    assert flags[0] in refused(run_here("inspect", trace, *flags), code=2)


def test_what_is_no_trace_is_refused(trace: Path, data: Data, tmp_path: Path) -> None:
    text = data.folder / "dev.fr"
    assert f"{text}, line 1: not a trace" in refused(run_here("inspect", text))
    (tmp_path / "empty").touch()
    assert "empty: is empty" in refused(run_here("inspect", tmp_path / "empty"))
    assert "none: no such file" in refused(run_here("inspect", tmp_path / "none"))
    assert "is a folder" in refused(run_here("inspect", tmp_path))
    header, *lines = trace.read_text(encoding="utf-8").split("\n")[:-1]
    torn = write_lines(tmp_path / "torn", [header, *lines[:2], lines[2][: len(lines[2]) // 2]])
    assert f"{torn}, line 4: not a trace" in refused(run_here("inspect", torn))
    newer = write_lines(tmp_path / "newer", [header.replace('"format": 1', '"format": 2'), *lines])
    assert f"{newer}: format 2 " in refused(run_here("inspect", newer))
    assert refused(run_here("inspect"), code=2)


def test_a_page_that_cannot_be_written_is_refused(trace: Path, tmp_path: Path) -> None:
    assert str(tmp_path) in refused(run_here("inspect", trace, "--html", tmp_path))
    assert "no/such" in refused(run_here("inspect", trace, "--html", tmp_path / "no/such/page.html"))


def test_it_fits_80_columns_and_needs_no_torch(trace: Path) -> None:
    program = "import sys; from nmtkit.__main__ import main\ntry: main()\nexcept SystemExit as end: assert not end.code"
    program += "\nassert 'torch' not in sys.modules"
    command = [sys.executable, "-c", program, "inspect", str(trace), "--steps", "9", "--line", "1", "--line", "2"]
    done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode("utf-8").splitlines()
    assert lines and max(map(len, lines)) <= 80


def test_a_pipe_that_closes_early_is_a_quiet_end(trace: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "nmtkit", "inspect", str(trace), "--quiet"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment(), check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
