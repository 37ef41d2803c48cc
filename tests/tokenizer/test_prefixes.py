"""Forced beginnings: ids, word ends, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.specials import EOS, UNK
from nmtkit.tokenizer.prefixes import each, encoded, ends_word, word_starts
from nmtkit.tokenizer.subwords import Subwords


def test_a_piece_starts_a_word_if_the_text_has_a_blank_before_it(subwords: Subwords, lines: list[str]) -> None:
    """After other words than the one by which the pieces are told; both kinds of pieces occur."""
    starts = word_starts(subwords)
    for word in dict.fromkeys(word for line in lines[:20] for word in line.split()):
        ids = subwords.encode(word)
        for token in range(UNK + 2, subwords.size):
            text = subwords.decode([*ids, token])
            assert (token in starts) == text.startswith(f"{word} "), (word, token, text)
    assert 0 < len(starts) < subwords.size - 4 and EOS not in starts
    assert starts >= {token for token, piece in enumerate(subwords.pieces(range(subwords.size))) if piece[0] == "▁"}


@given(st.text(alphabet="ab \t\u3000", max_size=6))
def test_white_space_at_the_end_of_a_text_ends_a_word(text: str) -> None:
    assert ends_word(text) == (text.strip() != "" and text.rstrip() != text)
    assert not ends_word([4, 5])


def test_ids_are_checked(subwords: Subwords) -> None:
    size = subwords.size
    assert encoded([UNK, size - 1], subwords, 1) == (UNK, size - 1)
    assert encoded(" a ", subwords, 1) == tuple(subwords.encode("a"))
    for wrong in (-1, 0, 1, EOS, size, 10**9):
        with pytest.raises(ValueError, match=f"^line 7: {wrong} cannot stand in a prefix; give target ids from 2 to"):
            encoded([4, wrong], subwords, 7)


def test_one_text_or_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="the prefixes are one text, 'ab'; give a list"):
        each("ab", 2)
    with pytest.raises(ValueError, match="2 source lines but 1 prefix: give as many"):
        each(["a"], 2)
    assert each(None, 2) == [(), ()] and each(["a", [4]], 2) == ["a", [4]]
