"""Options of `nmtkit blame-analysis`: declared in groups, checked together, and turned into what the analysis takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nmtkit.blame.bounds import SEGMENTATIONS, TOLERANCE
from nmtkit.cli import metrics, paths
from nmtkit.cli.parameters import SearchFlags, count, given, real, usage
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS
from nmtkit.evaluation.metric import OUTSIDE
from nmtkit.evaluation.threshold import USUAL

if TYPE_CHECKING:
    from nmtkit.blame.search_errors import Budget

Number = TypeVar("Number", int, float)

VERDICTS, CERTIFICATES, REMEDIES, OUTPUT = "Verdicts", "Certificates", "Remedies", "Output"

OF_THE_SWEEP = ("tolerance", "reference_segmentations", "prefixes")
"""The options that also decide the verdicts of a sweep."""


def _option(
    text: str, panel: str, metavar: str | None = None, name: str | None = None, default: str | bool = True
) -> Any:
    names = (name,) if name else ()
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=default)


@dataclass(frozen=True)
class VerdictFlags:
    """What decides the verdicts."""

    errors_below: Annotated[
        str | None,
        _option("Second row: errors with a worse sentence score than X.", VERDICTS, "METRIC:X", default=str(USUAL)),
    ] = None
    errors: Annotated[
        Path | None,
        paths.read("Numbers of sentences a person judged wrong, one per line: a row of their own.", panel=VERDICTS),
    ] = None
    tolerance: Annotated[
        float | None,
        real(
            "A difference in J up to this blames the model. Nats in all at α 0, nats per piece at α 1.",
            TOLERANCE,
            VERDICTS,
            default="0.0001",
        ),
    ] = None
    reference_segmentations: Annotated[
        int | None,
        count("Score a reference under the best of N segmentations.", SEGMENTATIONS, VERDICTS, default="1"),
    ] = None


@dataclass(frozen=True)
class CertificateFlags:
    """Exact search and its budget."""

    exact: Annotated[bool, _option("Certify the outputs by exact search.", CERTIFICATES, name="--exact")] = False
    budget_steps: Annotated[
        int | None,
        count("Most model steps of exact search per sentence.", BUDGET_STEPS, CERTIFICATES, default="10000"),
    ] = None
    budget_seconds: Annotated[
        float | None,
        real(
            "Most seconds of exact search per sentence, averaged over a batch.",
            BUDGET_SECONDS,
            CERTIFICATES,
            default="no limit",
        ),
    ] = None
    sample: Annotated[int | None, count("Certify N sentences, drawn at random.", panel=CERTIFICATES, default="all")] = (
        None
    )


@dataclass(frozen=True)
class RemedyFlags:
    """What is measured to find a remedy."""

    train_sample: Annotated[
        int | None, count("Compare with the loss on N pairs of the training text.", panel=REMEDIES)
    ] = None
    train_text: Annotated[
        list[Path] | None,
        paths.prefix("The training text, if it has moved; repeat for several.", REMEDIES, default="where it was"),
    ] = None
    sweep_beams: Annotated[str | None, _option("Measure these beams, too.", REMEDIES, "N,N,…")] = None
    sweep_alphas: Annotated[str | None, _option("Measure these length exponents, too.", REMEDIES, "X,X,…")] = None
    metric: Annotated[
        list[str] | None, metrics.metric("Another column of these measurements; repeat for several.", REMEDIES)
    ] = None
    plot: Annotated[Path | None, paths.written("Draw what was measured, as .png, .svg or .pdf.", panel=REMEDIES)] = None
    save_best: Annotated[
        bool, _option("Make the setting to use the folder's default.", REMEDIES, name="--save-best")
    ] = False


@dataclass(frozen=True)
class OutputFlags:
    """Where the report goes."""

    records: Annotated[
        Path | None,
        paths.option(paths.FILE_TO_CONTINUE, "Keep the records here as they come, and go on from them.", panel=OUTPUT),
    ] = None
    html: Annotated[Path | None, paths.written("Write a page to look at, one file.", panel=OUTPUT)] = None
    details: Annotated[int | None, count("Sentences of the page in full detail.", 0, panel=OUTPUT, default="200")] = (
        None
    )
    json: Annotated[Path | None, paths.written("Write all records as JSON.", panel=OUTPUT)] = None
    tsv: Annotated[Path | None, paths.written("Write one line per sentence.", panel=OUTPUT)] = None
    examples: Annotated[int | None, count("Sentences shown in the table.", 0, panel=OUTPUT, default="5")] = None


@dataclass(frozen=True)
class Searched(SearchFlags):
    """Options of the search, with those that an analysis refuses: it knows them so that it can say why."""

    min_length: Annotated[int | None, typer.Option(hidden=True)] = None
    min_length_ratio: Annotated[float | None, typer.Option(hidden=True)] = None
    no_repeat_ngram: Annotated[int | None, typer.Option(hidden=True)] = None


def check(
    folders: int,
    verdicts: VerdictFlags,
    outside: metrics.OutsideFlags,
    certificates: CertificateFlags,
    remedies: RemedyFlags,
    output: OutputFlags,
) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    from nmtkit.report import plot

    metrics.check_outside(outside)
    named = (verdicts.errors_below or "").partition(":")[0] == OUTSIDE
    if named != bool(outside.scores_file):
        raise typer.BadParameter(f"--errors-below {OUTSIDE}:X and --scores-file belong together: add the other one")
    sweeping = any(swept(remedies))
    if remedies.save_best and (folders > 1 or not sweeping):
        raise typer.BadParameter("--save-best writes what a sweep chose into one folder: add --sweep-beams")
    if remedies.plot:
        if not sweeping:
            raise typer.BadParameter("--plot draws what a sweep measured: add --sweep-beams")
        with usage():
            plot.check(remedies.plot)
    if not certificates.exact and len(given(certificates)) > 1:
        raise typer.BadParameter("--sample and the budgets belong to --exact: add it, or leave them out")
    if remedies.metric and not sweeping:
        raise typer.BadParameter("--metric adds a column to what a sweep measures: add --sweep-beams")
    if remedies.train_text and not remedies.train_sample:
        raise typer.BadParameter("--train-text says where the text of --train-sample is: add it, or leave both out")
    if output.details is not None and not output.html:
        raise typer.BadParameter("--details says how much --html shows: add it, or leave both out")


def question(verdicts: VerdictFlags, outside: metrics.OutsideFlags, sources: int) -> dict[str, Any]:
    """The arguments of `blame` that decide the verdicts."""
    from nmtkit.blame.question import read_errors
    from nmtkit.evaluation.metrics import METRICS
    from nmtkit.evaluation.threshold import parse_threshold

    values = given(tolerance=verdicts.tolerance, reference_segmentations=verdicts.reference_segmentations)
    if verdicts.errors_below:
        given_scores = metrics.read_outside(outside, sources)
        known = {**METRICS, **({given_scores.name: given_scores} if given_scores else {})}
        with usage():
            values["threshold"] = parse_threshold(verdicts.errors_below, known)
    if verdicts.errors:
        values["errors"] = read_errors(verdicts.errors)
    return values


def budget(certificates: CertificateFlags) -> Budget | None:
    from nmtkit.blame.search_errors import Budget

    if not certificates.exact:
        return None
    return Budget(certificates.budget_steps or 10_000, certificates.budget_seconds, certificates.sample)


def swept(remedies: RemedyFlags) -> tuple[list[int], list[float]]:
    """The beam sizes and length exponents to measure."""
    beams = _numbers(remedies.sweep_beams, int, "--sweep-beams")
    return beams, _numbers(remedies.sweep_alphas, float, "--sweep-alphas")


def _numbers(text: str | None, kind: type[Number], flag: str) -> list[Number]:
    """The numbers of a comma-separated list."""
    try:
        return [kind(part) for part in (text or "").split(",") if text]
    except ValueError:
        raise typer.BadParameter(f"{flag} {text!r} is no list of numbers: write for example 1,2,5") from None
