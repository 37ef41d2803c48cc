"""`nmtkit translate`: lines in, lines out, as many and in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
    from nmtkit.translator import Certified, Translation, Translator

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
    from nmtkit.report.scores import row

    prompting = streams.prompting(input_file)
    with ExitStack() as stack:
        lines = streams.open_lines(input_file, stack)
        known = [streams.open_lines(reference, stack)] if reference else []
        translator = load_translator(folders, model)
        settings = search_settings(translator, search, n_best=n_best)
        _check_settings(settings, exact, per_length)
        output = streams.open_output(output_file, stack)
        tally = stack.enter_context(
            Tally("translating", streams.count_lines(input_file), live=not prompting and not _seen(output))
        )
        job = _Job(translator, settings, tally, scores, tokens)
        if exact:
            job = _Exact(**vars(job), budget_steps=budget_steps or 10_000, budget_seconds=budget_seconds)
        elif per_length:
            job = _PerLength(**vars(job))
        elif trace:
            job = _Traced(**vars(job), file=streams.open_output(trace, stack))
            job.begin()
        elif attention:
            job = _Attending(**vars(job), file=streams.open_output(attention, stack))
        rows = streams.beside(lines, known, [str(reference)] * len(known))
        first, ahead = 1, streams.SLOW_WINDOW if exact else streams.WINDOW
        for window in streams.windows(rows, 1 if prompting or line_buffered else ahead):
            sources, *references = ([row[side] for row in window] for side in range(1 + len(known)))
            output.writelines(f"{row(columns)}\n" for columns in job.rows(sources, references, first))
            output.flush()
            first += len(window)
    job.close(summary=not prompting)


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


def _seen(output: TextIO) -> bool:
    """Whether the results go to a terminal, where a bar would come between them."""
    return output.isatty()


@dataclass
class _Job:
    """Beam search of a window, and its output lines as columns."""

    translator: Translator
    settings: SearchSettings
    tally: Tally
    scores: bool
    tokens: bool

    def __post_init__(self) -> None:
        self.tally.words_of = self.words

    def words(self, result: Any) -> int:
        """Of the best translation in a result of the search."""
        return _words(result[0])

    def rows(self, lines: list[str], references: list[list[str]], first: int) -> Iterator[list[str]]:
        """The columns of every output line."""
        yield from self.ranked(self.translator.search(lines, self.settings, first, listener=self.tally), first)

    def ranked(self, found: Sequence[Sequence[Translation]], first: int) -> Iterator[list[str]]:
        for number, translations in enumerate(found, start=first):
            for rank, one in enumerate(translations or [None], start=1):
                place = [str(number), str(rank)] if self.settings.n_best > 1 else []
                yield place + self.columns(one)

    def columns(self, one: Translation | None, extra: Sequence[str] = ()) -> list[str]:
        from nmtkit.report.scores import columns

        pieces = self.translator.tokenizer.target.pieces(one.tokens if one else ()) if self.tokens else None
        return columns(one, one.text if one else "", scores=self.scores, pieces=pieces, extra=extra)

    def close(self, summary: bool) -> None:
        self.tally.close(summary)


@dataclass
class _PerLength(_Job):
    """The lectures' lists."""

    def words(self, result: Any) -> int:
        return _words(max((one for best in result for one in best), key=lambda one: one.score))

    def rows(self, lines: list[str], references: list[list[str]], first: int) -> Iterator[list[str]]:
        found = self.translator.search_by_length(lines, self.settings, first, listener=self.tally)
        for number, lengths in enumerate(found, start=first):
            if not lengths:
                yield [str(number), "", "", "", *self.columns(None)]
            winner = max((one for best in lengths for one in best), key=lambda one: one.score, default=None)
            for best in lengths:
                for rank, one in enumerate(best, start=1):
                    place = [str(number), str(one.length), str(rank), "*" if one is winner else ""]
                    yield place + self.columns(one)


@dataclass
class _Traced(_Job):
    """Beam search that notes what it looked at."""

    file: TextIO

    def begin(self) -> None:
        """Write what stands first in the file."""
        from nmtkit.inspection.traces import to_line
        from nmtkit.inspection.tracing import header

        self.file.write(to_line(header(self.translator, self.settings)))

    def rows(self, lines: list[str], references: list[list[str]], first: int) -> Iterator[list[str]]:
        from nmtkit.inspection.traces import to_line
        from nmtkit.inspection.tracing import trace

        known = references[0] if references else None
        found = trace(self.translator, lines, self.settings, known, first, self.tally)
        self.file.writelines(to_line(traced) for _, traced in found)
        yield from self.ranked([translations for translations, _ in found], first)


@dataclass
class _Attending(_Job):
    """Beam search whose best outputs are looked into."""

    file: TextIO

    def rows(self, lines: list[str], references: list[list[str]], first: int) -> Iterator[list[str]]:
        from nmtkit.inspection.attention_maps import Choice, attend
        from nmtkit.report.attention import to_line

        found = self.translator.search(lines, self.settings, first, listener=self.tally)
        done = [index for index, translations in enumerate(found) if translations]
        targets = [(found[index][0].text, found[index][0].tokens) for index in done]
        numbers = [first + index for index in done]
        maps = attend(self.translator, [lines[index] for index in done], targets, self.settings, Choice(), numbers)
        self.file.writelines(map(to_line, maps))
        yield from self.ranked(found, first)


@dataclass
class _Exact(_Job):
    """Exact search."""

    budget_steps: int
    budget_seconds: float | None
    proved: int = 0

    def words(self, result: Any) -> int:
        return _words(result.best)

    def rows(self, lines: list[str], references: list[list[str]], first: int) -> Iterator[list[str]]:
        found = self.translator.search_exactly(
            lines,
            self.settings,
            budget_steps=self.budget_steps,
            budget_seconds=self.budget_seconds,
            references=references,
            first_line=first,
            listener=self.tally,
        )
        self.proved += sum(one is not None and one.proved for one in found)
        for one in found:
            yield self.columns(one.best if one else None, self._facts(one) if self.scores else ())

    def _facts(self, one: Certified | None) -> list[str]:
        return ["", "", ""] if one is None else [f"{one.gap:.6f}", str(one.steps), str(one.proved_limit)]

    def close(self, summary: bool) -> None:
        if summary and self.tally.lines:
            rest = "; the others ran out of their budget" if self.proved < self.tally.lines else ""
            note(f"{self.proved} of {self.tally.lines} proved to be the best within their length limit{rest}")
        super().close(summary)


def _words(one: Translation) -> int:
    return len(one.text.split())
