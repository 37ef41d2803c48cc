"""`nmtkit translate --workers` and `--resume`: the same bytes by any number of processes and after any interruption."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import JANE, Outcome, environment, head, refused, run_here, write_lines

from nmtkit.cli import streams
from nmtkit.partial import parts

SHORT = ("--max-length", 6, "--device", "cpu", "--threads", 1)
WINDOW = 3
DRIVER = f"from nmtkit.cli import streams; streams.WINDOW = {WINDOW}; from nmtkit.__main__ import main; main()"
"""The command with windows so small that few lines make many."""


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WINDOW", WINDOW)
    monkeypatch.setattr(streams, "SLOW_WINDOW", WINDOW)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten lines: four windows."""
    return write_lines(tmp_path / "a.fr", head(JANE / "test.fr", 10))


BROKEN = """
import os, signal
from nmtkit import translator
from nmtkit.batches.source import Lines

class Marked(Lines):
    def batch(self, indices):
        for index in indices:
            if self._lines[index] == "memory":
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            if self._lines[index] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._lines[index] == "wrong":
                raise RuntimeError("the sizes do not fit")
        return super().batch(indices)
translator.Lines = Marked
"""
"""Lets lines fail, in this process and, as the module that Python loads first, in others."""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that say how they fail do so, in this process and in those that it starts."""
    from nmtkit import translator

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(translator, "Lines", translator.Lines)  # put back at the end
    exec(BROKEN, {})


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function after whose call the search of one window, by its number, is interrupted as by Ctrl-C."""
    from nmtkit.translator import Translator

    find = Translator.find

    def at(window: int) -> None:
        seen = iter(range(1, 99))

        def broken_off(self: Translator, *arguments: Any, **options: Any) -> Any:
            if next(seen) == window:
                raise KeyboardInterrupt
            return find(self, *arguments, **options)

        monkeypatch.setattr(Translator, "find", broken_off)

    yield at
    monkeypatch.setattr(Translator, "find", find)


def translate(model: Path, source: Path, output: Path, *flags: object) -> Outcome:
    return run_here("translate", model, *SHORT, "--input", source, "--output", output, *flags)


def lines_done(output: Path) -> int:
    """How far the journal of an interrupted run says that it is."""
    *_, last = parts(output)[1].read_text().splitlines()
    return int(json.loads(last).get("done", {}).get("lines", 0))


@pytest.mark.usefixtures("broken")
def test_any_number_of_workers_writes_and_says_the_same(model: Path, tmp_path: Path) -> None:
    """--workers: translations, columns, warnings in their order, and how many failed."""
    lines = [line.encode() for line in head(JANE / "test.fr", 6)]
    lines[1:1] = [b"", b"caf\xe9", b"x" * 2000, b"memory"]
    lines += [b"\xff", b"memory", b"z" * 3000]
    source = tmp_path / "a.fr"
    source.write_bytes(b"".join(line + b"\n" for line in lines))
    flags = ("--n-best", 2, "--scores", "--tokens", "--quiet")
    outcomes = [translate(model, source, tmp_path / f"{n}.en", *flags, "--workers", n) for n in (1, 2, 3)]
    alone, *others = outcomes
    assert alone.code == 1 and others == [alone, alone]
    said = re.findall(r"line (\d+): .*?(not valid|left empty|cut to)", alone.err)
    assert said == [
        *[("3", "not valid"), ("4", "cut to"), ("5", "left empty")],
        *[("11", "not valid"), ("12", "left empty"), ("13", "cut to")],
    ]
    assert alone.err.splitlines()[-1] == "nmtkit: 2 of 13 lines failed and were left empty: see the warnings"
    contents = [(tmp_path / f"{n}.en").read_bytes() for n in (1, 2, 3)]
    assert contents == [contents[0]] * 3
    assert [*dict.fromkeys(int(line.split(b"\t")[0]) for line in contents[0].splitlines())] == [*range(1, 14)]


