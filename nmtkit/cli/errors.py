"""One way to fail: a line on standard error and an exit code. 0 well, 1 the user's input, 2 usage, 130 Ctrl-C."""

from __future__ import annotations

import errno
import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from nmtkit.console import drop, tell
from nmtkit.interrupts import INTERRUPTED, started

USAGE = 2

_debug = False


def set_debug(debug: bool) -> None:
    """Show tracebacks from now on, or not."""
    global _debug
    _debug = debug


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its errors told in one line; a traceback only with --debug."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        started()
        try:
            command(*arguments, **options)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            tell("interrupted")
            _discard_output()
            raise typer.Exit(INTERRUPTED) from None
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            raise typer.Exit(failed(error)) from None

    return run


def failed(error: Exception) -> int:
    """Tell an error in one line and return the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read our output has seen enough
        _discard_output()
        return 0
    tell(f"nmtkit: {told(error)}")
    _discard_output()
    return 1


def told(error: Exception) -> str:
    """The error as one line that says what to do; its traceback goes to standard error with --debug."""
    if _debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.EBADF and not error.filename:
        return "standard input or output is closed: open it, or name files to read and write"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        fix = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        return f"{where}{error.strerror or error}{fix}"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return f"out of memory: choose a smaller --batch-tokens or a smaller model ({text[:120]})"
    if isinstance(error, RuntimeError):
        return f"{text[:300]} (internal error: --debug shows where)"
    return text


def _discard_output() -> None:
    """Drop what standard output could not take (a full disk), lest the interpreter complain about it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)
