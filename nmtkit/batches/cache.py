"""The cache of prepared corpora: a text is tokenised once and recognised by place, size, time, tokenizer and limits."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from nmtkit.batches.preparation import Job, prepare, processes, size_of
from nmtkit.batches.shards import NAMES, Facts, read_facts, verify
from nmtkit.console import note
from nmtkit.packed import ENDINGS

LARGE = 32_000_000
"""Bytes of both sides of a text from which on it is prepared on disk; a smaller text is encoded in memory."""
UNPACKED = 4
"""How many times larger a packed text is taken to be than its file."""


def default_root() -> Path:
    """The folder of the cache: $NMTKIT_CACHE, or nmtkit in the user's folder for caches."""
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


def place(root: Path, job: Job) -> Path:
    """The folder in the cache that belongs to a text, a tokenizer and limits."""
    texts = [os.path.abspath(path) for path in (job.source, job.target)]
    key = json.dumps([*texts, job.tokenizer.hash(), job.max_source, job.max_target])
    return root / f"{job.source.name[:60]}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def recognised(root: Path, job: Job) -> Facts | None:
    """The facts of the prepared text, if the cache has it and the text has the size and time that it had then."""
    try:
        facts = read_facts(place(root, job))
    except ValueError:
        return None
    return facts if job.fits(facts) else None


def cached(root: Path, job: Job, check: bool = False) -> tuple[Path, Facts]:
    """The folder of the prepared text and its facts; prepares it if necessary.

    Args:
        check: whether to compare content too, not only size and time; what has changed is prepared again.
    """
    folder, facts = place(root, job), recognised(root, job)
    if facts is not None and check:
        try:
            verify(folder, facts)
        except ValueError as error:
            note(f"{error}: prepared again")
            facts = None
    if facts is None:
        _clear(folder)
        note(f"preparing {job.source} and {job.target} in {folder}")
        facts = prepare(job, folder, processes())
    note(f"prepared text: {folder}, {size_of(folder) / 1e6:,.0f} MB")
    return folder, facts


def _clear(folder: Path) -> None:
    """Remove a finished corpus that is of no use any more; one that is only begun goes on if it can."""
    try:
        read_facts(folder)
    except ValueError:
        unfinished = not (folder / NAMES[0]).is_file()
        if unfinished:
            return
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
