"""`nmtkit blame-analysis`: flags in, tables and files out; the verdicts themselves are tested with the analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from conftest import Data, head, refused, run_here, write_lines
from support.browser import data_in


@pytest.fixture
def command(model: Path, data: Data) -> list[object]:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    return ["blame-analysis", model, *texts, "--max-length", 60]


def report(*words: object) -> dict[str, Any]:
    outcome = run_here(*words, "--json", "-")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_the_verdict_is_the_comparison_of_j(command: list[object]) -> None:
    found = report(*command)
    alpha = found["provenance"]["length_alpha"]
    verdicts = set()
    for record in found["records"]:
        output, reference = record["output"], record["references"][record["judge"]]
        for one in (output, reference):
            assert one["score"] == pytest.approx(one["total"] / one["length"] ** alpha)
        if reference["length"] > 60:
            expected = "unreachable"
        else:
            expected = "beam" if reference["score"] > output["score"] + 1e-4 else "model"
        assert record["verdict"] == expected
        verdicts.add(expected)
    assert len(found["records"]) == 8 and len(verdicts) >= 2


def test_the_search_options_are_in_the_provenance(
    command: list[object], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    config = tmp_path / "blame.toml"
    config.write_text("beam = 4\n")
    flags = ["--length-alpha", 0.3, "--max-length", 9, "--tolerance", 0.5, "--batch-tokens", 99]
    flags += ["--errors-below", "bleu:12.5", "--reference-segmentations", 2, "--config", config]
    facts = report(*command, *flags, "--device", "cpu", "--threads", 2, "--weights", "last")["provenance"]
    assert (facts["beam"], facts["length_alpha"], facts["length_limit"]) == (4, 0.3, "9")
    assert (facts["tolerance"], facts["reference_segmentations"]) == (0.5, 2)
    assert (facts["sentence_metric"], facts["sentence_threshold"]) == ("bleu", 12.5)
    assert facts["model"] == json.loads(run_here("info", model, "--json", "-", "--weights", "last").out)["hash"]
    assert threads == [2]
    rules = ["--length-penalty", "gnmt", "--max-length-ratio", 1.5, "--patience", 2, "--free-eos", "--forbid-unk"]
    facts = report(*command, *rules)["provenance"]
    assert (facts["length_penalty"], facts["patience"], facts["free_eos"], facts["forbid_unk"]) == (
        "gnmt",
        2,
        True,
        True,
    )
    assert "1.5 × source pieces" in facts["length_limit"]


@pytest.mark.parametrize("flags", [["--min-length", 2], ["--min-length-ratio", 0.5], ["--no-repeat-ngram", 2]])
def test_what_bans_outputs_but_not_references_is_refused(command: list[object], flags: list[object]) -> None:
    line = refused(run_here(*command, *flags), 2)
    assert f"{flags[0]} {flags[1]} bans outputs" in line and "leave it out" in line


def test_exact_search_certifies_all_or_a_sample(command: list[object]) -> None:
    """Progress goes to standard error; a small budget proves less; without --exact there is none of it."""
    short = [*command[:-2], "--max-length", 2, "--length-alpha", 0]
    found = report(*short, "--exact")
    assert all(record["certificate"]["proved"] for record in found["records"])
    assert found["proofs"]["proved"] == found["proofs"]["asked"] == 8 and found["provenance"]["exact_steps"] == 10_000
    sampled = report(*command, "--exact", "--sample", 3, "--budget-steps", 5, "--budget-seconds", 9)
    certified = [record["certificate"] for record in sampled["records"] if record["certificate"]]
    assert len(certified) == 3 and all(one["steps"] <= 5 for one in certified)
    facts = sampled["provenance"]
    assert (facts["exact_steps"], facts["exact_seconds"], facts["exact_sample"]) == (5, 9, 3)
    plain = report(*short)
    assert plain["proofs"] is None and all(record["certificate"] is None for record in plain["records"])
    assert [record["verdict"] for record in plain["records"]] == [record["verdict"] for record in found["records"]]
    assert "The best is proved for all 8" in run_here(*short, "--exact").text
    for flag in ("--sample", "--budget-steps", "--budget-seconds"):
        assert "add it" in refused(run_here(*command, flag, 3), 2)


def test_a_sweep_measures_settings_and_saves_the_best(
    command: list[object], copied: Path, data: Data, tmp_path: Path
) -> None:
    flags = ["--sweep-beams", "1,3", "--sweep-alphas", "0,1.5", "--max-length", 8]
    found = report(*command, *flags)["sweep"]
    assert [(one["beam"], one["alpha"]) for one in found["settings"]] == [
        (beam, alpha) for beam in (1, 2, 3) for alpha in (0, 0.7, 1.5)
    ]
    shown = run_here("blame-analysis", copied, *command[2:], *flags, "--save-best")
    assert shown.code == 0 and "are its defaults now" in shown.err and "settings measured on 8" in shown.text
    best = found["settings"][found["best"]]
    options = json.loads((copied / "options.json").read_text())
    assert (options["defaults"]["beam"], options["defaults"]["length_alpha"]) == (best["beam"], best["alpha"])
    assert options["defaults_chosen_on"]["sentences"] == 8
    assert options["defaults_chosen_on"]["bleu"] == pytest.approx(best["bleu"]["value"])
    plain = run_here("translate", copied, "--input", data.folder / "dev.fr", "--max-length", 8)
    asked = ["--beam", best["beam"], "--length-alpha", best["alpha"], "--max-length", 8]
    assert plain.out == run_here("translate", command[1], "--input", data.folder / "dev.fr", *asked).out
    assert report(*command)["sweep"] is None
    assert "'1,x'" in refused(run_here(*command, "--sweep-beams", "1,x"), 2)
    assert "--sweep-beams" in refused(run_here(*command, "--save-best"), 2)
    assert "--beam 0" in refused(run_here(*command, "--sweep-beams", "0"), 2)
    assert "--length-alpha -1" in refused(run_here(*command, "--sweep-alphas", "-1"), 2)


def test_the_batch_size_reaches_the_search_and_changes_no_verdict(
    command: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmtkit.batches import work

    sizes: list[int] = []
    group = work.group
    monkeypatch.setattr(work, "group", lambda *rest: sizes.append(rest[-1]) or group(*rest))  # type: ignore[func-returns-value]
    whole, small = report(*command), report(*command, "--batch-tokens", 3)
    assert {2048, 3} <= set(sizes)
    assert [one["verdict"] for one in whole["records"]] == [one["verdict"] for one in small["records"]]


def test_sentences_that_a_person_judged(command: list[object], tmp_path: Path) -> None:
    listed = write_lines(tmp_path / "wrong", ["2", "", " 5 "])
    found = report(*command, "--errors", listed)
    assert [record["number"] for record in found["records"] if record["listed"]] == [2, 5]
    assert any(row["numbers"] == [2, 5] for row in found["rows"])
    write_lines(listed, ["2", "five"])
    assert f"{listed}, line 2: 'five'" in refused(run_here(*command, "--errors", listed))
    write_lines(listed, ["9"])
    line = refused(run_here(*command, "--errors", listed))
    assert "sentence 9" in line and "8 lines" in line


def test_several_references(command: list[object], data: Data, tmp_path: Path) -> None:
    """The one that the model likes best judges, among those that are short enough."""
    others = write_lines(tmp_path / "others.en", head(data.folder / "train.en", 8))
    for record in report(*command, "--reference", others)["records"]:
        references = record["references"]
        assert len(references) == 2
        judge = references[record["judge"]]
        reachable = [one["score"] for one in references if one["length"] <= 60]
        assert judge["score"] == max(reachable or [one["score"] for one in references])


def test_the_tables_fit_a_terminal_and_examples_can_be_left_out(command: list[object]) -> None:
    full, few, none = (run_here(*command, "--examples", count) for count in (5, 1, 0))
    for outcome in (full, few, none):
        assert (outcome.code, outcome.err) == (0, "")
        assert max(map(len, outcome.lines)) <= 80
        assert all(word in outcome.text for word in ("beam", "model", "unreachable"))
    assert full.text.count("source  ") > few.text.count("source  ") > none.text.count("source  ") == 0
    assert run_here(*command, "--quiet").text == run_here(*command).text


def test_files_and_standard_output(command: list[object], tmp_path: Path) -> None:
    shown = run_here(*command)
    both = run_here(*command, "--json", tmp_path / "a.json", "--tsv", tmp_path / "a.tsv")
    assert (both.code, both.out) == (shown.code, shown.out)
    assert json.loads((tmp_path / "a.json").read_text()) == report(*command)
    tsv = run_here(*command, "--tsv", "-")
    assert tsv.out == (tmp_path / "a.tsv").read_bytes()
    rows = [line.split("\t") for line in tsv.lines]
    assert len(rows) == 9 and {len(row) for row in rows} == {len(rows[0])}
    verdicts = [record["verdict"] for record in report(*command)["records"]]
    assert [row[rows[0].index("verdict")] for row in rows[1:]] == verdicts


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--errors-below", "meteor:5"], ["'meteor:5'", "chrf:60"], 2),
        (["--errors-below", "chrf:101"], ["'chrf:101'", "0 to 100"], 2),
        (["--errors-below", "chrf"], ["'chrf'", "chrf:N"], 2),
        (["--tolerance", -1], ["'--tolerance'", "-1.0 is not possible: choose from 1e-05 to"], 2),
        (["--tolerance", 0], ["'--tolerance'", "0.0 is not possible: choose from 1e-05 to"], 2),
        (["--tolerance", "nan"], ["nan is not possible"], 2),
        (["--reference-segmentations", 0], ["'--reference-segmentations'", "0 is not possible: choose from 1 to"], 2),
        (["--beam", 0], ["'--beam'", "0 is not possible: choose from 1 to"], 2),
        (["--errors", "none.txt"], ["none.txt", "no such file"], 1),
        (["--reference", "none.txt"], ["none.txt", "no such file"], 1),
        (["--tsv", "nowhere/x.tsv"], ["nowhere", "does not exist"], 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_values_are_refused(command: list[object], flags: list[object], words: list[str], code: int) -> None:
    line = refused(run_here(*command, *flags), code)
    assert all(word in line for word in words), line


def test_texts_of_different_lengths(command: list[object], data: Data) -> None:
    other = data.folder / "train.en"
    line = refused(run_here(*command, "--reference", other))
    assert f"{other} has 200 lines" in line and "dev.fr has 8 lines" in line


def test_records_are_kept_and_taken_up_again(command: list[object], tmp_path: Path) -> None:
    """The second run finds all it needs in the file, so that its model is not asked; another question is refused."""
    kept = tmp_path / "kept.jsonl"
    flags = ["--exact", "--sample", 3, "--budget-steps", 5, "--records", kept]
    first = report(*command, *flags)
    assert len(kept.read_text("utf-8").splitlines()) == 1 + 8
    with mock.patch("nmtkit.translator.Translator.search", side_effect=AssertionError):
        assert report(*command, *flags) == first
    assert report(*command, *flags[:-2]) == first
    assert "tolerance was 0.0001, now 0.5" in refused(run_here(*command, *flags, "--tolerance", 0.5))


def test_an_interrupted_analysis_says_what_it_kept(command: list[object], tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with mock.patch("nmtkit.decoding.exact.Exact.find", side_effect=KeyboardInterrupt):
        outcome = run_here(*command, "--exact", "--budget-steps", 5, "--records", kept)
    assert outcome.code == 130 and outcome.out == b""
    assert f"{kept}: 8 sentences judged, 0 certified; the same command goes on from there" in outcome.err


def test_the_training_text_is_compared(command: list[object], data: Data) -> None:
    """A tiny model that learned nothing costs as much on its training text; the other text is warned of."""
    found = report(*command, "--train-sample", 20)
    assert found["fit"]["pairs"] == 20 and found["fit"]["last_update"] == 24
    shown = run_here(*command, "--train-sample", 20)
    assert shown.code == 0 and max(map(len, shown.lines)) <= 80 and "times in training" in shown.text
    moved = run_here(*command, "--train-sample", 5, "--train-text", data.folder / "dev")
    assert moved.code == 0 and "is not the text that the model was trained on" in moved.err
    assert "--train-sample" in refused(run_here(*command, "--train-text", data.folder / "dev"), 2)
    assert report(*command)["fit"] is None


def test_a_short_text_has_every_sentence_in_full_detail(model: Path, data: Data, tmp_path: Path) -> None:
    """Those too that are equal, blank, unreachable, or no errors of the row that the advice rests on."""
    sources = [*head(data.folder / "dev.fr", 3), "", head(data.folder / "dev.fr", 4)[3], ""]
    (tmp_path / "source").write_text("".join(f"{line}\n" for line in sources))
    flags = ["--max-length", 12, "--beam", 2]
    outputs = run_here("translate", model, "--input", tmp_path / "source", *flags).lines
    references = [outputs[0], "a", "Jane", "", "Jane visits Africa in September. " * 3, "Jane"]
    (tmp_path / "reference").write_text("".join(f"{line}\n" for line in references))
    files = ["--source", tmp_path / "source", "--reference", tmp_path / "reference"]
    command = ["blame-analysis", model, *files, *flags, "--html", tmp_path / "a.html", "--errors-below", "chrf:0.1"]
    verdicts = [record["verdict"] for record in report(*command)["records"]]
    assert verdicts[0] == verdicts[3] == "equal" and "unreachable" in verdicts
    data_of_page = data_in((tmp_path / "a.html").read_text("utf-8"))
    assert {line["n"] for line in data_of_page["lines"]} == set(map(int, data_of_page["details"])) == set(range(1, 7))


def test_a_page_and_a_plot_are_written(command: list[object], data: Data, tmp_path: Path) -> None:
    """The page knows what the JSON knows; as many sentences in full detail as asked for, or as there are."""
    html, plot = tmp_path / "a.html", tmp_path / "a.svg"
    flags = ["--sweep-beams", "1,3", "--max-length", 8, "--errors-below", "chrf:100", "--html", html]
    found = report(*command, *flags, "--plot", plot)
    shown = data_in(html.read_text("utf-8"))
    assert [line["v"] for line in shown["lines"]] == [record["verdict"] for record in found["records"]]
    assert [line["y"][0] for line in shown["lines"]] == [record["output"]["text"] for record in found["records"]]
    assert list(map(int, shown["details"])) == [record["number"] for record in found["records"]]
    for record in found["records"]:
        detail = shown["details"][str(record["number"])]
        for side, one in (("output", record["output"]), ("reference", record["references"][record["judge"]])):
            pieces, maps, logs = detail[side]
            assert len(pieces) == one["length"] and logs == pytest.approx(one["log_probs"], abs=1e-4)
            assert [len(text) for text in maps] == [len(detail["source"]) * len(pieces)]
    assert "BLEU with 95 % intervals" in html.read_text("utf-8") and "<svg" in plot.read_text("utf-8")
    report(*command, *flags, "--details", 2)
    assert len(data_in(html.read_text("utf-8"))["details"]) == 2
    report(*command, *flags, "--details", 0)
    assert data_in(html.read_text("utf-8"))["details"] == {}
    assert "--sweep-beams" in refused(run_here(*command, "--plot", plot), 2)
    assert "png, svg, pdf" in refused(run_here(*command, "--sweep-beams", 2, "--plot", "a.gif"), 2)
    assert "--html" in refused(run_here(*command, "--details", 3), 2)
    read = data.folder / "dev.en"
    assert f"{read} is read and written" in refused(run_here(*command, "--html", read), 2)


def test_prefixes_are_forced_and_recorded(command: list[object], data: Data, tmp_path: Path) -> None:
    """The first words of the references, so that most of these have the prefix; one has another."""
    begun = [" ".join(line.split()[:2]) for line in head(data.folder / "dev.en", 8)]
    begun[3] = "Quite other words"
    found = report(*command, "--prefix", write_lines(tmp_path / "p.en", begun), "--sweep-beams", 1)
    records = found["records"]
    assert all(record["output"]["text"].startswith(text) for record, text in zip(records, begun, strict=True))
    assert records[3]["verdict"] == "unreachable"
    assert records[3]["references"][0]["obstacle"] == "other prefix"
    assert sum(record["verdict"] == "unreachable" for record in records) < 8
    assert found["provenance"]["prefixes_sha256"]
    assert "prefixes_sha256" not in report(*command)["provenance"]
    short = write_lines(tmp_path / "q.en", begun[:7])
    assert str(short) in refused(run_here(*command, "--prefix", short))
