"""`nmtkit translate`: N lines in are N lines out, in order, whatever the lines are."""

from __future__ import annotations

import json
import math
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import JANE, Data, environment, head, refused, run_here, run_process, write_lines

from nmtkit.cli import streams

SHORT = ("--max-length", 6)
"""An untrained model does not know when to stop."""


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of every search from now on."""
    from nmtkit.decoding.beam import Beam
    from nmtkit.translator import Translator

    seen: list[Any] = []
    find = Translator.find

    def spy(self: Translator, search: Any, source: Any, settings: Any, *queries: Any, **more: Any) -> Any:
        assert search == Beam.of(settings)
        seen.append(settings)
        return find(self, search, source, settings, *queries, **more)

    monkeypatch.setattr(Translator, "find", spy)
    return seen


def numbered(model: Path, text: bytes, *flags: object) -> list[list[str]]:
    """The columns of every output line; the text last."""
    outcome = run_here("translate", model, *SHORT, *flags, stdin=text)
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith(b"\n") or not outcome.out
    return [line.split("\t") for line in outcome.lines]


def one_by_one(model: Path, lines: list[bytes]) -> list[str]:
    """What the Python API says to each line alone."""
    from nmtkit import Translator

    translator = Translator.load(model)
    return [translator.translate([line.decode("utf-8", "replace")], max_length=6)[0] for line in lines]


ODD = {
    "blank lines": [b"Jane.", b"", b"   ", b"\t", "\u3000".encode(), b"Paris est belle.", b""],
    "one character": [b"a", b"?", "é".encode(), "😀".encode(), b"\x00", "\u200b".encode()],
    "ends of lines that are none": ["a\u2028b".encode(), b"a\x0bb", b"a\x0cb", b"a\rb", "a\x85b".encode(), b"\x1c"],
    "not UTF-8": [b"Il fait beau.", b"caf\xe9 noir", b"\xff\xfe", b"Oui.", b"\xed\xa0\x80"],
    "marks of the tokenizer": ["▁a▁".encode(), b"<s> </s> <pad> <unk>", b"<0x41>", b"[bold]a[/bold] :smile:"],
}


@pytest.mark.parametrize("lines", ODD.values(), ids=ODD.keys())
def test_n_lines_in_are_n_lines_out_in_order(model: Path, lines: list[bytes]) -> None:
    found = numbered(model, b"".join(line + b"\n" for line in lines))
    assert [columns[-1] for columns in found] == one_by_one(model, lines)


def test_line_ends_byte_order_mark_and_a_missing_final_newline(model: Path) -> None:
    plain = numbered(model, b"Il fait beau.\nJane a faim.\n", "--scores")
    assert numbered(model, b"Il fait beau.\r\nJane a faim.\r\n", "--scores") == plain
    assert numbered(model, "\ufeffIl fait beau.\nJane a faim.".encode(), "--scores") == plain
    # Bytes that differ give other scores, or this test would see nothing.
    assert numbered(model, "\u00a0Il fait beau.\nJane a faim.\r".encode(), "--scores") != plain


@pytest.mark.parametrize("text", [b"", b"\xef\xbb\xbf"], ids=["nothing", "a byte order mark"])
def test_no_lines_in_are_no_lines_out(model: Path, text: bytes) -> None:
    outcome = run_here("translate", model, stdin=text)
    assert (outcome.code, outcome.out) == (0, b"")


def test_invalid_bytes_are_replaced_with_a_warning_that_names_the_line(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "latin1.fr"
    path.write_bytes(b"Oui.\ncaf\xe9\n")
    assert (
        "standard input, line 2: not valid UTF-8"
        in run_here("translate", model, *SHORT, "--quiet", stdin=path.read_bytes()).err
    )
    outcome = run_here("translate", model, *SHORT, "--quiet", "--input", path)
    assert outcome.err == f"warning: {path}, line 2: not valid UTF-8 at byte 4; replaced by U+FFFD\n"
    assert (outcome.code, len(outcome.lines)) == (0, 2)


def test_an_over_long_line_is_cut_with_a_warning_and_the_rest_goes_on(model: Path) -> None:
    outcome = run_here("translate", model, *SHORT, "--quiet", stdin=b"Oui.\n" + 3000 * "é".encode() + b"\nNon.\n")
    assert (outcome.code, len(outcome.lines)) == (0, 3)
    assert outcome.err.startswith("warning: line 2: ") and "cut to the first 1000" in outcome.err


def test_more_lines_than_one_window(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"{line}\n" for line in head(JANE / "test.fr", 7)).encode()
    whole = numbered(model, text, "--n-best", 2)
    monkeypatch.setattr("nmtkit.cli.streams.WINDOW", 3)
    assert numbered(model, text, "--n-best", 2) == whole
    assert [int(columns[0]) for columns in whole] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    bad = run_here("translate", model, *SHORT, "--quiet", stdin=b"a\nb\nc\n" + b"x" * 2000 + b"\n\xff\n")
    assert "warning: line 4: " in bad.err and "standard input, line 5: " in bad.err


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_scores_are_log_p_over_length_to_alpha(model: Path, alpha: float) -> None:
    found = numbered(model, b"Jane a faim.\nIl dort.\n", "--scores", "--length-alpha", alpha)
    assert len(found) == 2
    for score, total, length, _ in found:
        assert float(score) == pytest.approx(float(total) / int(length) ** alpha, abs=2e-6)
        assert float(total) < 0 and 1 <= int(length) <= 6


def test_columns(model: Path) -> None:
    text = b"Jane a faim.\nIl dort.\n"
    best = numbered(model, text, "--beam", 4)
    scored = numbered(model, text, "--beam", 4, "--scores")
    ranked = numbered(model, text, "--beam", 4, "--n-best", 4)
    both = numbered(model, text, "--beam", 4, "--n-best", 4, "--scores")
    assert [len(rows[0]) for rows in (best, scored, ranked, both)] == [1, 4, 3, 6]
    assert [columns[:2] for columns in ranked] == [[str(line), str(rank)] for line in (1, 2) for rank in (1, 2, 3, 4)]
    assert [columns[2] for columns in both if columns[1] == "1"] == [columns[0] for columns in scored]
    assert [columns[-1] for columns in both if columns[1] == "1"] == [columns[-1] for columns in best]
    for line in ("1", "2"):
        scores = [float(columns[2]) for columns in both if columns[0] == line]
        assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4


def test_the_scores_are_those_of_a_forced_pass(model: Path) -> None:
    from support.searches import score_tokens

    from nmtkit import Translator

    (score, total, length, text), *_ = numbered(model, b"Jane a faim.\n", "--scores")
    translator = Translator.load(model)
    found = translator.search(["Jane a faim."], translator.defaults.__class__(beam=2, max_length=6))[0][0]
    forced = score_tokens(translator, ["Jane a faim."], [[found.tokens]], translator.defaults)[0][0]
    assert (found.text, len(found.tokens)) == (text, int(length))
    assert float(total) == pytest.approx(forced.total, abs=1e-4)
    assert float(score) == pytest.approx(forced.total / int(length) ** 0.7, abs=1e-4)


def test_the_search_options_reach_the_search(model: Path, searches: list[Any]) -> None:
    flags = ["--beam", 3, "--n-best", 2, "--length-alpha", 0.25, "--max-length", 4, "--batch-tokens", 77]
    assert run_here("translate", model, *flags, stdin=b"Oui.\n").code == 0
    assert run_here("translate", model, *SHORT, stdin=b"Oui.\n").code == 0
    given, default = searches
    assert (given.beam, given.n_best, given.length_alpha, given.max_length, given.batch_tokens) == (3, 2, 0.25, 4, 77)
    # The defaults are those of the folder: valid_beam = 2 in the configuration that it was trained with.
    assert (default.beam, default.n_best, default.length_alpha, default.batch_tokens) == (2, 1, 0.7, 2048)


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--beam", 0], ["'--beam'", "0 is not possible: choose from 1 to"], 2),
        (["--n-best", 0], ["'--n-best'", "0 is not possible: choose from 1 to"], 2),
        (["--n-best", 3], ["--n-best 3", "--beam 2"], 2),
        (["--exact", "--n-best", 2], ["--exact", "--n-best"], 2),
        (["--exact", "--no-repeat-ngram", 2], ["--exact", "--no-repeat-ngram"], 2),
        (["--exact", "--per-length"], ["--exact", "--per-length"], 2),
        (["--exact", "--trace", "t"], ["--exact", "--trace"], 2),
        (["--per-length", "--patience", 1], ["--per-length", "--patience"], 2),
        (["--per-length", "--n-best", 2], ["--per-length", "--n-best"], 2),
        (["--budget-steps", 5], ["--budget-steps", "add --exact"], 2),
        (["--exact", "--budget-seconds", 0], ["'--budget-seconds'", "more than 0"], 2),
        (["--reference", "x"], ["--reference", "--trace", "--exact"], 2),
        (["--budget-steps", 0], ["'--budget-steps'", "0 is not possible: choose from 1 to"], 2),
        (["--length-penalty", "wu"], ["'--length-penalty'", "'wu'", "power, gnmt"], 2),
        (["--patience", 0], ["'--patience'", "0.0 is not possible: choose more than 0"], 2),
        (["--min-length", 5, "--max-length", 4], ["--min-length 5", "--max-length 4"], 2),
        (["--max-length-ratio", "inf"], ["'--max-length-ratio'", "inf is not possible"], 2),
        (["--length-alpha", "-0.1"], ["'--length-alpha'", "-0.1 is not possible: choose from 0 to 10"], 2),
        (["--length-alpha", "nan"], ["nan"], 2),
        (["--max-length", 0], ["'--max-length'", "0 is not possible: choose from 1 to"], 2),
        (["--batch-tokens", 0], ["'--batch-tokens'", "0 is not possible: choose from 1 to"], 2),
        (["--weights", "lst"], ["'lst'", "'last'"], 2),
        (["--device", "tpu9"], ["tpu9", "cpu, cuda"], 1),
        (["--device", "mps"], ["mps", "cpu"], 1),
        (["--device", "meta"], ["meta", "cpu"], 1),
        (["--device", "cuda:99"], ["cuda:99", "cpu"], 1),
        (["--threads", 0], ["'--threads'", "0 is not possible: choose from 1 to"], 2),
        (["--input", "nowhere.fr"], ["nowhere.fr", "no such file"], 1),
        (["--input", "."], [".", "folder"], 1),
        (["--output", "."], [".", "folder"], 1),
        (["--output", "nowhere/x.en"], ["nowhere", "does not exist"], 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_values_are_refused(model: Path, flags: list[object], words: list[str], code: int) -> None:
    line = refused(run_here("translate", model, *flags, stdin=b"Oui.\n"), code)
    assert all(word in line for word in words), line


def test_exact_search(model: Path, tmp_path: Path) -> None:
    """As many lines as go in; with scores gap, steps and proved limit stand before the text; what is proved counts."""
    text = b"Oui.\n\nNon.\n"
    flags = ("--max-length", 2, "--beam", 1)
    plain = run_here("translate", model, *flags, "--exact", stdin=text)
    scored = run_here("translate", model, *flags, "--exact", "--scores", stdin=text)
    assert plain.code == 0 and "3 of 3 proved to be the best within their length limit\n" in plain.err
    columns = [line.split("\t") for line in scored.lines]
    assert [line[-1] for line in columns] == plain.lines and {len(line) for line in columns} == {7}
    beam = [line.split("\t") for line in run_here("translate", model, *flags, "--scores", stdin=text).lines]
    for (score, _, length, gap, steps, reach, _), (of_beam, *_) in zip(columns, beam, strict=True):
        assert float(score) >= float(of_beam) - 1e-5 and float(gap) == 0 and int(length) <= int(reach) <= 2
        assert int(steps) >= 1
    spent = run_here("translate", model, "--max-length", 9, "--exact", "--budget-steps", 1, "--scores", stdin=text)
    assert "the others ran out of their budget" in spent.err
    assert any(float(line.split("\t")[3]) > 0 for line in spent.lines)
    late = run_here("translate", model, "--max-length", 9, "--exact", "--budget-seconds", 1e-9, "--scores", stdin=text)
    assert {line.split("\t")[4] for line in late.lines} == {"0"}
    # Without time the better of beam and reference is what is left.
    other = write_lines(tmp_path / "known.en", ["Yes.", "", "No."])
    rest = ("--exact", "--budget-seconds", 1e-9, "--reference", other, "--scores")
    known = run_here("translate", model, "--max-length", 9, *rest, stdin=text)
    scores = [[float(line.split("\t")[0]) for line in outcome.lines] for outcome in (late, known)]
    assert all(after >= before for before, after in zip(*scores, strict=True))


def test_tokens_are_pieces_and_their_log_p(model: Path) -> None:
    text = b"Jane a faim.\n\n"
    for flags in ([], ["--exact", "--max-length", 2], ["--n-best", 2]):
        scored = numbered(model, text, "--scores", *flags)
        both = numbered(model, text, "--scores", "--tokens", *flags)
        bare = numbered(model, text, "--tokens", *flags)
        for short, full, tokens in zip(scored, both, bare, strict=True):
            assert full[:-3] + full[-1:] == short and tokens[-3:] == full[-3:]
            pieces, log_ps = full[-3].split(" "), [float(value) for value in full[-2].split(" ")]
            total, length = (float(value) for value in short[2 * ("--n-best" in flags) :][1:3])
            assert len(pieces) == len(log_ps) == length and pieces[-1] == "</s>"
            assert sum(log_ps) == pytest.approx(total, abs=1e-4)


def test_per_length_lists_hold_the_best_of_every_length(model: Path) -> None:
    """And the best of them by J is what the search returns."""
    text = b"Jane a faim.\n\nIl dort.\n"
    flags = ("--beam", 3, "--length-alpha", 0.5, "--scores")
    rows = numbered(model, text, *flags, "--per-length")
    best = numbered(model, text, *flags)
    for number, (score, total, length, translation) in enumerate(best, start=1):
        mine = [row for row in rows if row[0] == str(number)]
        (winner,) = [row for row in mine if row[3] == "*"]
        assert [winner[1], *winner[4:]] == [length, score, total, length, translation]
        assert max(float(row[4]) for row in mine) == float(score)
        lengths = [int(row[1]) for row in mine]
        assert lengths == sorted(lengths) and max(lengths) <= 6 and all(row[1] == row[6] for row in mine)
        for wanted in set(lengths):
            ranked = [row for row in mine if int(row[1]) == wanted]
            assert [int(row[2]) for row in ranked] == list(range(1, len(ranked) + 1)) and len(ranked) <= 3
            totals = [float(row[5]) for row in ranked]
            assert totals == sorted(totals, reverse=True)
    assert len(rows) > len(best) + 3


def test_a_trace_changes_no_translation(model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.fr", ["Jane a faim.", "", "Il dort."])
    known = write_lines(tmp_path / "a.en", ["Jane is hungry.", "", "He sleeps."])
    flags = ("--input", source, "--scores", "--beam", 3, "--n-best", 2)
    plain = run_here("translate", model, *SHORT, *flags)
    traced = run_here("translate", model, *SHORT, *flags, "--trace", tmp_path / "t", "--reference", known)
    assert (traced.code, traced.out) == (0, plain.out)
    header, *sentences = [json.loads(line) for line in (tmp_path / "t").read_text().splitlines()]
    assert header["beam"] == 3 and [one["line"] for one in sentences] == [1, 2, 3]
    assert [one["reference"]["scored"]["text"] for one in sentences] == ["Jane is hungry.", "", "He sleeps."]
    texts = [line.split("\t")[-1] for line in plain.lines]
    assert [output["text"] for one in sentences for output in one["outputs"]] == texts
    other = write_lines(tmp_path / "b.en", ["Jane is hungry."])
    line = refused(run_here("translate", model, *SHORT, *flags, "--trace", tmp_path / "u", "--reference", other))
    assert f"{other}: ends before line 2" in line and not (tmp_path / "u").exists()


def test_a_line_that_fails_is_left_empty_and_the_others_go_on(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the search and the columns; the exit code says that something failed."""
    from nmtkit import translator

    encoded = translator.Encoded

    def broken(stepper: Any, source: Any, mask: Any) -> Any:
        if bad in [row[row > 0].tolist() for row in source]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return encoded(stepper, source, mask)

    bad = [*translator.Translator.load(model).tokenizer.source.encode("Il dort."), 3]
    text = b"Jane a faim.\nIl dort.\n\nOui.\nIl dort.\n"
    for flags in ([], ["--scores", "--tokens"], ["--n-best", 2], ["--per-length"], ["--exact", "--max-length", 2]):
        whole = numbered(model, text, *flags)
        with monkeypatch.context() as patch:
            patch.setattr(translator, "Encoded", broken)
            outcome = run_here("translate", model, *SHORT, *flags, stdin=text)
        rows = [line.split("\t") for line in outcome.lines]
        assert outcome.code == 1 and {len(row) for row in rows} == {len(whole[0])}
        assert "warning: line 2: left empty: out of memory" in outcome.err and "warning: line 5: " in outcome.err
        assert outcome.err.splitlines()[-1] == "nmtkit: 2 of 5 lines failed and were left empty: see the warnings"
        kept = [row for row in rows if row[-1] or len(row) == 1]
        if flags in ([], ["--scores", "--tokens"]):
            assert [row[-1] for row in rows] == ["" if line in (1, 4) else row[-1] for line, row in enumerate(whole)]
        assert [row[-1] for row in kept if row[-1]] == [
            row[-1] for line, row in lines_of(whole, flags) if line not in (2, 5) and row[-1]
        ]


