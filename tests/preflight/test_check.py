"""What a check finds: planted damage at its lines and nothing else, counts as by brute force, clean copies."""

from __future__ import annotations

import errno
import gzip
import os
import re
import tempfile
import tracemalloc
from pathlib import Path
from unittest import mock

import pytest
from conftest import JANE
from hypothesis import given, settings
from hypothesis import strategies as st
from support.damage import lines_found, plant
from support.naive_check import naive

from nmtkit.files import read_lines, read_parallel
from nmtkit.preflight.check import check, quick
from nmtkit.preflight.findings import PROBLEMS, Facts, Kind
from nmtkit.preflight.options import Options, Texts, two_files
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide

MULTI30K = Path(os.environ.get("MULTI30K", Path(__file__).parents[3] / "shared" / "multi30k"))
ALL = Options(examples=1000)


def texts(folder: Path, name: str, source: str, target: str, dev: str = "dev", test: str = "test") -> Texts:
    return Texts.of(source, target, folder / name, folder / dev, folder / test)


def parallel(folder: Path, name: str, *languages: str) -> list[list[str]]:
    return read_parallel(*(folder / f"{name}.{language}" for language in languages))


def others(facts: Facts) -> set[int]:
    return {example.other for finding in facts.findings for example in finding.examples if example.other}


@pytest.mark.parametrize(
    ("folder", "languages", "dev", "test"),
    [(JANE, ("fr", "en"), "dev", "test"), (MULTI30K, ("de", "en"), "val", "test_2016_flickr")],
    ids=["jane", "multi30k"],
)
def test_all_damage_is_found_where_it_was_planted_and_nothing_else(
    folder: Path, languages: tuple[str, str], dev: str, test: str, tmp_path: Path
) -> None:
    if not folder.is_dir():
        pytest.skip(f"Multi30k is not at {folder}; set MULTI30K")
    clean = check(texts(folder, "train", *languages, dev, test), ALL)
    before = lines_found(clean)
    train, held_out, final = (parallel(folder, name, *languages) for name in ("train", dev, test))
    known = {*train[0], *train[1]}
    outside = [next(pair for pair in zip(*two, strict=True) if not known & {*pair}) for two in (held_out, final)]
    damaged = plant(train[0], train[1], *outside, set().union(*before.values()) | others(clean))
    prefix = damaged.write(tmp_path, *languages)
    kinds = {*Kind} - {Kind.FREQUENT_SOURCE, Kind.UNKNOWN, Kind.BYTES}
    kinds -= {kind for kind in Kind if kind.value.startswith(("source_in", "target_in"))}
    assert {*damaged.planted} == kinds
    dirty = Texts(two_files(prefix, *languages), *(two_files(folder / name, *languages) for name in (dev, test)))
    copy = two_files(tmp_path / "mended", *languages)
    facts = check(dirty, ALL, copy=copy)
    expected = {kind: before.get(kind, set()) | damaged.planted.get(kind, set()) for kind in Kind}
    assert lines_found(facts) == {kind: lines for kind, lines in expected.items() if lines}
    problems = set().union(*(expected[kind] for kind in PROBLEMS))
    assert facts.clean == len(train[0]) - len(problems)
    mended = check(Texts(copy, dirty.dev, dirty.test), ALL)
    assert not mended.problems and mended.pairs == mended.clean == facts.clean
    for path, lines in zip(copy, (damaged.source, damaged.target), strict=True):
        kept = [line for number, line in enumerate(lines, start=1) if number not in problems]
        assert path.read_bytes() == b"".join(line + b"\n" for line in kept)


