"""`nmtkit score`: given translations, line by line or as n-best lists, by the objective of the search."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import refused, run_here, write_lines
from support.searches import score_texts

SOURCES = ["Jane a faim.", "", "Il dort.", "Paris est belle."]
TARGETS = ["Jane is hungry.", "", "He sleeps well.", "Paris"]


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    return write_lines(tmp_path / "a.fr", SOURCES), write_lines(tmp_path / "a.en", TARGETS)


def table(*arguments: object) -> list[list[str]]:
    """The columns of every output line."""
    outcome = run_here("score", *arguments)
    assert outcome.code == 0, outcome.err
    return [line.split("\t") for line in outcome.lines]


def records(*arguments: object) -> list[dict[str, Any]]:
    outcome = run_here("score", *arguments, "--form", "json")
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.lines]


@pytest.mark.parametrize("penalty", ["power", "gnmt"])
def test_log_p_length_and_j(model: Path, texts: tuple[Path, Path], penalty: str) -> None:
    """J by hand from log P and length; both from another path through the code, a pass over one line alone."""
    from nmtkit import Translator

    source, target = texts
    found = table(model, "--source", source, "--target", target, "--length-alpha", 0.4, "--length-penalty", penalty)
    translator = Translator.load(model)
    assert [row[:2] for row in found] == [[str(line), "1"] for line in (1, 2, 3, 4)]
    for (_, _, j, log_p, length, text), line, given in zip(found, SOURCES, TARGETS, strict=True):
        (alone,) = score_texts(translator, [line], [given], translator.defaults)
        assert (text, int(length)) == (given, len(translator.tokenizer.target.encode(given)) + 1)
        assert float(log_p) == pytest.approx(alone.total, abs=1e-4)
        base = int(length) if penalty == "power" else (5 + int(length)) / 6
        assert float(j) == pytest.approx(float(log_p) / base**0.4, abs=2e-6)


def test_n_best_lists_get_the_scores_that_the_search_gave_them(model: Path, tmp_path: Path) -> None:
    """What translate writes goes in; a line without candidates has no rows."""
    source, lists = write_lines(tmp_path / "a.fr", SOURCES), tmp_path / "a.nbest"
    search = ["--beam", 4, "--n-best", 3, "--max-length", 9, "--scores"]
    assert run_here("translate", model, *search, "--input", source, "--output", lists).code == 0
    written = [line.split("\t") for line in lists.read_text().split("\n")[:-1]]
    found = table(model, "--source", source, "--candidates", lists)
    assert [row[:2] for row in found] == [row[:2] for row in written]
    assert [row[-1] for row in found] == [row[-1] for row in written]
    same = 0
    for (_, _, j, log_p, length, _), (_, _, of_search, total, pieces, _) in zip(found, written, strict=True):
        if length == pieces:  # another segmentation of the same text has another score
            same += float(j) == pytest.approx(float(of_search), abs=1e-4)
            same += float(log_p) == pytest.approx(float(total), abs=1e-4)
    assert same >= 8
    lists.write_text("".join("\t".join(row) + "\n" for row in written if row[0] != "3"))
    assert table(model, "--source", source, "--candidates", lists) == [row for row in found if row[0] != "3"]


def test_pieces_that_a_search_chose_get_its_scores(model: Path, tmp_path: Path) -> None:
    """To the last of them, whatever the tokenizer would make of the text."""
    source, lists = write_lines(tmp_path / "a.fr", SOURCES), tmp_path / "a.nbest"
    search = ["--beam", 40, "--n-best", 40, "--max-length", 12, "--scores", "--tokens"]
    assert run_here("translate", model, *search, "--input", source, "--output", lists).code == 0
    written = [line.split("\t") for line in lists.read_text().split("\n")[:-1]]
    found = table(model, "--source", source, "--candidates", lists, "--pieces", "--tokens")
    assert [row[:2] + row[4:6] + row[7:] for row in found] == [row[:2] + row[4:6] + row[7:] for row in written]
    for row, given in zip(found, written, strict=True):
        assert [float(value) for value in row[2:4]] == pytest.approx([float(value) for value in given[2:4]], abs=1e-4)
    texts = table(model, "--source", source, "--candidates", lists)
    assert [row[4] for row in texts] != [row[4] for row in found]  # else nothing was at stake
    lists.write_text("1\tYes.\n")
    outcome = run_here("score", model, "--source", source, "--candidates", lists, "--pieces")
    assert outcome.code == 1 and f"{lists}, line 1: has no pieces" in outcome.err
    lists.write_text("1\t▁Unheard-of </s>\t-1 -2\tUnheard-of\n")
    outcome = run_here("score", model, "--source", source, "--candidates", lists, "--pieces")
    assert outcome.code == 1 and f"{lists}, line 1: '▁Unheard-of' is no piece" in outcome.err
    assert "--candidates" in refused(run_here("score", model, "--source", source, "--target", source, "--pieces"), 2)


def test_a_tab_in_a_text_is_no_column(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What translate wrote is read back: a space stands for the tab, and the pieces are what they were."""
    from nmtkit.translator import Translator

    plain = Translator.decode_target
    monkeypatch.setattr(Translator, "decode_target", lambda self, tokens: f"a\t{plain(self, tokens)}\t")
    source, lists = write_lines(tmp_path / "a.fr", SOURCES), tmp_path / "a.nbest"
    search = ["--beam", 3, "--max-length", 6, "--quiet", "--input", source]
    assert all(line.startswith("a\t") for line in run_here("translate", model, *search).lines)
    for flags, columns in (
        (["--scores"], 4),
        (["--exact", "--budget-steps", 5, "--scores"], 7),
        (["--per-length"], 5),
        (["--tokens"], 3),
    ):
        lines = run_here("translate", model, *search, *flags).lines
        assert lines and {line.count("\t") + 1 for line in lines} == {columns}
    assert run_here("translate", model, *search, "--n-best", 3, "--scores", "--tokens", "--output", lists).code == 0
    written = [line.split("\t") for line in lists.read_text().split("\n")[:-1]]
    assert {len(row) for row in written} == {8} and all(row[-1].startswith("a ") for row in written)
    found = table(model, "--source", source, "--candidates", lists, "--pieces", "--tokens")
    assert [row[4:6] + row[7:] for row in found] == [row[4:6] + row[7:] for row in written]
    for row, given in zip(found, written, strict=True):
        assert float(row[3]) == pytest.approx(float(given[3]), abs=1e-4)
    texts = table(model, "--source", source, "--candidates", lists)
    assert [row[-1] for row in texts] == [row[-1] for row in written]


