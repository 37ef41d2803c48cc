"""`nmtkit translate`: one line out for each line in, in the same order."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.engine import EngineFlags, check_engine, scored_search
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    SearchFlags,
    load_translator,
    search_settings,
    takes,
)
from nmtkit.cli.streams import Tally
from nmtkit.cli.translate_options import Columns, Exactly, Inside, check, check_settings
from nmtkit.cli.writer import Answer, Writer


@takes(columns=Columns, search=SearchFlags, exactly=Exactly, inside=Inside, engine=EngineFlags, model=MachineFlags)
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
    engine: EngineFlags,
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
    check(columns, exactly, inside)
    check_engine(
        engine, exact=exactly.exact, per_length=inside.per_length, trace=inside.trace, attention=inside.attention
    )
    prompting = streams.prompting(input_file)
    with ExitStack() as stack:
        lines = streams.open_source(input_file, stack)
        known = [streams.open_lines(inside.reference, stack)] if inside.reference else []
        translator = load_translator(folders, model)
        settings = search_settings(translator, search, n_best=columns.n_best)
        check_settings(settings, exactly.exact, inside.per_length)
        reads_scores = columns.scores or columns.tokens or columns.n_best > 1
        search_of_engine = scored_search(engine, translator, settings, reads_scores)
        output = streams.open_output(output_file, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would stand between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        writer = Writer(translator, settings, tally, columns.scores, columns.tokens, search_of_engine)
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
