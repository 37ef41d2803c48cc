"""Input and output line by line: read ahead in windows, written when done, with progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Self, TextIO

from nmtkit.cli.errors import told
from nmtkit.cli.paths import STANDARD
from nmtkit.console import Progress, note, warn
from nmtkit.words import counted, plural

WINDOW = 5000
"""Number of lines that are read together, sorted by length for the model, and written before the next are read.

Of 100,000 sentences of 26 pieces on average, in batches of 2,048 pieces, 97 % of what the model reads is no padding,
and 99 % with windows of 10,000 lines; windows of 2,000 lines have 95 % and need an eighth more steps.
"""
SMALL_WINDOW = 1000
"""Number of lines read together if each has very many results, all of which are in memory."""
SLOW_WINDOW = 100
"""Number of lines read together if each takes long, so that results appear soon."""
WARNINGS = 20
"""Number of failed lines whose reason is shown."""
SECONDS = 10.0
"""Seconds between two lines of progress if there is no terminal."""


def open_lines(path: Path, stack: ExitStack) -> Iterator[str]:
    """The lines of a file, or of standard input as they arrive; on a terminal, with a prompt for each."""
    from nmtkit.files import lenient_lines, open_text

    if path == STANDARD:
        lines = lenient_lines(sys.stdin.buffer, "standard input", warn)
        return _prompted(lines) if prompting(path) else lines
    return lenient_lines(stack.enter_context(open_text(path)), str(path), warn)


def open_source(path: Path, stack: ExitStack) -> Iterator[str]:
    """The sentences of a source: lines as they arrive, or the sequences of a feature file."""
    from nmtkit.features import is_features, read_features

    return iter(read_features(path)) if is_features(path) else open_lines(path, stack)


def prompting(path: Path) -> bool:
    """Whether a person types the lines at a terminal."""
    return path == STANDARD and sys.stdin.isatty()


def open_output(path: Path, stack: ExitStack) -> TextIO:
    """Standard output as UTF-8 with plain line ends, or a file that appears when it is complete."""
    if path == STANDARD:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
        return sys.stdout
    from nmtkit.files import replacing

    say_written(path, stack)
    temporary = stack.enter_context(replacing(path))
    return stack.enter_context(temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n"))


def say_written(path: Path, stack: ExitStack) -> None:
    """Note how many lines were written, once the stack has put the file in its place."""

    def say(kind: type[BaseException] | None, *error: object) -> None:
        if kind is None and (lines := count_lines(path)) is not None:
            note(f"{path}: {counted(lines, 'line')}")

    stack.push(say)


def write_result(path: Path, text: str, what: str = "") -> None:
    """Write a whole result to standard output, or to a file and then note `what` the file holds."""
    if path == STANDARD:
        with ExitStack() as stack:
            open_output(path, stack).write(text)
        return
    from nmtkit.files import write_text

    write_text(path, text)
    if what:
        note(f"{path}: {what}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary result to a file or to standard output."""
    if path == STANDARD:
        sys.stdout.buffer.write(content)
        return
    from nmtkit.files import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def window_size(results: int, least: int | None = None) -> int:
    """Number of lines that are read together if each has that many results; None: no fewer than `SMALL_WINDOW`."""
    return min(WINDOW, max(least or SMALL_WINDOW, 4 * WINDOW // results))


def windows(lines: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """The lines in lists of `size`."""
    take: Callable[[], list[Any]] = lambda: list(islice(lines, size))  # noqa: E731
    return iter(take, [])


def beside(lines: Iterator[str], streams: Sequence[Iterator[str]], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Lines that belong together, one from each stream; ValueError if a stream ends before another."""
    for number, line in enumerate(lines, start=1):
        row = [line]
        for stream, name in zip(streams, names, strict=True):
            if (text := next(stream, None)) is None:
                raise ValueError(f"{name}: ends before line {number}, which the source has; line N of each must match")
            row.append(text)
        yield tuple(row)
    for stream, name in zip(streams, names, strict=True):
        if next(stream, None) is not None:
            raise ValueError(f"{name}: has more lines than the source; line N of each must match")


class Record:
    """Listens to a translator and counts."""

    def __init__(self) -> None:
        self.words_of: Callable[[Any], int] = lambda result: 0  # the command, which knows the results, sets it
        self.lines = self.words = self.proved = 0
        self.failed_lines: list[tuple[int, Exception]] = []

    def done(self, results: Sequence[Any]) -> None:
        self.lines += len(results)
        self.words += sum(map(self.words_of, results))

    def failed(self, line: int, error: Exception) -> None:
        self.failed_lines.append((line, error))

    def emptied(self, line: int, error: Exception) -> None:
        """A line that was counted as done has no result after all."""
        self.lines -= 1
        self.failed(line, error)


class Tally(Record):
    """Listens to a translator: progress and words a second on standard error, and how many lines failed.

    Args:
        title: what the command does to the lines, for the progress bar.
        total: the number of lines, if it is known.
        live: whether to show progress; it would disturb a person who types the lines or reads the results.
    """

    def __init__(self, title: str, total: int | None, live: bool = True) -> None:
        super().__init__()
        self._live = live
        self._progress = Progress(total, title, every=SECONDS)
        self._before, self.failures = 0, 0
        self._last: Exception | None = None
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        if self._live:
            self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live:
            self._progress.__exit__(*error)

    def done(self, results: Sequence[Any]) -> None:
        super().done(results)
        self._show()

    def failed(self, line: int, error: Exception) -> None:
        self.lines += 1
        self.failures += 1
        self._last = error
        if self.failures <= WARNINGS:
            text = told(error).removeprefix(f"line {line}: ")
            rest = "; more such lines are only counted" if self.failures == WARNINGS else ""
            warn(f"line {line}: left empty: {text}{rest}")

    def add(self, lines: int, words: int, proved: int, failed_lines: Iterable[tuple[int, Exception]]) -> None:
        """Take over what a `Record` has counted."""
        self.lines, self.words, self.proved = self.lines + lines, self.words + words, self.proved + proved
        for line, error in failed_lines:
            self.failed(line, error)
        self._show()

    def facts(self) -> dict[str, Any]:
        """How far the work is, to go on with in another process."""
        last = None if self._last is None else told(self._last)
        return {"lines": self.lines, "failures": self.failures, "proved": self.proved, "last": last}

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Count on from the `facts` of another process; the speed is that of this one."""
        self.lines, self.failures, self.proved = facts["lines"], facts["failures"], facts["proved"]
        self._before, self._last = self.lines, ValueError(facts["last"]) if facts["last"] is not None else None
        self._show()

    def say_proved(self) -> None:
        """Note for how many lines the best translation is proved."""
        if self.lines:
            rest = "; the others ran out of their budget" if self.proved < self.lines else ""
            note(f"{self.proved} of {self.lines} proved to be the best within their length limit{rest}")

    def close(self, summary: bool = True) -> None:
        """Sum up; ValueError if a line failed, or the error itself if all lines failed."""
        seconds, lines = self._seconds(), self.lines - self._before
        if lines and summary:
            speed = round(self.words / seconds)
            note(
                f"{counted(lines, 'line')}, {counted(self.words, 'word')} in {seconds:.1f} s "
                f"({lines / seconds:.1f} lines, {speed:,} {plural(speed, 'word')} a second)"
            )
        if self._last is not None:
            if self.failures == self.lines:
                raise self._last
            were, of = plural(self.failures, "was", "were"), counted(self.lines, "line")
            raise ValueError(f"{self.failures} of {of} failed and {were} left empty: see the warnings")

    def _show(self) -> None:
        if self._live:
            self._progress.update(self.lines, words_per_second=f"{self.words / self._seconds():,.0f}")

    def _seconds(self) -> float:
        return max(time.perf_counter() - self._started, 1e-9)


def count_lines(path: Path) -> int | None:
    """The number of lines of an ordinary file; None for anything else."""
    from nmtkit.features import is_features
    from nmtkit.files import open_text

    if path == STANDARD or not path.is_file() or is_features(path):
        return None
    with open_text(path) as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def _prompted(lines: Iterable[str]) -> Iterator[str]:
    """The lines that a person types at a prompt; Ctrl-D ends."""
    note("one sentence a line; Ctrl-D ends")
    iterator = iter(lines)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = next(iterator, None)
        if line is None:
            print(file=sys.stderr)
            return
        yield line
