"""Keep records in a file as they are made, so that an interrupted analysis goes on where it stopped.

The file is JSON Lines: the provenance, then a record a line. It is always replaced as a whole, so it never ends in half
a record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmtkit.blame.findings import Provenance
from nmtkit.blame.plain import from_plain, to_plain
from nmtkit.blame.records import Record
from nmtkit.files import read_lines, write_text


class Keeper:
    """Reads the records that a file holds, and writes the file anew with more of them."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._first = ""
        self._counts = 0, 0

    def begin(self, provenance: Provenance) -> list[Record]:
        """The records that the file holds; where there is no file, an empty one is begun.

        Raises:
            ValueError: for a file that is damaged or was made by another analysis.
        """
        self._first = json.dumps(to_plain(provenance), ensure_ascii=False)
        if not self.path.exists():
            self.keep([])
            return []
        header, *records = [
            self._parsed(Record if number > 1 else Provenance, line, number)
            for number, line in enumerate(read_lines(self.path) or [""], start=1)
        ]
        before, now = to_plain(header), to_plain(provenance)
        changes = [
            f"{name} was {before.get(name)}, now {now.get(name)}"
            for name in dict.fromkeys([*now, *before])
            if before.get(name) != now.get(name)
        ]
        if changes:
            raise ValueError(f"{self.path}: records of another analysis ({'; '.join(changes)}); name another file")
        self._count(records)
        return records

    def _parsed(self, kind: Any, line: str, number: int) -> Any:
        try:
            return from_plain(kind, json.loads(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{self.path}, line {number}: not what blame-analysis --records writes ({error}); name another file"
            ) from None

    def keep(self, records: Sequence[Record]) -> None:
        """Replace the file by one with all records so far."""
        lines = [self._first, *(json.dumps(to_plain(record), ensure_ascii=False) for record in records)]
        write_text(self.path, "".join(line + "\n" for line in lines))
        self._count(records)

    def _count(self, records: Sequence[Record]) -> None:
        self._counts = len(records), sum(record.certificate is not None for record in records)

    @property
    def counts(self) -> tuple[int, int]:
        """How many sentences the file holds, and how many of them are certified."""
        return self._counts
