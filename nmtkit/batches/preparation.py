"""Prepares a corpus: text is tokenised once, by several processes, into a folder that training maps into memory.

files → blocks of lines → processes: ids → columns, appended in the order of the lines → corpus.json.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmtkit import files
from nmtkit.batches import reading
from nmtkit.batches.appending import Columns, begun
from nmtkit.batches.encoding import Counts
from nmtkit.batches.hashes import duplicates
from nmtkit.batches.pool import Block, InvalidBlockError, Pool, Work
from nmtkit.batches.shards import (
    COLUMNS,
    FACTS,
    NAMES,
    Facts,
    TextFacts,
    check_ends,
    dtypes,
    identity,
    prepared,
    read_facts,
    write_facts,
)
from nmtkit.console import Progress, note
from nmtkit.files import STANDARD, UnreadableError
from nmtkit.locks import locked
from nmtkit.packed import ENDINGS
from nmtkit.tokenizer.tokenizer import FILES, Tokenizer
from nmtkit.words import counted, plural
from nmtkit.workers import LostWorkerError

SECONDS = 10.0
"""Seconds between two lines of progress if there is no terminal."""


@dataclass(frozen=True)
class Job:
    """What a corpus is made of.

    Attributes:
        source, target: the files; both "-" for source, tab and target from standard input.
        languages: their endings.
        max_source, max_target: pairs with more pieces are left out.
    """

    source: Path
    target: Path
    languages: tuple[str, str]
    tokenizer: Tokenizer
    max_source: int
    max_target: int

    @property
    def streamed(self) -> bool:
        """Whether the text comes from standard input, which cannot be read again."""
        return str(self.source) == STANDARD

    def identity(self) -> dict[str, Any]:
        """All that decides the content, as plain values; of the texts place, size and time."""
        return identity(self.tokenizer.hash(), self.max_source, self.max_target, self.text(0), self.text(1))

    def text(self, side: int, sha256: str = "", positions: int = 0) -> TextFacts:
        """The facts of a text as it is now."""
        path = (self.source, self.target)[side]
        vocabulary = (self.tokenizer.source, self.tokenizer.target)[side].size
        if self.streamed:
            return TextFacts(self.languages[side], STANDARD, 0, 0, sha256, vocabulary, positions)
        status = path.stat()
        place = os.path.abspath(path)
        return TextFacts(self.languages[side], place, status.st_size, status.st_mtime_ns, sha256, vocabulary, positions)

    def fits(self, facts: Facts) -> bool:
        """Whether a prepared corpus is made of this."""
        own = identity(facts.tokenizer, facts.max_source, facts.max_target, facts.source, facts.target)
        return not self.streamed and self.identity() == own


def prepare(job: Job, folder: Path, workers: int, lines: int = reading.LINES) -> Facts:
    """Prepare a corpus in a folder, or go on with a preparation that was stopped there.

    Args:
        workers: number of processes.
        lines: most pairs of a block.

    Raises:
        ValueError: if the folder holds anything else, for a text that is not valid, and if no pair is left.
    """
    refuse_folder(folder, job)
    with working_in(folder):
        refuse_folder(folder, job)  # another preparation may have ended in the meantime
        return read_facts(folder) if (folder / FACTS).is_file() else fill(job, folder, workers, lines)


def fill(job: Job, folder: Path, workers: int, lines: int = reading.LINES) -> Facts:
    """As `prepare`, in a folder that `working_in` has locked and that holds nothing else."""
    before = job.identity()
    job.tokenizer.save(folder)
    kinds = dtypes(job.tokenizer.source.size, job.tokenizer.target.size)
    sums = _Sums(job)
    with Columns(folder, kinds, before, not job.streamed) as columns:
        _append(columns, job, folder, workers, lines, sums)
        done = columns.done
    if not done.pairs:
        empty = f"{job.source} and {job.target}: empty, give them at least one line"
        raise ValueError(
            "standard input has no lines: give it lines of source, tab and target" if job.streamed else empty
        )
    if not done.kept:
        raise ValueError(
            f"{job.source} and {job.target}: every pair is empty or longer than {job.max_source} source or "
            f"{counted(job.max_target, 'target piece')}"
        )
    hashes = np.memmap(folder / COLUMNS[-1], kinds[COLUMNS[-1]], "r")
    counts = Counts(done.pairs, done.empty, done.overlong, duplicates(hashes))
    source = job.text(0, sums.of(0), done.source_positions)
    target = job.text(1, sums.of(1), done.target_positions)
    if job.identity() != before:
        raise ValueError(f"{job.source} or {job.target}: changed while it was read; run the same command again")
    own = {name: files.sha256(folder / name) for name in COLUMNS}
    facts = Facts(before["tokenizer"], job.max_source, job.max_target, counts, source, target, own)
    check_ends(folder, facts)
    write_facts(folder, facts)
    return facts


@contextmanager
def working_in(folder: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Make and lock a folder; if the text turns out to be of no use, what was written is removed.

    Args:
        wait: as for `locked`.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    given = [name for name in FILES if (folder / name).exists()]  # perhaps the user's only tokenizer
    useless = False
    try:
        with locked(folder, "preparation", wait):
            try:
                yield
            except (LostWorkerError, UnreadableError):
                raise
            except ValueError:
                useless = True
                clear(folder, given)
                raise
    finally:
        if useless:
            with suppress(OSError):  # something else has come into it
                for path in missing:
                    path.rmdir()


def clear(folder: Path, but: Collection[str] = ()) -> None:
    """Remove the files of a prepared corpus, all but some."""
    for name in NAMES:
        if name not in but:
            (folder / name).unlink(missing_ok=True)


def refuse_folder(folder: Path, job: Job) -> None:
    """ValueError if a folder holds anything else than this corpus, whole or begun."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name a folder for the corpus")
    own = job.tokenizer.files()
    for path in sorted(folder.iterdir()):
        alien = path.name not in NAMES and not path.name.startswith(".")
        if alien or (path.name in FILES and not prepared(folder) and path.read_bytes() != own.get(path.name)):
            raise ValueError(f"{folder}: holds {path.name}; name a new or empty folder for the corpus")
    whole = (folder / FACTS).is_file()
    if not job.fits(read_facts(folder)) if whole else begun(folder, job.identity()) is False:
        what = "a corpus" if whole else "the beginning of a corpus"
        raise ValueError(f"{folder}: holds {what} of other texts, tokenizer or limits; delete it, or name a new folder")


