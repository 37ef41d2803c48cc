"""What is mojibake and what is markup, and what only looks like it."""

from __future__ import annotations

import pytest

from nmtkit.preflight.findings import Kind
from nmtkit.preflight.lines import characters, markup, mojibake
from nmtkit.preflight.reading import Side

TEXTS = [
    "déjà vu",
    "über Größe",
    "l’été",
    "„so“ – nein",
    "10 € …",
    "Привет, мир",
    "日本語です",
    "Ñandú ¿sí?",
    "naïve Ö",
    "½ £ ©",
]
HARMLESS = [
    *("„Fuß”", "« là\u00a0»", "déjà\u00a0» et", "Ça va…", "Ö–Ä", "IRMÃ”", "à «\u00a0non\u00a0»", "café…» ", "Â", "Ã o"),
    *("ß… ", "Zürich® €", "où\u00a0? là\u00a0!", "ÆØÅ»", "naïve…", "Tæ–", "é€", "œuvre"),
]


def side(*lines: str) -> Side:
    return Side([line.encode() for line in lines], lines)


@pytest.mark.parametrize("text", TEXTS)
def test_utf8_read_as_something_else(text: str) -> None:
    """As Latin-1, and as Windows-1252, which has no character for five of the bytes."""
    for wrong in (text.encode().decode("latin1"), text.encode().decode("cp1252", errors="ignore")):
        lines = side("well", text, f"well, {wrong}", *HARMLESS)
        assert mojibake(lines).tolist() == [2]


def test_markup_and_what_only_looks_like_it() -> None:
    marked = [
        "a &amp; b",
        "&#233;",
        "&#xE9;",
        "<b>",
        "</div>",
        'x <a href="y">z',
        "<br/>",
        "<br />",
        "<unk>",
        "&Eacute;t&eacute;",
    ]
    plain = ["a & b", "AT&T; no", "1 < 2 > 0", "a<b and c", "<3", "< b >", "Q&A", "&;", "i <- j", "<<EOF"]
    lines = [line for two in zip(marked, plain, strict=True) for line in two]
    assert markup(side(*lines)).tolist() == [*range(0, 20, 2)]
    assert markup(side("<b> &amp; </b>", "none")).tolist() == [0]
    assert not markup(side("none")).size


def test_a_space_at_the_very_beginning_belongs_to_the_first_line() -> None:
    lines = ["\u00a0a", "b", "c ", "d", " e", "f\u3000\u3000g", "h\ti", "j k"]
    assert characters(side(*lines))[Kind.SPACES].tolist() == [0, 2, 4, 5, 6]
    assert characters(side(*lines[1:2]))[Kind.SPACES].size == 0