def lines_of(rows: list[list[str]], flags: list[Any]) -> list[tuple[int, list[str]]]:
    """Each row with the number of its line: written in it, or its place."""
    named = "--n-best" in flags or "--per-length" in flags
    return [(int(row[0]) if named else place, row) for place, row in enumerate(rows, start=1)]


def test_search_options_reach_the_settings(model: Path, searches: list[Any]) -> None:
    flags = ["--length-penalty", "gnmt", "--patience", 1.5, "--free-eos", "--forbid-unk", "--no-repeat-ngram", 3]
    lengths = ["--min-length", 2, "--min-length-ratio", 0.5, "--max-length-ratio", 1.5]
    assert run_here("translate", model, *flags, *lengths, stdin=b"Oui.\n").code == 0
    (given,) = searches
    assert (given.length_penalty, given.patience, given.free_eos, given.forbid_unk) == ("gnmt", 1.5, True, True)
    assert (given.no_repeat_ngram, given.min_length) == (3, 2)
    assert (given.min_length_ratio, given.max_length_ratio) == (0.5, 1.5)


def test_weights_best_or_last(two_weights: Path) -> None:
    best, last = (numbered(two_weights, b"Oui.\n", "--scores", "--weights", which) for which in ("best", "last"))
    assert best == numbered(two_weights, b"Oui.\n", "--scores") != last