def size_of(folder: Path) -> int:
    """The bytes that a prepared corpus takes on the disk."""
    return sum((folder / name).stat().st_size for name in COLUMNS)


def _append(columns: Columns, job: Job, folder: Path, workers: int, lines: int, sums: _Sums) -> None:
    """Append what is left of the text to the columns."""
    done, work = columns.done, Work(folder, job.max_source, job.max_target)
    known = not job.streamed and job.source.suffix not in ENDINGS
    total = job.source.stat().st_size // 1_000_000 if known else None
    if job.streamed:
        note("standard input is read once: if this is stopped, it starts over")
    if done.pairs:
        note(f"{folder}: going on after {done.pairs:,} {plural(done.pairs, 'pair')}")
    with (
        ExitStack() as stack,
        Pool(work, job.tokenizer, workers) as pool,
        Progress(total, "preparing (MB)" if total else "preparing (pairs)", every=SECONDS) as progress,
    ):
        if job.streamed:
            blocks = sums.watch(reading.blocks_of_columns(reading.standard_input(), "standard input", lines))
        else:
            offsets = (done.source_offset, done.target_offset)
            blocks = reading.blocks_of_files(job.source, job.target, done.pairs, offsets, stack, lines)
        try:
            for block, encoded in pool.encode(blocks):
                columns.append(encoded, block.offsets)
                pairs = columns.done.pairs
                progress.update(block.offsets[0] // 1_000_000 if total else pairs, pairs=f"{pairs:,}")
        except InvalidBlockError as error:
            raise reading.invalid(error.block, columns.done.pairs, job.source, job.target) from None


class _Sums:
    """The SHA-256 of the texts: of files, or of the lines that arrive."""

    def __init__(self, job: Job) -> None:
        self._job, self._lines = job, (hashlib.sha256(), hashlib.sha256())

    def watch(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The blocks, whose lines are counted in."""
        for block in blocks:
            for own, side in zip(self._lines, (block.source, block.target), strict=True):
                own.update(side + b"\n")
            yield block

    def of(self, side: int) -> str:
        """The hash of a side, as a file of its lines would have it."""
        path = (self._job.source, self._job.target)[side]
        return self._lines[side].hexdigest() if self._job.streamed else files.sha256(path)
