"""A prepared corpus holds what memory would hold, however it was made: by how many processes, stopped how often."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training_toys import parallel, tokenizer

from nmtkit.batches import appending, pool, preparation, reading
from nmtkit.batches.corpus import Corpus, load_corpus, open_corpus
from nmtkit.batches.preparation import Job, prepare
from nmtkit.batches.shards import COLUMNS, FACTS, JOURNAL, read_facts, verify
from nmtkit.files import UnreadableError, sha256
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.workers import Worker

SOURCE, TARGET = parallel(60, seed=4)
SOURCE[7] = TARGET[11] = " "
SOURCE[20], TARGET[20] = SOURCE[3], TARGET[3]


def write(folder: Path, source: list[str], target: list[str]) -> tuple[Path, Path]:
    paths = folder / "text.en", folder / "text.de"
    for path, lines in zip(paths, (source, target), strict=True):
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return paths


def job_of(folder: Path, source: list[str] = SOURCE, target: list[str] = TARGET, **more: Any) -> Job:
    usual = {"languages": ("en", "de"), "tokenizer": tokenizer(), "max_source": 9, "max_target": 10, **more}
    return Job(*write(folder, source, target), **usual)


def columns_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in COLUMNS}


def assert_same(mapped: Corpus, memory: Corpus) -> None:
    """Lengths, ids, rows, counts and hashes."""
    assert mapped.counts == memory.counts and len(mapped) == len(memory)
    assert np.array_equal(mapped.hashes[0], memory.hashes[0])
    for own, other in ((mapped.source, memory.source), (mapped.target, memory.target)):
        assert own.lengths == other.lengths and own.positions == other.positions
        for index in range(len(memory)):
            assert own[index].tolist() == other[index].tolist()
        for rows, expected in zip(own.rows(range(len(memory))), other.rows(range(len(memory))), strict=True):
            assert rows.dtype == expected.dtype and rows.tolist() == expected.tolist()


@pytest.mark.parametrize("joint", [True, False])
def test_a_prepared_corpus_is_that_in_memory(joint: bool, tmp_path: Path) -> None:
    job = job_of(tmp_path, tokenizer=tokenizer(joint))
    facts = prepare(job, tmp_path / "out", 1, lines=7)
    assert (facts.counts.empty, facts.counts.pairs) == (2, 60) and facts.counts.overlong > 0 < facts.counts.duplicates
    assert_same(open_corpus(tmp_path / "out", facts), load_corpus(SOURCE, TARGET, tokenizer(joint), 9, 10))
    assert read_facts(tmp_path / "out") == facts
    assert Tokenizer.load(tmp_path / "out").hash() == facts.tokenizer == tokenizer(joint).hash()
    assert facts.source.sha256 == sha256(job.source) and facts.target.sha256 == sha256(job.target)
    assert not (tmp_path / "out" / JOURNAL).exists()
    assert (tmp_path / "out" / "source.ids").stat().st_size == 2 * facts.source.positions
    verify(tmp_path / "out", facts)


words = st.lists(st.sampled_from([*"ab \t\r\v\u2028é", "cat", "dog"]), max_size=8).map("".join)


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(st.tuples(words, words), min_size=1, max_size=20), lines=st.integers(1, 9), longest=st.integers(1, 8)
)
def test_any_text(
    pairs: list[tuple[str, str]], lines: int, longest: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    pairs = [(x.rstrip("\r"), y.rstrip("\r")) for x, y in [*pairs, ("cat", "dog")]]
    source, target = [x for x, _ in pairs], [y for _, y in pairs]
    job = job_of(folder, source, target, max_source=max(1, longest), max_target=8)
    memory = load_corpus(source, target, tokenizer(), longest, 8)
    if not len(memory):
        with pytest.raises(ValueError, match="every pair is empty or longer than"):
            prepare(job, folder / "out", 1, lines)
        return
    assert_same(open_corpus(folder / "out", prepare(job, folder / "out", 1, lines)), memory)


def test_any_number_of_processes_makes_the_same(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    for processes in (1, 2, 3):
        prepare(job, tmp_path / str(processes), processes, lines=5)
    assert columns_of(tmp_path / "1") == columns_of(tmp_path / "2") == columns_of(tmp_path / "3")
    assert (tmp_path / "1" / FACTS).read_bytes() == (tmp_path / "3" / FACTS).read_bytes()


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress, lzma.compress])
@pytest.mark.parametrize("block", [0, 1, 4, 8])
def test_a_stopped_preparation_goes_on(block: int, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(tmp_path)
    for path in (job.source, job.target):
        path.write_bytes(pack(path.read_bytes()))
    whole = prepare(job, tmp_path / "whole", 1, lines=7)
    monkeypatch.setattr(appending, "SECONDS", 0.0)
    append, calls = appending.Columns.append, iter(range(99))

    def stop(self: Any, *words: Any) -> None:
        if next(calls) == block:
            self._write("source.ids", np.arange(5))  # half a block
            raise KeyboardInterrupt
        append(self, *words)

    with mock.patch.object(appending.Columns, "append", stop), pytest.raises(KeyboardInterrupt):
        prepare(job, tmp_path / "out", 1, lines=7)
    with pytest.raises(ValueError, match="is not finished"):
        read_facts(tmp_path / "out")
    encoded: list[int] = []

    def encode(self: Any, own: pool.Block, sides: Tokenizer) -> Any:
        encoded.append(own.pairs)
        return real(self, own, sides)

    real = pool.Work.encode
    monkeypatch.setattr(pool.Work, "encode", encode)
    assert prepare(job, tmp_path / "out", 1, lines=5) == whole
    assert sum(encoded) == 60 - 7 * block, "only what was left"
    assert columns_of(tmp_path / "out") == columns_of(tmp_path / "whole")


@pytest.mark.parametrize("change", ["text", "tokenizer", "limits"])
def test_the_beginning_of_something_else_is_refused_and_kept(change: str, tmp_path: Path) -> None:
    job, out = job_of(tmp_path), tmp_path / "out"
    with mock.patch.object(preparation, "duplicates", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare(job, out, 1)
    before = columns_of(out)
    if change == "text":
        job = job_of(tmp_path, SOURCE[:-1], TARGET[:-1])
    if change == "tokenizer":
        job = job_of(tmp_path, tokenizer=tokenizer(False))
    if change == "limits":
        job = job_of(tmp_path, max_source=5)
    with pytest.raises(ValueError, match=r"out: holds the beginning of a corpus of other|out: holds tokenizer\.model"):
        prepare(job, out, 1)
    assert columns_of(out) == before and json.loads((out / JOURNAL).read_text())["done"]["pairs"] == 60


@pytest.mark.parametrize("change", ["columns", "journal"])
def test_a_damaged_beginning_is_begun_anew(change: str, tmp_path: Path) -> None:
    job, out = job_of(tmp_path), tmp_path / "out"
    with mock.patch.object(preparation, "duplicates", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare(job, out, 1)
    if change == "columns":
        os.truncate(out / "target.ends", 40)
    if change == "journal":
        (out / JOURNAL).write_text("{")
    assert_same(open_corpus(out, prepare(job, out, 1)), load_corpus(SOURCE, TARGET, tokenizer(), 9, 10))


def test_a_finished_one_is_not_made_again(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    facts = prepare(job, tmp_path / "out", 1)
    with mock.patch.object(preparation, "Columns", side_effect=AssertionError):
        assert prepare(job, tmp_path / "out", 1) == facts
    with pytest.raises(ValueError, match="out: holds a corpus of other texts, tokenizer or limits"):
        prepare(job_of(tmp_path, max_source=5), tmp_path / "out", 1)


@pytest.mark.parametrize("name", ["notes.txt", "tokenizer.model"])
def test_a_folder_of_other_things_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(ValueError, match=f"out: holds {name}; name a new or empty folder"):
        prepare(job_of(tmp_path), tmp_path / "out", 1)
    assert (tmp_path / "out" / name).read_text() == "mine"


def damage(kind: str, folder: Path) -> None:
    facts = json.loads((folder / FACTS).read_text())
    if kind == "gone":
        (folder / "target.ids").unlink()
    elif kind == "short":
        os.truncate(folder / "source.ids", (folder / "source.ids").stat().st_size - 2)
    elif kind == "ends":
        content = bytearray((folder / "source.ends").read_bytes())
        content[-8:] = bytes(8)
        (folder / "source.ends").write_bytes(content)
    elif kind == "json":
        (folder / FACTS).write_text("{")
    elif kind == "foreign":
        (folder / FACTS).write_text("[]")
    elif kind == "newer":
        (folder / FACTS).write_text(json.dumps({**facts, "format": 99}))
    elif kind == "key":
        del facts["target"]["positions"]
        (folder / FACTS).write_text(json.dumps(facts))
    elif kind == "negative":
        facts["counts"]["empty"] = -1
        (folder / FACTS).write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("gone", r"target\.ids: is gone; delete the folder and prepare the corpus again"),
        ("short", r"source\.ids: has [0-9,]+ bytes, not [0-9,]+; delete"),
        ("ends", r"source\.ends: damaged; delete"),
        ("json", r"corpus\.json: damaged, not JSON"),
        ("foreign", r"corpus\.json: not written by nmtkit"),
        ("newer", r"corpus\.json: format 99 is newer than this nmtkit reads"),
        ("key", r"corpus\.json: damaged \(target: the key 'positions' is missing"),
        ("negative", r"corpus\.json: damaged \(its numbers"),
    ],
)
def test_damaged_and_foreign_folders_are_refused(kind: str, message: str, tmp_path: Path) -> None:
    prepare(job_of(tmp_path), tmp_path / "out", 1)
    damage(kind, tmp_path / "out")
    with pytest.raises(ValueError, match=message) as caught:
        open_corpus(tmp_path / "out", read_facts(tmp_path / "out"))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"no prepared corpus \(it has no corpus\.json\); nmtkit prepare makes one"):
        read_facts(tmp_path)


def test_content_is_verified_on_request(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    facts = prepare(job, tmp_path / "out", 1)
    content = bytearray((tmp_path / "out" / "target.ids").read_bytes())
    content[0] ^= 1
    (tmp_path / "out" / "target.ids").write_bytes(content)
    open_corpus(tmp_path / "out", facts)
    with pytest.raises(ValueError, match=r"target\.ids: damaged"):
        verify(tmp_path / "out", facts)
    content[0] ^= 1
    (tmp_path / "out" / "target.ids").write_bytes(content)
    verify(tmp_path / "out", facts)
    job.source.write_bytes(job.source.read_bytes().swapcase())
    with pytest.raises(ValueError, match=r"text\.en: is not the text that .*out was made of"):
        verify(tmp_path / "out", facts)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_byte_is_placed_as_by_every_reader(processes: int, tmp_path: Path) -> None:
    job = job_of(tmp_path)
    lines = job.target.read_bytes().split(b"\n")
    lines[33] = b"a\xe9b"
    job.target.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"text\.de, line 34: not valid UTF-8 at byte 2 \(0xE9\); all other bytes"):
        prepare(job, tmp_path / "new" / "out", processes, lines=4)
    assert not (tmp_path / "new").exists(), "nothing is left of what is of no use"


@pytest.mark.parametrize(("more", "counts"), [((1, 0), (61, 60)), ((0, 9), (60, 69))])
def test_sides_of_different_lengths(more: tuple[int, int], counts: tuple[int, int], tmp_path: Path) -> None:
    job = job_of(tmp_path, SOURCE + ["x"] * more[0], TARGET + ["x"] * more[1])
    message = rf"but .*text\.en has {counts[0]} lines, .*text\.de has {counts[1]} lines; line N of each must match"
    with pytest.raises(ValueError, match=message):
        prepare(job, tmp_path / "out", 1, lines=4)


def test_a_useless_text_takes_nothing_with_it_that_was_there(tmp_path: Path) -> None:
    job, out = job_of(tmp_path, SOURCE, [*TARGET, "x"]), tmp_path / "tokenizer"
    job.tokenizer.save(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match="same number of lines"):
        prepare(job, out, 1, lines=4)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_disk_that_is_gone_for_a_while_takes_nothing_with_it(tmp_path: Path) -> None:
    job, out = job_of(tmp_path), tmp_path / "out"
    with mock.patch.object(preparation, "duplicates", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare(job, out, 1)
    before = columns_of(out)
    for failure in (OSError(errno.EIO, "Input/output error"), FileNotFoundError(), OSError(errno.ESTALE, "Stale")):
        with mock.patch("builtins.open", side_effect=failure), pytest.raises(ValueError, match=r"text\.en: "):
            next(reading.blocks_of_files(job.source, job.target, 0, (0, 0), ExitStack()))
        with (
            mock.patch.object(reading, "open_text", side_effect=UnreadableError("text.en: cannot be read")),
            pytest.raises(ValueError, match="cannot be read"),
        ):
            prepare(job, out, 1)
        assert columns_of(out) == before and (out / JOURNAL).exists()


def test_a_corpus_that_two_have_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a file system locks nothing: what one has written, the other writes over."""
    append, calls = appending.Columns.append, iter(range(99))

    def overwrite(self: Any, *words: Any) -> None:
        append(self, *words)
        if next(calls) == 5:
            self._streams["source.ends"].seek(8)
            self._write("source.ends", np.full(3, 7))
            self._streams["source.ends"].seek(0, os.SEEK_END)

    monkeypatch.setattr(appending.Columns, "append", overwrite)
    with pytest.raises(ValueError, match=r"source\.ends: was written by several processes at once; prepare the corpus"):
        prepare(job_of(tmp_path), tmp_path / "out", 1, lines=4)


