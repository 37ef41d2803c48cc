"""`nmtkit compare`: several models on one test set, or a grid of variants trained to be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli.parameters import (
    MODEL_OPTIONS,
    SEARCH_OPTIONS,
    Options,
    count,
    load_translator,
    search_settings,
    takes,
    usage,
    write_result,
)
from nmtkit.cli.streams import keep_apart
from nmtkit.console import note, stdout_console

if TYPE_CHECKING:
    from nmtkit.analysis.contest import Run

GRID, OUTPUT = "Grid", "Output"


@takes(search=SEARCH_OPTIONS, model=MODEL_OPTIONS)
def compare(
    source: Annotated[Path, typer.Option("--source", "-s", help="Text to translate.")],
    reference: Annotated[list[Path], typer.Option("--reference", "-r", help="Human translations; repeat for several.")],
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Model folders; the others are compared with the first.", metavar="FOLDER"),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(help="TOML file of variants: trains what is not finished, then compares.", rich_help_panel=GRID),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the grid's models.", rich_help_panel=GRID)
    ] = None,
    buckets: Annotated[int, count("Parts of the text by source length.", panel=OUTPUT)] = 5,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write every figure as JSON; - is stdout.", rich_help_panel=OUTPUT)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="BLEU against source length, as .png, .svg or .pdf.", rich_help_panel=OUTPUT),
    ] = None,
    *,
    search: Options,
    model: Options,
) -> None:
    """Compare models on one text: size, speed, loss, BLEU and chrF with intervals, and BLEU by source length.

    Either model folders, or --grid with --output: a configuration of train for all, and a table [variants.NAME] for
    each with what differs. Everybody has the same data and budget; seeds = [1, 2, 3] trains each variant three times
    and compares means. Differences are tested against the first by paired bootstrap.
    """
    from nmtkit.analysis.contest import contest
    from nmtkit.files import read_parallel
    from nmtkit.report.contest import draw, render, to_json
    from nmtkit.report.plot import check
    from nmtkit.training.grid import read_grid, train_all

    if (grid is None) == (not folders) or (grid is None) != (output is None):
        raise typer.BadParameter("give either model folders, or --grid with --output")
    if plot:
        with usage():
            check(plot)
    keep_apart([source, *reference, grid], [plot, Path(json_file) if json_file and json_file != "-" else None])
    sources, *references = read_parallel(source, *reference)
    groups = {_name(folder, folders or []): [folder] for folder in folders or []}
    if grid and output:
        wanted = read_grid(grid)
        train_all(wanted, output, note)
        groups = wanted.folders(output)
    measured = [(name, [_run(name, folder, sources, search, model) for folder in own]) for name, own in groups.items()]
    made = contest(measured, sources, references, buckets=buckets)
    if json_file:
        write_result(json_file, json.dumps(to_json(made), indent=1, ensure_ascii=False) + "\n")
    if plot:
        draw(made, plot)
    if json_file != "-":
        console = stdout_console()
        for part in render(made):
            console.print(part)


def _name(folder: Path, folders: Sequence[Path]) -> str:
    """The folder's own name, or its path where two have the same."""
    return folder.name if [other.name for other in folders].count(folder.name) == 1 else str(folder)


def _run(name: str, folder: Path, sources: list[str], search: Options, model: Options) -> Run:
    """Load a model and let it translate."""
    from nmtkit import checkpoint
    from nmtkit.analysis.contest import run
    from nmtkit.models.build import parameters
    from nmtkit.training.loop import read_history

    translator = load_translator([folder], model)
    lines = [line for line in read_history(folder / "history.jsonl") if "tokens_per_second" in line]
    speeds = [line["tokens_per_second"] for line in lines]
    scores = checkpoint.read_scores(folder, model["weights"] or "best")
    return run(
        name,
        translator,
        sources,
        search_settings(translator, search, n_best=1),
        parameters=parameters(translator.model),
        trained=sum(speeds) / len(speeds) if speeds else 0.0,
        dev_loss=scores.get("loss"),
    )
