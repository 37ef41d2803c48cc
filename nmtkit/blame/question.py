"""What an error analysis is asked, and which texts and arguments it refuses or warns about."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike

from nmtkit.blame import bounds
from nmtkit.blame.records import Record, Verdict
from nmtkit.blame.rule import blank_as_empty
from nmtkit.evaluation.threshold import Threshold
from nmtkit.files import read_lines
from nmtkit.words import counted

TOLERANCE = 1e-4
WINDOW = 1000
"""Sentences that are judged at a time; after each window the records are kept."""


@dataclass(frozen=True)
class Question:
    """What decides the verdicts, besides the translator and the texts.

    Attributes:
        tolerance: tolerance on J: nats in all where α = 0, nats a piece where α = 1.
        listed: numbers (from 1) of the sentences that a person judged wrong.
        threshold: an output whose sentence score is worse is an error of the second row.
        segmentations: number of segmentations that are scored for each reference.
        prefixes: what the output of each sentence is forced to begin with; None: nothing is forced.
    """

    tolerance: float
    listed: frozenset[int]
    threshold: Threshold
    segmentations: int
    prefixes: Sequence[str] | None = None

    def prefixes_from(self, first: int, sentences: int) -> Sequence[str] | None:
        """The prefixes of a part of the sentences, the first of which has this number."""
        return None if self.prefixes is None else self.prefixes[first - 1 : first - 1 + sentences]

    def prefix(self, number: int) -> str:
        """The prefix of a sentence; empty where nothing is forced."""
        return blank_as_empty(self.prefixes[number - 1]) if self.prefixes else ""


def read_errors(path: str | PathLike[str]) -> frozenset[int]:
    """The sentence numbers in a file, one a line; blank lines are skipped. ValueError names file and line."""
    numbers = set()
    for position, line in enumerate(read_lines(path), start=1):
        text = line.strip()
        if text and not re.fullmatch("0*[1-9][0-9]{0,17}", text):
            raise ValueError(
                f"{path}, line {position}: {text[:40]!r} is not the number of a sentence; "
                "write one number a line, the first sentence is 1"
            )
        if text:
            numbers.add(int(text))
    return frozenset(numbers)


def check(sources: Sequence[str], references: Sequence[Sequence[str]], question: Question) -> None:
    """Refuse what can be refused before the search, which takes long. Raises ValueError."""
    if not sources:
        raise ValueError("there are no sentences to analyse: the source has 0 lines; give at least one")
    if not references:
        raise ValueError("there is no reference to compare with; give at least one reference text")
    texts = {f"reference {number}": lines for number, lines in enumerate(references, start=1)}
    if question.prefixes is not None:
        texts["prefixes"] = question.prefixes
    for name, lines in texts.items():
        if len(lines) != len(sources):
            raise ValueError(
                f"{name} has {counted(len(lines), 'line')} but the source has {len(sources)}; "
                "line N of each must belong together"
            )
    bounds.TOLERANCE.check("tolerance", question.tolerance)
    bounds.SEGMENTATIONS.check("reference_segmentations", question.segmentations, whole=True)
    for number in sorted(question.listed):
        if not 1 <= number <= len(sources):
            raise ValueError(
                f"sentence {number} is listed as an error, but the source has {counted(len(sources), 'line')}; "
                "list line numbers of the source, the first is 1"
            )


def warn_about_blanks(sources: Sequence[str], texts: Sequence[tuple[str, ...]], warn: Callable[[str], None]) -> None:
    """Warn about pairs that are blank on one side only: nearly always a flaw of the data."""
    pairs = list(enumerate(zip(sources, texts, strict=True), start=1))
    unanswered = [number for number, (source, row) in pairs if source.strip() and not any(row)]
    unasked = [number for number, (source, row) in pairs if not source.strip() and all(row)]
    if unanswered:
        warn(f"blank reference for a source that is not, judged as the empty translation: {_lines(unanswered)}")
    if unasked:
        warn(f"blank source with a reference that is not, which no search can reach: {_lines(unasked)}")


def warn_about_listed(records: Sequence[Record], warn: Callable[[str], None]) -> None:
    """Warn where a person and the references contradict each other."""
    if equal := [record.number for record in records if record.listed and record.verdict == Verdict.EQUAL]:
        warn(f"listed as errors, but equal to a reference and so not counted: {_lines(equal)}")


def warn_about_length(records: Sequence[Record], warn: Callable[[str], None]) -> None:
    """Warn about references that are too long to be scored: nearly always several lines in one."""
    if long := [record.number for record in records if not all(reference.log_probs for reference in record.references)]:
        warn(f"reference longer than any translation, so not scored and unreachable: {_lines(long)}")


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{f' and {len(numbers) - 5} more' if numbers[5:] else ''}"