def test_two_workers_prove_the_same(model: Path, source: Path, tmp_path: Path) -> None:
    known = write_lines(tmp_path / "known.en", head(JANE / "test.en", 10))
    flags = ["--exact", "--max-length", 2, "--scores", "--reference", known]
    alone, two = (translate(model, source, tmp_path / str(n), *flags, "--workers", n) for n in (1, 2))
    assert alone.code == two.code == 0 and (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    proved = [[line for line in outcome.err.splitlines() if "proved" in line] for outcome in (alone, two)]
    assert proved[0] == proved[1] and len(proved[0]) == 1


def test_vectors_reach_the_workers(tmp_path: Path) -> None:
    """A sentence of vectors is the same in another process."""
    import numpy as np

    from nmtkit.features import Described, matrix_of

    line = Described.of(np.arange(6, dtype=np.float32).reshape(2, 3), "a[1]")
    other = pickle.loads(pickle.dumps(line))
    assert other == line and np.array_equal(matrix_of(other, ""), line.matrix)


@pytest.mark.parametrize(
    ("packing", "flags"),
    [
        ("", ""),
        (".gz", ""),
        (".xz", ""),
        ("", "--n-best 2 --scores --tokens"),
        ("", "--per-length"),
        ("", "--exact --max-length 2 --scores --reference"),
    ],
)
def test_an_interrupted_run_goes_on(
    model: Path, source: Path, tmp_path: Path, interrupt: Any, packing: str, flags: str
) -> None:
    """--resume: what is done is not done again, the result and its counts are those of a run without interruption."""
    packed = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packing](source.read_bytes())
    text = tmp_path / f"text{packing}"
    text.write_bytes(packed)
    words = flags.split()
    known = [write_lines(tmp_path / "known.en", head(JANE / "test.en", 10))] if "--reference" in flags else []
    whole = translate(model, text, tmp_path / "whole.en", *words, *known)
    output = tmp_path / "out.en"
    output.write_text("old\n")
    for window, done in ((3, 6), (1, 6), (2, 9)):
        interrupt(window)
        stopped = translate(model, text, output, *words, *known, "--resume")
        assert (stopped.code, output.read_text(), lines_done(output)) == (130, "old\n", done)
        assert stopped.err.splitlines()[-1] == "interrupted" and "Traceback" not in stopped.err
    interrupt(99)
    end = translate(model, text, output, *words, *known, "--resume")
    assert (end.code, output.read_bytes()) == (0, (tmp_path / "whole.en").read_bytes())
    assert not any(path.exists() for path in parts(output))
    lines = end.err.splitlines()
    assert lines[0] == f"{output}.partial: going on after 9 lines" and lines[1].startswith(f"{output}: ")
    assert lines[-1].startswith("1 line, ")
    assert lines[2:-1] == whole.err.splitlines()[1:-1]  # how many are proved, of all


