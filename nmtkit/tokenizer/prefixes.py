"""Beginnings of translations that are forced: as texts, or as ids.

A text that ends in white space says that a word ends there, so that only a piece that starts a word may follow.
Without it the translation may go on inside the last word.
"""

from __future__ import annotations

from collections.abc import Sequence

from nmtkit.specials import EOS, UNK
from nmtkit.tokenizer.vocabulary import Vocabulary
from nmtkit.words import counted

Prefixes = Sequence[str | Sequence[int]]
"""One for each sentence: a text or ids without EOS; empty or blank for nothing."""


def each(prefixes: Prefixes | None, sentences: int) -> Prefixes:
    """The prefix of each sentence. Raises ValueError where they are not as many as the sentences."""
    if prefixes is None:
        return [()] * sentences
    if isinstance(prefixes, str):
        raise ValueError(f"the prefixes are one text, {prefixes[:40]!r}; give a list with a prefix for each line")
    if len(prefixes) != sentences:
        raise ValueError(
            f"{counted(sentences, 'source line')} but {counted(len(prefixes), 'prefix', 'prefixes')}: "
            "give as many, blank ones where there is none"
        )
    return prefixes


def encoded(prefix: str | Sequence[int], vocabulary: Vocabulary, line: int) -> tuple[int, ...]:
    """The ids of a prefix. Raises ValueError for an id that no prefix can have, and names the line."""
    if isinstance(prefix, str):
        return tuple(vocabulary.encode(prefix.strip()))
    for token in prefix:
        if token == EOS or not UNK <= token < vocabulary.size:
            raise ValueError(
                f"line {line}: {token!r} cannot stand in a prefix; give target ids from {UNK} to {vocabulary.size - 1} "
                f"without {EOS}, the end of sentence"
            )
    return tuple(prefix)


def ends_word(prefix: str | Sequence[int]) -> bool:
    """Whether a prefix says that a word ends with it."""
    return isinstance(prefix, str) and bool(prefix.strip()) and prefix[-1].isspace()


def word_starts(vocabulary: Vocabulary) -> frozenset[int]:
    """The pieces before which a word ends: those that put a blank after what stands before them."""
    texts = ((token, vocabulary.decode([token])) for token in range(UNK, vocabulary.size))
    before = next(([token] for token, text in texts if text.isalpha()), [])
    place = len(vocabulary.decode(before))
    return frozenset(
        token for token in range(UNK, vocabulary.size) if vocabulary.decode([*before, token])[place:].startswith(" ")
    )
