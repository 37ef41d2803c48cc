"""What characters are: scripts, control characters, invisible ones; as tables by code point."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
LAST = 0x110000

NONE = 0
SCRIPTS = (
    *("none", "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Syriac", "Thaana", "Devanagari"),
    *("Bengali", "Gurmukhi", "Gujarati", "Odia", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai"),
    *("Lao", "Tibetan", "Myanmar", "Georgian", "Hangul", "Ethiopic", "Cherokee", "Khmer", "Mongolian", "Han/Kana"),
)
"""Chinese characters and Kana are one script, because Japanese lines mix them."""
RANGES = (
    *(("Latin", 0x41, 0x5A), ("Latin", 0x61, 0x7A), ("Latin", 0xC0, 0x24F), ("Latin", 0x250, 0x2AF)),
    *(("Latin", 0x1E00, 0x1EFF), ("Latin", 0x2C60, 0x2C7F), ("Latin", 0xA720, 0xA7FF), ("Latin", 0xFF21, 0xFF5A)),
    *(("Greek", 0x370, 0x3FF), ("Greek", 0x1F00, 0x1FFF), ("Cyrillic", 0x400, 0x52F), ("Cyrillic", 0x1C80, 0x1C8F)),
    *(("Cyrillic", 0x2DE0, 0x2DFF), ("Cyrillic", 0xA640, 0xA69F), ("Armenian", 0x531, 0x58F)),
    *(("Hebrew", 0x591, 0x5F4), ("Hebrew", 0xFB1D, 0xFB4F), ("Arabic", 0x600, 0x6FF), ("Arabic", 0x750, 0x77F)),
    *(("Arabic", 0x8A0, 0x8FF), ("Arabic", 0xFB50, 0xFDFF), ("Arabic", 0xFE70, 0xFEFC), ("Syriac", 0x700, 0x74F)),
    *(("Thaana", 0x780, 0x7BF), ("Devanagari", 0x900, 0x97F), ("Devanagari", 0xA8E0, 0xA8FF)),
    *(("Bengali", 0x980, 0x9FF), ("Gurmukhi", 0xA00, 0xA7F), ("Gujarati", 0xA80, 0xAFF), ("Odia", 0xB00, 0xB7F)),
    *(("Tamil", 0xB80, 0xBFF), ("Telugu", 0xC00, 0xC7F), ("Kannada", 0xC80, 0xCFF), ("Malayalam", 0xD00, 0xD7F)),
    *(("Sinhala", 0xD80, 0xDFF), ("Thai", 0xE00, 0xE7F), ("Lao", 0xE80, 0xEFF), ("Tibetan", 0xF00, 0xFFF)),
    *(("Myanmar", 0x1000, 0x109F), ("Georgian", 0x10A0, 0x10FF), ("Georgian", 0x1C90, 0x1CBF)),
    *(("Georgian", 0x2D00, 0x2D2F), ("Hangul", 0x1100, 0x11FF), ("Hangul", 0x3130, 0x318F), ("Hangul", 0xAC00, 0xD7FF)),
    *(("Ethiopic", 0x1200, 0x139F), ("Ethiopic", 0x2D80, 0x2DDF), ("Cherokee", 0x13A0, 0x13FF)),
    *(("Cherokee", 0xAB70, 0xABBF), ("Khmer", 0x1780, 0x17FF), ("Mongolian", 0x1800, 0x18AF)),
    *(("Han/Kana", 0x3005, 0x3007), ("Han/Kana", 0x3041, 0x30FF), ("Han/Kana", 0x31F0, 0x31FF)),
    *(("Han/Kana", 0x3400, 0x4DBF), ("Han/Kana", 0x4E00, 0x9FFF), ("Han/Kana", 0xF900, 0xFAFF)),
    *(("Han/Kana", 0xFF66, 0xFF9D), ("Han/Kana", 0x20000, 0x323AF)),
)
"""Blocks of Unicode that hold the letters of a script. Of each block only the letters and marks count."""

CONTROL, REPLACEMENT, INVISIBLE, SPACE, TAB, DIGIT, LEAD, LATER = 1, 2, 4, 8, 16, 32, 64, 128
SPECIAL = CONTROL | REPLACEMENT | INVISIBLE | TAB
"""Bits of a character in the table of `flags`; a newline, which stands between lines, is a space.

LEAD and LATER are what the bytes of a character in UTF-8 look like as Latin-1 or Windows-1252.
"""
AS_LATER = "".join(map(chr, range(0x80, 0xC0))) + "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
ZERO_WIDTH = (0x200B, 0x2060, 0xFEFF, 0xAD, 0x180E, *range(0x2061, 0x2065), *range(0xFFF9, 0xFFFC))
"""Invisible characters that no spelling needs: joiners (U+200C, U+200D) and marks of direction are not among them."""


@functools.cache
def scripts() -> npt.NDArray[np.uint8]:
    """The number of the script, in `SCRIPTS`, of every letter; 0 for all other characters."""
    table = np.zeros(LAST, dtype=np.uint8)
    for name, first, last in RANGES:
        number = SCRIPTS.index(name)
        if last >= 0x20000 or (first, last) in ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xAC00, 0xD7FF)):
            table[first : last + 1] = number  # letters all
            continue
        for code in range(first, last + 1):
            if unicodedata.category(chr(code))[0] in "LM":
                table[code] = number
    return table


@functools.cache
def flags() -> npt.NDArray[np.uint8]:
    """What is odd about every character: bits."""
    table = np.zeros(LAST, dtype=np.uint8)
    table[[*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]] = CONTROL
    table[[0x0B, 0x0C, 0x0D, *range(0x1C, 0x20), 0x85, 0x2028, 0x2029]] |= SPACE
    table[0xFFFD] = REPLACEMENT
    table[[*ZERO_WIDTH]] = INVISIBLE
    table[[0x0A, 0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]] = SPACE
    table[0x09] = SPACE | TAB
    table[np.flatnonzero(decimals() < 10)] |= DIGIT
    table[[*map(ord, AS_LATER)]] |= LATER
    table[0xC2:0xF0] |= LEAD
    return table


@functools.cache
def decimals() -> npt.NDArray[np.uint8]:
    """The value of every decimal digit, in whatever script; 255 for all other characters."""
    table = np.full(LAST, 255, dtype=np.uint8)
    for code in range(0x20000):
        if chr(code).isdecimal():
            table[code] = unicodedata.decimal(chr(code))
    return table


@functools.cache
def letters() -> npt.NDArray[np.uint16]:
    """Every letter of the first plane in lower case; 0 for all that is no letter."""
    table = np.zeros(LAST, dtype=np.uint16)
    for code in range(0x10000):
        if chr(code).isalpha():
            table[code] = min(ord(chr(code).lower()[0]), 0xFFFF)
    return table


def codes(text: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def main_scripts(of_text: Codes, starts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The script of most letters of each line; 0 for a line without letters.

    Args:
        of_text: the code points of all lines.
        starts: where each line begins.
    """
    found = scripts()[of_text]
    if not np.any(found > 1):  # Latin, or nothing
        latin: npt.NDArray[np.uint8] = np.maximum.reduceat(found, starts)
        return latin
    lines = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(of_text)))
    counts = np.bincount(lines * len(SCRIPTS) + found, minlength=len(starts) * len(SCRIPTS))
    of_line = counts.reshape(len(starts), len(SCRIPTS))
    of_line[:, NONE] = 0
    most: npt.NDArray[np.uint8] = of_line.argmax(axis=1).astype(np.uint8)
    most[of_line.max(axis=1) == 0] = NONE
    return most