@pytest.mark.skipif(not MULTI30K.is_dir(), reason=f"Multi30k is not at {MULTI30K}; set MULTI30K")
def test_what_multi30k_contains() -> None:
    """Counted in other ways: lines that repeat, lines of val, spaces, entities."""
    lines, val = parallel(MULTI30K, "train", "en", "de"), parallel(MULTI30K, "val", "en", "de")
    facts = check(texts(MULTI30K, "train", "en", "de", "val", "test_2016_flickr"), ALL)
    repeated = len(lines[0]) - len({*zip(*lines, strict=True)})
    assert facts[Kind.DUPLICATE].pairs == repeated == 3
    for side, (again, in_dev) in enumerate(
        ((Kind.SAME_SOURCE, Kind.SOURCE_IN_DEV), (Kind.SAME_TARGET, Kind.TARGET_IN_DEV))
    ):
        assert facts[again].pairs + repeated == len(lines[side]) - len({*lines[side]})
        assert facts[in_dev].pairs == len([line for line in lines[side] if line in val[side]]) == 1
    assert {kind for kind in PROBLEMS if facts[kind].pairs} == {Kind.DUPLICATE, Kind.RATIO}
    assert [example.target for example in facts[Kind.RATIO].examples] == ["@@", "@@"]
    for kind, pattern in ((Kind.SPACES, r"^\s|\s\s|\s$"), (Kind.MARKUP, "&[a-z]+;")):
        counts = (sum(re.search(pattern, line) is not None for line in side) for side in lines)
        assert (facts[kind].source, facts[kind].target) == (*counts,)


SOME = [
    "a",
    "b",
    "A ",
    "ba",
    "b a",
    "1 a",
    "2 b",
    "12",
    "21",
    "٣",
    "Das ist gut.",
    "That is good.",
    "é",
    "e\u0301",
    "x" * 90,
]
ODD = ["", " ", "\t", "a  b", "a\tb", "\u2028", "a\x07", "\u200b", "\ufffd", "\x85", "\x1c", "İ", "ﬁ", "word " * 12]
LINES = st.sampled_from([*SOME, *SOME, *ODD]) | st.text(
    st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]), max_size=12
)
SIDE = LINES.map(str.encode) | st.sampled_from([b"\xff", b"a\xc3"])
PAIRS = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=40)


def write(folder: Path, name: str, pairs: list[tuple[bytes, bytes]]) -> tuple[Path, Path]:
    paths = two_files(folder / name, "xx", "yy")
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    return paths


@settings(max_examples=150, deadline=None)
@given(PAIRS, PAIRS, st.sampled_from([(4096, 1 << 19), (3, 2), (1, 0)]))
def test_counts_are_those_of_brute_force(
    pairs: list[tuple[bytes, bytes]], dev: list[tuple[bytes, bytes]], sizes: tuple[int, int]
) -> None:
    """Also where blocks are a line long and every record goes to the disk; what is left is clean."""
    lines, in_memory = sizes
    expected = naive(pairs, dev, most=10)
    options = Options(max_source=10, max_target=10, examples=1000, in_memory=in_memory)
    with tempfile.TemporaryDirectory() as name, mock.patch("nmtkit.preflight.reading.LINES", lines):
        folder = Path(name)
        files, held_out = write(folder, "train", pairs), write(folder, "dev", dev)
        facts = check(Texts(files, held_out), options)
        found = lines_found(facts)
        judged = {Kind.SCRIPT, Kind.LANGUAGE} & {*found}  # of these brute force knows nothing
        for kind, numbers in expected.items():
            if kind in (Kind.FREQUENT_SOURCE, Kind.FREQUENT_TARGET):
                assert facts[kind].pairs == len(numbers)
                assert found[kind] <= numbers
            elif kind is not Kind.RATIO or not judged:  # whose pairs do not count for the usual ratio
                assert found.get(kind, set()) == numbers, kind
        kinds = {*found} - judged - {Kind.MOJIBAKE, Kind.MARKUP} - ({Kind.RATIO} if judged else set())
        assert kinds <= {*expected}
        if facts.clean:
            copy = two_files(folder / "copy", "xx", "yy")
            check(Texts(files, held_out), options, copy=copy)
            assert not check(Texts(copy, held_out), options).problems


