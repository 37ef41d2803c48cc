"""Alignments and their error rate, by hand and against a loop."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.evaluation.alignment import Gold, parse_gold, score, to_pharaoh

links = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


def test_the_error_rate_by_hand() -> None:
    """A = {0-0, 1-1, 2-1}, S = {0-0, 1-2}, P = S ∪ {1-1}: 1 − (1 + 2) / (3 + 2)."""
    gold = Gold(frozenset({(0, 0), (1, 2)}), frozenset({(0, 0), (1, 2), (1, 1)}))
    found = score([frozenset({(0, 0), (1, 1), (2, 1)})], [gold])
    assert (found.error_rate, found.precision, found.recall) == pytest.approx((0.4, 2 / 3, 1 / 2))
    assert found.links == 3


@given(st.lists(st.tuples(links, links, links), min_size=1, max_size=4))
def test_against_a_loop(sentences: list[tuple[frozenset[tuple[int, int]], ...]]) -> None:
    gold = [Gold(sure, sure | more) for _, sure, more in sentences]
    made, top, bottom = [one for one, *_ in sentences], 0, 0
    for one, known in zip(made, gold, strict=True):
        for source in range(5):
            for target in range(5):
                inside, sure = (source, target) in one, (source, target) in known.sure
                top += (inside and sure) + (inside and (source, target) in known.possible)
                bottom += inside + sure
    if not bottom:
        with pytest.raises(ValueError, match="nothing to compare"):
            score(made, gold)
        return
    assert score(made, gold).error_rate == pytest.approx(float(1 - Fraction(top, bottom)))
    own = [Gold(one, one) for one in made]
    if any(made):
        assert score(made, own).error_rate == 0 and score(made, own).precision == score(made, own).recall == 1


@given(st.lists(links, max_size=4))
def test_what_is_written_is_read(sentences: list[frozenset[tuple[int, int]]]) -> None:
    five = ["a b  c d e"] * len(sentences)
    read = parse_gold([to_pharaoh(one) for one in sentences], "gold", five, five)
    assert [one.sure for one in read] == sentences == [one.possible for one in read]


def test_possible_links() -> None:
    first, second = parse_gold(["0-0 1p2 3?4", ""], "gold", ["a b c d", "a"], ["a b c d e", "a"])
    assert first.sure == {(0, 0)} and first.possible == {(0, 0), (1, 2), (3, 4)}
    assert second == Gold(frozenset(), frozenset())


@pytest.mark.parametrize("word", ["1", "1-", "a-b", "1--2", "-1-2", "1-2-3", "1.0-2", "1p-2", "٣-1"])
def test_what_is_no_link_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"^gold, line 2: .* is not a link; write 1-2"):
        parse_gold(["0-0", f"0-1 {word}"], "gold", ["a b", "a b"], ["a b", "a b"])


@pytest.mark.parametrize(
    ("word", "side", "size"),
    [("1-99", "target", "4 words"), ("2-4", "target", "4 words"), ("3p0", "source", "3 words"), ("9?9", "source", "3")],
)
def test_a_link_beyond_the_sentence_is_refused(word: str, side: str, size: str) -> None:
    """The last words, from 0, are 2 and 3; those of the line before do not matter."""
    texts = ["a b c d e f", "le chat dort"], ["a b c d e f", "the cat  sleeps ."]
    assert parse_gold(["5-5", "2-3"], "gold", *texts)[1].sure == {(2, 3)}
    said = f"gold, line 2: the link {word} is beyond the {side}, which has {size}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        parse_gold(["5-5", f"2-3 {word}"], "gold", *texts)
    with pytest.raises(ValueError, match="has 1 word, counted"):
        parse_gold(["1-0"], "gold", ["a"], ["a"])


def test_as_many_lines_on_both_sides() -> None:
    with pytest.raises(ValueError, match="1 alignment but 0 gold ones"):
        score([frozenset()], [])
