"""A metric as a value: what it counts in each sentence, and the score of their sums, as sacreBLEU has it (Post 2018).

Outputs, references and sources are texts line by line. Counts are numbers, as many for every sentence, and of a corpus
they are sums over its sentences; so one bootstrap serves all metrics.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
        within: the least and the highest score.
        decimals: of a score in a table.
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
        title: what people call them, the file's name without its ending.
        direction: which are the better ones.
        sha256: of the scores and the outputs that they belong to.
    """

    title: str
    direction: Direction
    sha256: str

    @property
    def scale(self) -> Scale:
        """No bounds: COMET's are about 0 to 1, others are below 0."""
        return Scale(OUTSIDE, self.title, self.direction, ANY, decimals=3)


@dataclass(frozen=True)
class Reading:
    """How a metric reads texts, as far as it can.

    Attributes:
        lowercase: letters count in lower case.
        tokenize: how BLEU finds words; None: its usual way.
        warns: it says so where a text seems to be tokenised already.
    """

    lowercase: bool = False
    tokenize: str | None = None
    warns: bool = False


USUAL_READING = Reading()


@dataclass(frozen=True)
class Metric(Scale, ABC):
    """A scale, and how texts are put on it."""

    @property
    def origin(self) -> ScoresFile | None:
        """The file that its scores were read from; None where they are computed."""
        return None

    def reading(self, how: Reading) -> Metric:
        """The metric that reads texts so; itself where it reads them in one way only."""
        return self

    @abstractmethod
    def statistics(
        self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None, first: int | None = None
    ) -> Counts:
        """What is counted in every sentence, (sentences, counts).

        Args:
            references: one or more sets, each with a line for every output.
            sources: None where nobody knows them.
            first: number of the first line, where only a part of a text is given.

        Raises:
            ValueError: for texts that do not belong together.
        """

    @abstractmethod
    def score(self, sums: Counts) -> list[float]:
        """The corpus scores of summed counts, one for each row."""

    @abstractmethod
    def sentence_score(self, counts: Counts) -> list[float]:
        """The scores of sentences by themselves, one for each row of counts."""

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
