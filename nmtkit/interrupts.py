"""Ctrl-C: while modules are loaded it ends the process at once, then it is a KeyboardInterrupt, also in C++ code."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

INTERRUPTED = 130
"""The exit code."""

Result = TypeVar("Result")

_abandoned = False


@contextmanager
def starting() -> Iterator[None]:
    """Within, until `started`, Ctrl-C ends the process in one line: an exception would be lost in some import."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, as behind nohup, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, _quit)
    atexit.register(_ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def started() -> None:
    """From now on there may be files half-written, which a KeyboardInterrupt lets clean up."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interruptible(work: Callable[[], Result]) -> Result:
    """The result of long work in C++, which sees no Ctrl-C: it is done in a thread, and left alone when it comes."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        global _abandoned
        _abandoned = True
        raise
    if errors:
        raise errors[0]
    return results[0]


def leave(code: int) -> None:
    """End the process at once where work was left alone, for the interpreter would wait for it, or crash over it."""
    if _abandoned:
        os._exit(code)


def _ignore() -> None:
    """While the interpreter ends; it would also end by the signal if a KeyboardInterrupt had passed through `exec`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _quit(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
