"""`nmtkit blame-compare`: did a remedy help? Two error analyses of one text, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from nmtkit.cli import metrics, paths
from nmtkit.cli.parameters import count, takes
from nmtkit.cli.streams import write_result
from nmtkit.console import stdout_console
from nmtkit.words import counted


@takes()
def blame_compare(
    before: Annotated[
        Path, paths.argument(paths.FILE_TO_READ, "Report that blame-analysis --json wrote.", metavar="BEFORE")
    ],
    after: Annotated[
        Path, paths.argument(paths.FILE_TO_READ, "Another of the same text, after a remedy.", metavar="AFTER")
    ],
    metric: Annotated[list[str] | None, metrics.metric()] = None,
    examples: Annotated[int, count("Sentences shown whose verdict changed.", 0)] = 5,
    json_file: Annotated[Path | None, paths.written("Write all of it as JSON.", "--json")] = None,
) -> None:
    """Compare two analyses of one text, before and after a remedy: which verdicts changed, and is it better?

    Both are reports of blame-analysis --json, of the same source and references. Shows the settings that differ, the
    verdicts before and after, BLEU and chrF with p-values, and whether the remedy brought what a sweep had measured.
    """
    from nmtkit.blame.reading import read_report
    from nmtkit.comparison.reports import compare_reports
    from nmtkit.evaluation.metrics import with_usual
    from nmtkit.report.compare_reports import render, to_json

    (first, sweep), (second, _) = read_report(before), read_report(after)
    difference = compare_reports(first, second, sweep, with_usual(metric or ()))
    if json_file:
        text = json.dumps(to_json(difference), indent=1, ensure_ascii=False) + "\n"
        write_result(json_file, text, f"the comparison of {counted(difference.sentences, 'sentence')}")
    if json_file != paths.STANDARD:
        console = stdout_console()
        for part in render(difference, first, second, examples):
            console.print(part)
