"""Tables of characters agree with Unicode's own data."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from nmtkit.preflight.characters import (
    CONTROL,
    DIGIT,
    LAST,
    SCRIPTS,
    SPACE,
    codes,
    decimals,
    flags,
    main_scripts,
    scripts,
)

NAMES = {
    "Han/Kana": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "IDEOGRAPHIC"),
    "Odia": ("ORIYA",),
    "Greek": ("GREEK", "COPTIC"),
}


def test_letters_have_the_script_of_their_name() -> None:
    """The first word of a letter's name, for every letter of the table and every letter of those names."""
    table = scripts()
    firsts = {name: NAMES.get(name, (name.upper(),)) for name in SCRIPTS}
    for code in np.flatnonzero(table).tolist():
        first = unicodedata.name(chr(code), "").split(" ")[0]
        mark = first in ("COMBINING", "MODIFIER", "FULLWIDTH", "HALFWIDTH", "TONAL")
        assert not first or mark or first in firsts[SCRIPTS[table[code]]], (hex(code), first)
    common = {"GREEK", "CYRILLIC", "HEBREW", "ARABIC", "DEVANAGARI", "THAI", "HANGUL", "LATIN", "GEORGIAN", "TAMIL"}
    rare = {*range(0x1D00, 0x1DC0), 0x2184, *range(0xAB30, 0xAB70), *range(0xFB00, 0xFB07)}  # phonetics, ligatures
    for code in range(0x250, 0x10000):
        first = unicodedata.name(chr(code), "").split(" ")[0]
        if first in common and unicodedata.category(chr(code)) in ("Ll", "Lu") and code not in rare:
            assert SCRIPTS[table[code]].upper() == first, hex(code)


def test_spaces_digits_and_control_characters_are_those_of_python() -> None:
    table = flags()
    for code in range(0x20000):
        character = chr(code)
        assert bool(table[code] & SPACE) == character.isspace(), hex(code)
        assert bool(table[code] & DIGIT) == character.isdecimal(), hex(code)
        assert decimals()[code] == unicodedata.decimal(character, 255)
        control = unicodedata.category(character) in ("Cc", "Zl", "Zp") and character not in "\t\n"
        assert bool(table[code] & CONTROL) == control, hex(code)
    assert not (table[0x20000:] & (SPACE | DIGIT | CONTROL)).any() and len(table) == LAST


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("Oui, à 7 h.", "Latin"),
        ("12 + 3 = 15 ☃", "none"),
        ("Да, OK", "Latin"),  # a tie: the first of the table
        ("Да, да, OK", "Cyrillic"),
        ("東京タワーへ行く Tokyo", "Han/Kana"),
        ("한국어", "Hangul"),
        ("नमस्ते", "Devanagari"),
        ("𠀀", "Han/Kana"),
    ],
)
def test_the_script_of_most_letters(line: str, script: str) -> None:
    text = f"abc\n{line}\nπ\n"
    found = main_scripts(codes(text), np.array([0, 4, 5 + len(line)]))
    assert [SCRIPTS[number] for number in found] == ["Latin", script, "Greek"]


def test_latin_alone() -> None:
    assert main_scripts(codes("12\nà1\n"), np.array([0, 3])).tolist() == [0, 1]
