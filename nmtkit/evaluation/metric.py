"""A metric as a value: what it counts in each sentence, and the score of the sums, as in sacreBLEU (Post 2018).

Outputs, references and sources are texts line by line. Every sentence has the same number of counts, and the counts of
a corpus are the sums over its sentences. So one bootstrap serves all metrics.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nmtkit.settings import Within
from nmtkit.words import counted

Lines = Sequence[str]
Counts = Sequence[Sequence[float]]
PERCENT = Within(0, 100)
ANY = Within(-math.inf, math.inf)
OUTSIDE = "scores"
"""The name of scores that were read from a file."""


class Direction(StrEnum):
    """Which scores are the better ones."""

    HIGHER = "higher"
    LOWER = "lower"

    def gain(self, score: float, over: float) -> float:
        """How much better a score is than another; below zero where it is worse."""
        return score - over if self is Direction.HIGHER else over - score


@dataclass(frozen=True)
class Scale:
    """What the scores of a metric mean.

    Attributes:
        name: the key in options and files.
        title: the name for people.
        direction: which scores are the better ones.
        within: the lowest and the highest score.
        decimals: decimals of a score in a table.
    """

    name: str
    title: str
    direction: Direction = Direction.HIGHER
    within: Within = PERCENT
    decimals: int = 1


@dataclass(frozen=True)
class ScoresFile:
    """Scores that were read from a file.

    Attributes:
        title: the name for people: the name of the file without its ending.
        direction: which scores are the better ones.
        sha256: hash of the scores and of the outputs that they belong to.
    """

    title: str
    direction: Direction
    sha256: str

    @property
    def scale(self) -> Scale:
        """A scale without bounds: scores of COMET are about 0 to 1, others are below 0."""
        return Scale(OUTSIDE, self.title, self.direction, ANY, decimals=3)


@dataclass(frozen=True)
class Reading:
    """How a metric reads texts, as far as it can.

    Attributes:
        lowercase: whether all letters count as lower case.
        tokenize: the tokenisation of BLEU; None: its default.
        warns: whether BLEU warns about text that seems to be tokenised already.
    """

    lowercase: bool = False
    tokenize: str | None = None
    warns: bool = False


USUAL_READING = Reading()


@dataclass(frozen=True)
class Metric(Scale, ABC):
    """A scale, and how texts are scored on it."""

    @property
    def origin(self) -> ScoresFile | None:
        """The file that the scores were read from; None where they are computed."""
        return None

    def reading(self, how: Reading) -> Metric:
        """The metric that reads texts in this way; the metric itself where it knows one way only."""
        return self

    @abstractmethod
    def statistics(
        self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None, first: int | None = None
    ) -> Counts:
        """What is counted in every sentence, (sentences, counts).

        Args:
            references: one or more sets, each with a line for every output.
            sources: the source texts; None where they are not known.
            first: number of the first line where only a part of a text is given; None for a whole text.

        Raises:
            ValueError: for texts that do not belong together.
        """

    @abstractmethod
    def score(self, sums: Counts) -> list[float]:
        """The corpus scores of summed counts, one for each row."""

    @abstractmethod
    def sentence_score(self, counts: Counts) -> list[float]:
        """The scores of single sentences, one for each row of counts."""

    @abstractmethod
    def signature(self, references: int, resamples: int, seed: int) -> str:
        """What is needed to reproduce a score, with the number of reference sets and the resampling."""

    def corpus_score(self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None) -> float:
        """The score of a whole text."""
        table = self.statistics(outputs, references, sources)
        return self.score([[sum(column) for column in zip(*table, strict=True)]])[0]

    def sentence_scores(
        self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None, first: int | None = None
    ) -> list[float]:
        """The score of every sentence by itself, against all reference sets at once."""
        return self.sentence_score(self.statistics(outputs, references, sources, first))

    def pairwise(self, outputs: Lines, references: Lines) -> Iterator[Sequence[float]]:
        """For each output its sentence score against every reference alone."""
        return (self.sentence_scores([output] * len(references), [references]) for output in outputs)


def check_texts(outputs: Lines, references: Sequence[Lines]) -> None:
    """Raises ValueError, with the counts, unless there is text and every reference set is as long as the outputs."""
    if not references:
        raise ValueError("there are no references to score against; give at least one reference text")
    for number, reference in enumerate(references, start=1):
        if len(reference) != len(outputs):
            raise ValueError(
                f"reference {number} has {counted(len(reference), 'line')} but the hypothesis has {len(outputs)}; "
                "line N of each must belong together"
            )
    if not outputs:
        raise ValueError("there is nothing to score: hypothesis and references have 0 lines; give at least one line")