def test_device_and_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    assert numbered(model, b"Oui.\n", "--threads", 3, "--device", "cpu") == numbered(model, b"Oui.\n")
    assert asked == [3]


def test_input_and_output_files(model: Path, tmp_path: Path) -> None:
    source, target = write_lines(tmp_path / "a.fr", ["Oui.", "", "Non."]), tmp_path / "a.en"
    expected = run_here("translate", model, *SHORT, stdin=source.read_bytes()).out
    outcome = run_here("translate", model, *SHORT, "--input", source, "--output", target)
    assert (outcome.code, outcome.out, target.read_bytes()) == (0, b"", expected)
    target.write_text("old\n")
    refused(run_here("translate", model, "--beam", 0, "--input", source, "--output", target), code=2)
    assert target.read_text() == "old\n" and len(list(tmp_path.iterdir())) == 2


def test_what_is_read_is_not_written(model: Path, tmp_path: Path) -> None:
    """Nor is anything written twice."""
    source = write_lines(tmp_path / "a.fr", ["Oui."])
    for flags in (
        ["--output", source],
        ["--output", tmp_path / "." / "a.fr"],
        ["--trace", source],
        ["--trace", tmp_path / "t", "--output", tmp_path / "t"],
    ):
        line = refused(run_here("translate", model, *SHORT, "--input", source, *flags), 2)
        assert "name another file" in line and source.read_text() == "Oui.\n"
    line = refused(run_here("score", model, "--source", source, "--target", source, "--output", source), 2)
    assert "name another file" in line


