"""The text of a run: its files by role, read side by side, encoded within limits, and what is told of it."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.training_toys import parallel, tokenizer, toy_run, write_data

from nmtkit.batches import cache, pool
from nmtkit.batches.cache import Cache, default_root
from nmtkit.batches.order import window_batches
from nmtkit.batches.preparation import prepare
from nmtkit.batches.shards import read_facts
from nmtkit.files import sha256
from nmtkit.training.config import Config
from nmtkit.training.data import Data, Part, Texts, encode
from nmtkit.training.recipe import train
from nmtkit.training.run import Run

LIMITS = (99, 99)


def options_of(run: Run) -> Any:
    return json.loads((run.output / "options.json").read_text())


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_two_sides_are_two_texts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"both 'fr', so the model would learn to copy"):
        Data(tmp_path / "a", tmp_path / "b", "fr", "fr")


def test_lines_are_read_by_role(tmp_path: Path) -> None:
    texts = Texts.read(write_data(tmp_path, train_pairs=5, dev_pairs=3))
    assert texts.train == [parallel(5, 5)] and texts.dev == parallel(3, 6)


def test_sides_of_different_lengths_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    with (tmp_path / "dev.en").open("a", encoding="utf-8") as stream:
        stream.write("one more\n")
    with pytest.raises(ValueError, match=r"dev\.en has 5 lines, .*dev\.de has 4 lines"):
        Texts.read(data)


@pytest.mark.parametrize(
    ("dev", "expected"),
    [([("cat", "b")], 1), ([("cat", "dog"), ("cat", "b"), ("cat", "b")], 2), ([("dog", "d")], 1), ([("b", "cat")], 0)],
)
def test_dev_pairs_that_training_has_too_are_counted(
    dev: list[tuple[str, str]], expected: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], store: Cache
) -> None:
    data = write_data(tmp_path)
    texts = Texts([(["cat", "c"], ["b", "d"]), (["dog"], ["d"])], ([x for x, _ in dev], [y for _, y in dev]))
    encode(texts, replace(data, train=(Part(tmp_path / "train"),) * 2), tokenizer(), LIMITS, store)
    assert f", {expected} also in train\n" in capsys.readouterr().err


def test_limits_hold_for_both_sides_of_both_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], store: Cache
) -> None:
    data, sides = write_data(tmp_path, 30, 10), tokenizer()
    texts = Texts.read(data)
    corpus, dev = encode(texts, data, sides, (6, 7), store)
    for part, lines in ((corpus, texts.train[0]), (dev.corpus, texts.dev)):
        assert lines is not None
        pairs = [(len(sides.source.encode(x)), len(sides.target.encode(y))) for x, y in zip(*lines, strict=True)]
        kept = [(x + 1, y + 1) for x, y in pairs if x <= 6 and y <= 7]
        assert list(zip(part.source.lengths, part.target.lengths, strict=True)) == kept
        assert 0 < len(kept) < len(pairs)
    assert (dev.source_lines, dev.target_lines) == texts.dev, "BLEU is of all lines"
    assert f"training on {len(corpus)} pairs" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train", "dev"])
def test_nothing_left_is_an_error_that_names_files_and_limits(part: str, tmp_path: Path, store: Cache) -> None:
    data = write_data(tmp_path)
    for language in ("en", "de"):
        (tmp_path / f"{part}.{language}").write_text("cat dog cat dog cat dog\n", encoding="utf-8")
    message = rf"{part}\.en and .*{part}\.de: every pair is empty or longer than 9 source or 8 target pieces"
    with pytest.raises(ValueError, match=message):
        encode(Texts.read(data), data, tokenizer(), (9, 8), store)


def test_weights_stand_behind_a_colon_unless_that_is_a_name(tmp_path: Path) -> None:
    assert Part.of("a/b", "fr") == Part(Path("a/b"), 1)
    assert Part.of("a/b:3", "fr") == Part(Path("a/b"), 3)
    assert Part.of("a:b:12", "fr") == Part(Path("a:b"), 12) and Part.of("a:x", "fr") == Part(Path("a:x"))
    for name in ("text:3.fr", "packed:3.fr.gz"):
        (tmp_path / name).touch()
    (tmp_path / "ids:3").mkdir()
    for name in ("text:3", "packed:3", "ids:3"):
        assert Part.of(f"{tmp_path}/{name}", "fr") == Part(tmp_path / name)
    assert Part.of(f"{tmp_path}/text:3", "en") == Part(tmp_path / "text", 3)
    for weight in ("0", "1001"):
        with pytest.raises(ValueError, match=f"the weight of a = {weight} is not possible: choose from 1 to 1,000"):
            Part.of(f"a:{weight}", "fr")


def two_texts(folder: Path, *weights: int) -> Data:
    """Two training texts, of 30 and of 12 pairs."""
    for language, lines in zip(("en", "de"), parallel(12, 8), strict=True):
        (folder / f"more.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    parts = (folder / name for name in ("train", "more"))
    return replace(write_data(folder), train=tuple(map(Part, parts, weights)))


@pytest.mark.parametrize("ahead", [(), (0,), (1,), (0, 1)])
def test_an_epoch_of_several_texts_has_each_as_often_as_its_weight(
    ahead: tuple[int, ...], tmp_path: Path, store: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether they are text or prepared."""
    data = two_texts(tmp_path, 1, 3)
    parts = list(data.parts)
    for number in ahead:
        prepare(data.job(parts[number], tokenizer(), LIMITS), tmp_path / f"ids{number}", 1)
        parts[number] = replace(parts[number], path=tmp_path / f"ids{number}")
    own = replace(data, train=tuple(parts))
    corpus, _ = encode(Texts.read(own), own, tokenizer(), LIMITS, store)
    said = capsys.readouterr().err
    for part, line in zip(
        parts, ("30 pairs, 1 time in an epoch, 45.5 %", "12 pairs, 3 times in an epoch, 54.5 %"), strict=True
    ):
        assert f"{part.path}: {line} of it\n" in said
    pairs = [index for batch in window_batches(corpus, 50, 1, 0, 0) for index in batch]
    assert sorted(pairs) == [*range(30), *sorted([*range(30, 42)] * 3)]
    lines = [*zip(*parallel(30, 5), strict=True), *zip(*parallel(12, 8), strict=True)]
    rows, targets = corpus.source.rows(range(42)), corpus.target.rows([41, 3])
    for index, (source, target) in enumerate(lines):
        assert tokenizer().source.decode(rows[0][index][rows[1][index]].tolist()) == source
        assert tokenizer().target.decode(corpus.target[index].tolist()) == target
    assert tokenizer().target.decode(targets[0][0].tolist()) == lines[41][1]
    assert corpus.source.lengths_of([41, 0, 30]).tolist() == [corpus.source.lengths[i] for i in (41, 0, 30)]
    assert own.identity(tokenizer(), LIMITS, store) == data.identity(tokenizer(), LIMITS, store)


