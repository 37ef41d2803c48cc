"""Symbols are one piece wherever they stand, in every segmentation, and the text still comes back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.options import TokenizerOptions, made_by_to_mapping
from nmtkit.tokenizer.subwords import NO_SKIPS, Subwords
from nmtkit.tokenizer.training import train_subwords

SYMBOLS = ("<2de>", "⟨NAME⟩", "a,b", 'q"t', "talking", "@1@", "日本")
"""None begins with the end of another, so that every occurrence can be one piece."""
HARD = ["talk talked talker walking asking king sing", "qtalk qtal ingx zing thing <2 de>", "x<2y z2de ⟨NAM E⟩"]
"""Text whose pieces would like to reach into a symbol."""


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def marked(request: pytest.FixtureRequest, lines: list[str]) -> Subwords:
    return train_subwords([*lines, *50 * HARD], vocab_size=345, kind=request.param, symbols=SYMBOLS)


WORDS = st.lists(
    st.sampled_from([*SYMBOLS, "talk", "ing", "q", "<", "<2", "a", ",b", " ", "dog", "\t", "日", "@", "ü"])
)
CHARACTERS = st.characters(exclude_characters="\n▁", exclude_categories=["Cs"])
TEXT = WORDS.map("".join) | st.tuples(st.text(CHARACTERS), st.sampled_from(SYMBOLS), st.text(CHARACTERS)).map("".join)


def occurrences(text: str) -> list[str]:
    """The symbols of a text from left to right, looked for place by place."""
    found, place = [], 0
    while place < len(text):
        symbol = next((one for one in SYMBOLS if text.startswith(one, place)), "")
        found += [symbol] if symbol else []
        place += len(symbol) or 1
    return found


def whole(subwords: Subwords, ids: list[int]) -> list[str]:
    return [piece for piece in subwords.pieces(ids) if piece in SYMBOLS]


@settings(deadline=None, max_examples=300)
@given(text=TEXT)
@example(text="qtalking")
@example(text="<2de> Jane visite l'Afrique")
def test_a_symbol_is_one_piece_wherever_it_stands(marked: Subwords, text: str) -> None:
    ids = marked.encode(text)
    assert marked.decode(ids) == text
    assert whole(marked, ids) == occurrences(text)
    assert not {PAD, BOS, UNK, EOS} & set(ids)


@settings(deadline=None)
@given(texts=st.lists(TEXT, max_size=4))
@example(texts=["qtalking", "", "<2de>日本"])
def test_many_texts_have_the_ids_of_each(marked: Subwords, texts: list[str]) -> None:
    assert marked.encode_all(texts) == [marked.encode(text) for text in texts]


@settings(deadline=None, max_examples=60)
@given(text=TEXT, seed=st.integers(0, 99))
def test_no_segmentation_splits_a_symbol(marked: Subwords, text: str, seed: int) -> None:
    ways = [*marked.segmentations(text, 6), marked.sample(text, 0.3, seed)]
    assert ways[0] == marked.encode(text)
    for ids in ways:
        assert marked.decode(ids) == text and whole(marked, ids) == occurrences(text)


@settings(deadline=None, max_examples=60)
@given(text=TEXT)
def test_where_sentencepiece_keeps_symbols_cutting_at_them_first_is_the_same(marked: Subwords, text: str) -> None:
    """Our own way, which is taken where SentencePiece splits one, against SentencePiece's; scores may tie."""
    own, theirs = marked._by_symbols(text, NO_SKIPS), marked._processor.encode(text)
    assert marked.decode(own) == text and whole(marked, own) == occurrences(text)
    if marked.kind == "unigram" and whole(marked, theirs) == occurrences(text):
        score = marked._processor.get_score
        assert sum(map(score, own)) >= sum(map(score, theirs)) - 1e-3 or UNK in theirs or byte(marked, theirs)


def byte(subwords: Subwords, ids: list[int]) -> bool:
    """Whether a character is spelled in bytes, whose score is none."""
    return any(piece.startswith("<0x") for piece in subwords.pieces(ids))


