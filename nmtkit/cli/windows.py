"""Translation window by window, by this process or by several: the results are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nmtkit.cli.engine import EngineFlags, scored_search
from nmtkit.cli.parameters import MachineFlags, load_translator
from nmtkit.cli.paths import STANDARD
from nmtkit.cli.streams import Record, Tally
from nmtkit.cli.translate_options import Columns
from nmtkit.cli.writer import Answer, Writer
from nmtkit.console import collecting, warn
from nmtkit.memory import ran_out
from nmtkit.words import counted
from nmtkit.workers import Workers

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.search import Search
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.glossary import Glossary
    from nmtkit.translator import Translator


@dataclass(frozen=True)
class Window:
    """Neighbouring lines that are translated together.

    Attributes:
        first: number of the first line.
        rows: each line of the source, with its prefix and its reference.
        warnings: those of reading it.
        digest: SHA-256 of all rows up to its end.
    """

    first: int
    rows: Sequence[tuple[str, ...]]
    warnings: Sequence[str]
    digest: str


class Windows:
    """The windows of a text. They depend on nothing but the text and their size.

    Args:
        rows: each line of the source, with what belongs to it.
        size: lines of a window.
        name: the name of the text, for error messages.
    """

    def __init__(self, rows: Iterator[tuple[str, ...]], size: int, name: Path) -> None:
        self._rows, self._size, self._name = rows, size, name
        self._first, self._digest = 1, hashlib.sha256()

    def skip(self, lines: int, digest: str, file: Path) -> None:
        """Pass over the lines that another process has translated.

        Raises:
            ValueError: if they are not those of which the beginning of the output was made, which is in `file`.
        """
        with collecting():
            while lines >= self._first and (rows := self._take(min(self._size, lines - self._first + 1))):
                self._first += len(rows)
        if digest != self._digest.hexdigest():
            name = "standard input" if self._name == STANDARD else self._name
            raise ValueError(
                f"{name}: its first {counted(lines, 'line')} are not those that {file} was made of; give the same "
                "text, or delete that file to start over"
            )

    def __iter__(self) -> Iterator[Window]:
        while True:
            warnings: list[str] = []
            try:
                with collecting() as warnings:
                    rows = self._take(self._size)
            except Exception:
                show(warnings)
                raise
            if not rows:
                return
            yield Window(self._first, rows, warnings, self._digest.hexdigest())
            self._first += len(rows)

    def _take(self, lines: int) -> list[tuple[str, ...]]:
        rows = list(islice(self._rows, lines))
        for row in rows:
            self._digest.update("".join(f"{text}\n" for text in row).encode("utf-8", "surrogatepass"))
        return rows


def show(warnings: Iterable[str]) -> None:
    """Show warnings that were collected."""
    for text in warnings:
        warn(text)


@dataclass(frozen=True)
class Job:
    """What is done with every window. It can be sent to another process.

    Attributes:
        hash: that of the model when the run began.
        referenced: whether the rows have references.
        answer: the function that makes the output lines, from a writer and a stack that closes side files.
        glossary: what the translations must not contain, and the terms that they must.
    """

    folders: Sequence[Path]
    machine: MachineFlags
    hash: str
    settings: SearchSettings
    columns: Columns
    engine: EngineFlags
    referenced: bool
    answer: Callable[[Writer, ExitStack], Answer]
    glossary: Glossary | None = None

    def load(self) -> Loaded:
        """The model, and the engine that searches with it."""
        translator = load_translator(self.folders, self.machine)
        if translator.folder_hash != self.hash:
            names = " or ".join(map(str, self.folders))
            raise ValueError(f"{names}: has changed since the run began; run the command again, on a copy if it trains")
        scored = self.columns.scores or self.columns.tokens or self.columns.n_best > 1
        return Loaded(translator, scored_search(self.engine, translator, self.settings, scored))

    def work(self, loaded: Loaded, record: Record, stack: ExitStack) -> Callable[[Window], Iterator[str]]:
        """A function that gives the output lines of a window."""
        translator, columns = loaded.translator, self.columns
        writer = Writer(translator, self.settings, record, columns.scores, columns.tokens, loaded.search)
        answer = self.answer(writer, stack)

        bound = translator.bind(self.glossary) if self.glossary else None

        def lines(window: Window) -> Iterator[str]:
            sources, prefixes, references = (list(side) for side in zip(*window.rows, strict=True))
            source = translator.read(sources, self.settings, window.first)
            queries = translator.queries(source, self.settings, prefixes)
            queries = bound.constrain(queries, source, self.settings) if bound else queries
            return answer(source, queries, references if self.referenced else None)

        return lines


@dataclass(frozen=True)
class Loaded:
    """A model, and the search of an engine; None: nmtkit's own."""

    translator: Translator
    search: Search[list[Hypothesis]] | None


Engine = Callable[[Iterable[Window], Tally], Iterator[tuple[Window, Iterable[str]]]]
"""Translates windows: gives each, in their order, with its output lines."""


def start(job: Job, workers: int, stack: ExitStack) -> Engine:
    """Get ready to translate in this process or in several, which the stack ends."""
    if workers == 1:
        return partial(_here, job, job.load(), stack)
    fix = f"run the same command again with fewer than {workers} --workers, since each needs memory for a model"
    return partial(_apart, stack.enter_context(Workers(workers, "translates", fix, _translating, job, workers)))


def _here(
    job: Job, loaded: Loaded, stack: ExitStack, windows: Iterable[Window], tally: Tally
) -> Iterator[tuple[Window, Iterable[str]]]:
    work = job.work(loaded, tally, stack)
    for window in windows:
        show(window.warnings)
        yield window, work(window)


def _apart(workers: Workers, windows: Iterable[Window], tally: Tally) -> Iterator[tuple[Window, Iterable[str]]]:
    for window, result in workers.answers(windows):
        answer: Answered = result()
        show([*window.warnings, *answer.warnings])
        tally.add(answer.lines, answer.words, answer.proved, answer.failed)
        yield window, [answer.text]


@dataclass(frozen=True)
class Answered:
    """What a process makes of a window: its output lines as one text, and what is to be said of them."""

    text: str
    warnings: Sequence[str]
    lines: int
    words: int
    proved: int
    failed: Sequence[tuple[int, Exception]]


def _translating(job: Job, processes: int) -> Callable[[Window], Answered]:
    """What each of several processes does with a window."""
    from nmtkit.devices import share_of_threads

    machine = replace(job.machine, threads=share_of_threads(job.machine.threads, processes))
    try:
        loaded = replace(job, machine=machine).load()
    except typer.BadParameter as error:  # a setting that the engine does not have
        raise ValueError(error.message) from None

    def answer(window: Window) -> Answered:
        record = Record()
        with collecting() as warnings, ExitStack() as stack:
            text = "".join(job.work(loaded, record, stack)(window))
        failed = [(line, _plain(error)) for line, error in record.failed_lines]
        return Answered(text, warnings, record.lines, record.words, record.proved, failed)

    return answer


def _plain(error: Exception) -> Exception:
    """The same error as one that every process knows."""
    return MemoryError(str(error)) if ran_out(error) else ValueError(str(error))
