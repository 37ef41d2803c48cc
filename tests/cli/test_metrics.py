"""More metrics, and scores of another tool, in every command that shows scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Data, environment, head, refused, run_here, write_lines
from sacrebleu.metrics.ter import TER
from support.metric_toys import MISSING, SACREBLEUS

FEW = ["--resamples", 20]


def written(*words: object) -> Any:
    outcome = run_here(*words, "--json", "-")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


@pytest.fixture(scope="module")
def texts(model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The dev set, what the model makes of it, and a score for each output."""
    folder = tmp_path_factory.mktemp("metrics")
    outputs = folder / "out.en"
    found = run_here("translate", model, "--input", data.folder / "dev.fr", "--max-length", 12, "--output", outputs)
    assert found.code == 0, found.err
    scores = write_lines(folder / "comet.txt", [f"{0.1 * number:.1f}" for number in range(8)])
    return {"source": data.folder / "dev.fr", "reference": data.folder / "dev.en", "outputs": outputs, "scores": scores}


@pytest.fixture
def blame(model: Path, texts: dict[str, Path]) -> list[object]:
    return ["blame-analysis", model, "-s", texts["source"], "-r", texts["reference"], "--max-length", 12]


def test_evaluate_shows_what_is_asked_for_besides_bleu_and_chrf(texts: dict[str, Path]) -> None:
    some = ["--metric", "ter", "--metric", "chrf++", "--metric", "bleu"]
    command = ["evaluate", "-y", texts["outputs"], "-r", texts["reference"], *FEW]
    plain, more = run_here(*command), run_here(*command, *some)
    assert more.lines[:4] == plain.lines and len(more.lines) == 8
    assert [line.split()[0] for line in more.lines[4::2]] == ["TER", "chrF++"]
    found = written(*command, *some)
    assert [one["metric"] for one in found] == ["BLEU", "chrF", "TER", "chrF++"]
    lines, references = (head(texts[name], 8) for name in ("outputs", "reference"))
    for one, name in zip(found, ("bleu", "chrf", "ter", "chrf++"), strict=True):
        assert one["value"] == pytest.approx(SACREBLEUS[name]().corpus_score(lines, [references]).score)
        assert one["low"] <= one["value"] <= one["high"] and "bs:20|seed:12345|" in one["signature"]


def test_compare_has_the_columns(model: Path, sibling: Path, texts: dict[str, Path]) -> None:
    some = ["--metric", "ter", "--metric", "chrf++", "--metric", "bleu"]
    command = ["compare", model, sibling, "-s", texts["source"], "-r", texts["reference"], "--max-length", 12]
    found = written(*command, *some)
    assert [key for key in found if key.endswith("_signature")] == [
        f"{name}_signature" for name in ("bleu", "chrf", "ter", "chrf++")
    ]
    references = head(texts["reference"], 8)
    for contestant in found["contestants"]:
        (run,) = contestant["runs"]
        assert contestant["ter"]["value"] == pytest.approx(TER().corpus_score(run["outputs"], [references]).score)
    assert found["contestants"][0]["p_ter"] is None and 0 < found["contestants"][1]["p_ter"] <= 1
    shown = run_here(*command, *some)
    assert max(map(len, shown.lines)) <= 80 and "TER (95 %)" in shown.text and "chrF++ (95 %)" in shown.text


def test_a_sweep_has_the_columns_and_blame_compare_the_rows(blame: list[object], tmp_path: Path) -> None:
    some = ["--metric", "ter", "--metric", "chrf++", "--metric", "bleu"]
    swept = ["--beam", 1, "--sweep-beams", "2"]
    plain, found = (written(*blame, *swept, *more)["sweep"] for more in ([], some))
    assert list(found["settings"][0]) == [
        *("beam", "alpha", "bleu", "chrf", "ter", "chrf++", "different", "beam_errors", "length_ratio", "seconds"),
        "p_value",
    ]
    for one, other in zip(plain["settings"], found["settings"], strict=True):
        assert {key: other[key] for key in one if key != "seconds"} == {
            key: one[key] for key in one if key != "seconds"
        }
    shown = run_here(*blame, *swept, *some)
    assert (
        shown.code == 0
        and "TER (95 %)" in shown.text
        and "chrF++ (95 %)" in shown.text
        and max(map(len, shown.lines)) <= 80
    )
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    assert run_here(*blame, *swept, *some, "--json", before).code == 0
    assert run_here(*blame, "--beam", 2, "--json", after).code == 0
    difference = written("blame-compare", before, after, "--metric", "ter")
    assert [score["metric"] for score in difference["scores"]] == ["BLEU", "chrF", "TER"]
    assert "TER " in run_here("blame-compare", before, after, "--metric", "ter").text
    assert "add --sweep-beams" in refused(run_here(*blame, "--metric", "ter"), 2)


