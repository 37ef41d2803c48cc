"""Locks of folders and files, so that two processes do not work in one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = ".lock"
"""The file of a folder that is locked while the folder is worked in."""


@contextmanager
def locked(
    folder: str | os.PathLike[str], work: str = "training", wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Lock a folder within the block; ValueError if another process holds the lock. It ends with the process at latest.

    A file in the folder is locked, since network file systems lock no folders for other machines. On a file system or
    an operating system without such locks, nothing is locked.

    Args:
        work: what the lock is for, for the error message.
        wait: called again and again while another process holds the lock, instead of an error.
    """
    path = Path(folder) / NAME
    while (handle := lock_file(path)) is None:
        if wait is None:
            raise ValueError(f"{folder}: another {work} goes on in it; wait for its end or choose another folder")
        wait()
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def lock_file(path: Path) -> int | None:
    """Open a file, made if there is none, and lock it until its handle is closed; None if another process has."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except (ImportError, OSError):
            return handle
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # its last owner has removed it in the meantime
