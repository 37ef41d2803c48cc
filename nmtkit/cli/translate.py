"""`nmtkit translate`: lines in, lines out, as many and in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.parameters import (
    MODEL_OPTIONS,
    SEARCH_OPTIONS,
    Folders,
    Options,
    count,
    given,
    load_translator,
    real,
    search_settings,
    takes,
)
from nmtkit.cli.streams import Tally
from nmtkit.console import note
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS, SearchSettings
from nmtkit.settings import bounds

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.translator import Translator

EXACT, INSIDE, COLUMNS = "Exact search", "Look inside", "Columns"


@takes(search=SEARCH_OPTIONS, model=MODEL_OPTIONS)
def translate(
    folders: Folders,
    input_file: Annotated[
        Path, paths.read("Text file, one sentence a line.", "--input", "-i", default="standard input")
    ] = paths.STANDARD,
    output_file: Annotated[
        Path, paths.written("File for the translations.", "--output", "-o", default="standard output")
    ] = paths.STANDARD,
    line_buffered: Annotated[bool, typer.Option("--line-buffered", help="Answer every line as it comes.")] = False,
    n_best: Annotated[
        int,
        count(
            "Translations a line, best first: line number and rank go before.",
            bounds(SearchSettings, "n_best"),
            COLUMNS,
        ),
    ] = 1,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Score J, log P in nats and length go before.", rich_help_panel=COLUMNS),
    ] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Pieces and log P of each go before.", rich_help_panel=COLUMNS)
    ] = False,
    *,
    search: Options,
    exact: Annotated[
        bool, typer.Option("--exact", help="Search on for the best of all translations.", rich_help_panel=EXACT)
    ] = False,
    budget_steps: Annotated[
        int | None, count("Most model steps of it for a line.", BUDGET_STEPS, EXACT, default="10000")
    ] = None,
    budget_seconds: Annotated[
        float | None,
        real("Most seconds of it for a line, on average over a batch.", BUDGET_SECONDS, EXACT, default="no limit"),
    ] = None,
    per_length: Annotated[
        bool, typer.Option("--per-length", help="All that the beam finished, by length.", rich_help_panel=INSIDE)
    ] = False,
    trace: Annotated[
        Path | None, paths.written("Write all that the beam looked at, for inspect.", panel=INSIDE)
    ] = None,
    attention: Annotated[
        Path | None,
        paths.written("Write what the model looked at for the best one, a line of JSON a sentence.", panel=INSIDE),
    ] = None,
    reference: Annotated[
        Path | None,
        paths.read("Known translations: followed by --trace, a start for --exact.", "--reference", "-r", panel=INSIDE),
    ] = None,
    model: Options,
) -> None:
    """Translate lines of text with beam search.

    As many lines come out as go in, empty ones too. Columns are tab-separated, the text last (a tab in it becomes a
    space): line and rank (n-best); J, log P, length (scores); with --exact how much higher the J of another translation
    could still be (0: none can, proved; otherwise at least 0.0001), the model steps, and the length up to which nothing
    scores higher (0: none proved); pieces, log P of each (tokens).

    With --per-length every line has as many as the beam finished: line, length, rank in it, * for the best by J.
    Defaults of the search are the model folder's, see nmtkit info.
    """
    _check(n_best, exact, per_length, trace, attention, reference)
    if not exact and given(budget_steps=budget_steps, budget_seconds=budget_seconds):
        raise typer.BadParameter("--budget-steps and --budget-seconds bound an exact search: add --exact")
    prompting = streams.prompting(input_file)
    with ExitStack() as stack:
        lines = streams.open_lines(input_file, stack)
        known = [streams.open_lines(reference, stack)] if reference else []
        translator = load_translator(folders, model)
        settings = search_settings(translator, search, n_best=n_best)
        _check_settings(settings, exact, per_length)
        output = streams.open_output(output_file, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would come between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        writer = Writer(translator, settings, tally, scores, tokens)
        answer: Answer = writer.ranked
        if exact:
            answer = partial(writer.certified, effort=given(steps=budget_steps, seconds=budget_seconds))
        elif per_length:
            answer = writer.by_length
        elif trace:
            answer = writer.traced(streams.open_output(trace, stack))
        elif attention:
            answer = writer.attended(streams.open_output(attention, stack))
        rows = streams.beside(lines, known, [str(reference)] * len(known))
        first, ahead = 1, streams.SLOW_WINDOW if exact else streams.WINDOW
        for window in streams.windows(rows, 1 if prompting or line_buffered else ahead):
            sources, *references = ([row[side] for row in window] for side in range(1 + len(known)))
            source = translator.read(sources, settings, first)
            output.writelines(answer(source, references[0] if references else None))
            output.flush()
            first += len(window)
    if exact and not prompting:
        writer.say_proved()
    tally.close(summary=not prompting)


def _check(
    n_best: int, exact: bool, per_length: bool, trace: Path | None, attention: Path | None, reference: Path | None
) -> None:
    if exact + per_length + (trace is not None) + (attention is not None) > 1:
        raise typer.BadParameter("--exact, --per-length, --trace and --attention do not go together: choose one")
    if n_best > 1 and (exact or per_length):
        raise typer.BadParameter("--exact and --per-length say themselves how many translations: leave out --n-best")
    if reference and not exact and trace is None:
        raise typer.BadParameter("--reference is followed by --trace or starts --exact: add one of them")


def _check_settings(settings: SearchSettings, exact: bool, per_length: bool) -> None:
    if exact and settings.no_repeat_ngram:
        raise typer.BadParameter("--exact cannot block n-grams: leave out --no-repeat-ngram")
    if per_length and settings.patience is not None:
        raise typer.BadParameter("--per-length looks at every length: leave out --patience")


Answer = Callable[["Source", list[str] | None], Iterator[str]]
"""The output lines of some sentences, given the reference of each, if there is one."""


@dataclass
class Writer:
    """Searches, and writes what was found as tab-separated columns."""

    translator: Translator
    settings: SearchSettings
    tally: Tally
    scores: bool
    tokens: bool
    proved: int = 0

    def ranked(self, source: Source, references: list[str] | None) -> Iterator[str]:
        """Beam search: the n best of each sentence."""
        from nmtkit.decoding.beam import Beam

        self.tally.words_of = lambda hypotheses: self._words(hypotheses[0])
        found = self.translator.find(Beam.of(self.settings), source, self.settings, listener=self.tally)
        yield from self._ranked(source, found)

    def by_length(self, source: Source, references: list[str] | None) -> Iterator[str]:
        """The lectures' lists."""
        from nmtkit.decoding.beam import Beam, ByLength

        self.tally.words_of = lambda lists: self._words(max(chain.from_iterable(lists), key=_score))
        search = ByLength(Beam.of(self.settings))
        found = self.translator.find(search, source, self.settings, listener=self.tally)
        for number, lists in enumerate(found, start=source.first):
            if not lists:
                yield self._line([str(number), "", "", ""], None)
                continue
            winner = max(chain.from_iterable(lists), key=_score)
            for hypotheses in lists:
                for rank, hypothesis in enumerate(hypotheses, start=1):
                    mark = "*" if hypothesis is winner else ""
                    yield self._line([str(number), str(hypothesis.length), str(rank), mark], hypothesis)

    def certified(self, source: Source, references: list[str] | None, effort: dict[str, Any]) -> Iterator[str]:
        """Exact search."""
        from nmtkit.decoding.beam import Beam
        from nmtkit.decoding.depth_first import Effort
        from nmtkit.decoding.exact import Exact

        self.tally.words_of = lambda certified: self._words(certified.best)
        translator, settings = self.translator, self.settings
        queries = translator.queries(source, settings)
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
                self.proved += certified.proved
                facts = [f"{certified.gap:.6f}", str(certified.steps), str(certified.proved_limit)]
            yield self._line([], certified.best if certified else None, facts if self.scores else ())

    def traced(self, file: TextIO) -> Answer:
        """Beam search that notes in a file what it looked at."""
        from nmtkit.inspection.traces import to_line
        from nmtkit.inspection.tracing import Observation, followed, header, traces

        file.write(to_line(header(self.translator, self.settings)))
        self.tally.words_of = lambda observed: self._words(observed.seen.hypotheses[0])

        def answer(source: Source, references: list[str] | None) -> Iterator[str]:
            search, queries = (
                Observation.of(self.settings),
                followed(self.translator, source, references, self.settings),
            )
            found = self.translator.find(search, source, self.settings, queries, listener=self.tally)
            file.writelines(to_line(trace) for _, trace in traces(self.translator, source, queries, found, references))
            yield from self._ranked(source, [observed.seen.hypotheses if observed else None for observed in found])

        return answer

    def attended(self, file: TextIO) -> Answer:
        """Beam search that notes in a file what the model looked at for the best outputs."""
        from nmtkit.decoding.beam import Beam
        from nmtkit.inspection.attention_maps import Choice, attend
        from nmtkit.report.attention import to_line

        self.tally.words_of = lambda hypotheses: self._words(hypotheses[0])

        def answer(source: Source, references: list[str] | None) -> Iterator[str]:
            found = self.translator.find(Beam.of(self.settings), source, self.settings, listener=self.tally)
            best = {index: hypotheses[0] for index, hypotheses in enumerate(found) if hypotheses}
            targets = {index: (self._text(hypothesis), hypothesis.tokens) for index, hypothesis in best.items()}
            file.writelines(map(to_line, attend(self.translator, source, targets, self.settings, Choice())))
            yield from self._ranked(source, found)

        return answer

    def say_proved(self) -> None:
        """Of how many sentences the best is known."""
        if self.tally.lines:
            rest = "; the others ran out of their budget" if self.proved < self.tally.lines else ""
            note(f"{self.proved} of {self.tally.lines} proved to be the best within their length limit{rest}")

    def _ranked(self, source: Source, found: Sequence[Sequence[Hypothesis] | None]) -> Iterator[str]:
        for number, hypotheses in enumerate(found, start=source.first):
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
