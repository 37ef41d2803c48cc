"""`nmtkit translate`: lines in, lines out, as many and in the same order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from nmtkit.cli.parameters import (
    SEARCH,
    BatchTokens,
    Beam,
    Config,
    Debug,
    Device,
    Folder,
    LengthAlpha,
    MaxLength,
    Quiet,
    Threads,
    Weights,
    count,
    load_translator,
    search_settings,
)
from nmtkit.console import note, warn

if TYPE_CHECKING:
    from nmtkit.translator import Translation

WINDOW = 2000
"""Lines read ahead, sorted by length for search, and written before the next are read."""


def translate(
    folder: Folder,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Text file, one sentence a line (standard input).")
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the translations (standard output).")
    ] = None,
    beam: Beam = None,
    length_alpha: LengthAlpha = None,
    n_best: Annotated[
        int,
        count("Translations a line, best first: line number and rank go before.", panel=SEARCH),
    ] = 1,
    max_length: MaxLength = None,
    batch_tokens: BatchTokens = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Score J, log P in nats and length go before, tab-separated.")
    ] = False,
    line_buffered: Annotated[bool, typer.Option("--line-buffered", help="Answer every line as it comes.")] = False,
    weights: Weights = "best",
    device: Device = "auto",
    threads: Threads = None,
    config: Config = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Translate lines of text with beam search.

    As many lines come out as go in, empty ones too. With --n-best or --scores the columns are tab-separated:
    line, rank (n-best), J, log P, length (scores), text.
    """
    translator = load_translator(folder, device, threads, weights)
    settings = search_settings(
        translator,
        beam=beam,
        length_alpha=length_alpha,
        n_best=n_best,
        max_length=max_length,
        batch_tokens=batch_tokens,
    )
    prompting = input_file is None and sys.stdin.isatty()
    started, count = time.perf_counter(), 0
    with ExitStack() as stack:
        lines = _open_lines(input_file, prompting, stack)
        output = _open_output(output_file, stack)
        for window in _windows(lines, 1 if prompting or line_buffered else WINDOW):
            found = translator.search(window, settings, first_line=count + 1)
            for number, translations in enumerate(found, start=count + 1):
                for rank, translation in enumerate(translations, start=1):
                    output.write("\t".join(_columns(number, rank, translation, n_best > 1, scores)) + "\n")
            output.flush()
            count += len(window)
    seconds = time.perf_counter() - started
    if count and not prompting:
        note(f"{count} lines in {seconds:.1f} s ({count / seconds:.1f} a second)")


def _open_lines(path: Path | None, prompting: bool, stack: ExitStack) -> Iterator[str]:
    from nmtkit.files import lenient_lines, open_text

    if path is None:
        lines = lenient_lines(sys.stdin.buffer, "standard input", warn)
        return _prompted(lines) if prompting else lines
    return lenient_lines(stack.enter_context(open_text(path)), str(path), warn)


def _prompted(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a terminal, each asked for; Ctrl-D ends."""
    note("one sentence a line; Ctrl-D ends")
    iterator = iter(lines)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = next(iterator, None)
        if line is None:
            print(file=sys.stderr)
            return
        yield line


def _open_output(path: Path | None, stack: ExitStack) -> TextIO:
    """Standard output as UTF-8 with plain line ends, or a file that appears when it is whole."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        return sys.stdout
    from nmtkit.files import replacing

    temporary = stack.enter_context(replacing(path))
    return stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))


def _windows(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    take: Callable[[], list[str]] = lambda: list(islice(lines, size))  # noqa: E731
    return iter(take, [])


def _columns(number: int, rank: int, translation: Translation, ranked: bool, scored: bool) -> list[str]:
    columns = [str(number), str(rank)] if ranked else []
    if scored:
        columns += [f"{translation.score:.6f}", f"{translation.total:.6f}", str(translation.length)]
    return [*columns, translation.text]
