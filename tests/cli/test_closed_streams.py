"""Standard streams that are closed, full, or that nobody reads to the end: one line, the right code, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Outcome, environment, run_here, write_lines

CLOSED = "nmtkit: standard input or output is closed: open it, or name files to read and write\n"
FULL = "nmtkit: No space left on device; free some space and run the same command again\n"


def shell(line: str, *words: object) -> Outcome:
    """A line of bash, in which `nmtkit` is this checkout's, $1 the first word, and fd 3 tells the exit code."""
    command = f'nmtkit() {{ {sys.executable} -m nmtkit "$@"; echo "code $?" >&3; }}; {line}'
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&1; {command}", "bash", *map(str, words)],
        capture_output=True,
        env=environment(),
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    text, _, code = done.stdout.rpartition(b"code ")
    return Outcome(int(code), text, done.stderr.decode())


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ('nmtkit info "$1" >&-', 1, CLOSED),
        ('nmtkit translate "$1" <&-', 1, CLOSED),
        ('nmtkit info "$1" >&- 2>&-', 1, ""),
        ("nmtkit translate --help >&-", 1, CLOSED),
        ("nmtkit --help >/dev/full", 1, FULL),
        ('nmtkit info "$1" >/dev/full', 1, FULL),
        ("nmtkit info nowhere 2>/dev/full", 1, ""),
        ("nmtkit bogus 2>&-", 2, ""),
    ],
)
def test_a_stream_that_cannot_be_used(line: str, code: int, said: str, model: Path) -> None:
    assert shell(line, model) == Outcome(code, b"", said)


@pytest.mark.parametrize("line", ["nmtkit --help", "nmtkit evaluate --help", "nmtkit --version", 'nmtkit info "$1"'])
def test_who_reads_on_no_longer_has_seen_enough(line: str, model: Path) -> None:
    assert shell(f"{line} | true", model) == Outcome(0, b"", "")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_results_need_no_standard_error(closed: str, model: Path, tmp_path: Path) -> None:
    """Not even a file that is opened later takes its place: the notes of the command are not written into it."""
    source = write_lines(tmp_path / "a.fr", ["Oui.", "Non."])
    expected = run_here("translate", model, "--input", source, "--max-length", 4)
    assert expected.err
    found = shell(
        f'nmtkit translate "$1" --input "$2" --max-length 4 --output "$3" {closed}', model, source, tmp_path / "o"
    )
    assert (found.code, (tmp_path / "o").read_bytes()) == (0, expected.out)
