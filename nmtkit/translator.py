"""Text to text: any search over any source, order restored.

Every search and every scoring goes through one method, `find`. It takes a search (a value such as `Beam` or `Exact`), a
source, and a query for each sentence.

From Python:

    from nmtkit import Translator

    translator = Translator.load("runs/demo")
    print(translator.translate(["Jane visite l'Afrique en septembre."], beam=5))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from nmtkit import checkpoint
from nmtkit.batches.source import Lines, Source, Vectors
from nmtkit.batches.work import Listener, fail, in_batches
from nmtkit.console import warn
from nmtkit.decoding.beam import Beam
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import default_limit
from nmtkit.decoding.search import Encoded, Query, Search, find_or_relax
from nmtkit.decoding.settings import SearchSettings
from nmtkit.devices import pick_device, set_threads
from nmtkit.glossary import Bound, Glossary, nothing_found, tell_relaxed
from nmtkit.memory import keep_freed_memory
from nmtkit.models.interface import Stepper
from nmtkit.settings import nearest
from nmtkit.specials import EOS
from nmtkit.tokenizer import prefixes as forced
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.words import counted

Result = TypeVar("Result")


@dataclass(frozen=True)
class Translation(Hypothesis):
    """A hypothesis with its text."""

    text: str = ""


class Translator:
    """A model with its tokenizer and default settings.

    Attributes:
        model: any `Stepper`; a `Model` is in evaluation mode.
        tokenizer: the tokenizer of source and target.
        defaults: search settings for all that a caller does not set.
        options: options of the model folder (the first of an ensemble); None for a model without a folder.
        folder_hash: SHA-256 over options, tokenizer and weights, joined by "+" for an ensemble; empty without a folder.
    """

    def __init__(
        self,
        model: Stepper[Any, Any],
        tokenizer: Tokenizer,
        defaults: SearchSettings | None = None,
        options: checkpoint.FolderOptions | None = None,
        folder_hash: str = "",
    ) -> None:
        self.model, self.tokenizer, self.defaults = model, tokenizer, defaults or SearchSettings()
        self.options, self.folder_hash = options, folder_hash

    @classmethod
    def load(
        cls, *folders: str | Path, device: str = "auto", threads: int | None = None, weights: str = "best"
    ) -> Translator:
        """Load a model folder, or several as one ensemble: the mean of their probabilities.

        Args:
            folders: all with the same tokenizer; the default settings are those of the first.
            device: "cpu", "cuda", "cuda:1" …, or "auto": a GPU if there is one.
            threads: CPU threads; None: torch's default.
            weights: "best" or "last".

        Raises:
            ValueError: in one line, for a folder that is missing, foreign or damaged, for vocabularies that differ, or
                for a device that does not exist.
        """
        keep_freed_memory()
        place = pick_device(device)
        if threads is not None:
            set_threads(threads)
        loaded = checkpoint.load_ensemble(folders, weights=weights, device=place)
        loaded.model.lay_out("float32")
        return cls(loaded.model, loaded.tokenizer, loaded.options.defaults, loaded.options, loaded.hash)

    def translate(self, lines: Sequence[str], *, prefixes: Sequence[str] | None = None, **settings: Any) -> list[str]:
        """The best translation of each line, in order; a blank line gives an empty one.

        Args:
            prefixes: what the translation of each line begins with, as in `queries`.
            settings: fields of `SearchSettings`, for example `beam=5, length_alpha=0.7`; the rest as `defaults`.
        """
        known = [field.name for field in fields(SearchSettings)]
        if unknown := [name for name in settings if name not in known]:
            raise ValueError(f"{unknown[0]!r} is not a setting of the search;{nearest(unknown[0], known)}")
        chosen = replace(self.defaults, **{"n_best": 1, **settings})
        return [translations[0].text for translations in self.search(lines, chosen, prefixes=prefixes)]

    def search(
        self,
        lines: Sequence[str],
        settings: SearchSettings,
        first_line: int | None = 1,
        *,
        prefixes: forced.Prefixes | None = None,
        glossary: Glossary | None = None,
        listener: Listener | None = None,
    ) -> list[list[Translation]]:
        """The `n_best` translations of each line, best first (fewer if the beam holds fewer).

        Args:
            first_line: number of the first line, for warnings; None: no warnings.
            prefixes: what the translations of each line begin with, as in `queries`.
            listener: is told of lines that fail, which then have no translation; without it the error is raised.
        """
        source = self.read(lines, settings, first_line)
        queries = self.queries(source, settings, prefixes)
        queries = self.bind(glossary).constrain(queries, source, settings) if glossary else queries
        return self.texts(self.find(Beam.of(settings), source, settings, queries=queries, listener=listener))

    def read(self, lines: Sequence[str], settings: SearchSettings, first_line: int | None = None) -> Source:
        """Lines as the model reads them: tokenised once, and cut if they are too long.

        Args:
            lines: lines of text, or of vectors (`features.read_source`) if the model reads vectors.
            first_line: number of the first line, for warnings about lines that are cut; None: no warnings.

        Raises:
            ValueError: for text if the model reads vectors, and the other way round.
        """
        most, reason = self._most_source(settings)
        unit = "piece" if self.tokenizer.features is None else "vector"

        def cut(number: int, units: int) -> None:
            if first_line is not None:
                warn(f"line {number}: {counted(units, unit)}, cut to the first {most} ({reason})")

        if self.tokenizer.features is None:
            return Lines(lines, self.tokenizer.source, most, first_line or 1, cut)
        return Vectors(lines, self.tokenizer.features, most, first_line or 1, cut)

    def queries(self, source: Source, settings: SearchSettings, prefixes: forced.Prefixes | None = None) -> list[Query]:
        """A query for each sentence, with the length limits of its translation, which is empty for a blank sentence.

        Args:
            prefixes: what the translations of each sentence begin with, as a text, whose pieces are then forced, or as
                target ids without EOS; empty or blank for nothing. White space at the end of a text says that a word
                ends there. The limit is raised to hold the prefix and EOS.

        Raises:
            ValueError: for prefixes that are not one for each sentence, and for an id that no prefix can have.
        """
        each = forced.each(prefixes, len(source.lengths))
        return [self._query(source, index, settings, prefix) for index, prefix in enumerate(each)]

    def bind(self, glossary: Glossary) -> Bound:
        """A glossary for this model: `constrain` makes of queries those that keep to it."""
        return Bound(glossary, self.tokenizer.target, self.model.longest, self.model.device)

    def find(
        self,
        search: Search[Result],
        source: Source,
        settings: SearchSettings,
        queries: Sequence[Query] | None = None,
        *,
        listener: Listener | None = None,
    ) -> list[Result | None]:
        """Run a search; returns its result for each sentence, in order.

        Args:
            settings: they say how long a target may be, and how much the model reads at one time.
            queries: one for each sentence; None: those of `queries`.
            listener: is told of sentences that fail, whose result is None; without it the error is raised.

        Raises:
            ValueError: for a prefix or a target that is longer than `longest_target`, or a probability that is not
                finite.
        """
        asked = self.queries(source, settings) if queries is None else queries
        assert len(asked) == len(source.lengths)
        fitting = []
        for index, query in enumerate(asked):
            excess = next(filter(None, (self.excess(target, settings) for target in query.targets)), "")
            if query.prefix and query.lexicon and (clash := query.lexicon.clash(query.prefix)):
                excess = f"the prefix contains {clash!r}, which is forbidden"
            if query.prefix and (beyond := self.excess((*query.prefix, EOS), settings)):
                excess = f"the prefix has {beyond}"
            if excess:
                fail(listener, source.first + index, ValueError(f"line {source.first + index}: {excess}"))
            else:
                fitting.append(index)

        def work(chosen: list[int]) -> Sequence[Result | None]:
            source_tensor, mask_BS = source.batch(chosen)
            batch = Encoded(self.model, source_tensor.to(self.model.device), mask_BS.to(self.model.device))
            return find_or_relax(search, self.model, batch, [asked[index] for index in chosen], tell_relaxed)

        return in_batches(source, fitting, settings.batch_tokens, work, listener, nothing_found(asked))

    def score(
        self,
        source: Source,
        targets: Sequence[Sequence[Sequence[int]]],
        settings: SearchSettings,
        *,
        listener: Listener | None = None,
    ) -> list[list[Hypothesis]]:
        """Forced scores of any number of given translations (ids ending in EOS) of each sentence.

        Args:
            listener: is told of sentences that fail, which then have no scores; without it the error is raised.

        Raises:
            ValueError: for a target that is longer than `longest_target`.
        """
        if len(source.lengths) != len(targets):
            raise ValueError(
                f"{counted(len(source.lengths), 'source line')} but candidates for {len(targets)}: give as many"
            )
        asked = [Query(1, targets=tuple(map(tuple, own)), index=index) for index, own in enumerate(targets)]
        search = Forced(settings.objective, 4 * settings.batch_tokens)
        return [scores or [] for scores in self.find(search, source, settings, asked, listener=listener)]

    def limit_in_words(self, settings: SearchSettings) -> str:
        """The rule for the most target pieces."""
        longest = self.model.longest
        return settings.limit_in_words if longest is None else f"{settings.limit_in_words} and {longest}"

    def encode_target(self, text: str) -> tuple[int, ...]:
        """Target ids of a text, EOS last."""
        return (*self.tokenizer.target.encode(text), EOS)

    def decode_target(self, tokens: Sequence[int]) -> str:
        """The text of target ids, always one line: a line feed, which the model can spell in bytes, becomes a space."""
        return self.tokenizer.target.decode([token for token in tokens if token != EOS]).replace("\n", " ")

    def text(self, hypothesis: Hypothesis) -> Translation:
        """A hypothesis with its text."""
        facts = {field.name: getattr(hypothesis, field.name) for field in fields(Hypothesis)}
        return Translation(**facts, text=self.decode_target(hypothesis.tokens))

    def texts(self, results: Sequence[Sequence[Hypothesis] | None]) -> list[list[Translation]]:
        """The hypotheses of each sentence with their texts; an empty list if there is no result."""
        return [[self.text(hypothesis) for hypothesis in hypotheses or ()] for hypotheses in results]

    def longest_target(self, settings: SearchSettings) -> int:
        """The most target pieces of a text to score, EOS counted: the limit of a search for the longest source.

        A smaller length limit does not change it, so that a translation beyond the limit still has its score.
        """
        most = max(default_limit(settings.max_source), settings.lengths(settings.max_source)[1])
        return min(most, self.model.longest or most)

    def holds(self, tokens: Sequence[int], settings: SearchSettings) -> bool:
        """Whether these target ids, EOS last, are few enough to be scored."""
        return len(tokens) <= self.longest_target(settings)

    def excess(self, tokens: Sequence[int], settings: SearchSettings) -> str:
        """The reason in words why target ids cannot be scored; empty if they are few enough."""
        if self.holds(tokens, settings):
            return ""
        longest = self.longest_target(settings)
        why = f"max_positions = {longest}" if longest == self.model.longest else f"at most {longest:,}"
        return f"{counted(len(tokens), 'target piece')}, more than any translation has ({why}, end of sentence counted)"

    def _most_source(self, settings: SearchSettings) -> tuple[int, str]:
        """The most source pieces or vectors that the model reads, EOS not counted, and the reason in words."""
        longest, end = self.model.longest, int(self.tokenizer.features is None)
        if longest is None or settings.max_source < longest:
            return settings.max_source, "max_source"
        return longest - end, f"max_positions = {longest}{', end of sentence counted' if end else ''}"

    @cached_property
    def _word_starts(self) -> frozenset[int]:
        return forced.word_starts(self.tokenizer.target)

    def _query(self, source: Source, index: int, settings: SearchSettings, prefix: str | Sequence[int]) -> Query:
        """The query of a sentence: its fewest and most target pieces, EOS counted, within what the model can hold."""
        line = source.first + index
        tokens = forced.encoded(prefix, self.tokenizer.target, line)
        held, starts = len(tokens) + 1, self._word_starts if forced.ends_word(prefix) else None
        query = Query(held, prefix=tokens, word_starts=starts, index=index, line=line)
        if source.blank(index):
            return query
        fewest, most = settings.lengths(source.units[index])
        longest = max(self.model.longest or most, held)
        return replace(query, limit=min(max(most, held), longest), minimum=min(fewest, longest))
