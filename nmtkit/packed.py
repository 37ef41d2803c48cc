"""Packed files are read as what they hold: gzip, xz, and zstd where Python or a package can unpack it."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

ENDINGS = (".gz", ".xz", ".zst")
"""The endings of the names of packed files."""
BLOCK = 1 << 18
"""Number of bytes that are unpacked at a time."""
ZSTD = ("compression.zstd", "backports.zstd", "zstandard")
"""Modules that unpack zstd; the first is part of Python from 3.14 on."""


def stored(path: Path) -> Path:
    """The path itself or, if there is no such file, that of its packed form (`.gz`, `.xz`, `.zst`), if there is one."""
    if os.path.lexists(path):
        return path
    forms = (path.with_name(path.name + ending) for ending in ENDINGS)
    return next((form for form in forms if form.is_file()), path)


def unpacked(stream: io.BufferedReader, name: str) -> BinaryIO:
    """What an ordinary file holds, unpacked if it is packed, which its first bytes tell; else the stream itself.

    Raises:
        ValueError: for zstd that nothing can unpack; and, while the stream is read, for damaged content.
    """
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    beginning = stream.peek(6)[:6]
    for mark, opener in ((b"\x1f\x8b", _gzip), (b"\xfd7zXZ\0", _xz), (b"\x28\xb5\x2f\xfd", _zstd)):
        if beginning.startswith(mark):
            try:
                return io.BufferedReader(_Content(stream, name, *opener(stream, name)), BLOCK)
            except ValueError:
                stream.close()
                raise
    return stream


def _gzip(stream: BinaryIO, name: str) -> tuple[Any, type[Exception]]:
    return gzip.GzipFile(fileobj=stream, mode="rb"), zlib.error


def _xz(stream: BinaryIO, name: str) -> tuple[Any, type[Exception]]:
    return _Frames(stream, lzma.LZMADecompressor, padding=b"\0"), lzma.LZMAError


def _zstd(stream: BinaryIO, name: str) -> tuple[Any, type[Exception]]:
    for module in ZSTD:
        try:
            zstd = import_module(module)
        except ImportError:
            continue
        if module == "zstandard":
            return _Frames(stream, partial(_frame, zstd)), zstd.ZstdError
        return zstd.ZstdFile(stream), zstd.ZstdError
    raise ValueError(f"{name}: is packed (zstd): pip install zstandard to read it, or unpack it with unzstd")


def _frame(zstd: Any) -> Any:
    """What unpacks one frame, of the package zstandard."""
    return zstd.ZstdDecompressor().decompressobj()


class _Frames:
    """What the frames of a file hold, one after another, to the end of the last.

    The own readers of lzma and of the package zstandard pass over a damaged beginning and a missing end.

    Args:
        new: makes an object that unpacks one frame.
        padding: bytes that may stand between frames.
    """

    def __init__(self, stream: BinaryIO, new: Callable[[], Any], padding: bytes = b"") -> None:
        self._stream, self._new, self._padding = stream, new, padding
        self._frame, self._begun, self._content = new(), False, io.BytesIO()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end; EOFError if the last frame has no end."""
        while not (block := self._content.read(size)):
            if self._frame.eof:
                packed, self._frame, self._begun = self._frame.unused_data, self._new(), False
            else:
                packed = b""
            packed = packed or self._stream.read(BLOCK)
            if not packed:
                if self._begun:
                    raise EOFError("its end is missing")
                return b""
            if packed := packed if self._begun else packed.lstrip(self._padding):
                self._content, self._begun = io.BytesIO(self._frame.decompress(packed)), True
        return block


class _Content(io.RawIOBase):
    """The content of a packed file.

    Args:
        stream: the file.
        content: reads what it holds.
        error: what that raises for damaged content, besides EOFError and an OSError without a number.
    """

    def __init__(self, stream: BinaryIO, name: str, content: Any, error: type[Exception]) -> None:
        self._stream, self._name, self._error = stream, name, error
        self._read: Callable[[int], bytes] = content.read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            block = self._read(len(view))
        except (EOFError, OSError, self._error) as error:
            if getattr(error, "errno", None) is not None:  # of the disk
                raise
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{self._name}: damaged, cannot be unpacked to its end ({reason}); copy it again"
            ) from None
        view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()