def test_errors_above_a_ter_are_those_of_the_second_row(blame: list[object], texts: dict[str, Path]) -> None:
    found = written(*blame, "--errors-below", "ter:99")
    scores = [record["sentence_score"] for record in found["records"]]
    outputs, references = head(texts["outputs"], 8), head(texts["reference"], 8)
    assert scores == [TER().sentence_score(o, [r]).score for o, r in zip(outputs, references, strict=True)]
    above = [number for number, score in enumerate(scores, start=1) if score > 99]
    assert above, "an untrained model has no word right"
    assert found["rows"][1]["title"] == "of these, TER above 99" and found["rows"][1]["numbers"] == above
    assert "of these, TER above 99" in run_here(*blame, "--errors-below", "ter:99").text


def test_scores_of_another_tool_are_the_second_row(blame: list[object], texts: dict[str, Path], tmp_path: Path) -> None:
    given = ["--scores-file", texts["scores"], "--scores-of", texts["outputs"], "--errors-below", "scores:0.35"]
    found = written(*blame, *given)
    assert [record["sentence_score"] for record in found["records"]] == [0.1 * number for number in (0, 1, 2)] + [
        float(f"{0.1 * number:.1f}") for number in range(3, 8)
    ]
    assert found["rows"][1]["title"] == "of these, below comet 0.35" and found["rows"][1]["numbers"] == [1, 2, 3, 4]
    facts = found["provenance"]
    assert (facts["sentence_metric"], facts["sentence_threshold"]) == ("scores", 0.35)
    assert {key: facts["scores_file"][key] for key in ("title", "direction")} == {
        "title": "comet",
        "direction": "higher",
    }
    lower = written(*blame, *given, "--scores-direction", "lower")
    assert lower["rows"][1]["title"] == "of these, comet above 0.35" and lower["rows"][1]["numbers"] == [5, 6, 7, 8]
    page = tmp_path / "a.html"
    assert run_here(*blame, *given, "--html", page, "--quiet").code == 0 and "below comet 0.35" in page.read_text()
    kept = tmp_path / "kept.jsonl"
    assert run_here(*blame, *given, "--records", kept, "--quiet").code == 0
    other = write_lines(tmp_path / "comet.txt", ["0.9"] * 8)
    again = [*given[2:], "--scores-file", other]
    assert "scores_file was" in refused(run_here(*blame, *again, "--records", kept))
    assert "scores_file was" in refused(run_here(*blame, "--records", kept))
    reports = tmp_path / "a.json", tmp_path / "b.json"
    for path, flags in zip(reports, (given, again), strict=True):
        assert run_here(*blame, *flags, "--json", path).code == 0
    shifts = written("blame-compare", *reports)["shifts"]
    assert (shifts[1]["title"], shifts[1]["gone"]) == ("errors below comet 0.35", 4)


