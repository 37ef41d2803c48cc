"""Phrases in texts against regular expressions, and against what people would say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.phrase_toys import stands_in
from support.search_toys import many

import nmtkit.decoding.phrases
from nmtkit.decoding.phrases import Phrases, in_words, occurrences

texts = st.text("ab, .éß_1😀", max_size=12)
phrases = st.lists(
    st.text("ab, .é😀", min_size=1, max_size=4).map(str.strip).filter(bool), min_size=1, max_size=5, unique=True
)


@many
@given(known=phrases, text=texts)
def test_the_automaton_finds_what_a_regular_expression_finds(known: list[str], text: str) -> None:
    assert Phrases(known).ended(text) == {number for number, one in enumerate(known) if stands_in(one, text)}


@many
@given(known=phrases, text=texts)
def test_all_places_of_a_phrase(known: list[str], text: str) -> None:
    for phrase in known:
        places = list(occurrences(phrase, text))
        assert bool(places) == stands_in(phrase, text)
        for start, end in places:
            assert text[start:end] == phrase
            assert stands_in(phrase, text[max(0, start - 1) : end + 1])


@pytest.mark.parametrize(
    ("phrase", "text", "stands"),
    [
        ("Hund", "Der Hund, der bellt.", True),
        ("Hund", "Der Hunde-Hund", True),
        ("Hund", "„Hund“", True),
        ("Hund", "Hunde", False),
        ("Hund", "der hund", False),
        ("und", "Hund", False),
        ("New York", "in New York.", True),
        ("New York", "in New  York.", False),
        ("New York", "New Yorker", False),
        ("a b", "a a b", True),
        ("(c)", "a(c)b", True),
        ("café", "cafés", False),
        ("cafe", "cafe\u0301", False),  # an accent that stands after its letter
        ("狗", "黑狗在跑", True),
        ("ไทย", "ภาษาไทย", True),
        ("한국", "한국어", False),
        ("_a", "_ab", False),
    ],
)
def test_where_a_phrase_stands(phrase: str, text: str, stands: bool) -> None:
    assert bool(Phrases([phrase]).ended(text)) == stands == any(True for _ in occurrences(phrase, text))


def test_too_many_phrases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nmtkit.decoding.phrases, "MOST", 10)
    with pytest.raises(ValueError, match="^2 phrases with 8 beginnings are too many: give fewer$"):
        Phrases(["abc", "b"])


def test_letters_digits_underscore_and_accents_make_words() -> None:
    assert [*map(in_words, "aé9_\u0301ß")] == [True] * 6
    assert [*map(in_words, " .-'„“😀狗か")] == [False] * 9


def test_a_phrase_inside_the_beginning_of_a_longer_one() -> None:
    phrases = Phrases(["b", "a b c", "a b", "b c d"])
    assert phrases.ended("a b x") == {0, 2}
    assert phrases.ended("a b c d") == {0, 1, 2, 3}
