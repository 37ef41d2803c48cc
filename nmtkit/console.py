"""Output for people: results go to standard output; notes, warnings and progress go to standard error.

Rich is imported only when something is shown. Text is shown as it is: no markup, no emoji codes, no wrapping.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

NARROWEST = 80
"""Columns that tables need; on a narrower terminal they wrap, but no digit is lost."""

WIDEST = 120
"""Columns of a line that is cut, where there is no terminal."""
JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling in Persian, Hindi and others, and of emoji."""

_quiet = _silent = False
_collected: list[str] | None = None
_live: rich.progress.Progress | None = None  # the bar on the terminal now; other lines must be printed above it


def set_quiet(quiet: bool) -> None:
    """Turn notes and progress off or on; warnings and results always appear."""
    global _quiet
    _quiet = quiet


def set_silent() -> None:
    """Turn warnings off as well, but for those that only this process knows: another process says the same."""
    global _quiet, _silent
    _quiet = _silent = True


def stdout_console() -> Console:
    """The console for results (tables). If its pipe is closed early, the caller gets the BrokenPipeError."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = Piped(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, NARROWEST)
    return console


def stderr_console() -> Console:
    """The console for everything that is not a result."""
    from rich.console import Console

    return _live.console if _live else Console(stderr=True, markup=False, highlight=False, emoji=False)


def note(text: str) -> None:
    """Print a line on standard error, unless quiet."""
    if not _quiet:
        _say(text)


def warn(text: str, everywhere: bool = True) -> None:
    """Print a warning on standard error, even if quiet.

    Args:
        everywhere: whether every process of a training warns of the same, so that one of them is enough.
    """
    if _collected is not None:
        _collected.append(text)
    elif not (_silent and everywhere):
        _say(f"warning: {text}", style="yellow")


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Warnings within the block go into a list, to be shown when it is their turn."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


def printable(text: str) -> str:
    """A text with control characters written as escapes."""
    return "".join(
        character
        if character.isprintable() or character in JOINERS
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def cropped(text: str, width: int) -> str:
    """A text as one printable line of at most `width` columns, cut where it is longer."""
    from rich.cells import cell_len, set_cell_size

    text = printable(text)
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


class Progress:
    """A bar on a terminal, plain lines elsewhere: `with Progress(1000, "training") as progress: ...`."""

    def __init__(self, total: int | None, description: str, every: float | None = None) -> None:
        """`total` is the number of units that `update` counts, None if it is not known. Without a terminal,
        `update` prints a line, but not before `every` seconds have passed since the last one (None: never)."""
        self._total, self._description, self._every = total, description, every
        self._said = time.monotonic()
        self._bar: rich.progress.Progress | None = None

    def __enter__(self) -> Self:
        global _live
        console = stderr_console()
        if console.is_terminal and not _quiet and _live is None:
            self._bar = _live = _bar(console)
            self._task = _live.add_task(self._description, total=self._total, status="")
            _live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _live
        if self._bar is not None:
            _live = None
            self._bar.stop()

    def update(self, completed: int, **fields: str) -> None:
        """Move the bar to `completed` and show the fields as "name value"."""
        status = "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in fields.items())
        if self._bar is not None:
            self._bar.update(self._task, completed=completed, status=status)
        elif self._every is not None and time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            of_total = "" if self._total is None else f"/{self._total}"
            note(f"{self._description}: {completed}{of_total}  {status}")

    def line(self, text: str) -> None:
        """Print a line that stays: above the bar on a terminal, a plain line elsewhere; nothing if quiet."""
        note(text)

    def excerpt(self, text: str) -> None:
        """As `line`, but cut to the width of the terminal, or to `WIDEST` columns elsewhere."""
        console = stderr_console()
        self.line(cropped(text, console.width if console.is_terminal else WIDEST))


def _say(text: str, style: str = "") -> None:
    from rich.text import Text

    console = stderr_console()
    if console.is_terminal:
        console.print(Text(text, style=style), soft_wrap=True)
    else:
        tell(text)


def tell(text: str) -> None:
    """Print a line on standard error; if that fails (a full disk, a closed pipe), the work goes on in silence."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Redirect a standard stream to nowhere, so that the interpreter does not complain at exit about unwritten data."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _bar(console: Console) -> rich.progress.Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