def test_several_targets_and_tokens(model: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    source, first = texts
    second = write_lines(tmp_path / "b.en", TARGETS[::-1])
    files = ["--source", source, "--target", first, "--target", second]
    plain, detailed, objects = (
        table(model, *files),
        table(model, *files, "--tokens"),
        records(model, *files, "--tokens"),
    )
    assert [row[:2] for row in plain] == [[str(line), str(which)] for line in (1, 2, 3, 4) for which in (1, 2)]
    assert [row[-1] for row in plain] == [text for pair in zip(TARGETS, TARGETS[::-1], strict=True) for text in pair]
    for row, full, record in zip(plain, detailed, objects, strict=True):
        assert full[:5] + full[-1:] == row
        pieces, log_ps = full[5].split(" "), [float(value) for value in full[6].split(" ")]
        assert len(pieces) == len(log_ps) == int(row[4]) and pieces[-1] == "</s>"
        assert "".join(pieces[:-1]).replace("▁", " ").strip() == row[-1]
        assert math.fsum(log_ps) == pytest.approx(float(row[3]), abs=1e-5 * len(log_ps))
        assert (record["line"], record["candidate"], record["length"]) == tuple(map(int, (row[0], row[1], row[4])))
        assert [one["piece"] for one in record["tokens"]] == pieces
        assert math.fsum(one["log_p"] for one in record["tokens"]) == pytest.approx(record["log_p"], abs=1e-5)
        assert record["j"] == pytest.approx(float(row[2]), abs=1e-6) and record["text"] == row[-1]
    assert all("tokens" not in record for record in records(model, *files))


def test_files_weights_device_threads_and_batches(
    model: Path, two_weights: Path, texts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from nmtkit.translator import Translator

    threads, sizes = [], []
    forced = Translator.score
    monkeypatch.setattr(torch, "set_num_threads", threads.append)

    def spy(self: Translator, lines: Any, targets: Any, settings: Any, *rest: Any, **more: Any) -> Any:
        sizes.append(settings.batch_tokens)
        return forced(self, lines, targets, settings, *rest, **more)

    monkeypatch.setattr(Translator, "score", spy)
    source, target = texts
    config = tmp_path / "score.toml"
    config.write_text("batch-tokens = 5\n")
    files = ["--source", source, "--target", target]
    plain = run_here("score", model, *files, "--quiet")
    assert plain.err == "" and plain.code == 0
    loud = run_here("score", model, *files, "--output", tmp_path / "out", "--device", "cpu", "--threads", 3)
    assert (tmp_path / "out").read_bytes() == plain.out and loud.out == b"" and threads == [3]
    pieces, total = (sum(float(row[column]) for row in table(model, *files)) for column in (4, 3))
    assert f"{pieces:.0f} pieces, perplexity {math.exp(-total / pieces):.3f} a piece" in loud.err
    sizes.clear()
    small = table(model, *files, "--config", config)
    assert sizes == [5]
    for one, other in zip(small, table(model, *files, "--batch-tokens", 1000), strict=True):
        assert float(one[3]) == pytest.approx(float(other[3]), abs=1e-4)
    assert sizes == [5, 1000]
    best, last = (table(two_weights, *files, "--weights", which) for which in ("best", "last"))
    assert best == table(two_weights, *files) != last


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("one\ta\n", ["line 1", "'one'"]),
        ("1\ta\n-1\tb\n", ["line 2", "'-1'"]),
        ("1\n", ["line 1", "'1'"]),
        ("0\ta\n", ["line 1", "'0'"]),
        ("3\ta\n2\tb\n", ["line 2", "those of line 3"]),
        ("2\ta\n9\tb\n", ["line 9", "ends at line 4"]),
    ],
)
def test_candidates_that_do_not_fit_the_source(
    model: Path, texts: tuple[Path, Path], tmp_path: Path, content: str, words: list[str]
) -> None:
    path = tmp_path / "lists"
    path.write_text(content)
    outcome = run_here("score", model, "--source", texts[0], "--candidates", path)
    assert outcome.code == 1 and all(word in outcome.err.splitlines()[-1] for word in [str(path), *words]), outcome.err