def test_what_others_the_examples_name_and_how_often(tmp_path: Path) -> None:
    pairs = [(b"a b", b"c d"), (b"e", b"f"), (b"a b", b"c d"), (b"e", b"g"), (b"h", b"f"), (b"a b", b"c d")]
    pairs += [(b"k", f"l{number}".encode()) for number in range(11)] + [
        (b"m", f"n{number}".encode()) for number in range(12)
    ]
    files = write(tmp_path, "train", pairs)
    facts = check(
        Texts(files, write(tmp_path, "dev", [(b"q", b"q q"), (b"h", b"f"), (b"e", b"z")])), Options(examples=2)
    )

    def told(kind: Kind) -> list[tuple[int, int | None, int | None]]:
        return [(example.line, example.other, example.times) for example in facts[kind].examples]

    assert told(Kind.DUPLICATE) == [(3, 1, None), (6, 1, None)]
    assert told(Kind.SAME_SOURCE)[0] == (4, 2, None) and told(Kind.SAME_TARGET) == [(5, 2, None)]
    assert told(Kind.IN_DEV) == [(5, 2, None)] and told(Kind.SOURCE_IN_DEV) == [(2, 3, None), (4, 3, None)]
    assert told(Kind.FREQUENT_SOURCE) == [(18, None, 12), (7, None, 11)]
    assert facts[Kind.FREQUENT_SOURCE].pairs == 23 and facts[Kind.SAME_SOURCE].pairs == 1 + 10 + 11
    assert facts[Kind.DUPLICATE].examples[0].source == "a b" and facts[Kind.DUPLICATE].examples[0].target == "c d"
    assert len(facts[Kind.SAME_SOURCE].examples) == 2


