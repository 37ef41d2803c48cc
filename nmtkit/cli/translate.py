"""`nmtkit translate`: one line out for each line in, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.bulk import Bulk, Output, check_bulk, read_facts, work_of
from nmtkit.cli.constraint_options import Constrained, Contents, check_constraints
from nmtkit.cli.engine import EngineFlags, check_engine
from nmtkit.cli.parameters import Folders, MachineFlags, SearchFlags, search_settings, takes
from nmtkit.cli.sample_options import Deciding, Sampling
from nmtkit.cli.sample_options import check as check_samples
from nmtkit.cli.streams import Tally
from nmtkit.cli.translate_options import Columns, Exactly, Inside, Prefixed, check, check_settings
from nmtkit.cli.windows import Job, Windows, start
from nmtkit.cli.writer import Answer, Writer
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings

MUCH = 10
"""The results for a line, in translations, if all that the search or the model looked at is kept."""


@takes(
    columns=Columns,
    search=SearchFlags,
    prefixed=Prefixed,
    constrained=Constrained,
    sampling=Sampling,
    deciding=Deciding,
    exactly=Exactly,
    inside=Inside,
    bulk=Bulk,
    engine=EngineFlags,
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
    constrained: Constrained,
    sampling: Sampling,
    deciding: Deciding,
    exactly: Exactly,
    inside: Inside,
    bulk: Bulk,
    engine: EngineFlags,
    model: MachineFlags,
) -> None:
    """Translate lines of text with beam search.

    As many lines come out as go in, empty ones too. Columns are tab-separated, the text last (a tab in it becomes a
    space): line and rank (n-best); J, log P, length (scores); with --exact how much higher the J of another translation
    could still be (0: none can, proved; otherwise at least 0.0001), the model steps, and the length up to which nothing
    scores higher (0: none proved); pieces, log P of each (tokens).

    With --per-length every line has all translations that the beam finished: line, length, rank in it, * for the best.
    With --samples it has N that are drawn: line, number, and after the scores log q of the draws. With --mbr it has the
    one that the others agree with most, without line and rank; with --scores its expected utility follows the scores.
    The defaults of the search are those of the model folder, see nmtkit info.
    """
    check(columns, prefixed, exactly, inside)
    check_samples(sampling, deciding, columns, search, exactly, inside)
    check_constraints(constrained, input_file, sampling, inside)
    check_engine(engine, prefixed, constrained, sampling, deciding, exactly, inside)
    one_by_one = (prompting := streams.prompting(input_file)) or line_buffered
    check_bulk(bulk, inside, prefixed.prefix, input_file, output_file, one_by_one=one_by_one)
    with ExitStack() as stack:
        rows = _rows(input_file, prefixed, inside.reference, stack)
        facts = read_facts(folders, model)
        settings = check_settings(search_settings(facts, search, n_best=columns.n_best), exactly, inside)
        glossary = constrained.read(settings)
        size = 1 if one_by_one else _window_size(settings, sampling, deciding.mbr, exactly, inside)
        groups = (columns, prefixed, Contents.of(glossary), sampling, deciding, exactly, inside, engine)
        work = work_of(facts.hash, model.device, size, settings, *groups) if bulk.resume else None
        output = Output(output_file, work, stack)
        answer, referenced = partial(_answer, sampling, deciding, exactly, inside), inside.reference is not None
        job = Job(folders, model, facts.hash, settings, columns, engine, referenced, answer, glossary)
        translate_windows = start(job, bulk.workers, stack)
        live = not prompting and not output.isatty()  # on a terminal a bar would stand between the results
        tally = stack.enter_context(Tally("translating", streams.count_lines(input_file), live=live))
        output.go_on(windows := Windows(rows, size, input_file), tally)
        for window, lines in translate_windows(windows, tally):
            output.write(window, lines, tally)
    if exactly.exact and not prompting:
        tally.say_proved()
    tally.close(summary=not prompting)


def _window_size(settings: SearchSettings, sampling: Sampling, mbr: bool, exactly: Exactly, inside: Inside) -> int:
    """Number of lines that are translated together; it may depend on nothing but the options."""
    if exactly.exact or (sampling.samples and mbr):
        return streams.SLOW_WINDOW
    if sampling.samples:
        return streams.window_size(sampling.samples, streams.SLOW_WINDOW)
    much = inside.per_length or inside.trace or inside.attention
    return streams.window_size(MUCH if much else settings.n_best)


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
        raise ValueError(
            f"line {number}: has {counted(1 + len(prefix), 'column')}; write the sentence, a tab and its prefix"
        )
    return source, "".join(prefix)


def _answer(
    sampling: Sampling, deciding: Deciding, exactly: Exactly, inside: Inside, writer: Writer, stack: ExitStack
) -> Answer:
    """The function that makes the output lines the user asked for; the stack closes its files."""
    if deciding.mbr:
        search = deciding.lists(sampling, writer.settings)
        return partial(writer.decided, search=search, utility=deciding.metric, drawn=bool(sampling.samples))
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
