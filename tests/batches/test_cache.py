"""The cache makes what it does not have, repairs what is damaged, and waits for another that makes the same."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from support.training_toys import parallel, tokenizer

from nmtkit.batches import appending, cache, preparation
from nmtkit.batches.cache import Cache
from nmtkit.batches.corpus import load_corpus, open_corpus
from nmtkit.batches.preparation import Job, working_in
from nmtkit.batches.shards import COLUMNS, FACTS, JOURNAL, verify

SOURCE, TARGET = parallel(40, seed=4)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    paths = tmp_path / "text.en", tmp_path / "text.de"
    for path, lines in zip(paths, (SOURCE, TARGET), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return Job(*paths, ("en", "de"), tokenizer(), 99, 99)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr(cache, "cores", lambda: 1)
    return Cache(tmp_path / "cache")


def assert_right(store: Cache, job: Job) -> None:
    folder, facts = store.prepared(job)
    verify(folder, facts)
    found, expected = open_corpus(folder, facts), load_corpus(SOURCE, TARGET, tokenizer(), 99, 99)
    assert [found.target[i].tolist() for i in range(40)] == [expected.target[i].tolist() for i in range(40)]
    assert sorted(path.name for path in folder.iterdir()) == sorted([FACTS, *COLUMNS, *job.tokenizer.files()])


@pytest.mark.parametrize("damage", ["column", "facts", "bit", "text", "nothing"])
def test_what_is_of_no_use_is_made_again(
    damage: str, job: Job, store: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = store.prepared(job)
    if damage == "column":
        (folder / "source.ids").unlink()
    if damage == "facts":
        (folder / FACTS).write_text("{")
    if damage == "bit":
        content = bytearray((folder / "target.ids").read_bytes())
        content[4] ^= 1
        (folder / "target.ids").write_bytes(content)
        store = Cache(store.root, verify=True)
    if damage == "text":
        job.source.touch()
    capsys.readouterr()
    assert_right(store, job)
    said = capsys.readouterr().err
    assert ("preparing" in said) == (damage != "nothing")
    assert ("made again" in said) == (damage in ("column", "facts", "text"))
    assert ("damaged: prepared again" in said) == (damage == "bit")


def test_a_stopped_one_goes_on_unless_the_text_has_changed(
    job: Job, store: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for change in (False, True):
        stopped = mock.patch.object(preparation, "duplicates", side_effect=KeyboardInterrupt)
        with stopped, pytest.raises(KeyboardInterrupt):
            store.prepared(job)
        assert json.loads((store.place(job) / JOURNAL).read_text())["done"]["pairs"] == 40
        if change:
            job.source.touch()
        with mock.patch.object(appending.Columns, "append", wraps=None) as append:
            append.side_effect = KeyboardInterrupt
            if change:
                with pytest.raises(KeyboardInterrupt):
                    store.prepared(job)
            else:
                store.prepared(job)
        said = capsys.readouterr().err
        assert ("going on after 40 pairs" in said) != change and ("an earlier version of the text" in said) == change
        preparation.clear(store.place(job))
    assert_right(store, job)


def test_two_trainings_prepare_one_text_once(
    job: Job, store: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second waits while the first has the folder, and takes what it has made."""
    place = store.place(job)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        waiting.set()
        ended.wait(5)

    waiting, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(time, "sleep", sleep)
    with ThreadPoolExecutor() as pool, mock.patch.object(cache, "fill", side_effect=AssertionError):
        with working_in(place):
            second = pool.submit(assert_right, store, job)
            assert waiting.wait(10)
            preparation.fill(job, place, 1)
        ended.set()
        second.result()
    assert waits and set(waits) == {1}
    said = capsys.readouterr().err
    assert said.count(f"{place}: another training prepares the text; waiting for it") == 1 and "preparing" not in said
