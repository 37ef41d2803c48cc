"""Text lines in, whole files out: the one place that knows what a line is and how a file is replaced.

A line ends at \\n only: U+2028, vertical tab, form feed and a lone \\r are text. One \\r before the \\n and a byte
order mark at the start of the file are dropped; a missing final newline does not make another line.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nmtkit.encoding import foreign, not_utf8
from nmtkit.packed import unpacked
from nmtkit.words import counted

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LARGEST_CONFIG = 1_000_000
STANDARD = "-"
"""The name that stands for standard input when it is read, and for standard output when the command line writes it."""


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Every line of a UTF-8 file; raises ValueError naming the file, and the line that is not UTF-8."""
    return list(each_line(path))


def each_line(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a UTF-8 file one after another, so that none is kept; ValueError as for `read_lines`."""
    accents = False
    with open_text(path) as stream:
        for number, line in enumerate(raw_lines(stream, str(path)), start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number}: {not_utf8(line, stream, accents)}") from None
            accents = accents or not text.isascii()
            yield text


class Lines:
    """The lines of several texts, one text after another; they are read anew each time that they are asked for.

    Args:
        texts: paths of files, or lines.
    """

    def __init__(self, *texts: Path | Iterable[str]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            yield from each_line(text) if isinstance(text, Path) else text


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file; ValueError in one line for anything else."""
    with _open_config(path) as stream:
        content = stream.read(LARGEST_CONFIG + 1)
    if len(content) > LARGEST_CONFIG:
        raise ValueError(f"{path}: not TOML: larger than {LARGEST_CONFIG:,} bytes; name a configuration file")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not TOML: it is not valid UTF-8; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from None


class UnreadableError(ValueError):
    """A file cannot be opened, whatever it holds."""


def open_text(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, or standard input for "-", opened for reading bytes; UnreadableError if that is not possible.

    A packed file is read as what it holds.
    """
    if str(path) == STANDARD:
        return io.BytesIO(sys.stdin.buffer.read())
    try:
        stream = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise UnreadableError(f"{path}: is a folder; name a text file") from None
    except OSError as error:
        raise UnreadableError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    except ValueError as error:  # a NUL, or a character that no path can have
        raise ValueError(f"{str(path)!r}: cannot be a path ({error}); name a text file") from None
    if _is_endless(stream):
        stream.close()
        raise ValueError(f"{path}: is a device, which has no end; name a text file")
    return unpacked(stream, str(path))


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that is the same wherever it is used; "-" remains."""
    return STANDARD if str(path) == STANDARD else os.path.abspath(path)


def read_parallel(*paths: str | os.PathLike[str]) -> list[list[str]]:
    """The lines of files that belong together line by line; raises ValueError if their line counts differ or are 0."""
    return belonging(paths, [read_lines(path) for path in paths])


def belonging(paths: Sequence[str | os.PathLike[str]], files: list[list[str]]) -> list[list[str]]:
    """The lines of files that belong together line by line, checked as in `read_parallel`."""
    counts = list(zip(paths, map(len, files), strict=True))
    if len({count for _, count in counts}) > 1:
        raise unequal(counts)
    if files and not files[0]:
        raise ValueError(f"{_have(counts)}; give at least one line")
    return files


def unequal(counts: Iterable[tuple[str | os.PathLike[str], int]], more: str = "") -> ValueError:
    """The error of files that belong together line by line, but have different numbers of lines.

    Args:
        counts: every file with its number of lines.
        more: what else is to be known about them.
    """
    need = "parallel files need the same number of lines"
    return ValueError(f"{need}, but {_have(counts)}{more}; line N of each must match")


def _have(counts: Iterable[tuple[str | os.PathLike[str], int]]) -> str:
    return ", ".join(f"{path} has {counted(count, 'line')}" for path, count in counts)


def lenient_lines(stream: BinaryIO, name: str, warn: Callable[[str], None]) -> Iterator[str]:
    """The lines of a stream as they arrive; bytes that are not UTF-8 become U+FFFD, with a warning for the line."""
    for number, line in enumerate(raw_lines(stream, name), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            warn(f"{name}, line {number}: not valid UTF-8 at byte {error.start + 1}; replaced by U+FFFD")
            yield line.decode("utf-8", errors="replace")


def raw_lines(stream: Iterable[bytes], name: str, read: int = 0) -> Iterator[bytes]:
    """The lines of a binary stream without their ends and without the byte order mark of the first.

    ValueError if the first line shows that the file is packed or has another encoding.

    Args:
        read: number of lines that were read from the stream before.
    """
    for number, line in enumerate(stream, start=read):
        if number == 0:
            if reason := foreign(line):
                raise ValueError(f"{name}: {reason}")
            line = line.removeprefix(BYTE_ORDER_MARK)
            if not line:  # the file holds the mark and nothing else
                return
        yield line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


def check_replaceable(path: str | os.PathLike[str], parents: bool = False) -> None:
    """ValueError if no file can be written under this name: it is a folder, or the folder above it does not exist.

    Args:
        parents: whether missing folders above the file will be made.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ValueError(f"{path}: is a folder; name a file")
    folder = target.parent
    while parents and not os.path.lexists(folder):
        folder = folder.parent
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{path}: {folder} is a file, no folder; name a file in a folder")
    if not folder.is_dir():
        raise ValueError(f"{path}: the folder {folder} does not exist; create it first")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary file beside `path` to write to; it replaces `path` only if the body succeeds.

    A reader, or a machine that loses power, finds either the old file or the new one, whole. A path that is no ordinary
    file (a pipe, /dev/null) cannot be replaced, so it gets the bytes at the end.
    """
    check_replaceable(path)
    if Path(path).exists() and not Path(path).is_file():
        with _feeding(Path(path)) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}.tmp"
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        if target.exists():  # the new file keeps the permissions of the old one
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        sync(temporary)
        os.replace(temporary, target)
        sync(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # users know nothing of the temporary file
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of `replacing` that a killed process left in a folder."""
    for path in Path(folder).glob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9a-f]{16}\.tmp", path.name):
            path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a whole UTF-8 file or leave the old one as it was; a lone surrogate is written as \\udXXX."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a whole JSON file; raises ValueError for NaN and infinity, which JSON does not have."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: cannot be written as JSON: {error}") from None
    write_text(path, text + "\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_lines(lines: Iterable[str]) -> str:
    """The SHA-256 of a text whose lines end in a newline: that of its file, unless the file has other line ends."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")).hexdigest()


def _open_config(path: str | os.PathLike[str]) -> BinaryIO:
    """Like `open_text`, but ValueError for a pipe into which nobody writes, where reading would never end."""
    if not Path(path).is_fifo():
        return open_text(path)
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    os.set_blocking(stream.fileno(), True)
    if not stream.peek(1):
        stream.close()
        raise ValueError(f"{path}: a pipe into which nobody writes; name a configuration file")
    return stream


def _is_endless(stream: BinaryIO) -> bool:
    """Whether a file is a device without an end, such as /dev/zero; a terminal and /dev/null have an end."""
    mode = os.fstat(stream.fileno())
    device = stat.S_ISCHR(mode.st_mode) or stat.S_ISBLK(mode.st_mode)
    return device and not stream.isatty() and mode.st_rdev != os.stat(os.devnull).st_rdev


@contextmanager
def _feeding(path: Path) -> Iterator[Path]:
    """Yields a temporary file whose bytes go into `path`, a pipe or a device, at the end."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "content"
        temporary.touch()
        yield temporary
        try:
            with open(temporary, "rb") as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
