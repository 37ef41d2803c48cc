"""Damage planted into a copy of a parallel text, line by line, and what a check must find because of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nmtkit.preflight.findings import Facts, Kind

CYRILLIC = "Эта строка написана совсем другими буквами, и их здесь много."


@dataclass
class Damaged:
    """A text as bytes of lines, and the line numbers, from 1, at which each kind must be found."""

    source: list[bytes]
    target: list[bytes]
    planted: dict[Kind, set[int]] = field(default_factory=dict)

    def write(self, folder: Path, source_lang: str, target_lang: str) -> Path:
        """Write the two files; returns their prefix."""
        for language, lines in ((source_lang, self.source), (target_lang, self.target)):
            (folder / f"damaged.{language}").write_bytes(b"".join(line + b"\n" for line in lines))
        return folder / "damaged"


def lines_found(facts: Facts) -> dict[Kind, set[int]]:
    """All lines of all findings; the check must keep as many examples as it finds."""
    found = {finding.kind: {example.line for example in finding.examples} for finding in facts.findings}
    for finding in facts.findings:
        if finding.kind not in (Kind.FREQUENT_SOURCE, Kind.FREQUENT_TARGET):
            assert len(found[finding.kind]) == finding.pairs
    return {kind: lines for kind, lines in found.items() if lines}


def plant(
    source: list[str], target: list[str], dev: tuple[str, str], test: tuple[str, str], taken: set[int]
) -> Damaged:
    """Damage of every kind that needs no tokenizer, each at lines of its own.

    Args:
        dev: a pair of the dev text that is not in the text.
        test: a pair of the test text likewise.
        taken: line numbers that must stay as they are.
    """
    damaged = Damaged([line.encode() for line in source], [line.encode() for line in target])
    rows = iter(range(40, len(source)))

    def free(fits: Callable[[str, str], bool] = lambda source, target: True) -> int:
        """The next row that nothing is known about and whose pair fits."""
        return next(
            row
            for row in rows
            if row + 1 not in taken and 30 < len(source[row]) < 90 and fits(source[row], target[row])
        )

    def put(kind: Kind, row: int, new_source: str | bytes | None = None, new_target: str | bytes | None = None) -> None:
        for lines, new in ((damaged.source, new_source), (damaged.target, new_target)):
            if new is not None:
                lines[row] = new if isinstance(new, bytes) else new.encode()
        damaged.planted.setdefault(kind, set()).add(row + 1)

    for kind, of_source, of_target in _on_one_side(source, target, free):
        if of_source:
            put(kind, of_source[0], new_source=of_source[1])
        if of_target:
            put(kind, of_target[0], new_target=of_target[1])
    row = free()
    put(Kind.OVER_LONG, row, " ".join([source[row]] * 60), " ".join([target[row]] * 60))
    row = free()
    put(Kind.SWAPPED, row, target[row], source[row])
    put(Kind.IN_DEV, free(), *dev)
    put(Kind.IN_TEST, free(), *test)
    first, second = sorted((free(), free()))
    put(Kind.DUPLICATE, second, source[first], target[first])
    first, second = sorted((free(), free()))
    put(Kind.SAME_SOURCE, second, source[first])
    row = free()
    put(Kind.NUMBERS, row, f"{source[row]} 2017", f"{target[row]} 2018")
    often = [free() for _ in range(12)]
    put(Kind.FREQUENT_TARGET, often[0])
    for row in often[1:]:
        put(Kind.SAME_TARGET, row, new_target=target[often[0]])
    return damaged


Change = tuple[Kind, tuple[int, str | bytes] | None, tuple[int, str | bytes] | None]
"""A kind, and the row and new text of the source or of the target."""


def _on_one_side(source: list[str], target: list[str], free: Callable[..., int]) -> Iterator[Change]:
    row = free()
    yield Kind.EMPTY, None, (row, b" \t ")
    row = free()
    yield Kind.INVALID, (row, source[row].encode() + b" \xe9\xff"), None
    row = free()
    yield Kind.RATIO, (row, source[row][:4].strip()), None
    row = free(lambda source, target: "ß" not in source)
    yield Kind.COPY, None, (row, source[row].upper().replace(" ", "  ", 1).replace("  ", "\u2003"))
    yield Kind.SCRIPT, None, (free(), CYRILLIC)
    row = free()
    yield Kind.LANGUAGE, None, (row, source[free()])
    row = free()
    yield Kind.CONTROL, (row, source[row][:9] + "\x07" + source[row][9:]), None
    row = free()
    yield Kind.REPLACEMENT, None, (row, target[row] + "\ufffd")
    row = free(lambda source, target: {*source} & {*"éäöü"} and {*source} <= {*map(chr, range(128)), *"éèêäöü"})
    yield Kind.MOJIBAKE, (row, source[row].encode().decode("cp1252")), None
    row = free(lambda source, target: unicodedata.normalize("NFD", source) != source)
    yield Kind.NOT_NFC, (row, unicodedata.normalize("NFD", source[row])), None
    row = free()
    yield Kind.INVISIBLE, (row, source[row][:7] + "\u200b" + source[row][7:]), None
    for marked in ('<b class="x">{}</b>', "{} R&amp;D", "{} &#233;", "<unk> {}"):
        row = free()
        yield Kind.MARKUP, None, (row, marked.format(target[row]))
    for spaced in (" {}", "{} ", "a  {}", "{}\tx"):
        row = free()
        yield Kind.SPACES, None, (row, spaced.format(target[row]))