def test_symbols_are_pieces_by_name_and_are_known_to_the_file(marked: Subwords, tmp_path: Path) -> None:
    assert marked.size == 345 and marked.symbols == SYMBOLS
    assert marked.ids_of(SYMBOLS) == list(range(4, 4 + len(SYMBOLS)))
    marked.save(tmp_path / "a.model")
    again = Subwords.load(tmp_path / "a.model")
    assert again.symbols == SYMBOLS and again.hash() == marked.hash()
    assert again.encode("x<2de>talking") == marked.encode("x<2de>talking")


def test_without_symbols_there_are_none(models: dict[str, Subwords]) -> None:
    assert all(subwords.symbols == () for subwords in models.values())


@pytest.mark.parametrize(
    ("symbols", "reason"),
    [
        (["ok", ""], "'' is empty"),
        (["a b"], "'a b' has a space"),
        (["a\n"], "has a space"),
        (["\u00a0"], "has a space"),
        (["▁a"], "has a space in it (or ▁"),
        (["a\0"], "has a NUL"),
        (["<s>"], "'<s>' is a piece of every tokenizer already"),
        (["<unk>"], "already"),
        (["<0x4F>"], "already"),
        (["\udc80"], "no valid text"),
        (["<x>", "y", "<x>"], "'<x>' is named twice"),
    ],
)
def test_what_can_be_no_symbol_is_refused_in_one_line(symbols: list[str], reason: str, lines: list[str]) -> None:
    for make in (
        lambda: train_subwords(lines, vocab_size=325, symbols=symbols),
        lambda: TokenizerOptions(symbols=tuple(symbols)),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            make()
        assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_too_small_a_vocabulary_counts_the_symbols(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="needs") as caught:
        train_subwords(lines, vocab_size=270, symbols=["<2de>", "<2fr>"])
    needed = re.search(r"needs (\d+) or more \(4 special tokens, 2 symbols, 256 bytes, (\d+) ch", str(caught.value))
    assert needed and int(needed[1]) == 4 + 2 + 256 + int(needed[2])
    assert train_subwords(lines, vocab_size=int(needed[1]), symbols=["<2de>", "<2fr>"]).size == int(needed[1])


@pytest.mark.parametrize("joint", [True, False])
def test_options_reach_both_sides(joint: bool, lines: list[str]) -> None:
    made = train_tokenizer(lines, lines[:200], TokenizerOptions(330, "bpe", joint, symbols=("<2de>", "<2fr>")), seed=1)
    for side in (made.source, made.target):
        assert "<2fr>" in side.pieces(side.encode("a<2fr>b"))


def test_a_folder_says_symbols_only_where_there_are_some() -> None:
    assert "symbols" not in made_by_to_mapping(TokenizerOptions())
    assert made_by_to_mapping(TokenizerOptions(symbols=("<x>",)))["symbols"] == ["<x>"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_of_symbols_that_overlap_the_first_is_whole_and_of_those_that_begin_together_the_longer(kind: str) -> None:
    """SentencePiece's unigram model would take whichever is cheaper."""
    text = ["talk talked talks talker walking asking making king sing ring", "thing talk ing talk ing king talk walks"]
    text = [*50 * text, "abcdefghijklmnopqrstuvwxyz <>2|[]{}"]
    made = train_subwords(text, vocab_size=297, kind=kind, symbols=["talking", "kingking", "ab", "abc"])
    for line, symbols in (
        ("talkingking", ["talking"]),
        ("kingkingking", ["kingking"]),
        ("xtalkingkingking", ["talking", "kingking"]),
        ("abcab", ["abc", "ab"]),
    ):
        for ids in (made.encode(line), *made.segmentations(line, 5)):
            assert [piece for piece in made.pieces(ids) if piece in made.symbols] == symbols
            assert made.decode(ids) == line
        assert made.encode_all(["talk", line]) == [made.encode("talk"), made.encode(line)]
