"""`nmtkit translate`: one line out for each line in, in the same order."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    SearchFlags,
    count,
    given,
    load_translator,
    real,
    search_settings,
    takes,
)
from nmtkit.cli.streams import Tally
from nmtkit.cli.writer import Answer, Writer
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS, SearchSettings
from nmtkit.settings import bounds

EXACT, INSIDE, COLUMNS = "Exact search", "Look inside", "Columns"


@dataclass(frozen=True)
class Columns:
    """The columns before the text of a translation."""

    n_best: Annotated[
        int,
        count(
            "Translations per line, best first, with line number and rank before each.",
            bounds(SearchSettings, "n_best"),
            COLUMNS,
        ),
    ] = 1
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Score J, log P in nats and length before the text.", rich_help_panel=COLUMNS),
    ] = False
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Pieces and log P of each before the text.", rich_help_panel=COLUMNS),
    ] = False


@dataclass(frozen=True)
class Exactly:
    """Exact search and its budget."""

    exact: Annotated[
        bool, typer.Option("--exact", help="Search for the best of all translations.", rich_help_panel=EXACT)
    ] = False
    budget_steps: Annotated[
        int | None, count("Most model steps of exact search per line.", BUDGET_STEPS, EXACT, default="10000")
    ] = None
    budget_seconds: Annotated[
        float | None,
        real(
            "Most seconds of exact search per line, averaged over a batch.",
            BUDGET_SECONDS,
            EXACT,
            default="no limit",
        ),
    ] = None

    @property
    def effort(self) -> dict[str, Any]:
        """The parts of the budget that the user gave."""
        return given(steps=self.budget_steps, seconds=self.budget_seconds)


@dataclass(frozen=True)
class Inside:
    """What to show of the search and of the model."""

    per_length: Annotated[
        bool, typer.Option("--per-length", help="All that the beam finished, by length.", rich_help_panel=INSIDE)
    ] = False
    trace: Annotated[Path | None, paths.written("Write all that the beam looked at, for inspect.", panel=INSIDE)] = None
    attention: Annotated[
        Path | None,
        paths.written("Write what the model looked at for the best one, one line of JSON per sentence.", panel=INSIDE),
    ] = None
    reference: Annotated[
        Path | None,
        paths.read("Known translations: followed by --trace, a start for --exact.", "--reference", "-r", panel=INSIDE),
    ] = None


@takes(columns=Columns, search=SearchFlags, exactly=Exactly, inside=Inside, model=MachineFlags)
def translate(
    folders: Folders,
    input_file: Annotated[
        Path, paths.read("Text file, one sentence per line.", "--input", "-i", default="standard input")
    ] = paths.STANDARD,
    output_file: Annotated[
        Path, paths.written("File for the translations.", "--output", "-o", default="standard output")
    ] = paths.STANDARD,
    line_buffered: Annotated[bool, typer.Option("--line-buffered", help="Answer every line as it comes.")] = False,
    *,
    columns: Columns,
    search: SearchFlags,
    exactly: Exactly,
    inside: Inside,
    model: MachineFlags,
) -> None:
    """Translate lines of text with beam search.

    As many lines come out as go in, empty ones too. Columns are tab-separated, the text last (a tab in it becomes a
    space): line and rank (n-best); J, log P, length (scores); with --exact how much higher the J of another translation
    could still be (0: none can, proved; otherwise at least 0.0001), the model steps, and the length up to which nothing
    scores higher (0: none proved); pieces, log P of each (tokens).

    With --per-length every line has all translations that the beam finished: line, length, rank in it, * for the best.
    The defaults of the search are those of the model folder, see nmtkit info.
    """
    _check(columns, exactly, inside)
    prompting = streams.prompting(input_file)
    with ExitStack() as stack:
        lines = streams.open_source(input_file, stack)
        known = [streams.open_lines(inside.reference, stack)] if inside.reference else []
        translator = load_translator(folders, model)
        settings = search_settings(translator, search, n_best=columns.n_best)
        _check_settings(settings, exactly.exact, inside.per_length)
        output = streams.open_output(output_file, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would stand between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        writer = Writer(translator, settings, tally, columns.scores, columns.tokens)
        answer = _answer(writer, exactly, inside, stack)
        rows = streams.beside(lines, known, [str(inside.reference)] * len(known))
        first, ahead = 1, streams.SLOW_WINDOW if exactly.exact else streams.WINDOW
        for window in streams.windows(rows, 1 if prompting or line_buffered else ahead):
            sources, *references = ([row[side] for row in window] for side in range(1 + len(known)))
            source = translator.read(sources, settings, first)
            output.writelines(answer(source, references[0] if references else None))
            output.flush()
            first += len(window)
    if exactly.exact and not prompting:
        writer.say_proved()
    tally.close(summary=not prompting)


def _check(columns: Columns, exactly: Exactly, inside: Inside) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    exact, per_length = exactly.exact, inside.per_length
    if exact + per_length + (inside.trace is not None) + (inside.attention is not None) > 1:
        raise typer.BadParameter("--exact, --per-length, --trace and --attention do not go together: choose one")
    if columns.n_best > 1 and (exact or per_length):
        raise typer.BadParameter("--exact and --per-length decide how many translations there are: leave out --n-best")
    if inside.reference and not exact and inside.trace is None:
        raise typer.BadParameter("--reference is followed by --trace or starts --exact: add one of them")
    if exactly.effort and not exact:
        raise typer.BadParameter("--budget-steps and --budget-seconds bound an exact search: add --exact")


def _check_settings(settings: SearchSettings, exact: bool, per_length: bool) -> None:
    if exact and settings.no_repeat_ngram:
        raise typer.BadParameter("--exact cannot block n-grams: leave out --no-repeat-ngram")
    if per_length and settings.patience is not None:
        raise typer.BadParameter("--per-length looks at every length: leave out --patience")


def _answer(writer: Writer, exactly: Exactly, inside: Inside, stack: ExitStack) -> Answer:
    """The function that makes the output lines the user asked for; the stack closes its files."""
    if exactly.exact:
        return partial(writer.certified, effort=exactly.effort)
    if inside.per_length:
        return writer.by_length
    if inside.trace:
        return writer.traced(streams.open_output(inside.trace, stack))
    if inside.attention:
        return writer.attended(streams.open_output(inside.attention, stack))
    return writer.ranked