def test_results_and_everything_else_part_ways(model: Path) -> None:
    loud = run_here("translate", model, *SHORT, stdin=b"Oui.\n\xff\n")
    quiet = run_here("translate", model, *SHORT, "--quiet", stdin=b"Oui.\n\xff\n")
    assert loud.out == quiet.out and len(quiet.lines) == 2
    assert quiet.err.count("\n") == 1 and quiet.err.startswith("warning: ")
    assert loud.err.startswith(quiet.err) and "2 lines, " in loud.err


def _hear_ctrl_c() -> None:
    """Tests that run in the background of a shell inherit a deaf ear for it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(*arguments: object, stdin: int = subprocess.PIPE, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs while the test talks to it."""
    command = [sys.executable, "-m", "nmtkit", *map(str, arguments)]
    pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(  # type: ignore[call-overload]
        command, env=environment(**variables), start_new_session=True, preexec_fn=_hear_ctrl_c, **pipes
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


def ask(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The answer to a line that was sent alone."""
    assert process.stdin and process.stdout
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def test_line_buffered_answers_every_line_before_the_next_and_ctrl_c_ends_in_130(model: Path) -> None:
    """In an environment that knows only ASCII, too."""
    expected = run_here("translate", model, *SHORT, stdin="Déjà ?\nOui.\n".encode()).out.splitlines(keepends=True)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    with started("translate", model, *SHORT, "--line-buffered", **ascii_only) as process:
        assert ask(process, "Déjà ?\n".encode()) == expected[0]
        assert ask(process, b"Oui.\n") == expected[1]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == b"" and b"Traceback" not in err and b"interrupted" in err


def test_a_reader_that_has_seen_enough_ends_it_quietly(model: Path) -> None:
    with started("translate", model, *SHORT, "--line-buffered") as process:
        assert process.stdin and process.stdout and process.stderr
        assert ask(process, b"Oui.\n")
        process.stdout.close()
        process.stdin.write(b"Non.\n")
        process.stdin.close()
        err = process.stderr.read()
        assert process.wait(timeout=120) == 0
    assert err == b""


def test_a_terminal_is_asked_line_by_line_and_ctrl_d_ends(model: Path) -> None:
    expected = run_here("translate", model, *SHORT, stdin=b"Oui.\nNon.\n").out.splitlines(keepends=True)
    terminal, child = pty.openpty()
    with started("translate", model, *SHORT, stdin=child) as process:
        os.close(child)
        assert process.stdout and process.stderr
        for line, answer in zip((b"Oui.\n", b"Non.\n"), expected, strict=True):
            os.write(terminal, line)
            assert process.stdout.readline() == answer
        os.write(terminal, b"\x04")
        err = process.stderr.read().decode()
        assert process.wait(timeout=120) == 0
    os.close(terminal)
    assert "Ctrl-D" in err and err.count("> ") == 3
    assert "lines in" not in err


def test_a_full_disk_behind_standard_output(model: Path) -> None:
    command = [sys.executable, "-m", "nmtkit", "translate", str(model), "--max-length", "6", "--quiet"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, input=b"Oui.\n", stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=240, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"nmtkit: No space left on device; free some space and run the same command again\n"


def test_the_process_does_what_the_function_does(model: Path) -> None:
    """The other tests run in one process to save time; nothing may depend on that."""
    text = "Déjà ?\n\ncaf\udce9\n".encode("utf-8", "surrogateescape")
    here = run_here("translate", model, *SHORT, "--scores", "--quiet", stdin=text)
    process = run_process("translate", model, *SHORT, "--scores", "--quiet", stdin=text)
    assert process == here and here.code == 0


def test_attention_is_written_and_changes_no_translation(model: Path, data: Data, tmp_path: Path) -> None:
    """A line of JSON for every line, the same map as `nmtkit attention` makes; a failed search has none."""
    file, source = tmp_path / "maps.jsonl", data.folder / "dev.fr"
    flags = ["--max-length", 12, "--input", source]
    plain = run_here("translate", model, *flags)
    assert run_here("translate", model, *flags, "--attention", file).out == plain.out
    maps = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [one["line"] for one in maps] == list(range(1, 9)) and [one["target"] for one in maps] == plain.lines
    own = run_here("attention", model, "--source", source, "--max-length", 12, "--json", "-")
    assert own.text == file.read_text("utf-8")
    for one in maps:
        assert [sum(row) for row in one["weights"]] == pytest.approx([1.0] * len(one["rows"]), abs=2e-5)
    assert run_here("translate", model, *flags, "--n-best", 2, "--attention", tmp_path / "best.jsonl").code == 0
    assert (tmp_path / "best.jsonl").read_text("utf-8") == file.read_text("utf-8"), "of the best only"
    assert "choose one" in refused(run_here("translate", model, *flags, "--attention", file, "--per-length"), 2)
    assert f"{source} is read" in refused(run_here("translate", model, *flags, "--attention", source), 2)
    for flag in ("--attention", "--trace"):
        assert "cannot share standard output" in refused(run_here("translate", model, *flags, flag, "-"), 2)
    apart = run_here("translate", model, *flags, "--attention", "-", "--output", tmp_path / "texts")
    assert apart.out == file.read_bytes() and (tmp_path / "texts").read_bytes() == plain.out
    assert run_here("translate", model, *flags, "--output", "-").out == plain.out and not Path("-").exists()


def test_prefixes_begin_the_outputs_of_every_search(model: Path, tmp_path: Path) -> None:
    """From a file or from a second column; a blank one forces nothing."""
    lines, begun = ["Jane a faim.", "Il dort.", "Oui."], ["Jane is", "", "No"]
    source, file = write_lines(tmp_path / "s.fr", lines), write_lines(tmp_path / "p.en", begun)
    columns = "".join(f"{line}\t{prefix}\n" for line, prefix in zip(lines, begun, strict=True)).encode()
    columns = columns.replace(b"Il dort.\t\n", b"Il dort.\n")  # a line without a second column forces nothing
    free = run_here("translate", model, *SHORT, "--input", source, "--scores").lines
    for number, kind in enumerate(([], ["--n-best", 2], ["--per-length"], ["--exact", "--budget-steps", 9])):
        flags = [*SHORT, *kind, "--scores", "--tokens", "--quiet"]
        outcome = run_here("translate", model, *flags, "--input", source, "--prefix", file)
        assert outcome.code == 0, outcome.err
        assert run_here("translate", model, *flags, "--prefix-column", stdin=columns).out == outcome.out
        rows = [line.split("\t") for line in outcome.lines]
        places = [row[0] if number in (1, 2) else str(place) for place, row in enumerate(rows, start=1)]
        for place, row in zip(places, rows, strict=True):
            assert row[-1].startswith(begun[int(place) - 1])
        assert set(places) == {"1", "2", "3"}
        if not kind:
            assert rows[1][:3] + rows[1][5:] == free[1].split("\t")
    trace = tmp_path / "t.jsonl"
    outcome = run_here("translate", model, *SHORT, "--input", source, "--prefix", file, "--trace", trace)
    assert outcome.lines == [row.split("\t")[-1] for row in outcome.lines] and outcome.lines[0].startswith("Jane is")
    first = json.loads(trace.read_text().splitlines()[1])
    assert len(first["steps"][0]["candidates"]) == 1


def test_a_blank_at_the_end_of_a_prefix_counts_in_files_and_columns(model: Path, tmp_path: Path) -> None:
    """Of many samples some go on inside the word, and none where the prefix ends in a blank."""
    line, sampled = "Jane a faim.", [*SHORT, "--samples", 30, "--temperature", 50]
    found = {}
    for begun in ("Jan", "Jan "):
        source, file = write_lines(tmp_path / "s.fr", [line]), write_lines(tmp_path / "p.en", [begun])
        outcome = run_here("translate", model, *sampled, "--input", source, "--prefix", file)
        columns = run_here("translate", model, *sampled, "--prefix-column", stdin=f"{line}\t{begun}\n".encode())
        assert outcome.code == 0 and outcome.out == columns.out, outcome.err
        found[begun] = [text.split("\t")[-1] for text in outcome.lines]
    assert all(text == "Jan" or text.startswith("Jan ") for text in found["Jan "])
    assert not all(text == "Jan" or text.startswith("Jan ") for text in found["Jan"])


def test_a_followed_reference_without_the_prefix_was_lost_by_the_prefix(model: Path, tmp_path: Path) -> None:
    source, begun = write_lines(tmp_path / "s.fr", ["Jane a faim."]), write_lines(tmp_path / "p.en", ["Jane is"])
    reference, trace = write_lines(tmp_path / "r.en", ["In Africa."]), tmp_path / "t.jsonl"
    asked = ("--input", source, "--prefix", begun, "--reference", reference, "--trace", trace)
    assert run_here("translate", model, *SHORT, *asked).code == 0
    shown = " ".join(run_here("inspect", trace).out.decode().split())
    assert "the reference does not begin as the prefix forces: it left it at step 2" in shown  # after ▁
    assert "rule of the search" not in shown


def test_prefixes_that_cannot_be(model: Path, tmp_path: Path) -> None:
    short = write_lines(tmp_path / "p.en", ["a"])
    line = refused(run_here("translate", model, *SHORT, "--prefix", short, "--prefix-column", stdin=b"Oui.\n"), 2)
    assert "--prefix and --prefix-column" in line
    outcome = run_here("translate", model, *SHORT, "--prefix", short, stdin=b"Oui.\nNon.\n")
    assert outcome.code == 1 and f"{short}: ends before line 2" in outcome.err
    outcome = run_here("translate", model, *SHORT, "--prefix-column", stdin=b"Oui.\ta\tb\n")
    assert outcome.code == 1 and "line 1: has 3 columns" in outcome.err


def test_samples_are_drawn_as_asked_for(model: Path, tmp_path: Path) -> None:
    """The same whatever the window and the batch, with log P of the model; every option makes others."""
    source = write_lines(tmp_path / "s.fr", ["Jane a faim.", "", "Il dort.", "Jane a faim."])
    flags = [*SHORT, "--input", source, "--samples", 5, "--scores", "--tokens"]
    whole = run_here("translate", model, *flags)
    assert whole.code == 0, whole.err
    rows = [line.split("\t") for line in whole.lines]
    assert [row[:2] for row in rows] == [[str(line), str(number)] for line in range(1, 5) for number in range(1, 6)]
    assert {row[-1] for row in rows[5:10]} == {""}  # of a blank line
    assert len({row[-1] for row in rows[:5]}) > 1 and [row[2:] for row in rows[:5]] != [row[2:] for row in rows[15:]]
    for row in rows:
        total, length, log_ps = float(row[3]), int(row[4]), [float(value) for value in row[7].split(" ")]
        assert sum(log_ps) == pytest.approx(total, abs=1e-4) and len(log_ps) == length <= 6
        drawn = 0 if row[0] == "2" else sum(log_ps[:5])  # at the limit the end is certain
        assert float(row[5]) == pytest.approx(drawn, abs=1e-4)
        assert float(row[2]) == pytest.approx(total / length**0.7, abs=2e-6)
    apart = run_here("translate", model, *flags, "--line-buffered", "--batch-tokens", 9).lines
    for row, line in zip(rows, apart, strict=True):
        other = line.split("\t")
        assert [*other[:2], other[6], other[8]] == [*row[:2], row[6], row[8]]
        assert [float(value) for value in other[2:6]] == pytest.approx([float(value) for value in row[2:6]], abs=1e-5)
    scored = write_lines(tmp_path / "c.tsv", whole.lines)
    forced = run_here("score", model, "--source", source, "--candidates", scored, "--pieces").lines
    for row, line in zip(rows, forced, strict=True):
        assert [float(value) for value in line.split("\t")[2:4]] == pytest.approx(
            [float(row[2]), float(row[3])], abs=1e-4
        )
    assert run_here("translate", model, *flags, "--seed", 1, "--temperature", 1).out == whole.out
    others = [["--seed", 2], ["--temperature", 0.2], ["--top-k", 3], ["--top-p", 0.3], ["--epsilon", 0.1]]
    found = [run_here("translate", model, *flags, *more) for more in others]
    assert {one.code for one in found} == {0} and len({one.out for one in [*found, whole]}) == 6
    greedy = run_here("translate", model, *SHORT, "--input", source, "--samples", 2, "--top-k", 1).lines
    best = run_here("translate", model, *SHORT, "--input", source, "--beam", 1).lines
    assert [line.split("\t")[-1] for line in greedy[::2]] == best == [line.split("\t")[-1] for line in greedy[1::2]]


@pytest.mark.parametrize(("number", "sizes"), [(1, [4, 3]), (4, [4, 3]), (8, [2, 2, 2, 1]), (100, [2, 2, 2, 1])])
def test_samples_do_not_depend_on_windows(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, sizes: list[int]
) -> None:
    """The more samples, the fewer lines in a window."""
    from nmtkit.translator import Translator

    flags = [*SHORT, "--input", write_lines(tmp_path / "s.fr", head(JANE / "dev.fr", 7)), "--samples", number]
    whole = run_here("translate", model, *flags)
    assert len({line.split("\t")[2] for line in whole.lines}) > 3
    monkeypatch.setattr(streams, "WINDOW", 4)
    monkeypatch.setattr(streams, "SLOW_WINDOW", 2)
    read: list[int] = []
    reading = Translator.read

    def spy(self: Translator, lines: Any, *rest: Any) -> Any:
        read.append(len(lines))
        return reading(self, lines, *rest)

    monkeypatch.setattr(Translator, "read", spy)
    assert run_here("translate", model, *flags).lines == whole.lines and read == sizes


def test_a_line_whose_samples_all_come_to_a_dead_end_is_left_empty(model: Path, tmp_path: Path) -> None:
    """Of 400 pieces none may come twice, but a translation needs 500: a dead end, and no damaged model."""
    flags = ["--no-repeat-ngram", 1, "--min-length", 500, "--max-length", 500, "--samples", 2, "--scores"]
    outcome = run_here("translate", model, *flags, "--device", "cpu", "--threads", 1, stdin="Ça va.\n\n".encode())
    assert outcome.code == 1 and [line.split("\t")[:2] for line in outcome.lines] == [
        ["1", "1"],
        ["2", "1"],
        ["2", "2"],
    ]
    assert outcome.lines[0] == "1\t1" + 5 * "\t"
    assert "line 1: left empty: every sample comes to a dead end" in outcome.err and "damaged" not in outcome.err
    assert "1 of 2 lines failed" in outcome.err
    chosen = run_here("translate", model, *flags, "--mbr", stdin="Ça va.\n".encode())
    assert chosen.code == 1 and chosen.lines == ["\t\t\t\t"] and "every sample comes to a dead end" in chosen.err


def test_of_a_list_the_one_that_the_others_agree_with_is_chosen(model: Path, tmp_path: Path) -> None:
    """As sacreBLEU has it, of samples, of n-best lists, and of both; TER is better when it is low. Samples have equal
    weights, and if there are any, they are the only references; those of an n-best list are its probabilities."""
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    source = write_lines(tmp_path / "s.fr", ["Jane a faim.", "Il dort."])
    common = [*SHORT, "--input", source, "--scores"]

    def agreement(scorer: CHRF | TER, text: str, other: str) -> float:
        if not text.strip() and not other.strip():
            return 100 if isinstance(scorer, CHRF) else 0
        return float(scorer.sentence_score(text, [other]).score)

    columns = [line.split("\t") for line in run_here("translate", model, *common, "--samples", 12).lines]
    drawn = ["\t".join([*row[:5], *row[6:]]) for row in columns]  # without log q
    best = run_here("translate", model, *common, "--n-best", 4, "--beam", 4).lines
    lists: dict[tuple[object, ...], list[str]] = {
        ("--samples", 12): drawn,
        ("--n-best", 4, "--beam", 4): best,
        ("--n-best", 4, "--beam", 4, "--samples", 12): [*best, *drawn],
    }
    for flags, lines in lists.items():
        for scorer, utility in ((CHRF(), []), (TER(), ["--utility", "ter"])):
            outcome = run_here("translate", model, *common, *flags, "--mbr", *utility)
            assert outcome.code == 0 and len(outcome.lines) == 2, outcome.err
            for number, line in enumerate(outcome.lines, start=1):
                score, total, length, expected, text = line.split("\t")
                rows = [row[2:] for row in (one.split("\t") for one in lines) if row[0] == str(number)]
                references = rows[-12:] if "--samples" in flags else rows
                parts = [1.0 if "--samples" in flags else math.exp(float(row[1])) for row in references]
                means = [
                    sum(
                        part * agreement(scorer, row[-1], other[-1])
                        for part, other in zip(parts, references, strict=True)
                    )
                    / sum(parts)
                    for row in rows
                ]
                winner = min(means) if utility else max(means)
                assert float(expected) == pytest.approx(winner, abs=1e-4)  # of log P with six decimals
                first = next(place for place, mean in enumerate(means) if abs(mean - winner) < 1e-9)
                assert [score, total, length, text] == rows[first]
    plain = run_here("translate", model, *SHORT, "--input", source, "--samples", 12, "--mbr").lines
    with_scores = run_here("translate", model, *common, "--samples", 12, "--mbr").lines
    assert plain == [line.split("\t")[-1] for line in with_scores]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--samples", 0], ["'--samples'", "from 1 to"]),
        (["--temperature", 2], ["--temperature", "add --samples"]),
        (["--seed", 3], ["--seed", "add --samples"]),
        (["--samples", 2, "--temperature", 0], ["'--temperature'", "more than 0"]),
        (["--samples", 2, "--top-p", 1.5], ["'--top-p'", "at most 1"]),
        (["--samples", 2, "--top-k", 0], ["'--top-k'", "from 1"]),
        (["--samples", 2, "--epsilon", -1], ["'--epsilon'", "from 0 to 1"]),
        (["--samples", 2, "--exact"], ["--samples and --exact"]),
        (["--samples", 2, "--per-length"], ["--samples and --per-length"]),
        (["--samples", 2, "--trace", "t"], ["--samples and --trace"]),
        (["--samples", 2, "--beam", 3], ["--beam", "leave it out"]),
        (["--samples", 2, "--patience", 1], ["--patience", "leave it out"]),
        (["--samples", 2, "--free-eos"], ["--free-eos", "leave it out"]),
        (["--samples", 2, "--n-best", 2], ["--samples and --n-best", "--mbr"]),
        (["--mbr"], ["--mbr", "add --samples N, --n-best N or both"]),
        (["--mbr", "--n-best", 2, "--attention", "a"], ["--mbr and --attention"]),
        (["--utility", "chrf"], ["--utility", "--mbr"]),
        (["--samples", 2, "--mbr", "--utility", "chr"], ["'chr'", "'chrf'"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_what_does_not_go_with_samples_is_refused(model: Path, flags: list[object], words: list[str]) -> None:
    line = refused(run_here("translate", model, *flags, stdin=b"Oui.\n"), 2)
    assert all(word in line for word in words), line
