"""`nmtkit compare`: several models on one test set, or a grid of variants trained to be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nmtkit.cli import metrics, paths
from nmtkit.cli.config import config_of
from nmtkit.cli.parameters import (
    MachineFlags,
    SearchFlags,
    count,
    given,
    load_translator,
    search_settings,
    takes,
    usage,
)
from nmtkit.cli.streams import write_result
from nmtkit.comparison.bounds import BUCKETS
from nmtkit.console import note, stdout_console, warn
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.checkpoint import FolderOptions
    from nmtkit.comparison.models import ModelComparison, Run

GRID, OUTPUT = "Grid", "Output"
SIDES = ("source", "target")


@takes(search=SearchFlags, model=MachineFlags)
def compare(
    context: typer.Context,
    source: Annotated[Path, paths.read("Text to translate.", "--source", "-s")],
    reference: Annotated[list[Path], paths.read("Human translations; repeat for several.", "--reference", "-r")],
    folders: Annotated[
        list[Path] | None,
        paths.argument(paths.PATH_TO_READ, "Model folders; the others are compared with the first.", "FOLDER"),
    ] = None,
    grid: Annotated[
        Path | None,
        paths.read("TOML file of variants: trains what is not finished, then compares.", panel=GRID),
    ] = None,
    output: Annotated[
        Path | None, paths.output_folder("Folder of the grid's models.", "--output", "-o", panel=GRID)
    ] = None,
    metric: Annotated[list[str] | None, metrics.metric(panel=OUTPUT)] = None,
    buckets: Annotated[int, count("Parts of the text by source length.", BUCKETS, panel=OUTPUT)] = 5,
    json_file: Annotated[Path | None, paths.written("Write every figure as JSON.", "--json", panel=OUTPUT)] = None,
    plot: Annotated[
        Path | None, paths.written("BLEU against source length, as .png, .svg or .pdf.", panel=OUTPUT)
    ] = None,
    *,
    search: SearchFlags,
    model: MachineFlags,
) -> None:
    """Compare models on one text: size, speed, loss, BLEU and chrF with intervals, and BLEU by source length.

    Give either model folders, or --grid with --output: a configuration of train for all, and a table variants.NAME for
    each with what differs. All have the same data and budget; seeds = [1, 2, 3] trains each variant three times
    and compares means. Differences are tested against the first by paired bootstrap.
    """
    from nmtkit.comparison.models import compare_models
    from nmtkit.evaluation.metrics import with_usual
    from nmtkit.features import read_sources
    from nmtkit.report.plot import check

    if (grid is None) == (not folders) or (grid is None) != (output is None):
        raise typer.BadParameter("give either model folders, or --grid with --output")
    if plot:
        with usage():
            check(plot)
    sources, *references = read_sources(source, *reference)
    texts = list(zip([source, *reference], [sources, *references], strict=True))
    groups = {name: [folder] for name, folder in paths.distinct(folders or []).items()}
    if grid and output:
        read = paths.named(grid=grid, source=source, reference=reference, config=config_of(context))
        groups = _trained(grid, output, search, read, paths.named(json=json_file, plot=plot))
    translators = Translators(search, model)
    measured = [(name, [translators.run(name, folder, sources) for folder in own]) for name, own in groups.items()]
    comparison = compare_models(measured, sources, references, with_usual(metric or ()), buckets=buckets)
    _write(comparison, _made_by(texts, search), json_file, plot)


def _write(comparison: ModelComparison, made_by: Mapping[str, Any], json_file: Path | None, plot: Path | None) -> None:
    """Write the files that the user named, and print the tables."""
    from nmtkit.report.compare_models import draw, render, to_json

    compared = counted(len(comparison.systems), "model")
    if json_file:
        record = {**to_json(comparison), "made_by": made_by}
        write_result(json_file, json.dumps(record, indent=1, ensure_ascii=False) + "\n", compared)
    if plot:
        draw(comparison, plot)
        note(f"{plot}: {compared}")
    if json_file != paths.STANDARD:
        console = stdout_console()
        for part in render(comparison):
            console.print(part)


def _trained(
    grid: Path, output: Path, search: SearchFlags, read: list[paths.Named], written: list[paths.Named]
) -> dict[str, list[Path]]:
    """Train the models of a grid that are not finished; returns the model folders of each variant.

    Args:
        read, written: files of this command, which training must not write over.
    """
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.training.grid import read_grid, train_all

    wanted = read_grid(grid)
    with usage():
        SearchSettings(**given(search))  # before hours of training
    paths.keep_apart(read, [*paths.named(output=wanted.configurations(output)), *written])
    train_all(wanted, output, note)
    return wanted.folders(output)


def _made_by(texts: Sequence[tuple[Path, Sequence[str]]], search: SearchFlags) -> dict[str, Any]:
    """Provenance of the comparison: the texts, the command and the settings of the search.

    Args:
        texts: source and references, each with its lines.
    """
    import shlex
    import sys

    import nmtkit
    from nmtkit.files import sha256_of_lines

    source, *references = [{"file": str(path), "sha256": sha256_of_lines(lines)} for path, lines in texts]
    return {
        "nmtkit": nmtkit.__version__,
        "command": shlex.join(["nmtkit", *sys.argv[1:]]),
        "source": source,
        "references": references,
        "search": given(search),
    }


class Translators:
    """Loads models in turn and lets each translate; warns where two models are hard to compare."""

    def __init__(self, search: SearchFlags, model: MachineFlags) -> None:
        self._search, self._model = search, model
        self._first: FolderOptions | None = None

    def run(self, name: str, folder: Path, sources: list[str]) -> Run:
        """Load a model and let it translate."""
        from nmtkit import checkpoint
        from nmtkit.comparison.models import run
        from nmtkit.models.build import parameters
        from nmtkit.models.interface import Model
        from nmtkit.training.history import read_history

        translator = load_translator([folder], self._model)
        history = read_history(folder / "history.jsonl")
        speeds = [line["tokens_per_second"] for line in history if "tokens_per_second" in line]
        scores = checkpoint.read_scores(folder, self._model.weights or "best")
        return run(
            name,
            translator,
            sources,
            search_settings(translator, self._search, n_best=1),
            folder=str(folder),
            parameters=parameters(cast(Model, translator.model)),
            updates=max((int(line["step"]) for line in history), default=0),
            trained=sum(speeds) / len(speeds) if speeds else 0.0,
            dev_loss=scores.get("loss") if self._comparable(folder, checkpoint.read_options(folder)) else None,
        )

    def _comparable(self, folder: Path, options: FolderOptions) -> bool:
        """Whether the dev loss of a model and that of the first model are over the same pieces of the same text."""
        first = self._first = self._first or options
        if first.languages != options.languages:
            ways = [f"{model.languages.source} to {model.languages.target}" for model in (first, options)]
            warn(f"{folder} was trained to translate {ways[1]}, the first {ways[0]}: is it the same text for both?")
        facts = [
            (model.tokenizer.sha256, *(model.data.get(f"dev {side}") for side in SIDES)) for model in (first, options)
        ]
        before, pairs = first.provenance.pairs, options.provenance.pairs
        if before and pairs and before != pairs:
            used = [f"{counted(data.train, 'pair')} and validated on {data.dev}" for data in (before, pairs)]
            warn(
                f"{folder} was trained on {used[1]}, the first on {used[0]}: other data, or no room for long sentences"
            )
        comparable = facts[0] == facts[1] and (not before or not pairs or before.dev == pairs.dev)
        if not comparable:
            note(f"{folder}: no dev loss is shown, for its pieces or its dev pairs are not those of the first")
        return comparable
