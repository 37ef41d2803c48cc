"""The options of `nmtkit translate`, and which of them do not go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import count, given, real
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS, SearchSettings
from nmtkit.settings import bounds

EXACT, INSIDE, COLUMNS, PREFIXES = "Exact search", "Look inside", "Columns", "Forced beginnings"


@dataclass(frozen=True)
class Columns:
    """The columns before the text of a translation."""

    n_best: Annotated[
        int,
        count(
            "Translations per line, best first, with line number and rank before each (not with --mbr).",
            bounds(SearchSettings, "n_best"),
            COLUMNS,
        ),
    ] = 1
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Score J, log P in nats and length before the text.", rich_help_panel=COLUMNS),
    ] = False
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Pieces and log P of each before the text.", rich_help_panel=COLUMNS),
    ] = False


@dataclass(frozen=True)
class Prefixed:
    """What the translations must begin with."""

    prefix: Annotated[
        Path | None,
        paths.read("Line N begins the translation of line N; blank: nothing is forced.", panel=PREFIXES),
    ] = None
    prefix_column: Annotated[
        bool,
        typer.Option(
            "--prefix-column", help="The same after a tab in each line of the input.", rich_help_panel=PREFIXES
        ),
    ] = False


@dataclass(frozen=True)
class Exactly:
    """Exact search and its budget."""

    exact: Annotated[
        bool, typer.Option("--exact", help="Search for the best of all translations.", rich_help_panel=EXACT)
    ] = False
    budget_steps: Annotated[
        int | None, count("Most model steps of exact search per line.", BUDGET_STEPS, EXACT, default="10000")
    ] = None
    budget_seconds: Annotated[
        float | None,
        real(
            "Most seconds of exact search per line, averaged over a batch.",
            BUDGET_SECONDS,
            EXACT,
            default="no limit",
        ),
    ] = None

    @property
    def effort(self) -> dict[str, Any]:
        """The parts of the budget that the user gave."""
        return given(steps=self.budget_steps, seconds=self.budget_seconds)


@dataclass(frozen=True)
class Inside:
    """What to show of the search and of the model."""

    per_length: Annotated[
        bool, typer.Option("--per-length", help="All that the beam finished, by length.", rich_help_panel=INSIDE)
    ] = False
    trace: Annotated[Path | None, paths.written("Write all that the beam looked at, for inspect.", panel=INSIDE)] = None
    attention: Annotated[
        Path | None,
        paths.written("Write what the model looked at for the best one, one line of JSON per sentence.", panel=INSIDE),
    ] = None
    reference: Annotated[
        Path | None,
        paths.read("Known translations: followed by --trace, a start for --exact.", "--reference", "-r", panel=INSIDE),
    ] = None


def check(columns: Columns, prefixed: Prefixed, exactly: Exactly, inside: Inside) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    exact, per_length = exactly.exact, inside.per_length
    if exact + per_length + (inside.trace is not None) + (inside.attention is not None) > 1:
        raise typer.BadParameter("--exact, --per-length, --trace and --attention do not go together: choose one")
    if columns.n_best > 1 and (exact or per_length):
        raise typer.BadParameter("--exact and --per-length decide how many translations there are: leave out --n-best")
    if inside.reference and not exact and inside.trace is None:
        raise typer.BadParameter("--reference is followed by --trace or starts --exact: add one of them")
    if prefixed.prefix and prefixed.prefix_column:
        raise typer.BadParameter("--prefix and --prefix-column both say how translations begin: choose one")
    if exactly.effort and not exact:
        raise typer.BadParameter("--budget-steps and --budget-seconds bound an exact search: add --exact")


def check_settings(settings: SearchSettings, exactly: Exactly, inside: Inside) -> SearchSettings:
    """The settings; refused if the chosen kind of search does not have them."""
    if exactly.exact and settings.no_repeat_ngram:
        raise typer.BadParameter("--exact cannot block n-grams: leave out --no-repeat-ngram")
    if inside.per_length and settings.patience is not None:
        raise typer.BadParameter("--per-length looks at every length: leave out --patience")
    return settings