def test_a_process_that_dies_ends_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(tmp_path)
    real, sent = Worker.send, iter(range(99))

    def send(self: Worker, order: Any) -> None:
        if next(sent) == 5:  # two have begun with orders that say what they do
            self.process.kill()
            self.process.wait()
        real(self, order)

    monkeypatch.setattr(Worker, "send", send)
    with pytest.raises(ValueError, match=r"^a process that encodes text was killed by signal 9 .*--workers"):
        prepare(job, tmp_path / "out", 2, lines=4)
    monkeypatch.setattr(Worker, "send", real)
    assert (tmp_path / "out" / JOURNAL).exists()
    facts = prepare(job, tmp_path / "out", 2, lines=4)
    assert_same(open_corpus(tmp_path / "out", facts), load_corpus(SOURCE, TARGET, tokenizer(), 9, 10))


def test_a_full_disk_is_named_and_what_is_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(tmp_path)
    append, calls = appending.Columns.append, iter(range(99))

    def fill(self: Any, *words: Any) -> None:
        if next(calls) == 3:
            os.close(self._streams["target.ids"].fileno())
            os.dup2(os.open("/dev/full", os.O_WRONLY), self._streams["target.ids"].fileno())
        append(self, *words)

    monkeypatch.setattr(appending, "SECONDS", 0.0)
    with mock.patch.object(appending.Columns, "append", fill), pytest.raises(OSError, match="No space left") as caught:
        prepare(job, tmp_path / "out", 1, lines=6)
    assert str(caught.value.filename).endswith("target.ids")
    assert json.loads((tmp_path / "out" / JOURNAL).read_text())["done"]["pairs"] == 18
    facts = prepare(job, tmp_path / "out", 1, lines=6)
    assert_same(open_corpus(tmp_path / "out", facts), load_corpus(SOURCE, TARGET, tokenizer(), 9, 10))


