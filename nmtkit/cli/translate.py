"""`nmtkit translate`: one line out for each line in, in the same order."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.bulk import Bulk, Output, check_bulk, read_facts, work_of
from nmtkit.cli.parameters import Folders, MachineFlags, SearchFlags, search_settings, takes
from nmtkit.cli.streams import Tally
from nmtkit.cli.translate_options import Columns, Exactly, Inside, check, check_settings
from nmtkit.cli.windows import Job, Windows, start
from nmtkit.cli.writer import Answer, Writer

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings

MUCH = 10
"""The results for a line, in translations, if all that the search or the model looked at is kept."""


@takes(columns=Columns, search=SearchFlags, exactly=Exactly, inside=Inside, bulk=Bulk, model=MachineFlags)
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
    bulk: Bulk,
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
    prompting = streams.prompting(input_file)
    one_by_one = prompting or line_buffered
    check_bulk(bulk, inside, input_file, output_file, one_by_one=one_by_one)
    with ExitStack() as stack:
        lines = streams.open_source(input_file, stack)
        known = [streams.open_lines(inside.reference, stack)] if inside.reference else []
        facts = read_facts(folders, model)
        settings = search_settings(facts, search, n_best=columns.n_best)
        check_settings(settings, exactly.exact, inside.per_length)
        size = 1 if one_by_one else _window_size(settings, exactly, inside)
        work = work_of(facts.hash, model.device, size, settings, columns, exactly, inside) if bulk.resume else None
        output = Output(output_file, work, stack)
        engine = start(Job(folders, model, settings, columns, partial(_answer, exactly, inside)), bulk.workers, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would stand between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        windows = Windows(streams.beside(lines, known, [str(inside.reference)] * len(known)), size, input_file)
        output.go_on(windows, tally)
        for window, answer in engine(windows, tally):
            output.write(window, answer, tally)
    if exactly.exact and not prompting:
        tally.say_proved()
    tally.close(summary=not prompting)


def _window_size(settings: SearchSettings, exactly: Exactly, inside: Inside) -> int:
    """Number of lines that are translated together; it may depend on nothing but the options."""
    if exactly.exact:
        return streams.SLOW_WINDOW
    much = inside.per_length or inside.trace or inside.attention
    return streams.window_size(MUCH if much else settings.n_best)


def _answer(exactly: Exactly, inside: Inside, writer: Writer, stack: ExitStack) -> Answer:
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
