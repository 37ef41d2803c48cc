"""`nmtkit blame-compare`: two reports that blame-analysis wrote in, tables and JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Data, environment, head, refused, run_here, write_lines
from sacrebleu.metrics.bleu import BLEU


@pytest.fixture(scope="module")
def command(model: Path, data: Data) -> list[object]:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    return ["blame-analysis", model, *texts, "--max-length", 12]


@pytest.fixture(scope="module")
def reports(command: list[object], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Greedy with a sweep, and beam 4 of it."""
    folder = tmp_path_factory.mktemp("compare")
    before, after = folder / "a.json", folder / "b.json"
    for path, flags in ((before, ["--beam", 1, "--sweep-beams", "4"]), (after, ["--beam", 4])):
        outcome = run_here(*command, *flags, "--length-alpha", 0.5, "--json", path)
        assert outcome.code == 0, outcome.err
    return before, after


def compared(*words: object) -> dict[str, Any]:
    outcome = run_here("blame-compare", *words, "--json", "-")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture
def edited(reports: tuple[Path, Path], data: Data, tmp_path: Path) -> tuple[Path, Path]:
    """The same with outputs and J by hand, for the model has learnt nothing, and with the BLEU of them in the sweep."""
    values = [json.loads(path.read_text(encoding="utf-8")) for path in reports]
    references = head(data.folder / "dev.en", 8)
    for number, value in enumerate(values):
        for index, record in enumerate(value["records"]):
            right = index < 3 + 3 * number
            record["output"]["text"] = references[index] if right else " ".join(references[index].split()[:-2])
            record["output"]["score"] = -1.0 - index / (number + 1)
            record["verdict"] = "equal" if right else ("model", "beam")[(index + number) % 2]
    bleu = BLEU(force=True).corpus_score([record["output"]["text"] for record in values[1]["records"]], [references])
    swept = next(one for one in values[0]["sweep"]["settings"] if (one["beam"], one["alpha"]) == (4, 0.5))
    swept["bleu"]["value"] = bleu.score
    paths = tmp_path / "a.json", tmp_path / "b.json"
    for path, value in zip(paths, values, strict=True):
        path.write_text(json.dumps(value))
    return paths


def test_the_figures_follow_from_the_two_files(edited: tuple[Path, Path], data: Data) -> None:
    """BEFORE first: counts of the files themselves, BLEU by sacreBLEU, the promise of the sweep."""
    found = compared(*edited)
    files = [json.loads(path.read_text(encoding="utf-8")) for path in edited]
    verdicts = [[record["verdict"] for record in file["records"]] for file in files]
    for old, row in found["transitions"].items():
        for new, number in row.items():
            assert number == list(zip(*verdicts, strict=True)).count((old, new))
    assert found["shifts"][0] == {
        **{"title": "errors", "before": 5, "after": 2, "gone": 3, "new": 0},
        "p_value": 0.25,  # 2 · (1/2)³
    }
    assert found["sentences"] == 8 and found["rewritten"] == 3
    assert {one["name"] for one in found["settings"]} == {"beam", "widths"}
    assert {"name": "beam", "before": 1, "after": 4} in found["settings"]
    references = [head(data.folder / "dev.en", 8)]
    outputs = [[record["output"]["text"] for record in file["records"]] for file in files]
    bleu = [BLEU(force=True).corpus_score(lines, references).score for lines in outputs]
    score = found["scores"][0]
    assert (score["baseline"], score["system"]) == (pytest.approx(bleu[0], abs=1e-9), pytest.approx(bleu[1], abs=1e-9))
    assert 0 < bleu[0] < bleu[1] and "bs:1000" in score["signature"]
    assert found["j_change"] == pytest.approx(28 / 8 / 2)
    assert found["promise"]["bleu"] == pytest.approx(bleu[1]) == pytest.approx(found["promise"]["found"])
    assert found["advice"][-1].startswith(f"As promised: for beam 4, α 0.5 the sweep measured BLEU {bleu[1]:.2f}")


def test_a_sweep_and_the_analysis_after_it_agree(reports: tuple[Path, Path]) -> None:
    """As the two commands wrote them."""
    found = compared(*reports)
    assert found["promise"]["found"] == pytest.approx(found["promise"]["bleu"], abs=0.005)
    assert found["promise"]["beam"] == 4 and found["advice"][-1].startswith("As promised: for beam 4, α 0.5")
    assert {one["name"] for one in found["settings"]} == {"beam", "widths"}


