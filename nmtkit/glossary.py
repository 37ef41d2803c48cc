"""What the outputs of a whole text must not contain, and the terms that they must, as people write them down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from nmtkit.batches.source import Source
from nmtkit.batches.work import DAMAGED
from nmtkit.console import warn
from nmtkit.decoding.lexicon import Lexicon, Term
from nmtkit.decoding.phrases import SPACELESS, Phrases, occurrences
from nmtkit.decoding.search import Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.tokenizer.vocabulary import Vocabulary
from nmtkit.words import counted

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Glossary:
    """Phrases that must not stand in any output, and terms with their translations.

    A phrase or a term stands where no word goes on at either end; upper and lower case differ.

    Attributes:
        forbidden: the phrases.
        terms: pairs of a term in the source and its translation, which must stand in the output where the term stands
            in the source. A term inside a longer one does not count there.

    Raises:
        ValueError: for a blank phrase, or a term with two translations.
    """

    forbidden: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        known: dict[str, str] = {}
        for source, target in self.terms:
            if known.setdefault(source, target) != target:
                raise ValueError(
                    f"the term {source!r} has two translations, {known[source]!r} and {target!r}: keep one"
                )
        if not all(text.strip() for text in (*self.forbidden, *known, *known.values())):
            raise ValueError("a phrase or term is blank: leave it out")

    def terms_in(self, line: str) -> list[str]:
        """The translations of the terms in a line, each once."""
        targets, taken = dict[str, None](), list[tuple[int, int]]()
        for source, target in sorted(self.terms, key=lambda term: -len(term[0])):
            free = [
                (start, end)
                for start, end in occurrences(source, line)
                if not any(start < other_end and other_start < end for other_start, other_end in taken)
            ]
            taken += free
            targets |= dict.fromkeys([target] if free else [])
        return list(targets)


class Bound:
    """A glossary in the pieces of a vocabulary.

    Args:
        longest: most tokens of an output that the model can hold; None: any number.

    Raises:
        ValueError: for a term that the pieces cannot spell, or that contains a forbidden phrase.
    """

    def __init__(
        self, glossary: Glossary, vocabulary: Vocabulary, longest: int | None = None, device: torch.device = CPU
    ) -> None:
        self.glossary, self._vocabulary, self._longest = glossary, vocabulary, longest
        forbidden = list(dict.fromkeys(glossary.forbidden))
        targets = list(dict.fromkeys(target for _, target in glossary.terms))
        self._spellings = [spelling.replace(b"\n", b" ") for spelling in vocabulary.spellings()]  # as in a translation
        self.lexicon = Lexicon(Phrases([*forbidden, *targets]), len(forbidden), self._spellings, device)
        self._terms = {}
        for number, target in enumerate(targets, start=len(forbidden)):
            self._terms[target] = Term(number, self._tokens(number, target))
            if clash := self.lexicon.clash(self._terms[target].tokens):
                raise ValueError(f"the term {target!r} contains {clash!r}, which is forbidden: leave one of them out")

    def _tokens(self, number: int, target: str) -> tuple[int, ...]:
        """The pieces of a term that may follow any word."""
        ways = [self._vocabulary.encode(target), self._vocabulary.encode(f" {target}")]
        if SPACELESS.match(target):
            ways.insert(0, ways[0][1:])  # without the space at the beginning, if it is a piece
        for tokens in ways:
            text = b"".join(self._spellings[token] for token in tokens).decode(errors="replace")
            if number in self.lexicon.phrases.ended(f"a{text}"):
                return tuple(tokens)
        raise ValueError(f"the term {target!r} cannot be spelled in the pieces of the tokenizer: leave it out")

    def term(self, target: str) -> Term:
        """The translation of a term."""
        return self._terms[target]

    def constrain(self, queries: Sequence[Query], source: Source, settings: SearchSettings) -> list[Query]:
        """Queries with the constraints of their sentences; a limit is raised where it would not hold the terms.

        Raises:
            ValueError: for terms with `free_eos`, under which the beam is not divided.
        """
        if self._terms and settings.free_eos:
            raise ValueError("free_eos and terms both say which hypotheses stay in the beam: leave one of them out")
        return [self._constrained(query, source.show(query.index)) for query in queries]

    def _constrained(self, query: Query, line: str) -> Query:
        terms = tuple(map(self.term, self.glossary.terms_in(line)))
        held = len(query.prefix) + sum(len(term.tokens) for term in terms) + 1
        limit = max(query.limit, min(held, self._longest or held)) if terms else query.limit
        return replace(query, limit=limit, lexicon=self.lexicon, terms=terms)


def tell_relaxed(query: Query) -> None:
    """Warn that a line was translated without its terms."""
    limit = counted(query.limit, "piece")
    warn(f"line {query.line}: no translation of at most {limit} was found with its terms: translated without them")


def nothing_found(queries: Sequence[Query]) -> str:
    """The reason why a search has no result for one of these queries."""
    if any(query.lexicon and query.lexicon.forbidden for query in queries):
        return "no translation was found without a forbidden phrase: forbid less, or raise the beam or the length limit"
    return DAMAGED
