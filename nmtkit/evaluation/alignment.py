"""Word alignments in Pharaoh format, and how far they are from those that people drew.

A line holds the links of a sentence: `0-0 1-2`, source word and target word, counted from 0. In a gold file `1-2` is a
sure link and `1p2` or `1?2` a possible one (Och and Ney 2003).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nmtkit.words import counted

Links = frozenset[tuple[int, int]]
"""Source word and target word, from 0."""


@dataclass(frozen=True)
class Gold:
    """What a person drew for a sentence: the links that must be there, and all that may be there, the sure ones too."""

    sure: Links
    possible: Links


@dataclass(frozen=True)
class AlignmentScore:
    """How far alignments are from gold ones, over all sentences together.

    Attributes:
        error_rate: AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|). Och and Ney 2003, equation 10.
        precision: |A ∩ P| / |A|.
        recall: |A ∩ S| / |S|.
        links: |A|.
    """

    error_rate: float
    precision: float
    recall: float
    links: int


def to_pharaoh(links: Links) -> str:
    """The links as one line, sorted by source word, then target word."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_gold(lines: Sequence[str], path: str, sources: Sequence[str], targets: Sequence[str]) -> list[Gold]:
    """Parse the lines of a gold file; ValueError names the file and the line of a wrong link.

    Args:
        sources, targets: the aligned texts, one of each for a line; a link beyond their words is refused.
    """
    gold = []
    for number, (line, *texts) in enumerate(zip(lines, sources, targets, strict=True), start=1):
        sure, possible = set(), set()
        words = [len(text.split()) for text in texts]
        for word in line.split():
            link = re.fullmatch(r"([0-9]{1,6})([-p?])([0-9]{1,6})", word)
            if link is None:
                raise ValueError(
                    f"{path}, line {number}: {word[:40]!r} is not a link; write 1-2 for source word 1 and target word "
                    "2, counted from 0, and 1p2 where the link is only possible"
                )
            pair = int(link[1]), int(link[3])
            for side, place, size in zip(("source", "target"), pair, words, strict=True):
                if place >= size:
                    raise ValueError(
                        f"{path}, line {number}: the link {word} is beyond the {side}, which has "
                        f"{counted(size, 'word')}, counted from 0"
                    )
            possible.add(pair)
            if link[2] == "-":
                sure.add(pair)
        gold.append(Gold(frozenset(sure), frozenset(possible)))
    return gold


def score(alignments: Sequence[Links], gold: Sequence[Gold]) -> AlignmentScore:
    """Compare alignments with the gold ones of the same sentences.

    Raises:
        ValueError: where their numbers differ, or where neither side has a link.
    """
    if len(alignments) != len(gold):
        number = counted(len(alignments), "alignment")
        raise ValueError(f"{number} but {len(gold)} gold ones: line N of each must belong together")
    pairs = list(zip(alignments, gold, strict=True))
    linked, sure = sum(map(len, alignments)), sum(len(reference.sure) for reference in gold)
    if not linked + sure:
        raise ValueError("neither the alignments nor the gold ones have a link: there is nothing to compare")
    right_sure = sum(len(links & reference.sure) for links, reference in pairs)
    right_possible = sum(len(links & reference.possible) for links, reference in pairs)
    return AlignmentScore(
        error_rate=1 - (right_sure + right_possible) / (linked + sure),
        precision=right_possible / linked if linked else 0.0,
        recall=right_sure / sure if sure else 0.0,
        links=linked,
    )