def test_what_is_refused(model: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = texts
    assert "--target" in refused(run_here("score", model, "--source", source), 2)
    both = ["--source", source, "--target", target, "--candidates", target]
    assert "--candidates" in refused(run_here("score", model, *both), 2)
    assert "'xml'" in refused(run_here("score", model, "--source", source, "--target", target, "--form", "xml"), 2)
    for lines, word in ((TARGETS[:2], "ends before line 3"), ([*TARGETS, "x"], "has more lines")):
        other = write_lines(tmp_path / "other.en", lines)
        outcome = run_here("score", model, "--source", source, "--target", other)
        assert outcome.code == 1 and f"{other}: {word}" in outcome.err


def test_a_translation_longer_than_any_has_empty_scores(model: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    """100,000 characters: the line is named, the others are what they were."""
    source, target = texts
    plain = table(model, "--source", source, "--target", target)
    long = ("She likes Africa in September. " * 4000)[:100_000]
    given = write_lines(tmp_path / "long.en", [TARGETS[0], TARGETS[1], long, TARGETS[3]])
    outcome = run_here("score", model, "--source", source, "--target", given)
    rows = [line.split("\t") for line in outcome.lines]
    assert outcome.code == 1 and rows[2] == ["3", "1", "", "", "", long]
    assert [row[:2] + row[4:] for row in rows[:2] + rows[3:]] == [row[:2] + row[4:] for row in plain[:2] + plain[3:]]
    warning, *_, last = outcome.err.splitlines()
    assert warning.startswith("warning: line 3: left empty: ") and "(at most 2,010, end of sentence counted)" in warning
    assert last == "nmtkit: 1 of 4 lines failed and was left empty: see the warnings"


def test_a_line_that_fails_has_empty_scores(
    model: Path, texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmtkit.decoding import forced as scoring

    forced = scoring.forced_log_probs

    def broken(model: Any, memory: Any, targets: Any) -> Any:
        if any(len(target) == length for target in targets):
            raise RuntimeError("out of memory")
        return forced(model, memory, targets)

    source, target = texts
    files = ["--source", source, "--target", target]
    plain = table(model, *files)
    length = int(plain[2][4])
    assert [int(row[4]) for row in plain].count(length) == 1
    monkeypatch.setattr(scoring, "forced_log_probs", broken)
    outcome = run_here("score", model, *files)
    rows = [line.split("\t") for line in outcome.lines]
    assert outcome.code == 1 and "warning: line 3: left empty: out of memory" in outcome.err
    assert rows[2] == ["3", "1", "", "", "", TARGETS[2]]
    for row, whole in zip(rows, plain, strict=True):
        assert row[0] == "3" or (row[:2] + row[4:] == whole[:2] + whole[4:])
    objects = [json.loads(line) for line in run_here("score", model, *files, "--form", "json").lines]
    assert (objects[2]["j"], objects[2]["log_p"], objects[2]["length"]) == (None, None, None)