@pytest.mark.usefixtures("broken")
def test_what_failed_before_the_interruption_counts(
    model: Path, tmp_path: Path, interrupt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings are not repeated, and the number of those that are shown is that of all runs."""
    monkeypatch.setattr(streams, "WARNINGS", 3)
    source = tmp_path / "a.fr"
    source.write_bytes(b"memory\n\xff\nOui.\nmemory\nNon.\nmemory\nmemory\nOui.\n")
    whole = translate(model, source, tmp_path / "whole.en", "--quiet")
    interrupt(3)
    first = translate(model, source, tmp_path / "out.en", "--quiet", "--resume")
    interrupt(99)
    second = translate(model, source, tmp_path / "out.en", "--quiet", "--resume")
    assert first.code == 130 and second.code == whole.code == 1
    assert first.err.replace("interrupted\n", "") + second.err == whole.err
    assert whole.err.endswith("nmtkit: 4 of 8 lines failed and were left empty: see the warnings\n")
    assert (tmp_path / "out.en").read_bytes() == (tmp_path / "whole.en").read_bytes()


@pytest.mark.usefixtures("broken")
def test_if_all_failed_the_reason_outlives_the_interruption(model: Path, tmp_path: Path, interrupt: Any) -> None:
    source = write_lines(tmp_path / "a.fr", ["memory"] * 4)
    whole = translate(model, source, tmp_path / "whole.en", "--quiet")
    interrupt(2)
    assert translate(model, source, tmp_path / "out.en", "--quiet", "--resume").code == 130
    interrupt(99)
    again = translate(model, source, tmp_path / "out.en", "--quiet", "--resume")
    assert again.err.splitlines()[-1] == whole.err.splitlines()[-1] and "out of memory" in again.err


def test_standard_input_is_given_again(model: Path, source: Path, tmp_path: Path, interrupt: Any) -> None:
    """As the output of the same pipeline: the lines that are done must be the same."""
    whole, text = run_here("translate", model, *SHORT, "--input", source), source.read_bytes()
    words = ("translate", model, *SHORT, "--output", tmp_path / "out.en", "--resume")
    interrupt(3)
    assert run_here(*words, stdin=text).code == 130
    interrupt(99)
    for other in (b"x" + text, text[: len(text) // 3], b""):
        line = run_here(*words, stdin=other).err
        assert line.startswith("nmtkit: standard input: its first 6 lines are not those that ")
    assert run_here(*words, stdin=text).code == 0
    assert (tmp_path / "out.en").read_bytes() == whole.out


def test_a_text_that_has_grown_goes_on_with_its_new_lines(
    model: Path, source: Path, tmp_path: Path, interrupt: Any
) -> None:
    interrupt(3)
    translate(model, source, tmp_path / "out.en", "--resume")
    interrupt(99)
    write_lines(source, [*head(source, 10), "Oui."])
    assert translate(model, source, tmp_path / "out.en", "--resume").code == 0
    assert translate(model, source, tmp_path / "whole.en").code == 0
    assert (tmp_path / "out.en").read_bytes() == (tmp_path / "whole.en").read_bytes()


def test_what_decides_the_output_may_not_change(
    model: Path, sibling: Path, source: Path, tmp_path: Path, interrupt: Any
) -> None:
    """What differs is named; number of processes and threads may change."""
    output = tmp_path / "out.en"
    interrupt(3)
    assert translate(model, source, output, "--n-best", 2, "--resume").code == 130
    interrupt(99)
    before = [path.read_bytes() for path in parts(output)]
    cases: list[tuple[Path, Sequence[object], str]] = [
        (sibling, ["--n-best", 2], "with another model ("),
        (model, [], "with --n-best 2, not 1;"),
        (model, ["--n-best", 2, "--beam", 3], "with --beam 2, not 3;"),
        (model, ["--n-best", 2, "--max-length", 7], "with --max-length 6, not 7;"),
        (model, ["--n-best", 2, "--batch-tokens", 99], "with --batch-tokens 2048, not 99;"),
        (model, ["--n-best", 2, "--scores"], "without --scores;"),
        (model, ["--n-best", 2, "--patience", 1], "without --patience;"),
    ]
    for folder, flags, reason in cases:
        line = refused(translate(folder, source, output, *flags, "--resume"))
        assert line.startswith(f"nmtkit: {output}.partial: was begun {reason}"), line
    other = write_lines(tmp_path / "b.fr", ["Oui.", *head(source, 10)])
    line = refused(translate(model, other, output, "--n-best", 2, "--resume"))
    assert line.startswith(f"nmtkit: {other}: its first 6 lines are not those that {output}.partial was made of; give")
    assert [path.read_bytes() for path in parts(output)] == before and not output.exists()
    assert translate(model, source, output, "--n-best", 2, "--resume", "--threads", 2).code == 0


def test_what_has_no_beginning_is_refused(model: Path, source: Path, tmp_path: Path) -> None:
    out = ("--output", tmp_path / "o")
    text = ("--input", source)
    for flags, words in (
        (["--resume", *text], "--resume goes on with a file: name one with --output"),
        (["--resume", *out, *text, "--trace", tmp_path / "t"], "leave out --resume"),
        (["--workers", 2, *out, *text, "--attention", tmp_path / "t"], "leave out --workers"),
        (["--resume", *out, *text, "--line-buffered"], "--resume is for texts"),
        (["--workers", 2, *text, "--line-buffered"], "--workers is for texts"),
        (["--workers", 0, *text], "'--workers'"),
        (["--workers", 2000, *text], "'--workers'"),
    ):
        assert words in refused(run_here("translate", model, *SHORT, *flags), 2)
    shutil.copy(source, tmp_path / "o.partial")
    for name, words in (("o.partial", "o.partial is read and written"), ("a.fr", "o.partial: has no journal")):
        line = refused(translate(model, tmp_path / name, tmp_path / "o", "--resume"), 2 if name == "o.partial" else 1)
        assert words in line
    assert (tmp_path / "o.partial").read_bytes() == source.read_bytes()
    assert "no ordinary file" in refused(translate(model, source, Path(os.devnull), "--resume"))


def test_an_error_before_the_first_window_leaves_nothing(copied: Path, source: Path, tmp_path: Path) -> None:
    """As a damaged model, which each process finds."""
    weights = copied / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    for workers in (1, 2):
        line = refused(translate(copied, source, tmp_path / "o", "--resume", "--workers", workers))
        assert f"{weights}: does not belong to this folder" in line
    assert not list(tmp_path.glob("o*"))


@pytest.mark.usefixtures("broken")
def test_a_worker_that_dies_ends_all_and_what_was_done_remains(model: Path, tmp_path: Path) -> None:
    source, output = write_lines(tmp_path / "a.fr", ["Oui."] * 7 + ["kill"] + ["Non."] * 9), tmp_path / "out.en"
    line = refused(translate(model, source, output, "--workers", 2, "--resume", "--quiet"))
    reason = "a process that translates was killed by signal 9 (out of memory?); run the same command again with fewer"
    assert line.startswith(f"nmtkit: {reason} than 2 --workers") and lines_done(output) == 6
    wrong = write_lines(tmp_path / "b.fr", ["Oui."] * 4 + ["wrong"])
    line = translate(model, wrong, tmp_path / "b.en", "--workers", 2).err
    assert "nmtkit: a process that translates failed: RuntimeError: the sizes do not fit" in line
    assert not (tmp_path / "b.en").exists()


@contextmanager
def driven(*words: object, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, with small windows."""
    command = [sys.executable, "-c", DRIVER, *map(str, words)]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, preexec_fn=_hear_ctrl_c, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def gone(number: int) -> bool:
    """Whether a process has ended, or only waits for its parent to notice."""
    status = Path(f"/proc/{number}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ctrl_c_and_sigkill_end_all_processes_and_the_same_command_goes_on(model: Path, tmp_path: Path) -> None:
    """Meanwhile no other run can write the same file."""
    source, output = write_lines(tmp_path / "a.fr", head(JANE / "train.fr", 300)), tmp_path / "out.en"
    flags = (*SHORT, "--quiet", "--input", source)
    words = ("translate", model, *flags, "--output", output, "--resume", "--workers", 2)
    done = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        with driven(*words) as process:
            journal = parts(output)[1]
            until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 1 and lines_done(output) > done)  # noqa: B023
            line = refused(translate(model, source, output, "--resume"))
            assert line == f"nmtkit: {output}: another process writes it; wait for its end or name another output\n"
            workers = children(process)
            process.send_signal(number)
            assert process.stderr and process.stderr.read() == (b"interrupted\n" if code == 130 else b"")
            assert process.wait(240) == code and len(workers) == 2
            until(lambda: all(map(gone, workers)), 20)  # noqa: B023
        before, done = done, lines_done(output)
        assert before < done < 300
    second = run_here(*words[:-2])
    assert (second.code, second.err) == (0, "")
    assert output.read_bytes() == run_here("translate", model, *flags).out


def test_a_reader_that_has_seen_enough_ends_the_workers_quietly(model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.fr", head(JANE / "train.fr", 300))
    words = ("translate", model, *SHORT, "--quiet", "--input", source, "--workers", 2)
    with driven(*words, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stderr and process.stdout.readline()
        workers = children(process)
        process.stdout.close()
        assert (process.stderr.read(), process.wait(240)) == (b"", 0)
        assert all(map(gone, workers))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_kills_at_random_times(model: Path, tmp_path: Path, workers: int) -> None:
    source, output = write_lines(tmp_path / "a.fr", head(JANE / "train.fr", 900)), tmp_path / "out.en"
    words = ("translate", model, *SHORT, "--n-best", 2, "--input", source, "--output")
    rng, kills, seconds = random.Random(workers), 0, 8.0
    while kills < 10:
        with driven(*words, output, "--resume", "--workers", workers) as process:
            try:
                process.wait(rng.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            else:  # it was too quick: from the beginning
                assert process.returncode == 0
                output.unlink()
                seconds *= 0.8
    assert translate(model, source, output, "--n-best", 2, "--resume").code == 0
    assert run_here(*words, tmp_path / "whole.en").code == 0
    assert output.read_bytes() == (tmp_path / "whole.en").read_bytes()
