"""A file that is written part by part: whatever a crash leaves, it goes on after the last whole part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmtkit.partial import Partial, difference, parts

WORK = {"model": "0123456789abcdef", "--beam": 5, "--scores": False}
LINE = st.text(st.characters(codec="utf-8"), max_size=5).map(lambda text: f"{text}\n")
TEXTS = st.lists(st.lists(LINE, max_size=3), min_size=1, max_size=5)


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, which takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class CrashError(Exception):
    """Ends a run."""


def bytes_of(texts: Sequence[Sequence[str]]) -> bytes:
    return "".join(line for text in texts for line in text).encode()


def write(path: Path, texts: Sequence[Sequence[str]], stop: int | None = None) -> int:
    """Write the parts that are not done, or up to a crash within the part `stop`; returns how many were done."""
    before = 0
    with suppress(CrashError), Partial(path, WORK) as file:
        before = int(file.done.get("parts", 0))
        for number, text in enumerate(texts[before:], start=before):
            file.writelines(text)
            if number == stop:
                raise CrashError
            file.commit({"parts": number + 1})
        if stop is not None:
            raise CrashError
    return before


@pytest.mark.usefixtures("no_disk")
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(TEXTS, st.data())
def test_whatever_is_torn_the_file_becomes_what_it_would_have_been(texts: list[list[str]], data: st.DataObject) -> None:
    """And no part that has reached the disk, with its line in the journal, is made again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out")
        content, journal = parts(path)
        for _ in range(2):
            write(path, texts, stop=data.draw(st.integers(0, len(texts))))
            if not journal.exists():  # nothing was done
                assert not content.exists()
                continue
            written, lines = content.read_bytes(), journal.read_bytes()
            header = lines.index(b"\n") + 1
            torn = bytearray(written[: len(written) - data.draw(st.just(0) | st.integers(0, len(written)))])
            known = lines[: len(lines) - data.draw(st.just(0) | st.integers(0, len(lines) - header))]
            if torn and data.draw(st.booleans()):
                torn[data.draw(st.integers(0, len(torn) - 1))] ^= 1
            left = torn + data.draw(st.binary(max_size=9))
            content.write_bytes(left)
            journal.write_bytes(known + data.draw(st.sampled_from([b"", b"\0" * 500, b'{"bytes": 1'])))
            whole = [
                number
                for number in range(1, 1 + known[header:].count(b"\n"))
                if left and torn.startswith(bytes_of(texts[:number]))
            ]
            expected = max(whole, default=0)
            assert write(path, texts, stop=expected) == expected
        write(path, texts)
        assert path.read_bytes() == bytes_of(texts)
        assert os.listdir(folder) == ["out"]


@pytest.mark.usefixtures("no_disk")
def test_every_place_at_which_the_journal_can_be_torn(tmp_path: Path) -> None:
    """Even within its first line, as long as nothing is written yet."""
    texts = [["a\n"], ["bé\n", "c\n"], ["d\n"]]
    path = tmp_path / "out"
    content, journal = parts(path)
    write(path, texts, stop=2)
    written, lines = content.read_bytes(), journal.read_bytes()
    ends = [place + 1 for place, byte in enumerate(lines) if byte == ord("\n")]
    for known in range(len(lines) + 1):
        content.write_bytes(written if known >= ends[0] else b"")
        journal.write_bytes(lines[:known])
        assert write(path, texts, stop=2) == sum(known >= end for end in ends[1:]), known
    write(path, texts)
    assert path.read_bytes() == bytes_of(texts)


def test_what_stands_after_the_last_whole_part_is_cut_off(tmp_path: Path) -> None:
    """Such as the zeros that a loss of power can leave."""
    path = tmp_path / "out"
    content, journal = parts(path)
    write(path, [["a\n"], ["b\n"]], stop=2)
    for file in (content, journal):
        file.write_bytes(file.read_bytes() + b"\0" * 500)
    assert write(path, [["a\n"], ["b\n"], ["c\n"]], stop=3) == 2
    assert content.read_bytes() == b"a\nb\nc\n" and b"\0" not in journal.read_bytes()
    assert write(path, [["a\n"], ["b\n"], ["c\n"]]) == 3
    assert path.read_bytes() == b"a\nb\nc\n"


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    """A link stays a link, and the permissions of the old file stay."""
    (tmp_path / "real").mkdir()
    real, path = tmp_path / "real" / "out", tmp_path / "link"
    real.write_text("old\n")
    real.chmod(0o640)
    path.symlink_to(real)
    with Partial(path, WORK) as file:
        file.writelines(["new\n", "\udcff\n"])
        file.commit({"parts": 1})
        assert real.read_text() == "old\n"
        assert parts(path)[0].parent == real.parent
    assert path.is_symlink() and real.read_text() == "new\n\\udcff\n" and real.stat().st_mode & 0o777 == 0o640
    assert os.listdir(real.parent) == ["out"]


