"""One pass over the pairs: what each has, and what must be remembered to compare it with the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight import lines
from nmtkit.preflight.characters import main_scripts
from nmtkit.preflight.columns import COLUMN, Columns
from nmtkit.preflight.findings import Kind
from nmtkit.preflight.language import Profile
from nmtkit.preflight.options import Options
from nmtkit.preflight.outliers import ratios
from nmtkit.preflight.overlap import DEV, TEST, HeldOut
from nmtkit.preflight.partitions import Partitions, as_numbers, digests
from nmtkit.preflight.pieces import Pieces, overlong
from nmtkit.preflight.reading import Block
from nmtkit.preflight.repeats import fewest, repeats
from nmtkit.preflight.tally import Tally

if TYPE_CHECKING:
    from nmtkit.tokenizer.tokenizer import Tokenizer


class Collector:
    """What is gathered block by block.

    Attributes:
        tally: counts and examples of what was found.
        columns: what is remembered of each pair.
    """

    def __init__(
        self,
        options: Options,
        folder: Path,
        profile: Profile,
        held_out: Sequence[HeldOut] = (),
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """`folder` is empty and takes what does not fit into memory."""
        self._options, self._profile, self._held_out = options, profile, held_out
        self._pieces: tuple[Pieces, Pieces] | None = None
        if tokenizer:
            source = Pieces(tokenizer.source)
            self._pieces = (source, source if tokenizer.joint else Pieces(tokenizer.target))
        for name in ("source", "target"):
            (folder / name).mkdir()
        self._by_source = Partitions(folder / "source", options.in_memory)
        self._by_target = Partitions(folder / "target", options.in_memory)
        self.columns = Columns(folder / "columns")
        absent = {*DEV, *TEST} - {kind for text in held_out for kind in text.kinds}
        absent |= set() if tokenizer else {Kind.UNKNOWN, Kind.BYTES}
        self.tally = Tally([kind for kind in Kind if kind not in absent], options.examples)
        self._seen = 0

    def take(self, block: Block) -> None:
        """Take the next block."""
        rows = np.zeros(block.pairs, dtype=COLUMN)
        found = [(Kind.EMPTY, *block.blank), (Kind.INVALID, *block.invalid)]
        for kind, source, target in found:
            numbers = self.tally.sides(kind, block.first + source, block.first + target)
            rows["marks"][numbers - block.first] |= np.uint32(kind.bit)
        if len(block.source):
            self._take_lines(block, rows)
        self.columns.append(rows)
        self._seen += len(block.source)

    def _take_lines(self, block: Block, rows: npt.NDArray[Any]) -> None:
        here = block.numbers - block.first
        rows["ratio"][here] = ratios(block.source.lengths, block.target.lengths)
        rows["source"][here] = main_scripts(block.source.codes, block.source.starts)
        rows["target"][here] = main_scripts(block.target.codes, block.target.starts)

        def mark(kind: Kind, numbers: Any) -> None:
            rows["marks"][numbers - block.first] |= np.uint32(kind.bit)

        copies = lines.copies(block)
        source, target = (np.setdiff1d(of_side, copies) for of_side in self._profile.foreign(block))
        languages = (Kind.LANGUAGE, np.setdiff1d(source, target), np.setdiff1d(target, source))
        for kind, in_source, in_target in (*lines.sides(block), *self._lengths(block), languages):
            mark(kind, self.tally.sides(kind, block.numbers[in_source], block.numbers[in_target]))
        for kind, found in (
            (Kind.COPY, copies),
            (Kind.SWAPPED, np.intersect1d(source, target)),
            (Kind.NUMBERS, lines.other_numbers(block)),
        ):
            self.tally.pairs(kind, block.numbers[found])
            mark(kind, block.numbers[found])
        hashes = digests(block.source.raw), digests(block.target.raw)
        keys = as_numbers(hashes[0]), as_numbers(hashes[1])
        self._by_source.add(keys[0], keys[1], block.numbers)
        self._by_target.add(keys[1], keys[0], block.numbers)
        for text in self._held_out:
            for kind, numbers, others in text.find(block, *hashes):
                self.tally.pairs(kind, numbers, others)
                mark(kind, numbers)

    def _lengths(self, block: Block) -> Iterator[lines.Found]:
        """What is over-long, and what the tokenizer does not know."""
        limits = (self._options.max_source, self._options.max_target)
        sides = (block.source, block.target)
        if self._pieces is None:
            source, target = (overlong(side, most) for side, most in zip(sides, limits, strict=True))
            yield Kind.OVER_LONG, source, target
            return
        counts = [pieces.counts(side) for pieces, side in zip(self._pieces, sides, strict=True)]
        source, target = (np.flatnonzero(of_side[0] > most) for of_side, most in zip(counts, limits, strict=True))
        yield Kind.OVER_LONG, source, target
        for place, kind in ((1, Kind.UNKNOWN), (2, Kind.BYTES)):
            self.tally.units(kind, sum(int(of_side[place].sum()) for of_side in counts))
            yield kind, np.flatnonzero(counts[0][place]), np.flatnonzero(counts[1][place])

    def close(self) -> None:
        """Let go of the files."""
        self.columns.close()

    def finish(self) -> None:
        """Find the pairs that repeat others, now that all were seen."""
        self.columns.finish()
        often = fewest(self._seen)
        for parts, one_side, frequent in (
            (self._by_source, Kind.SAME_SOURCE, Kind.FREQUENT_SOURCE),
            (self._by_target, Kind.SAME_TARGET, Kind.FREQUENT_TARGET),
        ):
            for found in repeats(parts, often):
                if parts is self._by_source:
                    self.tally.pairs(Kind.DUPLICATE, *found.pairs)
                    self.columns.mark(Kind.DUPLICATE, found.pairs[0])
                self.tally.pairs(one_side, *found.sides)
                self.tally.frequent(frequent, found.often, *found.lines)
