"""The cache of prepared corpora: a text is tokenised once and recognised by place, size, time, tokenizer and limits."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from nmtkit.batches.appending import begun
from nmtkit.batches.preparation import Job, clear, fill, size_of, working_in
from nmtkit.batches.shards import Facts, columns, prepared, read_facts, verify
from nmtkit.console import note
from nmtkit.devices import cores
from nmtkit.packed import ENDINGS

LARGE = 32_000_000
"""Bytes of both sides of a text from which on it is prepared on disk; a smaller text is encoded in memory."""
UNPACKED = 4
"""How many times larger a packed text is taken to be than its file."""


def default_root() -> Path:
    """The usual folder of the cache: $NMTKIT_CACHE, or nmtkit in the user's folder for caches."""
    if own := os.environ.get("NMTKIT_CACHE"):
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "nmtkit"


def is_large(source: Path, target: Path) -> bool:
    """Whether a text is better prepared on disk."""
    total = 0
    for path in (source, target):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return False
        total += status.st_size * (UNPACKED if path.suffix in ENDINGS else 1)
    return total > LARGE


@dataclass(frozen=True)
class Cache:
    """A folder of prepared corpora.

    Attributes:
        root: the folder.
        verify: whether to compare the content of texts and columns too, not only size and time.
    """

    root: Path
    verify: bool = False

    def place(self, job: Job) -> Path:
        """The folder that belongs to a text, a tokenizer and limits."""
        texts = [os.path.abspath(path) for path in (job.source, job.target)]
        key = json.dumps([*texts, job.tokenizer.hash(), job.max_source, job.max_target])
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self.root / f"{job.source.name[:60]}-{digest[:16]}"

    def recognised(self, job: Job) -> Facts | None:
        """The facts of the prepared text, if it is there and the text has the size and time that it had then."""
        folder = self.place(job)
        try:
            facts = read_facts(folder)
            columns(folder, facts)
        except ValueError:
            return None
        return facts if job.fits(facts) else None

    def prepared(self, job: Job) -> tuple[Path, Facts]:
        """The folder of the prepared text and its facts; prepares it if it is not there, or not of this text.

        If another training prepares it already, waits for that.
        """
        folder, facts = self.place(job), self.recognised(job)
        if facts is None or self.verify:
            with working_in(folder, _Waiting(folder)):
                facts = self._verified(job)
                if facts is None:
                    if begun(folder, job.identity()) is not True:
                        clear(folder)
                    note(f"preparing {job.source} and {job.target}: they are encoded once, and recognised from then on")
                    facts = fill(job, folder, cores())
        note(f"prepared text: {folder} ({size_of(folder) / 1e6:,.0f} MB)")
        return folder, facts

    def _verified(self, job: Job) -> Facts | None:
        """As `recognised`, with the content verified if that is wanted; notes why what is there is of no use."""
        folder, facts = self.place(job), self.recognised(job)
        if facts is None and (prepared(folder) and not begun(folder, job.identity())):
            note(f"{folder}: is damaged, or of an earlier version of the text, and is made again")
        if facts is not None and self.verify:
            try:
                verify(folder, facts)
            except ValueError as error:
                note(f"{str(error).split(';')[0]}: prepared again")
                return None
        return facts


class _Waiting:
    """Waits a second whenever it is called; says once what for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._said = folder, False

    def __call__(self) -> None:
        if not self._said:
            note(f"{self._folder}: another training prepares the text; waiting for it")
        self._said = True
        time.sleep(1)
