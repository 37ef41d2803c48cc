"""Ctrl-C ends the process at once while modules are loaded; later it is a KeyboardInterrupt, even in C++ code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

Result = TypeVar("Result")

_abandoned = False


@contextmanager
def starting() -> Iterator[None]:
    """Until `started`, Ctrl-C within the block ends the process in one line: an import could swallow an exception."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, as under nohup, or handled by the caller
        yield
        return
    signal.signal(signal.SIGINT, _quit)
    atexit.register(_ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def started() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt, so that half-written files are cleaned up."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interruptible(work: Callable[[], Result]) -> Result:
    """The result of long work in C++, which does not see Ctrl-C: it runs in a thread, which Ctrl-C abandons."""
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
        abandon()
        raise
    if errors:
        raise errors[0]
    return results[0]


def abandon() -> None:
    """Say that threads in C++ may still run when the process ends, which `leave` then does not wait for."""
    global _abandoned
    _abandoned = True


def leave(code: int) -> None:
    """End the process at once if work was abandoned: the interpreter would wait for it, or crash because of it."""
    if _abandoned:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _ignore() -> None:
    """Ignore Ctrl-C while the interpreter ends, which the signal would otherwise kill after a KeyboardInterrupt."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _quit(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