def test_the_tables_fit_a_terminal_and_the_arguments_have_an_order(reports: tuple[Path, Path]) -> None:
    """BEFORE and AFTER."""
    before, after = reports
    outcome = run_here("blame-compare", before, after)
    assert outcome.code == 0 and outcome.err == ""
    assert max(map(len, outcome.lines)) <= 80
    rows = [line.split() for line in outcome.lines]
    assert ["beam", "1", "4"] in rows and "As promised" in outcome.text
    turned = run_here("blame-compare", after, before)
    assert ["beam", "4", "1"] in [line.split() for line in turned.lines]
    assert "cannot be compared with a sweep: the first report has no sweep" in " ".join(turned.text.split())


@pytest.fixture
def judged(reports: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Three verdicts turned by hand."""
    value = json.loads(reports[0].read_text(encoding="utf-8"))
    for record in value["records"][:3]:
        record["verdict"] = "beam" if record["verdict"] == "model" else "model"
    path = tmp_path / "judged.json"
    path.write_text(json.dumps(value))
    return reports[0], path


@pytest.mark.parametrize("most", [0, 2, 3, 50])
def test_as_many_examples_as_asked_for(judged: tuple[Path, Path], tmp_path: Path, most: int) -> None:
    """On the command line or in a file, which a flag wins over; --quiet changes no result."""
    found = run_here("blame-compare", *judged, "--examples", most)
    assert found.code == 0 and found.text.count("ŷ after") == min(most, 3)
    config = tmp_path / "compare.toml"
    config.write_text(f"examples = {most}\n")
    assert run_here("blame-compare", *judged, "--config", config, "--quiet").out == found.out
    assert run_here("blame-compare", *judged, "--config", config, "--examples", 1).text.count("ŷ after") == 1
    assert run_here("blame-compare", *judged).text.count("ŷ after") == 3


def test_json_goes_to_a_file_or_takes_the_place_of_the_tables(reports: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "difference.json"
    outcome = run_here("blame-compare", *reports, "--json", path)
    assert outcome.code == 0 and outcome.out == run_here("blame-compare", *reports).out != b""
    assert json.loads(path.read_text(encoding="utf-8")) == compared(*reports)


def test_no_input_is_written_over(reports: tuple[Path, Path]) -> None:
    texts = [path.read_bytes() for path in reports]
    for path in reports:
        assert f"{path} is read and written" in refused(run_here("blame-compare", *reports, "--json", path), code=2)
    assert [path.read_bytes() for path in reports] == texts


def test_what_is_no_report_is_refused(reports: tuple[Path, Path], data: Data, tmp_path: Path) -> None:
    text = data.folder / "dev.fr"
    for words in ((text, reports[1]), (reports[0], text)):
        line = refused(run_here("blame-compare", *words))
        assert f"{text} is not a report that blame-analysis --json writes" in line
    assert "none.json: no such file" in refused(run_here("blame-compare", reports[0], tmp_path / "none.json"))
    refused(run_here("blame-compare", reports[0]), code=2)
    assert "--examples" in refused(run_here("blame-compare", *reports, "--examples", -1), code=2)


def test_reports_of_other_texts_are_refused(
    command: list[object], reports: tuple[Path, Path], data: Data, tmp_path: Path
) -> None:
    lines = head(data.folder / "dev.en", 8)
    other = tmp_path / "other.json"
    for flags, word in (
        (["--reference", write_lines(tmp_path / "other.en", [*lines[1:], lines[0]])], "--reference"),
        (["--errors-below", "bleu:20"], "--errors-below"),
        (["--source", write_lines(tmp_path / "other.fr", lines)], "--source"),
    ):
        assert run_here(*command, *flags, "--json", other).code == 0
        assert word in refused(run_here("blame-compare", reports[0], other))


def test_it_needs_no_torch(reports: tuple[Path, Path]) -> None:
    program = "import sys; from nmtkit.__main__ import main\ntry: main()\nexcept SystemExit as end: assert not end.code"
    program += "\nassert 'torch' not in sys.modules"
    words = [sys.executable, "-c", program, "blame-compare", *map(str, reports)]
    done = subprocess.run(words, capture_output=True, env=environment(), check=False)
    assert done.returncode == 0 and done.stdout, done.stderr
