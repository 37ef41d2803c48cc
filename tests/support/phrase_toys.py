"""For tests of constraints: pieces that spell words of a and b in several ways, and what a text contains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from nmtkit.decoding.search import Query
from nmtkit.glossary import Bound, Glossary
from nmtkit.specials import EOS, UNK

SPELLINGS = ["", "", " ⁇ ", "", " a", "b", " b", "ab", ","]
SYMBOLS = len(SPELLINGS) - 2


class Letters:
    """A vocabulary: the longest piece that fits, after a space at the beginning."""

    size = len(SPELLINGS)

    def spellings(self) -> list[bytes]:
        return [spelling.encode() for spelling in SPELLINGS]

    def encode(self, text: str) -> list[int]:
        text, ids = f" {text}", []
        while text:
            known = [token for token, piece in enumerate(SPELLINGS) if piece and text.startswith(piece)]
            ids.append(max(known, key=lambda token: len(SPELLINGS[token]), default=UNK))
            text = text[len(SPELLINGS[ids[-1]]) if known else 1 :]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(SPELLINGS[token] for token in ids).removeprefix(" ")


def text_of(tokens: Sequence[int]) -> str:
    return Letters().decode(tokens)


def stands_in(phrase: str, text: str) -> bool:
    """By a regular expression."""
    before, after = r"(?<!\w)" if phrase[0].isalnum() else "", r"(?!\w)" if phrase[-1].isalnum() else ""
    return re.search(before + re.escape(phrase) + after, text) is not None


def keeps(tokens: Sequence[int], forbidden: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether an output keeps its constraints."""
    assert tokens[-1] == EOS
    text = text_of(tokens)
    return all(stands_in(term, text) for term in wanted) and not any(stands_in(phrase, text) for phrase in forbidden)


def constrained(queries: Sequence[Query], forbidden: Sequence[str], wanted: Sequence[Sequence[str]]) -> list[Query]:
    """The queries with what is forbidden to all of them and what is wanted of each; their limits stay."""
    vocabulary: Any = Letters()
    terms = {term for own in wanted for term in own}
    bound = Bound(Glossary(tuple(forbidden), tuple((term, term) for term in sorted(terms))), vocabulary)
    return [
        Query(query.limit, query.minimum, query.prefix, lexicon=bound.lexicon, terms=tuple(map(bound.term, own)))
        for query, own in zip(queries, wanted, strict=True)
    ]
