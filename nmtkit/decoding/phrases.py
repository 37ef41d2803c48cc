"""Phrases in a text as whole words, found letter by letter with one automaton (Aho and Corasick 1975).

A phrase stands in a text as whole words if its letters do and no word goes on at either end. To see that, a text is
read with a mark at the beginning, around every character of no word, and at the end: "|a|,| |b|" for "a, b". The
marked phrase is then an ordinary part of the marked text.

Shape key: Q states, C classes of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

OTHER, LETTER, EDGE = 0, 1, 2
"""Classes: characters of no phrase that belong to no word or to one, and the mark. Those of the phrases come after."""
MOST = 20_000_000
"""Number of entries that the table of states and classes may have."""
SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces: every one may begin or end a word."""
Table = NDArray[np.int32]


def in_words(character: str) -> bool:
    """Whether a character belongs to a word: letters, digits, underscore, and accents that stand after a letter."""
    usual = character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
    return usual and not SPACELESS.match(character)


def occurrences(phrase: str, text: str) -> Iterator[tuple[int, int]]:
    """Beginning and end of each place where a phrase stands in a text as whole words."""
    start = text.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        if not _goes_on(text[start - 1 : start + 1] if start else "") and not _goes_on(text[end - 1 : end + 1]):
            yield start, end
        start = text.find(phrase, start + 1)


def _goes_on(pair: str) -> bool:
    """Whether both of two neighbours belong to one word."""
    return len(pair) == 2 and in_words(pair[0]) and in_words(pair[1])


def _marked(text: str) -> list[str]:
    """The characters of a text, with "" for each mark."""
    symbols, inside = [""], False
    for character in text:
        word = in_words(character)
        symbols += [*([""] if inside and not word else []), character, *([] if word else [""])]
        inside = word
    return [*symbols, ""] if inside else symbols


class Phrases:
    """The automaton that reads a text and says which phrases have just come to their end, as whole words.

    What has ended is a number of a set of phrases; 0 is the empty set.

    Attributes:
        texts: the phrases, none of them empty.
        start: the state at the beginning of a text.
        next_QC: the state after a state and a character of a class.
        hit_QC: what has ended when it was read; a word ends when the character after it is read.
        end_Q: what the end of the text ends.
        sets: the phrases of each set by number.

    Raises:
        ValueError: for more phrases than there is room for.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.sets = tuple(texts), [frozenset[int]()]
        self._numbers = {self.sets[0]: 0}
        symbols = sorted({character for text in texts for character in text})
        self._classes = {character: EDGE + 1 + place for place, character in enumerate(symbols)}
        children: list[dict[int, int]] = [{}]
        own: list[set[int]] = [set()]
        edges = [False]
        for number, text in enumerate(texts):
            node = 0
            for symbol in _marked(text):
                kind = self._classes[symbol] if symbol else EDGE
                if kind not in children[node]:
                    children[node][kind] = len(children)
                    children.append({})
                    own.append(set())
                    edges.append(kind == EDGE)
                node = children[node][kind]
            own[node].add(number)
        kinds = EDGE + 1 + len(symbols)
        if len(children) * kinds > MOST:
            raise ValueError(f"{len(texts):,} phrases with {len(children):,} beginnings are too many: give fewer")
        go_QC, ended_Q = self._automaton(children, own, kinds)
        self.start = int(go_QC[0, EDGE])
        self._tabulate(go_QC, ended_Q, np.array(edges))

    def _automaton(self, children: list[dict[int, int]], own: list[set[int]], kinds: int) -> tuple[Table, Table]:
        """The goto table over marked text, and the set of phrases that end in each state."""
        go_QC = np.zeros((len(children), kinds), dtype=np.int32)
        ended_Q = np.zeros(len(children), dtype=np.int32)
        queue = [(0, 0)]
        for node, fallback in queue:
            go_QC[node] = go_QC[fallback]
            ended_Q[node] = self.number({*own[node], *self.sets[ended_Q[fallback]]})
            for kind, child in children[node].items():
                queue.append((child, int(go_QC[node, kind]) if node else 0))
                go_QC[node, kind] = child
        return go_QC, ended_Q

    def _tabulate(self, go_QC: Table, ended_Q: Table, edges_Q: NDArray[np.bool_]) -> None:
        """The tables over plain text: a character is read together with the marks around it."""
        states = np.arange(len(go_QC), dtype=np.int32)
        closed_Q = np.where(edges_Q, states, go_QC[:, EDGE])
        self.end_Q = np.where(edges_Q, 0, ended_Q[closed_Q]).astype(np.int32)
        self.next_QC, self.hit_QC = go_QC.copy(), np.zeros_like(go_QC)
        words = {LETTER, *(kind for character, kind in self._classes.items() if in_words(character))}
        for kind in set(range(go_QC.shape[1])) - words - {EDGE}:
            self.next_QC[:, kind] = go_QC[go_QC[closed_Q, kind], EDGE]
            self.hit_QC[:, kind] = self.unions(self.end_Q, ended_Q[self.next_QC[:, kind]])

    def number(self, phrases: Iterable[int]) -> int:
        """The number of a set of phrases."""
        known = frozenset(phrases)
        if known not in self._numbers:
            self._numbers[known] = len(self.sets)
            self.sets.append(known)
        return self._numbers[known]

    def unions(self, first: Table, second: Table) -> Table:
        """The unions of sets, pair by pair."""
        if not first.any() or not second.any():
            return np.maximum(first, second)
        pairs, place = np.unique(np.stack((first, second)), axis=1, return_inverse=True)
        union = [self.number(self.sets[a] | self.sets[b]) for a, b in pairs.T.tolist()]
        return np.array(union, dtype=np.int32)[place.reshape(-1)]

    def kind(self, character: str) -> int:
        """The class of a character."""
        return self._classes.get(character, LETTER if in_words(character) else OTHER)

    def ended(self, text: str) -> frozenset[int]:
        """The numbers of the phrases that stand in a text."""
        node, hits = self.start, [0]
        for kind in map(self.kind, text):
            hits.append(int(self.hit_QC[node, kind]))
            node = int(self.next_QC[node, kind])
        return frozenset().union(*(self.sets[hit] for hit in [*hits, int(self.end_Q[node])]))
