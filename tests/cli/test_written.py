"""Every option that writes a file says so on standard error, in a line that begins with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main
from conftest import Data, head, run_here, write_lines

from nmtkit.cli.main import COMMANDS, app

READ = {
    *("--source", "--reference", "--target", "--candidates", "--hypotheses", "--input", "--gold", "--errors", "--grid"),
    *("--config", "--tokenizer", "--prefix", "--forbid", "--terminology", "--verify"),
    "--scores-file",
    "--scores-of",
}
"""Options that name a file to read."""
WRITTEN: dict[str, dict[str, str]] = {
    "check-data": {"--json": "what was found in 2 pairs"},
    "train-tokenizer": {"--output": "400 pieces"},
    "prepare": {},
    "train": {"--write-config": "every key of a configuration"},
    "translate": {"--output": "2 lines", "--trace": "3 lines", "--attention": "2 lines"},
    "inspect": {"--html": "2 sentences"},
    "export": {},
    "score": {"--output": "2 lines"},
    "evaluate": {"--output": "2 lines", "--json": "2 scores"},
    "blame-analysis": {
        "--records": "2 sentences judged, 0 certified",
        "--html": "2 sentences",
        "--json": "2 sentences",
        "--tsv": "2 sentences",
        "--plot": "2 settings",
    },
    "blame-compare": {"--json": "the comparison of 2 sentences"},
    "attention": {
        "--html": "2 maps",
        "--json": "2 maps",
        "--alignment": "alignments of 2 sentences",
        "--plot": "1 map",
    },
    "compare": {"--json": "1 model", "--plot": "1 model"},
    "history": {"--json": "1 training", "--plot": "1 training"},
    "info": {"--json": "what is known of"},
    "guide": {},
}
"""What the line says behind the name."""
ENDINGS = {"--plot": ".svg", "--html": ".html", "--json": ".json", "--output": ".model"}


@pytest.fixture(scope="module")
def files(model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """How each command is called, without what it writes; trace and reports come from the real commands."""
    folder = tmp_path_factory.mktemp("read")
    source = write_lines(folder / "source", head(data.folder / "dev.fr", 2))
    known = write_lines(folder / "known", head(data.folder / "dev.en", 2))
    translating = [model, "--source", source, "--reference", known, "--max-length", 6]
    report, trace = folder / "report.json", folder / "trace"
    for words in (
        ["blame-analysis", *translating, "--json", report],
        ["translate", model, "--input", source, "--max-length", 6, "--trace", trace],
    ):
        assert run_here(*words).code == 0
    pair = {language: write_lines(folder / f"two.{language}", ["a", "b"]) for language in ("xx", "yy")}
    return {
        "check-data": ["--train", pair["xx"].with_suffix(""), "-s", "xx", "-t", "yy"],
        "train": [],
        "train-tokenizer": [data.folder / "train.fr", "--vocab-size", 400],
        "translate": [model, "--input", source, "--max-length", 6],
        "inspect": [trace],
        "score": [model, "--source", source, "--target", known],
        "evaluate": [*translating, "--resamples", 5],
        "blame-analysis": [*translating, "--sweep-beams", 1],
        "blame-compare": [report, report],
        "attention": [model, "--source", source, "--max-length", 6],
        "compare": [*translating, "--buckets", 1],
        "history": [model],
        "info": [model],
    }


def test_every_option_that_names_a_file_is_known() -> None:
    group = typer.main.get_command(app)
    for command in COMMANDS:
        parameters = group.commands[command].params  # type: ignore[attr-defined]
        flags = {name for one in parameters if one.metavar == "FILE" for name in one.opts if name.startswith("--")}
        assert flags - READ == set(WRITTEN[command]), command


@pytest.mark.parametrize(("command", "flag"), [(command, flag) for command in WRITTEN for flag in WRITTEN[command]])
def test_what_is_written_is_said(command: str, flag: str, files: dict[str, list[object]], tmp_path: Path) -> None:
    path = tmp_path / f"written{ENDINGS.get(flag, '')}"
    one = ["--line", 1] if (command, flag) == ("attention", "--plot") else []
    words = [command, *files[command], flag, path, *one]
    outcome = run_here(*words)
    assert outcome.code == 0 and path.stat().st_size, outcome.err
    assert [line for line in outcome.err.splitlines() if line.startswith(f"{path}: {WRITTEN[command][flag]}")]
    path.unlink()
    quiet = run_here(*words, "--quiet")
    assert quiet.code == 0 and path.stat().st_size and str(path) not in quiet.err


def test_what_goes_to_standard_output_is_not_said(files: dict[str, list[object]]) -> None:
    for command in ("info", "attention", "blame-analysis", "evaluate", "compare", "history"):
        outcome = run_here(command, *files[command], "--json", "-")
        assert outcome.code == 0 and outcome.text.startswith(("{", "[")) and "-: " not in outcome.err
