"""The findings of a check by brute force: Python's own words for each kind, everything in memory."""

from __future__ import annotations

import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Sequence

from nmtkit.preflight.findings import PROBLEMS, Kind

Pair = tuple[bytes, bytes]
SIDES = ((Kind.SAME_SOURCE, Kind.FREQUENT_SOURCE), (Kind.SAME_TARGET, Kind.FREQUENT_TARGET))


def naive(pairs: Sequence[Pair], dev: Sequence[Pair], most: int) -> dict[Kind, set[int]]:
    """The line numbers of each kind, but for languages and scripts; of frequent lines those of all pairs."""
    found: dict[Kind, set[int]] = {kind: set() for kind in Kind}
    seen: dict[int, tuple[str, str]] = {}
    for number, pair in enumerate(pairs, start=1):
        texts = [text(side) for side in pair]
        if None in texts:
            found[Kind.INVALID].add(number)
        if any(side is not None and not side.strip() for side in texts):
            found[Kind.EMPTY].add(number)
        if all(side is not None and side.strip() for side in texts):
            seen[number] = (str(texts[0]), str(texts[1]))
    for number, (source, target) in seen.items():
        for side in (source, target):
            for kind in of_side(side, most):
                found[kind].add(number)
        bare = [re.sub(r"\s", "", side).lower() for side in (source, target)]
        if bare[0] == bare[1] and any(map(str.isalpha, source)):
            found[Kind.COPY].add(number)
        digits = [Counter(unicodedata.decimal(c) for c in side if c.isdecimal()) for side in (source, target)]
        if digits[0] and digits[1] and digits[0] != digits[1]:
            found[Kind.NUMBERS].add(number)
    repeated(seen, found)
    overlapping(seen, dev, found)
    odd_ratios(seen, found)
    return {kind: numbers for kind, numbers in found.items() if numbers}


def text(side: bytes) -> str | None:
    try:
        return side.decode()
    except UnicodeDecodeError:
        return None


def of_side(side: str, most: int) -> set[Kind]:
    kinds = set()
    if len(side.split()) > most:
        kinds.add(Kind.OVER_LONG)
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\t" for c in side):
        kinds.add(Kind.CONTROL)
    if "\ufffd" in side:
        kinds.add(Kind.REPLACEMENT)
    if any(c in "\u200b\u2060\ufeff\u00ad\u180e\u2061\u2062\u2063\u2064\ufff9\ufffa\ufffb" for c in side):
        kinds.add(Kind.INVISIBLE)
    if side != side.strip() or re.search(r"\s\s|\t", side):
        kinds.add(Kind.SPACES)
    if unicodedata.normalize("NFC", side) != side:
        kinds.add(Kind.NOT_NFC)
    return kinds


def repeated(seen: dict[int, tuple[str, str]], found: dict[Kind, set[int]]) -> None:
    pairs: set[tuple[str, str]] = set()
    known: tuple[set[str], set[str]] = (set(), set())
    for number, pair in seen.items():
        if pair in pairs:
            found[Kind.DUPLICATE].add(number)
        else:
            for side, (again, _), texts in zip(pair, SIDES, known, strict=True):
                if side in texts:
                    found[again].add(number)
        pairs.add(pair)
        for side, texts in zip(pair, known, strict=True):
            texts.add(side)
    for place, (_, frequent) in enumerate(SIDES):
        times = Counter(pair[place] for pair in seen.values())
        found[frequent] |= {number for number, pair in seen.items() if times[pair[place]] >= 10}


def overlapping(seen: dict[int, tuple[str, str]], dev: Sequence[Pair], found: dict[Kind, set[int]]) -> None:
    texts = [(text(source), text(target)) for source, target in dev]
    full = [(s, t) for s, t in texts if s is not None and t is not None and s.strip() and t.strip()]
    for number, (source, target) in seen.items():
        if (source, target) in full:
            found[Kind.IN_DEV].add(number)
        else:
            if source in [s for s, _ in full]:
                found[Kind.SOURCE_IN_DEV].add(number)
            if target in [t for _, t in full]:
                found[Kind.TARGET_IN_DEV].add(number)


def odd_ratios(seen: dict[int, tuple[str, str]], found: dict[Kind, set[int]]) -> None:
    """The median is that of the pairs without a problem, until no more are odd."""
    ratios = {n: round(1000 * math.log((len(s) + 10) / (len(t) + 10))) for n, (s, t) in seen.items()}
    while True:
        bad = set().union(*(found[kind] for kind in PROBLEMS))
        kept = [ratio for number, ratio in ratios.items() if number not in bad]
        if not kept:
            return
        median = statistics.median_low(kept)
        deviation = statistics.median_low(abs(ratio - median) for ratio in kept)
        limit = max(1000 * math.log(3), 6 * 1.4826 * deviation)
        found[Kind.RATIO] |= {number for number, ratio in ratios.items() if abs(ratio - median) > limit}
        if set().union(*(found[kind] for kind in PROBLEMS)) == bad:
            return
