"""What of a parallel text is kept: whole pairs only, every pair that is left out counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.training_toys import parallel, tokenizer

from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.specials import EOS


class Letters:
    """One piece a character that is not a space."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def encode(self, text: str) -> list[int]:
        return [ord(letter) + self.offset for letter in text if letter != " "]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [*map(self.encode, texts)]


LETTERS: Any = SimpleNamespace(source=Letters(0), target=Letters(1000), features=None)

side = st.text(alphabet="ab \t\u00a0\u2028", max_size=6)


def pairs_of(corpus: Corpus) -> list[tuple[list[int], list[int]]]:
    return [(corpus.source[i].tolist(), corpus.target[i].tolist()) for i in range(len(corpus))]


@given(st.lists(st.tuples(side, side), max_size=12), st.integers(1, 4), st.integers(1, 4))
def test_pairs_are_kept_or_left_out_whole_and_counted(
    pairs: list[tuple[str, str]], max_source: int, max_target: int
) -> None:
    corpus = load_corpus([x for x, _ in pairs], [y for _, y in pairs], LETTERS, max_source, max_target)
    kept, fates, distinct = [], Counter[str](), set()
    for x, y in pairs:
        ids = [ord(c) for c in x if c != " "], [ord(c) + 1000 for c in y if c != " "]
        blank = x.isspace() or y.isspace() or "" in (x, y)
        fate = "empty" if blank else "long" if len(ids[0]) > max_source or len(ids[1]) > max_target else "kept"
        fates[fate] += 1
        if fate == "kept":
            kept.append((ids[0] + [EOS], ids[1] + [EOS]))
            distinct.add((x, y))
    assert pairs_of(corpus) == kept
    counts = corpus.counts
    assert (counts.pairs, counts.empty, counts.overlong) == (len(pairs), fates["empty"], fates["long"])
    assert counts.kept == len(corpus) == len(kept)
    assert counts.duplicates == len(kept) - len(distinct)
    assert corpus.source.lengths == [len(x) for x, _ in kept] and corpus.target.lengths == [len(y) for _, y in kept]


@pytest.mark.parametrize(("pieces", "kept"), [(3, True), (4, False)])
@pytest.mark.parametrize("long_side", ["source", "target"])
def test_the_limit_counts_pieces_without_eos(pieces: int, kept: bool, long_side: str) -> None:
    sides = {"source": "a", "target": "b", long_side: "a" * pieces}
    corpus = load_corpus([sides["source"]], [sides["target"]], LETTERS, 3, 3)
    assert (len(corpus) == 1) == kept and corpus.counts.overlong == (not kept)


def test_a_blank_side_takes_its_other_side_along() -> None:
    corpus = load_corpus(["a", "", "b", "  ", "ab"], ["b", "a", " ", "", "ba"], LETTERS, 9, 9)
    assert pairs_of(corpus) == [([97, EOS], [1098, EOS]), ([97, 98, EOS], [1098, 1097, EOS])]
    assert corpus.counts.empty == 3


def test_real_text_comes_back_from_the_ids_of_its_own_side() -> None:
    source, target = parallel(20, seed=3)
    corpus = load_corpus(source, target, tokenizer(joint=False), 99, 99)
    for i, (x, y) in enumerate(zip(source, target, strict=True)):
        ids_x, ids_y = corpus.source[i].tolist(), corpus.target[i].tolist()
        assert (ids_x[-1], ids_y[-1]) == (EOS, EOS) and EOS not in ids_x[:-1] + ids_y[:-1]
        assert tokenizer(joint=False).source.decode(ids_x) == x and tokenizer(joint=False).target.decode(ids_y) == y
