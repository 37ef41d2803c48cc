"""What is seen in a pair alone: odd characters, markup, spaces, copies, numbers; for a block of pairs at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nmtkit.preflight.characters import (
    AS_LATER,
    CONTROL,
    DIGIT,
    INVISIBLE,
    LATER,
    LEAD,
    REPLACEMENT,
    SPACE,
    SPECIAL,
    TAB,
    decimals,
)
from nmtkit.preflight.findings import Kind
from nmtkit.preflight.reading import Block, Rows, Side

_LATER = f"[{AS_LATER}]"
MOJIBAKE = re.compile(
    "|".join(
        (
            f"(?<![A-ZÀ-Ý])[ÂÃ]{_LATER}",
            f"(?:[Â-ß]{_LATER}){{2}}",
            f"â[€\x80-\x84]{_LATER}",
            f"(?:[à-ï]{_LATER}{{2}}){{2}}",
            "ï»¿",
        )
    )
)
"""UTF-8 that was read as Latin-1 or Windows-1252. One quotation mark behind a letter (ß”, là\u00a0») is none."""
ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9:-]*(?:[ \t][^<>\n]*)?/?>")

NOTHING: Rows = np.array([], dtype=np.intp)
Found = tuple[Kind, Rows, Rows]
"""A kind with the rows of the source and those of the target in which it was found."""


def sides(block: Block) -> Iterator[Found]:
    """What is found on each side alone."""
    if not len(block.source):
        return
    of_source, of_target = characters(block.source), characters(block.target)
    yield from ((kind, of_source[kind], of_target[kind]) for kind in of_source)
    for kind, rows in (
        (Kind.MOJIBAKE, mojibake),
        (Kind.MARKUP, markup),
        (Kind.NOT_NFC, not_composed),
    ):
        yield kind, rows(block.source), rows(block.target)


def characters(side: Side) -> dict[Kind, Rows]:
    """The rows with characters that no text needs, and those with spaces where none belong."""
    bits = side.flags
    found = {}
    special = np.flatnonzero(bits & SPECIAL)
    of_special = bits[special]
    for kind, bit in ((Kind.CONTROL, CONTROL), (Kind.REPLACEMENT, REPLACEMENT), (Kind.INVISIBLE, INVISIBLE)):
        found[kind] = side.rows(special[(of_special & bit) > 0]) if len(special) else NOTHING
    spaces = (bits & SPACE) > 0
    double = np.flatnonzero(spaces[:-1] & spaces[1:])
    double += side.codes[double] == 0x0A  # the space after a newline belongs to the next line
    first = [0] if spaces[0] else []
    found[Kind.SPACES] = side.rows(np.concatenate([first, double, special[(of_special & TAB) > 0]]).astype(np.intp))
    return found


def mojibake(side: Side) -> Rows:
    """The rows with UTF-8 that was read in another encoding."""
    bits = side.flags
    likely = side.rows(np.flatnonzero(((bits[:-1] & LEAD) > 0) & ((bits[1:] & LATER) > 0)))
    return _rows(row for row in likely if MOJIBAKE.search(side.lines[row]))


def markup(side: Side) -> Rows:
    """The rows with entities or tags of HTML."""
    patterns = [pattern for pattern, sign in ((ENTITY, "&"), (TAG, "<")) if sign in side.text]
    return np.union1d(NOTHING, np.concatenate([NOTHING, *(_matching(side, pattern) for pattern in patterns)]))


def not_composed(side: Side) -> Rows:
    """The rows that are not in Unicode's normal form C."""
    if side.text.isascii() or unicodedata.is_normalized("NFC", side.text):
        return NOTHING
    return _rows(row for row, line in enumerate(side.lines) if not unicodedata.is_normalized("NFC", line))


def copies(block: Block) -> Rows:
    """The pairs with the same text on both sides but for case and spaces, if there is a letter in it."""
    if not len(block.source):
        return NOTHING
    source, target = (_without_spaces(side) for side in (block.source, block.target))
    likely = np.flatnonzero(source == target).tolist()
    return _rows(row for row in likely if _bare(block.source.lines[row]) == _bare(block.target.lines[row]) != "")


def _without_spaces(side: Side) -> npt.NDArray[np.int64]:
    """The number of characters of each line that are no spaces."""
    return side.lengths + 1 - np.add.reduceat((side.flags & SPACE) > 0, side.starts, dtype=np.int64)


def _bare(line: str) -> str:
    """A line in lower case and without spaces; nothing if there is no letter in it."""
    return "".join(line.lower().split()) if any(map(str.isalpha, line)) else ""


def other_numbers(block: Block) -> Rows:
    """The pairs with digits on both sides, but not the same ones, whatever their order and what stands between."""
    if not len(block.source):
        return NOTHING
    source, target = (_digits(side) for side in (block.source, block.target))
    return np.flatnonzero(source.any(axis=1) & target.any(axis=1) & (source != target).any(axis=1))


def _digits(side: Side) -> npt.NDArray[np.intp]:
    """How often each line has each digit: (lines, 10)."""
    places = np.flatnonzero(side.flags & DIGIT)
    rows = np.searchsorted(side.starts, places, side="right") - 1
    counts = np.bincount(10 * rows + decimals()[side.codes[places]], minlength=10 * len(side))
    return counts.reshape(len(side), 10)


def _matching(side: Side, pattern: re.Pattern[str]) -> Rows:
    return side.rows([match.start() for match in pattern.finditer(side.text)])


def _rows(rows: Iterator[int]) -> Rows:
    return np.fromiter(rows, np.intp)
