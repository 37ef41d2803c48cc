"""What is seen in a pair alone: odd characters, markup, spaces, copies, numbers; for a block of pairs at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from nmtkit.preflight.characters import CONTROL, DIGIT, INVISIBLE, REPLACEMENT, SPACE, SPECIAL, TAB, flags
from nmtkit.preflight.findings import Kind
from nmtkit.preflight.reading import Block, Rows, Side

_LATER = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
"""What the second and later bytes of a character in UTF-8 look like as Latin-1 or Windows-1252."""
MOJIBAKE = re.compile(
    f"(?<![A-ZÀ-Ý])[ÂÃ]{_LATER}|(?:[Â-ß]{_LATER}){{2}}|â[€\x80-\x84]{_LATER}|(?:[à-ï]{_LATER}{{2}}){{2}}|ï»¿"
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
    bits = flags()[side.codes]
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
    if side.text.isascii():
        return NOTHING
    return _matching(side, MOJIBAKE)


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
    folded = zip(*(side.text.casefold().split("\n")[:-1] for side in (block.source, block.target)), strict=True)
    return _rows(
        row
        for row, (source, target) in enumerate(folded)
        if (source == target or "".join(source.split()) == "".join(target.split())) and _has_letter(source)
    )


def other_numbers(block: Block) -> Rows:
    """The pairs with digits on both sides, but not the same ones, whatever their order and what stands between."""
    if not len(block.source):
        return NOTHING
    with_digits = [
        side.rows(np.flatnonzero(flags()[side.codes] & DIGIT)) for side in (block.source, block.target)
    ]
    both = np.intersect1d(*with_digits)
    return _rows(row for row in both if _digits(block.source.lines[row]) != _digits(block.target.lines[row]))


def _digits(line: str) -> list[int]:
    return sorted(map(unicodedata.decimal, re.findall(r"\d", line)))


def _has_letter(line: str) -> bool:
    return any(map(str.isalpha, line))


def _matching(side: Side, pattern: re.Pattern[str]) -> Rows:
    return side.rows([match.start() for match in pattern.finditer(side.text)])


def _rows(rows: Iterator[int]) -> Rows:
    return np.fromiter(rows, np.intp)
