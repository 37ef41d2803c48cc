"""`nmtkit translate`: lines in, lines out, as many and in the same order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

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
    LengthPenalty,
    MaxLength,
    MaxLengthRatio,
    Quiet,
    Threads,
    Weights,
    count,
    load_translator,
    real,
    search_settings,
)
from nmtkit.console import note, warn

if TYPE_CHECKING:
    from nmtkit.translator import Certified, Translation

EXACT = "Exact search"
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
    max_length_ratio: MaxLengthRatio = None,
    min_length: Annotated[int | None, count("Fewest target pieces, end of sentence counted.", panel=SEARCH)] = None,
    min_length_ratio: Annotated[float | None, real("Fewest for each source piece.", panel=SEARCH, above=True)] = None,
    length_penalty: LengthPenalty = None,
    patience: Annotated[
        float | None,
        real("Stop at patience × beam finished ones: faster, may miss the best.", panel=SEARCH, above=True),
    ] = None,
    free_eos: Annotated[
        bool | None, typer.Option("--free-eos", help="What ends takes no slot of the beam.", rich_help_panel=SEARCH)
    ] = None,
    forbid_unk: Annotated[
        bool | None, typer.Option("--forbid-unk", help="Never produce the unknown piece.", rich_help_panel=SEARCH)
    ] = None,
    no_repeat_ngram: Annotated[
        int | None, count("No sequence of so many pieces twice; 0: any.", 0, panel=SEARCH)
    ] = None,
    batch_tokens: BatchTokens = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Search on for the best of all translations.", rich_help_panel=EXACT)
    ] = False,
    budget_steps: Annotated[int, count("Most model steps of an exact search for a line.", panel=EXACT)] = 10_000,
    budget_seconds: Annotated[float | None, real("Most seconds of it for a line.", panel=EXACT)] = None,
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
    line, rank (n-best), J, log P, length (scores), text. With --exact and --scores two more stand before the text: how
    much higher the J of another translation could still be (0: none can, proved) and the model steps.
    """
    translator = load_translator(folder, device, threads, weights)
    settings = search_settings(
        translator,
        beam=beam,
        length_alpha=length_alpha,
        n_best=n_best,
        max_length=max_length,
        max_length_ratio=max_length_ratio,
        min_length=min_length,
        min_length_ratio=min_length_ratio,
        length_penalty=length_penalty,
        patience=patience,
        free_eos=free_eos,
        forbid_unk=forbid_unk,
        no_repeat_ngram=no_repeat_ngram,
        batch_tokens=batch_tokens,
    )
    if exact and (n_best > 1 or no_repeat_ngram):
        raise typer.BadParameter("--exact finds one translation of each line: leave out --n-best and --no-repeat-ngram")
    prompting = input_file is None and sys.stdin.isatty()
    started, done, proved = time.perf_counter(), 0, 0
    with ExitStack() as stack:
        lines = _open_lines(input_file, prompting, stack)
        output = _open_output(output_file, stack)
        for window in _windows(lines, 1 if prompting or line_buffered else WINDOW):
            if exact:
                budgets: dict[str, Any] = {"budget_steps": budget_steps, "budget_seconds": budget_seconds}
                certified = translator.search_exactly(window, settings, first_line=done + 1, **budgets)
                for one in certified:
                    output.write("\t".join(_certified_columns(one, scores)) + "\n")
                proved += sum(one.proved for one in certified)
            else:
                found = translator.search(window, settings, first_line=done + 1)
                for number, translations in enumerate(found, start=done + 1):
                    for rank, translation in enumerate(translations, start=1):
                        output.write("\t".join(_columns(number, rank, translation, n_best > 1, scores)) + "\n")
            output.flush()
            done += len(window)
    seconds = time.perf_counter() - started
    if done and not prompting:
        note(f"{done} lines in {seconds:.1f} s ({done / seconds:.1f} a second)")
    if done and exact:
        rest = "; the others ran out of their budget" if proved < done else ""
        note(f"{proved} of {done} proved to be the best within their length limit{rest}")


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


def _certified_columns(one: Certified, scored: bool) -> list[str]:
    *scores, text = _columns(0, 0, one.best, False, scored)
    return [*scores, *([f"{one.gap:.6f}", str(one.steps)] if scored else []), text]


def _columns(number: int, rank: int, translation: Translation, ranked: bool, scored: bool) -> list[str]:
    columns = [str(number), str(rank)] if ranked else []
    if scored:
        columns += [f"{translation.score:.6f}", f"{translation.total:.6f}", str(translation.length)]
    return [*columns, translation.text]