def test_other_work_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write(path, [["a\n"], ["b\n"]], stop=1)
    before = [file.read_bytes() for file in parts(path)]
    with pytest.raises(ValueError) as caught, Partial(path, {**WORK, "--beam": 4}):  # noqa: PT011
        pass
    reason = "was begun with --beam 5, not 4; delete it to start over, or go on as it was begun"
    assert str(caught.value) == f"{path}.partial: {reason}"
    assert [file.read_bytes() for file in parts(path)] == before
    os.truncate(parts(path)[0], 0)
    with Partial(path, {**WORK, "--beam": 4}) as file:  # of which nothing is left
        assert file.done == {}


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({}, {}, ""),
        ({"--a": 1.5}, {"--a": 1.5}, ""),
        ({"--a": True}, {"--a": False}, "with --a"),
        ({"--a": False}, {"--a": True}, "without --a"),
        ({"--a": None}, {"--a": 3}, "without --a"),
        ({"--a": 3}, {"--a": None}, "with --a 3"),
        ({"--a": 3}, {"--a": 4}, "with --a 3, not 4"),
        ({"--b": 3}, {}, "with --b 3"),
        ({}, {"--b": 3}, "without --b"),
        ({"model": "0" * 64}, {"model": "1" * 64}, "with another model (000000000000, not 111111111111)"),
    ],
)
def test_what_differs_is_named(before: Mapping[str, Any], now: Mapping[str, Any], words: str) -> None:
    assert difference(before, now) == words


@pytest.mark.parametrize("journal", [None, b"", b"{}\n", b'{"work": 1}\n', b"no journal", b"[]\n"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, journal: bytes | None) -> None:
    path = tmp_path / "out"
    content, own = parts(path)
    content.write_text("of the user\n")
    if journal is not None:
        own.write_bytes(journal)
    with pytest.raises(ValueError, match=r"out\.partial: has no journal .* rename or delete it"), Partial(path, WORK):
        pass
    assert content.read_text() == "of the user\n"
    assert (own.read_bytes() if own.exists() else None) == (journal or None)
    content.unlink()
    content.mkdir()
    with pytest.raises(ValueError, match=r"out\.partial: is a folder"), Partial(path, WORK):
        pass


def test_lines_of_a_journal_that_are_not_ours_end_it(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write(path, [["a\n"], ["b\n"]], stop=1)
    with parts(path)[1].open("a") as journal:
        journal.write(json.dumps({"bytes": 4}) + "\n{}\n")
    assert write(path, [["a\n"], ["b\n"]]) == 1
    assert path.read_text() == "a\nb\n"


def test_what_is_no_file_cannot_be_gone_on_with(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(ValueError, match="no ordinary file"), Partial(path, WORK):
            pass
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_file_is_written_by_one_process(tmp_path: Path) -> None:
    """The lock ends with the process, even if that is killed."""
    path = tmp_path / "out"
    program = (
        "import sys, time; from pathlib import Path; from nmtkit.partial import Partial\n"
        f"with Partial(Path(sys.argv[1]), {WORK!r}) as file:\n    file.writelines(['a\\n'])\n"
        "    file.commit({'parts': 1})\n    print('in', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == b"in\n"
        before = [file.read_bytes() for file in parts(path)]
        with pytest.raises(ValueError, match=r"out: another process writes it; wait"), Partial(path, WORK):
            pass
        assert [file.read_bytes() for file in parts(path)] == before
        process.kill()
    assert write(path, [["a\n"], ["b\n"]]) == 1
    assert path.read_text() == "a\nb\n"


def test_a_disk_that_is_full_loses_nothing_that_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fsync, calls = tmp_path / "out", os.fsync, iter(range(99))

    def full(handle: int) -> None:
        if next(calls) == 4:  # the journal, the folder, then two of each part: the content of the second
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write(path, [["a\n"], ["b\n"]])
    assert not path.exists()
    assert write(path, [["a\n"], ["b\n"]]) == 1
    assert path.read_text() == "a\nb\n"
