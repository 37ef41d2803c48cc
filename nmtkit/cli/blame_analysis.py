"""`nmtkit blame-analysis`: for every wrong translation, is the search or the model to blame?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli.parameters import (
    MODEL_OPTIONS,
    SEARCH_OPTIONS,
    Folders,
    Options,
    count,
    given,
    load_translator,
    real,
    refused,
    search_settings,
    takes,
    usage,
    write_result,
)
from nmtkit.cli.streams import SECONDS
from nmtkit.console import Progress, stdout_console

VERDICTS, CERTIFICATES = "Verdicts", "Certificates"


BANS = ("min_length", "min_length_ratio", "no_repeat_ngram")
"""Options of the search that analysis.blame refuses: known here so that the refusal says why."""


@takes(search={**SEARCH_OPTIONS, **refused(*BANS)}, model=MODEL_OPTIONS)
def blame_analysis(
    folders: Folders,
    source: Annotated[Path, typer.Option("--source", "-s", help="Text to translate.")],
    reference: Annotated[list[Path], typer.Option("--reference", "-r", help="Human translations; repeat for several.")],
    errors_below: Annotated[
        str,
        typer.Option(
            metavar="METRIC:X",
            help="Second row: errors below this sentence score (chrf or bleu).",
            rich_help_panel=VERDICTS,
        ),
    ] = "chrf:60",
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Numbers of sentences a person judged wrong, one a line: a row of their own.", rich_help_panel=VERDICTS
        ),
    ] = None,
    tolerance: Annotated[float, real("On J: differences up to it blame the model.", panel=VERDICTS)] = 1e-4,
    reference_segmentations: Annotated[
        int, count("Score a reference under its best of so many segmentations.", panel=VERDICTS)
    ] = 1,
    exact: Annotated[
        bool, typer.Option("--exact", help="Certify the outputs by exact search.", rich_help_panel=CERTIFICATES)
    ] = False,
    budget_steps: Annotated[int, count("Most model steps of it for a sentence.", panel=CERTIFICATES)] = 10_000,
    budget_seconds: Annotated[float | None, real("Most seconds of it for a sentence.", panel=CERTIFICATES)] = None,
    sample: Annotated[int | None, count("Certify so many sentences, drawn at random.", panel=CERTIFICATES)] = None,
    examples: Annotated[int, count("Sentences shown in the table.", 0)] = 5,
    json_file: Annotated[str | None, typer.Option("--json", help="Write all records as JSON; - is stdout.")] = None,
    tsv_file: Annotated[str | None, typer.Option("--tsv", help="Write one line a sentence; - is stdout.")] = None,
    *,
    search: Options,
    model: Options,
) -> None:
    """Blame the beam search or the model for every wrong translation.

    The search is to blame where the human translation has the higher score J (log P / length^alpha), so that the model
    prefers it but the search did not find it; the model is to blame where it prefers its own output. The table shows
    both, the shares with 95 % intervals, and what to do next.
    """
    from nmtkit.analysis.blame import blame, check_settings
    from nmtkit.analysis.question import read_errors
    from nmtkit.analysis.search_errors import Budget
    from nmtkit.evaluation.metrics import parse_threshold
    from nmtkit.files import read_parallel
    from nmtkit.report.blame import render, to_json, to_tsv

    if json_file == tsv_file == "-":
        raise typer.BadParameter("--json - and --tsv - cannot share standard output: write one to a file")
    if not exact and given(sample=sample, budget_seconds=budget_seconds):
        raise typer.BadParameter("--sample and --budget-seconds belong to --exact: add it, or leave them out")
    with usage():
        threshold = parse_threshold(errors_below)
    listed = read_errors(errors) if errors else None
    sources, *references = read_parallel(source, *reference)
    translator = load_translator(folders, model)
    settings = search_settings(translator, search)
    with usage():
        check_settings(settings)
    asked = min(sample or len(sources), len(sources))
    with Progress(asked, "exact search", every=SECONDS) as bar:
        report = blame(
            translator,
            sources,
            references,
            settings,
            tolerance=tolerance,
            errors=listed,
            threshold=threshold,
            reference_segmentations=reference_segmentations,
            exact=Budget(budget_steps, budget_seconds, sample) if exact else None,
            progress=lambda done, proved: bar.update(done, proved=f"{proved} of {done}"),
        )
    if json_file:
        write_result(json_file, json.dumps(to_json(report), indent=1, ensure_ascii=False) + "\n")
    if tsv_file:
        write_result(tsv_file, to_tsv(report))
    if "-" not in (json_file, tsv_file):
        console = stdout_console()
        for part in render(report, examples):
            console.print(part)
