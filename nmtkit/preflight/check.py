"""The check of a parallel text: one pass over its lines, then over what was remembered of each pair."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight import lines
from nmtkit.preflight.characters import main_scripts
from nmtkit.preflight.cleaning import write_clean
from nmtkit.preflight.columns import COLUMN, Columns, clean
from nmtkit.preflight.findings import Facts, Kind
from nmtkit.preflight.language import Profile
from nmtkit.preflight.options import Options, Texts, Two
from nmtkit.preflight.outliers import outliers, ratios
from nmtkit.preflight.overlap import DEV, TEST, HeldOut
from nmtkit.preflight.partitions import Partitions, as_numbers, digests
from nmtkit.preflight.pieces import Pieces, Words
from nmtkit.preflight.reading import Block, Rows, lines_of, pairs
from nmtkit.preflight.repeats import fewest, repeats
from nmtkit.preflight.tally import Tally

if TYPE_CHECKING:
    from nmtkit.tokenizer.tokenizer import Tokenizer

QUICK = 100_000
"""Pairs that a quick check looks at."""
LONGEST = 1000
"""Characters that are kept of the text of an example."""


def check(
    texts: Texts,
    options: Options | None = None,
    tokenizer: Tokenizer | None = None,
    copy: Two | None = None,
    watch: Callable[[int], None] = lambda pairs: None,
) -> Facts:
    """What is found in a text.

    Memory does not grow with the text: what must be remembered of a pair (about 90 bytes) lies in the folder for
    temporary files.

    Args:
        tokenizer: in whose pieces lengths are counted.
        copy: two files for the pairs without a problem; they are written whole or not at all.
        watch: hears how many pairs were read.

    Raises:
        ValueError: if a file cannot be read, the files do not belong together, or no pair is left for the copy.
    """
    options = options or Options()
    with tempfile.TemporaryDirectory(prefix="nmtkit-check-") as folder, _passing(texts, options, Path(folder)) as run:
        if tokenizer:
            run.lengths(tokenizer)
        with pairs(*texts.train, options.most) as train:
            for block in train:
                run.see(block)
                watch(block.first + block.pairs)
        run.columns.finish()
        run.find_repeats()
        ratio, scripts = outliers(run.columns, run.tally)
        if copy:
            write_clean(run.columns, texts.train, copy)
        examples = sorted(run.tally.lines())
        source, target = (lines_of(path, examples) for path in texts.train)
        return Facts(
            pairs=run.columns.pairs,
            clean=sum(int(clean(rows).sum()) for _, rows in run.columns.parts()),
            whole=train.whole,
            files=train.layouts,
            findings=run.tally.findings((source, target), LONGEST),
            ratio=ratio,
            scripts=scripts,
            max_source=options.max_source,
            max_target=options.max_target,
            tokenizer=tokenizer.hash() if tokenizer else None,
        )


def quick(texts: Texts, most: int = QUICK) -> Facts:
    """The findings in the first pairs of a text, without examples: a second or two."""
    return check(texts, Options(examples=0, most=most))


@contextmanager
def _passing(texts: Texts, options: Options, folder: Path) -> Iterator[_Pass]:
    with pairs(*texts.train, options.most) as blocks:
        profile = Profile(blocks)
    held_out = [HeldOut(kinds, *two) for kinds, two in ((DEV, texts.dev), (TEST, texts.test)) if two]
    run = _Pass(options, folder, profile, held_out)
    try:
        yield run
    finally:
        run.columns.close()


class _Pass:
    """The pass over the lines."""

    def __init__(self, options: Options, folder: Path, profile: Profile, held_out: list[HeldOut]) -> None:
        self._options, self._profile, self._held_out = options, profile, held_out
        self._pieces: tuple[Pieces, Pieces] | None = None
        for name in ("source", "target"):
            (folder / name).mkdir()
        self._by_source = Partitions(folder / "source", options.in_memory)
        self._by_target = Partitions(folder / "target", options.in_memory)
        self.columns = Columns(folder / "columns")
        absent = {*DEV, *TEST, Kind.UNKNOWN, Kind.BYTES} - {kind for text in held_out for kind in text.kinds}
        self.tally = Tally([kind for kind in Kind if kind not in absent], options.examples)
        self._seen = 0

    def lengths(self, tokenizer: Tokenizer) -> None:
        """Count lengths in pieces from now on."""
        source = Pieces(tokenizer.source)
        self._pieces = (source, source if tokenizer.joint else Pieces(tokenizer.target))
        self.tally.also(Kind.UNKNOWN, Kind.BYTES)

    def see(self, block: Block) -> None:
        """Take the next block."""
        rows = np.zeros(block.pairs, dtype=COLUMN)
        found = [(Kind.EMPTY, *block.blank), (Kind.INVALID, *block.invalid)]
        for kind, source, target in found:
            numbers = self.tally.sides(kind, block.first + source, block.first + target)
            rows["marks"][numbers - block.first] |= np.uint32(kind.bit)
        if len(block.source):
            self._see_lines(block, rows)
        self.columns.append(rows)
        self._seen += len(block.source)

    def _see_lines(self, block: Block, rows: npt.NDArray[Any]) -> None:
        here = block.numbers - block.first
        rows["ratio"][here] = ratios(block.source.lengths, block.target.lengths)
        rows["source"][here] = main_scripts(block.source.codes, block.source.starts)
        rows["target"][here] = main_scripts(block.target.codes, block.target.starts)

        def mark(kind: Kind, numbers: Any) -> None:
            rows["marks"][numbers - block.first] |= np.uint32(kind.bit)

        for kind, source, target in (*lines.sides(block), *self._lengths(block)):
            mark(kind, self.tally.sides(kind, block.numbers[source], block.numbers[target]))
        for kind, found in self._pairs(block):
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
            words = Words()
            source, target = (words.overlong(side, most) for side, most in zip(sides, limits, strict=True))
            yield Kind.OVER_LONG, source, target
            return
        counts = [pieces.counts(side) for pieces, side in zip(self._pieces, sides, strict=True)]
        source, target = (np.flatnonzero(of_side[0] > most) for of_side, most in zip(counts, limits, strict=True))
        yield Kind.OVER_LONG, source, target
        for place, kind in ((1, Kind.UNKNOWN), (2, Kind.BYTES)):
            self.tally.units(kind, sum(int(of_side[place].sum()) for of_side in counts))
            yield kind, np.flatnonzero(counts[0][place]), np.flatnonzero(counts[1][place])

    def _pairs(self, block: Block) -> Iterator[tuple[Kind, Rows]]:
        """What is found in pairs as a whole."""
        copies = lines.copies(block)
        yield Kind.COPY, copies
        source, target = (np.setdiff1d(rows, copies) for rows in self._profile.foreign(block))
        yield Kind.SWAPPED, np.intersect1d(source, target)
        yield Kind.LANGUAGE, np.setxor1d(source, target)
        yield Kind.NUMBERS, lines.other_numbers(block)

    def find_repeats(self) -> None:
        """Find the pairs that repeat others, among all that were seen."""
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
