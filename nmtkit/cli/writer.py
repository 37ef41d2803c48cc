"""What `nmtkit translate` writes: one line for each result of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TextIO

from nmtkit.cli.streams import Record

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.sample import Sample
    from nmtkit.decoding.search import Joined, Query, Search
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.evaluation.metric import Metric
    from nmtkit.translator import Translator

Answer = Callable[["Source", Sequence["Query"], list[str] | None], Iterator[str]]
"""Gives the output lines of some sentences: what is asked for each, and their references if they are given."""


@dataclass
class Writer:
    """Runs a search and writes its results as tab-separated columns."""

    translator: Translator
    settings: SearchSettings
    tally: Record
    scores: bool
    tokens: bool
    search: Search[list[Hypothesis]] | None = None
    """The search of an engine; None: beam search."""

    def ranked(self, source: Source, queries: Sequence[Query], references: list[str] | None) -> Iterator[str]:
        """Beam search, by an engine if there is one: the n best of each sentence."""
        from nmtkit.decoding.beam import Beam

        self.tally.words_of = lambda hypotheses: self._words(hypotheses[0])
        search = self.search or Beam.of(self.settings)
        results = self.translator.find(search, source, self.settings, queries, listener=self.tally)
        yield from self._ranked(source, results)

    def sampled(
        self, source: Source, queries: Sequence[Query], references: list[str] | None, search: Sample
    ) -> Iterator[str]:
        """All samples of each sentence, with their numbers and, after the scores, log q."""
        from nmtkit.report.scores import number

        self.tally.words_of = lambda samples: sum(map(self._words, samples))
        results = self.translator.find(search, source, self.settings, queries, listener=self.tally)
        for line, samples in enumerate(results, start=source.first):
            for sample in samples or ():
                facts = [number(sample.log_q)] if self.scores else ()
                yield self._line([str(line), str(sample.number)], sample, facts)
            if not samples:
                yield self._line([str(line), "1"], None, [""] if self.scores else ())
            if samples == []:
                self._no_end(line)

    def decided(
        self,
        source: Source,
        queries: Sequence[Query],
        references: list[str] | None,
        search: Joined,
        utility: Metric,
        drawn: bool,
    ) -> Iterator[str]:
        """Minimum Bayes risk: of all that searches find, the one that the samples agree with most, which the last
        search has `drawn`; without samples, the n best by their probabilities."""
        from nmtkit.evaluation.minimum_risk import decide, posterior
        from nmtkit.report.scores import number

        self.tally.words_of = lambda lists: sum(map(self._words, islice(chain.from_iterable(lists), 1)))
        results = self.translator.find(search, source, self.settings, queries, listener=self.tally)
        for line, lists in enumerate(results, start=source.first):
            candidates = [*chain.from_iterable(lists or ())]
            if not candidates:
                yield self._line([], None, [""] if self.scores else ())
                if lists is not None:
                    self._no_end(line)
                continue
            samples = lists[-1] if lists and drawn else []
            weights = None if samples else posterior([hypothesis.total for hypothesis in candidates])
            texts, references = ([*map(self._text, own)] for own in (candidates, samples or candidates))
            decision = decide(texts, references, utility, weights)
            facts = [number(decision.utility)] if self.scores else ()
            yield self._line([], candidates[decision.index], facts)

    def by_length(self, source: Source, queries: Sequence[Query], references: list[str] | None) -> Iterator[str]:
        """Beam search: all that the beam finished, listed by length, best first."""
        from nmtkit.decoding.beam import Beam, ByLength

        self.tally.words_of = lambda lists: self._words(max(chain.from_iterable(lists), key=_score))
        search = ByLength(Beam.of(self.settings))
        results = self.translator.find(search, source, self.settings, queries, listener=self.tally)
        for number, lists in enumerate(results, start=source.first):
            if not lists:
                yield self._line([str(number), "", "", ""], None)
                continue
            winner = max(chain.from_iterable(lists), key=_score)
            for hypotheses in lists:
                for rank, hypothesis in enumerate(hypotheses, start=1):
                    mark = "*" if hypothesis is winner else ""
                    yield self._line([str(number), str(hypothesis.length), str(rank), mark], hypothesis)

    def certified(
        self, source: Source, queries: Sequence[Query], references: list[str] | None, effort: dict[str, Any]
    ) -> Iterator[str]:
        """Exact search: the best translation of each sentence, with the gap that remains."""
        from nmtkit.decoding.beam import Beam
        from nmtkit.decoding.exact import Exact
        from nmtkit.decoding.proof import Effort

        self.tally.words_of = lambda certified: self._words(certified.best)
        translator, settings = self.translator, self.settings
        if references is not None:
            ids = [translator.encode_target(text) for text in references]
            queries = [
                replace(query, targets=(tokens,) if translator.holds(tokens, settings) else ())
                for query, tokens in zip(queries, ids, strict=True)
            ]
        search = Exact(Beam.of(settings), Effort(**effort))
        for certified in translator.find(search, source, settings, queries, listener=self.tally):
            facts = ["", "", ""]
            if certified is not None:
                self.tally.proved += certified.proved
                facts = [f"{certified.gap:.6f}", str(certified.steps), str(certified.proved_limit)]
            yield self._line([], certified.best if certified else None, facts if self.scores else ())

    def traced(self, file: TextIO) -> Answer:
        """Beam search that notes in a file what it looked at."""
        from nmtkit.inspection.traces import to_line
        from nmtkit.inspection.tracing import Observation, followed, header, traces

        file.write(to_line(header(self.translator, self.settings)))
        self.tally.words_of = lambda observed: self._words(observed.seen.hypotheses[0])

        def answer(source: Source, queries: Sequence[Query], references: list[str] | None) -> Iterator[str]:
            search = Observation.of(self.settings)
            queries = followed(self.translator, source, queries, references, self.settings)
            results = self.translator.find(search, source, self.settings, queries, listener=self.tally)
            file.writelines(
                to_line(trace) for _, trace in traces(self.translator, source, queries, results, references)
            )
            yield from self._ranked(source, [observed.seen.hypotheses if observed else None for observed in results])

        return answer

    def attended(self, file: TextIO) -> Answer:
        """Beam search that notes in a file what the model looked at for the best outputs."""
        from nmtkit.decoding.beam import Beam
        from nmtkit.inspection.attention_maps import Choice, attend
        from nmtkit.report.attention import to_line

        self.tally.words_of = lambda hypotheses: self._words(hypotheses[0])

        def answer(source: Source, queries: Sequence[Query], references: list[str] | None) -> Iterator[str]:
            results = self.translator.find(Beam.of(self.settings), source, self.settings, queries, listener=self.tally)
            best = {index: hypotheses[0] for index, hypotheses in enumerate(results) if hypotheses}
            targets = {index: (self._text(hypothesis), hypothesis.tokens) for index, hypothesis in best.items()}
            file.writelines(map(to_line, attend(self.translator, source, targets, self.settings, Choice())))
            yield from self._ranked(source, results)

        return answer

    def _no_end(self, line: int) -> None:
        """Say that no sample of a line came to an end."""
        reason = (
            "every sample comes to a dead end, where all pieces are banned; lower --no-repeat-ngram or --min-length"
        )
        self.tally.emptied(line, ValueError(f"line {line}: {reason}"))

    def _ranked(self, source: Source, results: Sequence[Sequence[Hypothesis] | None]) -> Iterator[str]:
        for number, hypotheses in enumerate(results, start=source.first):
            for rank, hypothesis in enumerate(hypotheses or [None], start=1):
                yield self._line([str(number), str(rank)] if self.settings.n_best > 1 else [], hypothesis)

    def _line(self, place: list[str], hypothesis: Hypothesis | None, extra: Sequence[str] = ()) -> str:
        from nmtkit.report.scores import columns, row

        tokens = hypothesis.tokens if hypothesis else ()
        pieces = self.translator.tokenizer.target.pieces(tokens) if self.tokens else None
        text = self._text(hypothesis) if hypothesis else ""
        return row([*place, *columns(hypothesis, text, scores=self.scores, pieces=pieces, extra=extra)]) + "\n"

    def _text(self, hypothesis: Hypothesis) -> str:
        return self.translator.decode_target(hypothesis.tokens)

    def _words(self, hypothesis: Hypothesis) -> int:
        return len(self._text(hypothesis).split())


def _score(hypothesis: Hypothesis) -> float:
    return hypothesis.score