def test_what_a_disk_has_refused_once_is_not_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux forgets what it could not write, so that asking again succeeds."""
    job = job_of(tmp_path)
    calls = iter(range(10**6))

    def fsync(descriptor: int) -> None:
        if next(calls) == 30:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(appending, "SECONDS", 0.0)
    with pytest.raises(OSError, match="No space left"):
        prepare(job, tmp_path / "out", 1, lines=6)
    done = json.loads((tmp_path / "out" / JOURNAL).read_text())["done"]
    assert 0 < 2 * done["source_positions"] < os.stat(tmp_path / "out" / "source.ids").st_size


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def feed(content: bytes) -> Job:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return Job(Path("-"), Path("-"), ("en", "de"), tokenizer(), 9, 10)

    return feed


def test_columns_from_standard_input(streamed: Any, tmp_path: Path) -> None:
    content = "".join(f"{x}\t{y}\n" for x, y in zip(SOURCE, TARGET, strict=True)).encode()
    facts = prepare(streamed(content), tmp_path / "out", 1, lines=7)
    assert_same(open_corpus(tmp_path / "out", facts), load_corpus(SOURCE, TARGET, tokenizer(), 9, 10))
    for text, lines in ((facts.source, SOURCE), (facts.target, TARGET)):
        assert text.path == "-" and text.sha256 == hashlib.sha256("".join(f"{x}\n" for x in lines).encode()).hexdigest()
    assert not (tmp_path / "out" / JOURNAL).exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"a\n", "standard input, line 3: has 0 tabs; write source, tab, target"),
        (b"a\tb\tc\n", "standard input, line 3: has 2 tabs"),
        (b"a\tb\xe9\n", r"standard input, line 3: not valid UTF-8 at byte 4 \(0xE9\)"),
    ],
)
def test_columns_that_are_none(line: bytes, message: str, streamed: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(streamed(b"a\tb\n" * 2 + line), tmp_path / "out", 1, lines=2)


def test_files_without_lines_are_called_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"text\.en and .*text\.de: empty, give them at least one line"):
        prepare(job_of(tmp_path, [], []), tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
