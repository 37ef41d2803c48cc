"""Scores that another tool such as COMET gave to certain outputs: a metric of these outputs and of no others.

The file of scores has a number a line, one for each output; the user names the file of the outputs, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from nmtkit.evaluation.metric import Counts, Direction, Lines, Metric, ScoresFile
from nmtkit.words import counted

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SHOWN = 60
"""Characters of a text in an error message."""


@dataclass(frozen=True, kw_only=True)
class OutsideScores(Metric):
    """The mean of scores that were given to certain outputs.

    Attributes:
        file: the file that the scores are from.
        values: the score of each output.
        outputs: the outputs, line by line.
    """

    file: ScoresFile
    values: tuple[float, ...]
    outputs: tuple[str, ...]

    @property
    def origin(self) -> ScoresFile:
        """As `Metric.origin` has it."""
        return self.file

    def statistics(
        self, outputs: Lines, references: Sequence[Lines], sources: Lines | None = None, first: int | None = None
    ) -> Counts:
        """The score and 1 for each output, whose sums give the mean; references and sources play no part.

        Raises:
            ValueError: for other outputs, naming the first line that differs.
        """
        start = (first or 1) - 1
        known = self.outputs[start : start + len(outputs)] if first else self.outputs
        for number, (own, other) in enumerate(zip(known, outputs, strict=False), start=start + 1):
            if own != other:
                raise ValueError(
                    f"line {number}: the scores of {self.title} are of other outputs, here {_shown(own)} and not "
                    f"{_shown(other)}; score these outputs, in this order"
                )
        if len(known) != len(outputs):
            raise ValueError(
                f"the scores of {self.title} are of {counted(len(self.outputs), 'output')}, not of "
                f"{start + len(outputs)}; score these outputs, in this order"
            )
        return [[value, 1.0] for value in self.values[start : start + len(outputs)]]

    def score(self, sums: Counts) -> list[float]:
        """The mean scores."""
        return [total / number for total, number in sums]

    def sentence_score(self, counts: Counts) -> list[float]:
        """The scores as they were given."""
        return [value for value, _ in counts]

    def signature(self, references: int, resamples: int, seed: int) -> str:
        """Which scores of which outputs, with the resampling."""
        facts = f"file:{self.title}|better:{self.direction}|sha256:{self.file.sha256[:12]}"
        return f"{facts}|bs:{resamples}|seed:{seed}"


def parse_scores(lines: Lines, path: str, outputs: Lines, direction: Direction, title: str) -> OutsideScores:
    """Parse the lines of a file of scores, one for each output.

    Args:
        path: path of the file, for error messages.
        title: the name of the scores for people.

    Raises:
        ValueError: naming file and line, where the numbers of scores and outputs differ, or a score is not a number.
    """
    if len(lines) != len(outputs):
        raise ValueError(
            f"{path} has {counted(len(lines), 'score')}, but there are {counted(len(outputs), 'output')}; write one "
            "number a line, for each output"
        )
    values = tuple(_number(line, path, number) for number, line in enumerate(lines, start=1))
    facts = "".join(f"{value!r}\t{output}\n" for value, output in zip(values, outputs, strict=True))
    file = ScoresFile(title, direction, sha256(facts.encode("utf-8", "surrogatepass")).hexdigest())
    scale = file.scale
    return OutsideScores(
        scale.name,
        scale.title,
        scale.direction,
        scale.within,
        scale.decimals,
        file=file,
        values=values,
        outputs=tuple(outputs),
    )


def _number(line: str, path: str, number: int) -> float:
    text = line.strip()
    if not NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        raise ValueError(
            f"{path}, line {number}: {_shown(text)} is not a finite number; write one score a line, for example 0.7134"
        )
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
