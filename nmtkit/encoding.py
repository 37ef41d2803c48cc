"""Recognises a file that should be UTF-8 text and is not, by its beginning and its invalid bytes."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable
from itertools import chain

BEGINNINGS = (
    (BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark begins this one
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, "UTF-16"),
    (BOM_UTF16_BE, "UTF-16"),
)
PACKED = (
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"PK\x03\x04", "zip, as .docx and .odt files are", "unzip"),
)
LOOKED_AT = 1000
"""Number of bytes by which UTF-16 and UTF-32 without a mark are recognised."""
FEWEST = 2
"""Fewest NUL bytes that they must contain."""


def foreign(beginning: bytes) -> str | None:
    """What a file with this beginning is, and how to turn it into UTF-8 text; None if it may be UTF-8 already."""
    for mark, kind, tool in PACKED:
        if beginning.startswith(mark) and (mark != b"BZh" or beginning[4:10] == b"1AY&SY"):
            return f"is packed ({kind}), not text; unpack it with {tool}"
    marked = [name for mark, name in BEGINNINGS if beginning.startswith(mark)]
    if name := marked[0] if marked else _wide(beginning[:LOOKED_AT]):
        return f"is {name}, not UTF-8; convert it with iconv -f {name} -t UTF-8"
    return None


def _wide(sample: bytes) -> str | None:
    """The name of UTF-16 or UTF-32 without a mark, if it is one: the same byte of every 2 or 4 is mostly NUL."""
    if sample.count(0) < FEWEST:
        return None
    share = [sample[place::4].count(0) / max(1, len(sample[place::4])) for place in range(4)]
    for name, filled, zero in (
        ("UTF-32LE", (0,), (1, 2, 3)),
        ("UTF-32BE", (3,), (0, 1, 2)),
        ("UTF-16LE", (0, 2), (1, 3)),
        ("UTF-16BE", (1, 3), (0, 2)),
    ):
        if all(share[place] > 0.5 for place in zero) and all(share[place] < 0.1 for place in filled):
            return name
    return None


def not_utf8(line: bytes, rest: Iterable[bytes], accents: bool) -> str:
    """Where a line is not valid UTF-8, and what to do about it.

    Args:
        rest: the lines after it.
        accents: whether earlier lines have valid characters beyond ASCII.
    """
    text = line.decode("utf-8", errors="surrogateescape")
    first = next(place for place, character in enumerate(text) if _is_escape(character))
    at = len(text[:first].encode("utf-8"))
    problem = f"not valid UTF-8 at byte {at + 1} (0x{line[at]:02X})"
    wrong, binary = 0, False
    for text in (part.decode("utf-8", errors="surrogateescape") for part in chain([line], rest)):
        bad = 0 if text.isascii() else sum(map(_is_escape, text))
        accents = accents or any(character > "\x7f" and not _is_escape(character) for character in text)
        wrong, binary = wrong + bad, binary or "\0" in text
    if binary:
        return f"{problem}; this is no text but binary data: name a text file"
    if wrong == 1:
        return f"{problem}; all other bytes are valid, so mend this one"
    if accents:
        return f"{problem}, one of {wrong:,} such bytes; the rest is UTF-8, so mend these lines"
    return (
        f"{problem}, one of {wrong:,} such bytes; nothing beyond ASCII is valid, so the file has an older encoding: "
        "convert it, if it is Western European with iconv -f LATIN1 -t UTF-8"
    )


def _is_escape(character: str) -> bool:
    """Whether a character stands for a byte that is not valid."""
    return "\udc80" <= character <= "\udcff"