def test_scores_of_other_outputs_are_refused(blame: list[object], texts: dict[str, Path], tmp_path: Path) -> None:
    lines = head(texts["outputs"], 8)
    other = write_lines(tmp_path / "other.en", [*lines[:4], "something else", *lines[5:]])
    short = write_lines(tmp_path / "short.en", lines[:7])
    wanted, of = ["--errors-below", "scores:0.35", "--scores-file", texts["scores"], "--scores-of"], texts["outputs"]
    line = refused(run_here(*blame, *wanted, other))
    assert "line 5: the scores of comet are of other outputs, here 'something else'" in line
    assert f"{short} has 7 lines, but the text has 8" in refused(run_here(*blame, *wanted, short))
    for content, said in (
        (["0.5"] * 7, "has 7 scores, but there are 8 outputs"),
        (["0.5"] * 7 + ["nan"], "line 8: 'nan'"),
    ):
        wrong = ["--errors-below", "scores:0.35", "--scores-file", write_lines(tmp_path / "x.txt", content)]
        assert said in refused(run_here(*blame, *wrong, "--scores-of", of))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--errors-below", "scores:0.5"], "--errors-below scores:X and --scores-file belong together"),
        (["--scores-file", "FILE", "--scores-of", "FILE"], "--errors-below scores:X and --scores-file belong together"),
        (["--scores-file", "FILE"], "name the file of them with --scores-of"),
        (["--scores-of", "FILE"], "--scores-of only says what --scores-file is"),
        (["--scores-direction", "lower"], "--scores-direction only says what --scores-file is"),
        (["--scores-direction", "up"], "'up' is not known"),
        (["--metric", "meteor", "--sweep-beams", "2"], "'meteor' is not known; did you mean 'ter'?"),
    ],
)
def test_options_that_do_not_go_together(
    blame: list[object], texts: dict[str, Path], flags: list[str], said: str
) -> None:
    words = [texts["scores"] if flag == "FILE" else flag for flag in flags]
    assert said in refused(run_here(*blame, *words), 2)


def test_evaluate_has_the_mean_of_the_scores(model: Path, texts: dict[str, Path], tmp_path: Path) -> None:
    command = ["evaluate", "-r", texts["reference"], "--scores-file", texts["scores"], *FEW]
    found = written(*command, "-y", texts["outputs"])
    assert [one["metric"] for one in found] == ["BLEU", "chrF", "comet"]
    mean = found[-1]
    assert mean["value"] == pytest.approx(0.35) and mean["low"] < 0.35 < mean["high"]
    assert mean["signature"].startswith("file:comet|better:higher|sha256:")
    lower = written(*command, "-y", texts["outputs"], "--scores-direction", "lower")[-1]
    assert lower["value"] == mean["value"] and "|better:lower|" in lower["signature"]
    shown = run_here(*command, "-y", texts["outputs"]).lines[4]
    assert shown == f"comet 0.3500 (95 % percentile interval {mean['low']:.4f} to {mean['high']:.4f})"
    of_a_model = [*command, model, "-s", texts["source"], "--max-length", 12]
    assert "--scores-of" in refused(run_here(*of_a_model), 2)
    assert written(*of_a_model, "--scores-of", texts["outputs"])[-1]["value"] == mean["value"]
    other = write_lines(tmp_path / "other.en", ["x", *head(texts["outputs"], 8)[1:]])
    assert "line 1: the scores of comet are of other outputs, here 'x'" in refused(
        run_here(*of_a_model, "--scores-of", other)
    )
    assert "line 1: " in refused(run_here(*command, "-y", texts["outputs"], "--scores-of", other))
    assert "x.txt has 2 scores, but there are 8 outputs" in refused(
        run_here(*command, "-y", texts["outputs"], "--scores-file", write_lines(tmp_path / "x.txt", ["1", "2"]))
    )


ADDED = """
import sys
from nmtkit.evaluation.metrics import METRICS
from support.metric_toys import MISSING
METRICS[MISSING.name] = MISSING
from nmtkit.__main__ import main
sys.argv = ["nmtkit", *sys.argv[1:]]
main()
"""


def test_a_metric_that_is_added_in_one_place_is_known_everywhere(
    blame: list[object], model: Path, sibling: Path, texts: dict[str, Path]
) -> None:
    """To evaluate, compare, the second row of blame, its sweep, and blame-compare, by its name and its direction."""

    def added(*words: object) -> Any:
        place = {**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [sys.executable, "-c", ADDED, *map(str, words), "--json", "-"]
        done = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    outputs, references = head(texts["outputs"], 8), head(texts["reference"], 8)
    files = ["-s", texts["source"], "-r", texts["reference"], "--metric", "missing", "--max-length", 12]
    assert added("evaluate", model, *files, *FEW)[-1]["value"] == MISSING.corpus_score(outputs, [references])
    assert added("compare", model, sibling, *files)["contestants"][1]["p_missing"] is not None
    found = added(*blame, "--metric", "missing", "--sweep-beams", 2, "--errors-below", "missing:40")
    assert found["rows"][1]["title"] == "of these, missing above 40"
    scores = [record["sentence_score"] for record in found["records"]]
    assert scores == MISSING.sentence_scores(outputs, [references])
    assert all(one["missing"]["metric"] == "missing" for one in found["sweep"]["settings"])