def test_texts_and_weights_are_recorded_and_a_changed_weight_is_refused(tmp_path: Path) -> None:
    run = replace(toy_run(tmp_path, updates=2), data=two_texts(tmp_path, 1, 3))
    train(run)
    names = [f"{part} {side}" for part in ("train", "train 2", "dev") for side in ("source", "target")]
    data = options_of(run)["data"]
    assert data == {
        **{name: sha256(run.data.paths()[name]) for name in names},
        **{"train weight": "1", "train 2 weight": "3"},
    }
    assert run.data.paths()["train 2 target"] == tmp_path / "more.de"
    train(run)
    with pytest.raises(ValueError, match="another configuration: data train 2 weight was 3, now 2"):
        train(replace(run, data=two_texts(tmp_path, 1, 2)))
    single = Data((Part(tmp_path / "train", 2),), run.data.dev, "en", "de")
    assert single.identity(tokenizer(), LIMITS, run.store)["train weight"] == "2"
    assert "train weight" not in write_data(tmp_path).identity(tokenizer(), LIMITS, run.store)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text counts as large."""
    monkeypatch.setattr(cache, "LARGE", 10)
    monkeypatch.setattr(cache, "cores", lambda: 1)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("packed", [False, True])
def test_a_large_text_is_prepared_once(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = replace(toy_run(tmp_path, updates=4), cache=tmp_path / "cache")
    with monkeypatch.context() as small:
        small.setattr(cache, "LARGE", 10**9)
        train(replace(run, output=tmp_path / "memory"))
    if packed:
        for path in (run.data.paths()[f"train {side}"] for side in ("source", "target")):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("data:"))
    train(run)
    shown = capsys.readouterr().err
    [folder] = (tmp_path / "cache").iterdir()
    assert line in shown and f"prepared text: {folder} (0 MB)\n" in shown
    names = ("weights.safetensors", "last.safetensors")
    if not packed:  # the hash of the text is that of its file, so that the header differs
        for name in names:
            assert (run.output / name).read_bytes() == (tmp_path / "memory" / name).read_bytes()
        assert options_of(run)["data"] == options_of(replace(run, output=tmp_path / "memory"))["data"]
    monkeypatch.setattr(pool.Work, "encode", None)  # neither text nor ids are made again
    train(replace(run, training=replace(run.training, updates=6)))
    train(replace(run, output=tmp_path / "other"))


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("change", ["size", "time", "tokenizer", "limits", "damage"])
def test_another_text_is_not_recognised(change: str, tmp_path: Path, store: Cache) -> None:
    data = write_data(tmp_path)
    job = data.job(data.parts[0], tokenizer(), LIMITS)
    folder, facts = store.prepared(job)
    assert store.recognised(job) == facts == read_facts(folder)
    if change == "size":
        for path in (job.source, job.target):
            path.write_text(path.read_text() + "cat\n")
    elif change == "time":
        os.utime(job.source, ns=(1, 1))
    elif change == "tokenizer":
        job = replace(job, tokenizer=tokenizer(False))
    elif change == "limits":
        job = replace(job, max_target=7)
    else:
        (folder / "corpus.json").write_text("{")
    assert store.recognised(job) is None
    again, now = store.prepared(job)
    assert store.recognised(job) == now
    assert (again == folder) == (change not in ("tokenizer", "limits"))
    assert now.counts.pairs == 30 + (change == "size")


@pytest.mark.usefixtures("all_large")
def test_a_change_that_size_and_time_hide_is_found_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = replace(toy_run(tmp_path, updates=2), cache=tmp_path / "cache")
    train(run)
    path = run.data.paths()["train source"]
    before = path.stat()
    path.write_text(path.read_text().replace("cat", "dog"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    train(run)
    with pytest.raises(ValueError, match="data train source was"):
        train(replace(run, verify_data=True))
    capsys.readouterr()
    train(replace(run, output=tmp_path / "new", verify_data=True))
    assert "prepared again" in capsys.readouterr().err
    assert options_of(replace(run, output=tmp_path / "new"))["data"]["train source"] == sha256(path)


@pytest.mark.usefixtures("all_large")
def test_a_tokenizer_learns_from_large_texts_too(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2)
    options = Config(tables={"tokenizer": {"vocab_size": 300, "kind": "bpe"}})
    values = {"train": str(tmp_path / "train"), "dev": str(tmp_path / "dev"), "source_lang": "en", "target_lang": "de"}
    own = options.changed({**values, "output": str(tmp_path / "own")}).run()
    run = replace(run, tokenizer=own.tokenizer)
    train(replace(run, cache=tmp_path / "cache"))
    with pytest.MonkeyPatch.context() as small:
        small.setattr(cache, "LARGE", 10**9)
        train(replace(run, output=tmp_path / "memory"))
    assert (run.output / "tokenizer.model").read_bytes() == (tmp_path / "memory" / "tokenizer.model").read_bytes()


def folder_of(data: Data, folder: Path, **changes: Any) -> Path:
    job = replace(data.job(data.parts[0], tokenizer(), (256, 256)), **changes)
    prepare(job, folder, 1)
    return folder


def test_a_prepared_folder_takes_the_place_of_its_text(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=4, max_source=256, max_target=256)
    train(run)
    folder = folder_of(run.data, tmp_path / "ids")
    own = replace(run, data=replace(run.data, train=folder), output=tmp_path / "own")
    train(own)
    assert options_of(own)["data"] == options_of(run)["data"]
    assert options_of(own)["provenance"]["files"] == options_of(run)["provenance"]["files"]
    assert (own.output / "last.safetensors").read_bytes() == (run.output / "last.safetensors").read_bytes()
    for language in ("en", "de"):
        (tmp_path / f"train.{language}").unlink()
    train(replace(own, training=replace(own.training, updates=6), verify_data=True))
    values = {"dev": str(tmp_path / "dev"), "source_lang": "en", "target_lang": "de", "output": str(tmp_path / "x")}
    config = Config().changed({"train": [str(folder)], **values})
    made = config.run()
    assert made.made_by is None
    ready = made.ready()
    assert ready is not None and ready.hash() == tokenizer().hash()
    with pytest.raises(ValueError, match="ids has its own tokenizer: leave out vocab_size"):
        config.changed({"vocab_size": 300}).run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": tokenizer(False)}, "ids: was prepared with another tokenizer: name that one"),
        (
            {"max_source": 77},
            r"ids: was prepared for max_source = 77 and max_target = 256, but .* 256 and 256: set them",
        ),
        ({"languages": ("de", "en")}, "ids: was prepared as de to en, but the run is en to de: change the languages"),
    ],
)
def test_a_prepared_folder_that_does_not_fit_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2, max_source=256, max_target=256)
    folder = folder_of(run.data, tmp_path / "ids", **changes)
    with pytest.raises(ValueError, match=message):
        train(replace(run, data=replace(run.data, train=folder)))
    assert not run.output.exists()


def test_a_folder_that_is_not_prepared_is_named(tmp_path: Path) -> None:
    """A preparation that was killed before it had written anything leaves such a folder."""
    folder = tmp_path / "ids"
    folder.mkdir()
    with pytest.raises(ValueError, match="ids: is a folder without a prepared text; run its nmtkit prepare to"):
        Data(folder, tmp_path / "dev", "de", "en").files(folder)
    (tmp_path / "ids.de").write_text("a\n")
    assert Data(folder, tmp_path / "dev", "de", "en").files(folder)[0] == tmp_path / "ids.de"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NMTKIT_CACHE", str(tmp_path / "own"))
    assert default_root() == tmp_path / "own"
    monkeypatch.delenv("NMTKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert default_root() == tmp_path / "users" / "nmtkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "nmtkit"


@pytest.mark.parametrize(("text", "shown"), [("x:1.5", "1.5"), ("x:-1", "-1"), ("x:0", "0"), ("x:-2.0", "-2.0")])
def test_a_weight_that_is_no_count_is_refused(text: str, shown: str) -> None:
    with pytest.raises(ValueError, match="the weight of x") as caught:
        Part.of(text, "fr")
    assert shown in str(caught.value) and "1,000" in str(caught.value)


def test_the_note_says_how_many_pairs_an_epoch_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = toy_run(tmp_path, updates=1)
    parts = (Part(run.data.train), Part(run.data.train, 3))
    train(replace(run, data=replace(run.data, train=parts)))
    assert "training on 60 pairs, 120 in an epoch (" in capsys.readouterr().err
