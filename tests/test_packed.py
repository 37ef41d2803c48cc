"""Packed files are read as what they hold, wherever a text is read; damaged ones are refused by name."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from conftest import JANE, head, refused, run_here, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit import packed
from nmtkit.files import each_line, read_lines
from nmtkit.training.data import Data

Pack = Callable[[bytes], bytes]
PACKS: list[Pack] = [gzip.compress, lzma.compress]
LINES = head(JANE / "dev.fr", 30)
TEXT = "".join(f"{line}\n" for line in LINES).encode()


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("pack", PACKS)
@settings(max_examples=30, deadline=None)
@given(lines=st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))))
def test_packed_lines_are_those_that_were_packed(
    pack: Pack, lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    content = b"".join(f"{line}\n".encode() for line in ["first", *lines])
    (folder / "text").write_bytes(pack(content))
    assert list(each_line(folder / "text")) == read_lines(folder / "text") == ["first", *lines]
    (folder / "text").write_bytes(pack(content[:9]) + pack(content[9:]))  # parts, as of cat a.gz b.gz
    assert read_lines(folder / "text") == ["first", *lines]


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("spoil", [lambda content: content[:-9], lambda content: content[:60] + b"x" * 40])
def test_a_damaged_file_is_refused(pack: Pack, spoil: Pack, tmp_path: Path) -> None:
    (tmp_path / "text.gz").write_bytes(spoil(pack(TEXT)))
    with pytest.raises(ValueError, match=r"text\.gz: damaged, cannot be unpacked to its end \(.*\); copy it again"):
        read_lines(tmp_path / "text.gz")


def test_a_second_part_that_does_not_begin_is_refused(tmp_path: Path) -> None:
    second = bytearray(lzma.compress(b"more\n"))
    second[7] ^= 1
    (tmp_path / "text.xz").write_bytes(lzma.compress(TEXT) + second)
    with pytest.raises(ValueError, match=r"text\.xz: damaged"):
        read_lines(tmp_path / "text.xz")


@pytest.mark.parametrize("padding", [4, 8, 1 << 19])
def test_xz_may_have_zeros_between_parts_and_at_the_end(padding: int, tmp_path: Path) -> None:
    zeros = bytes(padding)
    (tmp_path / "text.xz").write_bytes(lzma.compress(TEXT) + zeros + lzma.compress(b"more\n") + zeros)
    assert read_lines(tmp_path / "text.xz") == [*LINES, "more"]


def test_bad_bytes_inside_are_placed(tmp_path: Path) -> None:
    (tmp_path / "text.gz").write_bytes(gzip.compress("père\n".encode() + b"b\xe9\n" + b"\xff\n" * 3))
    with pytest.raises(ValueError, match=r"text.gz, line 2: not valid UTF-8 at byte 2 \(0xE9\), one of 4 such bytes"):
        list(each_line(tmp_path / "text.gz"))
    (tmp_path / "text.gz").write_bytes(gzip.compress("ab\n".encode("utf-16")))
    with pytest.raises(ValueError, match="is UTF-16, not UTF-8"):
        read_lines(tmp_path / "text.gz")


def test_zstd_without_a_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in packed.ZSTD:
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "text.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"\x04\x00\x29")
    with pytest.raises(ValueError, match=r"text\.zst: is packed \(zstd\): pip install zstandard"):
        read_lines(tmp_path / "text.zst")


def _modules() -> list[ModuleType]:
    found = []
    for name in packed.ZSTD:
        with suppress(ImportError):
            found.append(import_module(name))
    return found


@pytest.mark.skipif(not _modules() or not shutil.which("zstd"), reason="nothing here packs or unpacks zstd")
@pytest.mark.parametrize("module", _modules(), ids=lambda module: module.__name__)
def test_zstd(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ZSTD", (module.__name__,))
    (tmp_path / "text.zst").write_bytes(zstd(TEXT) + zstd(b"more\n"))
    assert read_lines(tmp_path / "text.zst") == [*LINES, "more"]
    (tmp_path / "text.zst").write_bytes(zstd(TEXT)[:60] + b"x" * 40)
    with pytest.raises(ValueError, match=r"text\.zst: damaged"):
        read_lines(tmp_path / "text.zst")


def test_the_packed_form_stands_in_for_an_absent_file(tmp_path: Path) -> None:
    data = Data(tmp_path / "a.b", tmp_path / "dev", "fr", "en")
    assert data.paths()["train source"] == tmp_path / "a.b.fr"
    for ending in (".zst", ".xz", ".gz"):  # the last of these comes first
        (tmp_path / f"a.b.fr{ending}").touch()
        assert data.paths()["train source"] == tmp_path / f"a.b.fr{ending}"
    (tmp_path / "a.b.fr").touch()
    assert data.paths()["train source"] == tmp_path / "a.b.fr"
    assert data.paths()["train target"] == tmp_path / "a.b.en"


def test_commands_read_packed_files(model: Path, tmp_path: Path) -> None:
    plain, packed_file = write_lines(tmp_path / "in.fr", LINES[:4]), tmp_path / "in.fr.gz"
    packed_file.write_bytes(gzip.compress(plain.read_bytes()))
    outputs = [run_here("translate", model, "--input", path, "--beam", 1) for path in (plain, packed_file)]
    assert outputs[0].code == 0 and len(outputs[0].lines) == 4
    assert outputs[1].out == outputs[0].out
    packed_file.write_bytes(packed_file.read_bytes()[:-6])
    outcome = run_here("train-tokenizer", packed_file, "--vocab-size", 300, "--output", tmp_path / "x.model")
    assert "in.fr.gz: damaged" in refused(outcome)
