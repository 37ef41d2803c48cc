"""Files that are no UTF-8 text are called what they are, and what is advised works; valid text is left alone."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.encoding import foreign
from nmtkit.files import lenient_lines, read_lines

TEXT = "Où est la gare ?\nJane a faim.\nŽluťoučký kůň, 東京.\n"
WESTERN = "Où est la gare ?\nJane a faim.\nVoilà, déjà !\n"


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", content)
    return stream.getvalue()


PACKED = {
    "gunzip": gzip.compress(TEXT.encode()),
    "bunzip2": bz2.compress(TEXT.encode()),
    "unxz": lzma.compress(TEXT.encode()),
    "unzip": zipped(TEXT.encode()),
    "unzstd": bytes.fromhex("28b52ffd") + b"\x04\x00\x29",
}


def refusal(path: Path, content: bytes) -> str:
    """What both readers say of a file, the strict one and the one that goes on after bad bytes."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=".") as strict:
        read_lines(path)
    with pytest.raises(ValueError, match=".") as lenient, path.open("rb") as stream:
        list(lenient_lines(stream, str(path), pytest.fail))
    assert str(strict.value) == str(lenient.value)
    assert str(path) in str(strict.value) and "\n" not in str(strict.value)
    return str(strict.value)


@pytest.mark.parametrize("tool", PACKED)
def test_packed_streams(tool: str) -> None:
    """Of files, those that can be are unpacked (see test_packed); a stream never is."""
    with pytest.raises(ValueError, match=f"^standard input: is packed .*; unpack it with {tool}$"):
        list(lenient_lines(io.BytesIO(PACKED[tool]), "standard input", pytest.fail))


@pytest.mark.parametrize("tool", ["bunzip2", "unzip"])
def test_packed_files_that_nothing_unpacks(tool: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / "text", PACKED[tool])
    assert f"unpack it with {tool}" in message and "iconv" not in message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_first_line_of_two_letters_is_enough(encoding: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / "text", "ok\nbonjour\n".encode(encoding))
    assert f"iconv -f {encoding[:6].upper()}{encoding[7:].upper()} -t UTF-8" in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_encodings_and_iconv_makes_the_text_of_them(encoding: str, tmp_path: Path) -> None:
    """With a mark (utf-16, utf-32) or without."""
    words = refusal(tmp_path / "text", TEXT.encode(encoding)).split("convert it with ")[1].split()
    assert words[:2] == ["iconv", "-f"] and words[3:] == ["-t", "UTF-8"]
    if shutil.which("iconv"):
        done = subprocess.run([*words, str(tmp_path / "text")], capture_output=True, check=True)
        assert done.stdout.decode() == TEXT


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_valid_text_without_nul_is_never_taken_for_something_else(text: str) -> None:
    assert text.startswith("PK\x03\x04") or foreign(text.encode()) is None


def said(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=".") as caught:
        read_lines(path)
    return str(caught.value)


@pytest.mark.parametrize("where", range(3))
def test_one_bad_byte_is_placed_and_nothing_is_converted(where: int, tmp_path: Path) -> None:
    lines = TEXT.split("\n")[:-1]
    content = [line.encode() for line in lines]
    content[where] = lines[where][:3].encode() + b"\xe9" + lines[where][3:].encode()
    message = said(tmp_path / "text", b"\n".join(content))
    at = len(lines[where][:3].encode()) + 1
    assert f"text, line {where + 1}: not valid UTF-8 at byte {at} (0xE9); all other bytes are valid" in message
    assert "iconv" not in message


def test_several_bad_bytes_in_utf8_are_not_converted_either(tmp_path: Path) -> None:
    message = said(tmp_path / "text", TEXT.encode() + b"\xff\xfea\nb\xe9\n")
    assert "line 4: not valid UTF-8 at byte 1 (0xFF), one of 3 such bytes" in message and "iconv" not in message


def test_an_older_encoding_is_converted(tmp_path: Path) -> None:
    message = said(tmp_path / "text", WESTERN.encode("latin1"))
    assert "line 1: not valid UTF-8 at byte 2 (0xF9), one of 4 such bytes" in message
    assert message.endswith("iconv -f LATIN1 -t UTF-8")


def test_binary_data(tmp_path: Path) -> None:
    message = said(tmp_path / "picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0")
    assert "picture, line 1: not valid UTF-8 at byte 1 (0x89); this is no text but binary data" in message
