"""One way to fail: a line on standard error and an exit code. 0 well, 1 the user's input, 2 usage, 130 Ctrl-C."""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

USAGE = 2
INTERRUPTED = 130

_debug = False


def set_debug(debug: bool) -> None:
    """Show tracebacks from now on, or not."""
    global _debug
    _debug = debug


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its errors told in one line; a traceback only with --debug."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough. The interpreter must not find the closed pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            typer.echo(f"nmtkit: {told(error)}", err=True)
            _discard_output()
            raise typer.Exit(1) from None

    return run


def told(error: Exception) -> str:
    """The error as one line that says what to do; its traceback goes to standard error with --debug."""
    if _debug:
        traceback.print_exception(error)
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
