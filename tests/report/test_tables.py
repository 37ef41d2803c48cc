"""Texts in tables: nothing a terminal could obey, nothing that looks like an empty cell, the difference in sight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.report.tables import CONTEXT, shown


@pytest.mark.parametrize(("text", "cell"), [("", "(empty)"), ("  \t", "(white space)"), ("a b", "a b")])
def test_blank_texts_are_named(text: str, cell: str) -> None:
    assert shown(text).plain == cell


def test_a_long_text_shows_where_it_differs() -> None:
    same = "word " * 60
    ours, theirs = same + "left and on", same + "right and on"
    for text, other, ending in ((ours, theirs, "left and on"), (theirs, ours, "right and on")):
        cell = shown(text, beside=other).plain
        assert cell.startswith("… word ") and cell.endswith(ending) and len(cell) < CONTEXT + 20
    assert shown(ours).plain == ours[:159] + "…"
    assert shown("short left", beside="short right").plain == "short left"


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_what_is_shown_is_a_part_of_the_text(common: str, one: str, other: str) -> None:
    """Never longer than asked for, and never without the first difference, whatever the texts are."""
    text, beside = common + one, common + other
    cell = shown(text, 160, beside).plain
    assert len(cell) <= 160 and cell
    assert all(character.isprintable() or character in "\u200c\u200d" for character in cell)
    if text.isprintable() and text.strip() and text != beside:
        body = cell.removeprefix("… ").removesuffix("…") if len(text) > 160 else cell
        start = text.rfind(body) if cell.startswith("… ") else 0
        first = next((i for i, pair in enumerate(zip(text, beside, strict=False)) if pair[0] != pair[1]), 0)
        assert body in text
        if len(text) > 160 and " " in text[max(0, first - 100) : max(0, first - CONTEXT)]:
            assert start <= first < start + 160
