"""`nmtkit translate`: one line out for each line in, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    SearchFlags,
    load_translator,
    search_settings,
    takes,
)
from nmtkit.cli.sample_options import Deciding, Sampling
from nmtkit.cli.sample_options import check as check_samples
from nmtkit.cli.streams import Tally
from nmtkit.cli.translate_options import Columns, Exactly, Inside, Prefixed, check, check_settings
from nmtkit.cli.writer import Answer, Writer


@takes(
    columns=Columns,
    search=SearchFlags,
    prefixed=Prefixed,
    sampling=Sampling,
    deciding=Deciding,
    exactly=Exactly,
    inside=Inside,
    model=MachineFlags,
)
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
    prefixed: Prefixed,
    sampling: Sampling,
    deciding: Deciding,
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
    With --samples it has N that are drawn: line, number. With --mbr it has the one that the others of its list agree
    with most, and its expected utility is a column after the scores.

    The defaults of the search are those of the model folder, see nmtkit info.
    """
    check(columns, prefixed, exactly, inside)
    check_samples(sampling, deciding, columns, search, exactly, inside)
    prompting = streams.prompting(input_file)
    with ExitStack() as stack:
        rows = _rows(input_file, prefixed, inside.reference, stack)
        translator = load_translator(folders, model)
        settings = search_settings(translator, search, n_best=columns.n_best)
        check_settings(settings, exactly.exact, inside.per_length)
        output = streams.open_output(output_file, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would stand between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        writer = Writer(translator, settings, tally, columns.scores, columns.tokens)
        answer = _answer(writer, sampling, deciding, exactly, inside, stack)
        first, ahead = 1, streams.SLOW_WINDOW if exactly.exact or sampling.samples else streams.WINDOW
        for window in streams.windows(rows, 1 if prompting or line_buffered else ahead):
            sources, prefixes, references = (list(column) for column in zip(*window, strict=True))
            source = translator.read(sources, settings, first)
            queries = translator.queries(source, settings, prefixes)
            output.writelines(answer(source, queries, references if inside.reference else None))
            output.flush()
            first += len(window)
    if exactly.exact and not prompting:
        writer.say_proved()
    tally.close(summary=not prompting)


def _rows(
    input_file: Path, prefixed: Prefixed, reference: Path | None, stack: ExitStack
) -> Iterator[tuple[str, str, str]]:
    """Each sentence with its prefix and its reference, empty where there is none; the stack closes the files."""
    from nmtkit.features import is_features

    if prefixed.prefix_column and is_features(input_file):
        raise typer.BadParameter("--prefix-column stands in lines of text, but the input is vectors: use --prefix")
    lines = streams.open_source(input_file, stack)
    named = [path for path in (prefixed.prefix, reference) if path]
    rows = streams.beside(lines, [streams.open_lines(path, stack) for path in named], list(map(str, named)))
    return (
        (
            *(_columns(row[0], number) if prefixed.prefix_column else (row[0], row[1] if prefixed.prefix else "")),
            row[-1],
        )
        for number, row in enumerate(rows, start=1)
    )


def _columns(line: str, number: int) -> tuple[str, str]:
    """The sentence and the prefix of a line of two columns, or of one."""
    source, *prefix = line.split("\t")
    if len(prefix) > 1:
        raise ValueError(f"line {number}: has {1 + len(prefix)} columns; write the sentence, a tab and its prefix")
    return source, "".join(prefix)


def _answer(
    writer: Writer, sampling: Sampling, deciding: Deciding, exactly: Exactly, inside: Inside, stack: ExitStack
) -> Answer:
    """The function that makes the output lines the user asked for; the stack closes its files."""
    if deciding.mbr:
        return partial(writer.decided, search=deciding.lists(sampling, writer.settings), utility=deciding.metric)
    if sampling.samples:
        return partial(writer.sampled, search=sampling.search(writer.settings))
    if exactly.exact:
        return partial(writer.certified, effort=exactly.effort)
    if inside.per_length:
        return writer.by_length
    if inside.trace:
        return writer.traced(streams.open_output(inside.trace, stack))
    if inside.attention:
        return writer.attended(streams.open_output(inside.attention, stack))
    return writer.ranked
