"""Options about scores that several commands share: more metrics, and the scores of another tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import choice, given
from nmtkit.evaluation.metric import OUTSIDE, Direction
from nmtkit.evaluation.metrics import METRICS, USUAL
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.evaluation.outside import OutsideScores


def metric(text: str = "", panel: str | None = None) -> Any:
    """A repeatable option that names metrics."""
    usual = " and ".join(metric.title for metric in USUAL)
    return choice(text or f"Another metric besides {usual}; repeat for several.", tuple(METRICS), panel)


PANEL = "Scores of another tool"


@dataclass(frozen=True)
class OutsideFlags:
    """Scores of another tool, and the outputs that they belong to."""

    scores_file: Annotated[
        Path | None, paths.read("Scores of another tool, such as COMET: one number for each output.", panel=PANEL)
    ] = None
    scores_of: Annotated[
        Path | None, paths.read("The outputs that these scores belong to: they must be those found.", panel=PANEL)
    ] = None
    scores_direction: Annotated[
        str | None,
        choice(
            "Which of these scores are better.",
            tuple(end.value for end in Direction),
            PANEL,
            default="higher",
        ),
    ] = None


def check_outside(options: OutsideFlags, *, known: bool = False) -> None:
    """Refuse options about scores that do not go together.

    Args:
        known: whether the outputs are known without --scores-of.
    """
    about = given(**{"--scores-of": options.scores_of, "--scores-direction": options.scores_direction})
    if about and options.scores_file is None:
        raise typer.BadParameter(f"{' and '.join(about)} only says what --scores-file is: add it, or leave both out")
    if options.scores_file is not None and options.scores_of is None and not known:
        raise typer.BadParameter("--scores-file belongs to certain outputs: name the file of them with --scores-of")


def read_outside(options: OutsideFlags, sources: int, outputs: Sequence[str] = ()) -> OutsideScores | None:
    """The scores of a file, if one was named.

    Args:
        sources: number of lines of the source, which is also that of the outputs.
        outputs: the outputs that the scores belong to, unless --scores-of names a file of them.
    """
    from nmtkit.evaluation.outside import parse_scores
    from nmtkit.files import read_lines

    path, of = options.scores_file, options.scores_of
    if path is None:
        return None
    if of is not None:
        outputs = read_lines(of)
    if len(outputs) != sources:
        raise ValueError(
            f"{of} has {counted(len(outputs), 'line')}, but the text has {sources}: name the outputs of this text, "
            "line by line"
        )
    title = OUTSIDE if path == paths.STANDARD else path.stem
    direction = Direction(options.scores_direction or Direction.HIGHER)
    return parse_scores(read_lines(path), str(path), outputs, direction, title)
