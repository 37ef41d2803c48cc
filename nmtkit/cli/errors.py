"""One way to fail: a line on standard error and an exit code. 0 well, 1 the user's input, 2 usage, 130 Ctrl-C."""

from __future__ import annotations

import errno
import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from nmtkit.console import drop, tell
from nmtkit.interrupts import INTERRUPTED, started
from nmtkit.memory import ran_out

USAGE = 2

LONGEST = 1000
"""Most characters of an error; a longer error loses its middle."""
HUNGRY = (
    *("batch_tokens", "beam", "n_best", "max_length", "max_length_ratio", "resamples", "reference_segmentations"),
    *("vocab_size", "max_lines"),
)
"""Options that decide how much memory a command takes."""

_debug = False
_running: dict[str, Any] = {}
"""The values of these options in the command that runs, None for those that the user did not give."""


def set_debug(debug: bool) -> None:
    """Turn tracebacks on or off."""
    global _debug
    _debug = debug


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that it reports an error in one line; with --debug, after a traceback."""

    usual = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        started()
        _running.clear()
        _running.update({name: None if value == usual[name] else value for name, value in options.items()})
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
    """Report an error in one line and return the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read our output has seen enough
        _discard_output()
        return 0
    tell(f"nmtkit: {told(error)}")
    _discard_output()
    return 1


def told(error: Exception) -> str:
    """An error as one line that says what to do; with --debug, its traceback goes to standard error."""
    if _debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.EBADF and not error.filename:
        return "standard input or output is closed: open it, or name files to read and write"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        fix = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        return shortened(f"{where}{error.strerror or error}{fix}")
    text = " ".join(str(error).split())
    if ran_out(error):
        return f"out of memory: {_less_memory()}{f' ({text[:120]})' if text else ''}"
    if isinstance(error, RuntimeError):
        return f"{text[:300]} (internal error: --debug shows where)"
    return shortened(text)


def shortened(text: str) -> str:
    """An error as one line that is not too long to read, even if a user or a file put much into it."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def _less_memory() -> str:
    """How the running command would need less memory: by smaller options, those that the user gave first of all."""
    flags = {name: f"--{name.replace('_', '-')}" for name in HUNGRY if name in _running}
    asked = [f"{flag} than {_running[name]}" for name, flag in flags.items() if _running[name] is not None]
    if named := asked or list(flags.values()):
        return f"choose a smaller {' or a smaller '.join(named)}"
    return "take smaller files, or a machine with more of it"


def _discard_output() -> None:
    """Drop what standard output could not take (a full disk), so that the interpreter does not complain at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)