def test_pieces_are_counted_with_a_tokenizer(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(train_tokenizer(tmp_path))
    lines = [("le chat dort", "the cat sleeps"), ("le ☃ dort", "the ☃☃ sleeps"), ("le chat dort le chat", "the cat")]
    files = write(tmp_path, "train", [(source.encode(), target.encode()) for source, target in lines])
    ids = [[len(tokenizer.source.encode(text)) for text in pair] for pair in lines]
    most = max(ids[0][0], ids[1][0])
    assert most < ids[2][0]
    facts = check(Texts(files), Options(max_source=most, max_target=1000), tokenizer)
    assert [example.line for example in facts[Kind.OVER_LONG].examples] == [3]
    byte = facts[Kind.BYTES]
    assert (byte.pairs, byte.source, byte.target, byte.units) == (1, 1, 1, 9)  # a snowman has three bytes
    assert facts[Kind.UNKNOWN].pairs == facts[Kind.UNKNOWN].units == 0 and facts.tokenizer == tokenizer.hash()


def train_tokenizer(folder: Path) -> Path:
    from nmtkit.tokenizer.training import train_subwords

    lines = read_lines(JANE / "train.fr")[:300] + read_lines(JANE / "train.en")[:300]
    path = folder / "tokenizer.model"
    path.write_bytes(train_subwords(lines, vocab_size=400).to_bytes())
    return path


def test_files_as_they_are(tmp_path: Path) -> None:
    """Line ends, marks and blank lines at the end are told, and are not in the copy."""
    source, target = two_files(tmp_path / "train", "xx", "yy")
    source.write_bytes(b"\xef\xbb\xbfeins\r\nzwei\ndrei \r\n\r\n\n")
    target.write_bytes(b"one\ntwo\nthree\n\nx")
    copy = two_files(tmp_path / "copy", "xx", "yy")
    facts = check(Texts((source, target)), copy=copy)
    first, second = facts.files
    assert (first.lines, first.crlf, first.mark, first.blank_at_end, first.unfinished) == (5, 3, True, 2, False)
    assert (second.lines, second.crlf, second.mark, second.blank_at_end, second.unfinished) == (5, 0, False, 0, True)
    finding = facts[Kind.EMPTY]
    assert (finding.pairs, finding.source, finding.target) == (2, 2, 1)
    assert [path.read_bytes() for path in copy] == [b"eins\nzwei\ndrei \n", b"one\ntwo\nthree\n"]


def test_a_packed_text_is_checked(tmp_path: Path) -> None:
    pairs = [(b"eins", b"one"), (b"zwei", b"two"), (b"eins", b"one")]
    for path in write(tmp_path, "train", pairs):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    facts = check(Texts.of("xx", "yy", tmp_path / "train"), copy=two_files(tmp_path / "copy", "xx", "yy"))
    assert facts.pairs == 3 and facts[Kind.DUPLICATE].pairs == 1
    assert (tmp_path / "copy.yy").read_bytes() == b"one\ntwo\n"


def test_what_cannot_be_checked(tmp_path: Path) -> None:
    source, target = two_files(tmp_path / "train", "xx", "yy")
    source.write_bytes(b"a\nb\n\n\n")
    target.write_bytes(b"a\nb\n")
    message = f"{source} has 4 lines, {target} has 2 lines ({source} ends in 2 blank lines); line N of each must match"
    with pytest.raises(ValueError, match=re.escape(message)):
        check(Texts((source, target)))
    source.write_bytes(b"")
    target.write_bytes(b"")
    with pytest.raises(ValueError, match="have 0 lines; give at least one line"):
        check(Texts((source, target)))
    source.write_bytes("a\n".encode("utf-16"))
    with pytest.raises(ValueError, match="is UTF-16, not UTF-8"):
        check(Texts((source, target)))
    source.write_bytes(b"a\n")
    target.write_bytes(b"\n")
    copy = two_files(tmp_path / "copy", "xx", "yy")
    with pytest.raises(ValueError, match="every pair has a problem"):
        check(Texts((source, target)), copy=copy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.xx", "train.yy"]
    vectors = Tokenizer(VectorSide(4), Tokenizer.load(train_tokenizer(tmp_path)).target)
    with pytest.raises(ValueError, match="is one for vectors"):
        check(Texts((source, source)), tokenizer=vectors)
    for languages, message in ((("fr", "fr"), "both languages are 'fr'"), (("npz", "en"), "'npz' names vectors")):
        with pytest.raises(ValueError, match=message):
            Texts.of(*languages, tmp_path / "train")


def test_a_quick_check_looks_at_the_first_pairs(tmp_path: Path) -> None:
    files = write(tmp_path, "train", [(b"a", b"b"), (b"a", b"b"), (b"c", b"d"), (b"", b"")])
    facts = quick(Texts(files), most=3)
    assert (facts.pairs, facts.clean, facts.whole) == (3, 2, False)
    assert facts.files[0].lines == 3 and not facts.files[0].blank_at_end
    assert facts[Kind.DUPLICATE].pairs == 1 and not facts[Kind.DUPLICATE].examples
    assert quick(Texts(files), most=4).whole


def test_a_clean_copy_of_a_text_of_many_parts(tmp_path: Path) -> None:
    lines = [(f"Satz {n}".encode(), b"" if n % 7 == 3 else f"Sentence {n}".encode()) for n in range(60)]
    copy = tmp_path / "clean.de", tmp_path / "clean.en"
    with mock.patch("nmtkit.preflight.columns.PART", 10):
        facts = check(Texts(write(tmp_path, "train", lines)), copy=copy)
    good = [pair for pair in lines if pair[1]]
    assert facts.clean == len(good)
    assert [path.read_bytes().splitlines() for path in copy] == [[pair[side] for pair in good] for side in (0, 1)]


def test_a_full_disk_is_that_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        mock.patch("nmtkit.preflight.columns.Columns.append", side_effect=full),
        pytest.raises(OSError, match="TMPDIR") as caught,
    ):
        check(Texts(write(tmp_path, "train", [(b"a", b"b")])))
    assert caught.value.filename == str(tmp_path)


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    """The peak of what Python and NumPy take for ten times the pairs is about the same."""
    peaks = []
    for pairs in (3_000, 30_000):
        lines = [
            (f"Satz {n} ist hier {n * n}".encode(), f"Sentence {n} is here {n * n}".encode()) for n in range(pairs)
        ]
        files = write(tmp_path, f"of{pairs}", lines)
        del lines
        with mock.patch("nmtkit.preflight.reading.LINES", 500), mock.patch("nmtkit.preflight.columns.PART", 1000):
            tracemalloc.start()
            check(Texts(files), Options(in_memory=1000))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks
