"""`nmtkit evaluate`: corpus scores of translations: those in a file, or a model's translations of a test set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli import metrics, paths
from nmtkit.cli.engine import EngineFlags, check_engine, load_engine
from nmtkit.cli.parameters import (
    MachineFlags,
    SearchFlags,
    count,
    given,
    load_translator,
    search_settings,
    takes,
)
from nmtkit.cli.streams import write_result
from nmtkit.console import stdout_console, warn
from nmtkit.evaluation.bounds import RESAMPLES
from nmtkit.settings import SEED
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.evaluation.metric import Metric


@takes(outside=metrics.OutsideFlags, search=SearchFlags, engine=EngineFlags, model=MachineFlags)
def evaluate(
    reference: Annotated[list[Path], paths.read("Reference translations; repeat for several.", "--reference", "-r")],
    folders: Annotated[
        list[Path] | None,
        paths.argument(paths.PATH_TO_READ, "Model folder, or several as an ensemble; needs --source.", "FOLDER"),
    ] = None,
    source: Annotated[Path | None, paths.read("Text for the model to translate.", "--source", "-s")] = None,
    hypotheses: Annotated[Path | None, paths.read("Translations to score.", "--hypotheses", "-y")] = None,
    output: Annotated[Path | None, paths.written("Keep the model's translations here.", "--output", "-o")] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Compare in lower case.")] = False,
    tokenize: Annotated[
        str | None, typer.Option(help="sacreBLEU's tokenizer for BLEU.", metavar="NAME", show_default="13a")
    ] = None,
    metric: Annotated[list[str] | None, metrics.metric()] = None,
    resamples: Annotated[int, count("Bootstrap resamples of the intervals.", RESAMPLES)] = 1000,
    seed: Annotated[int, count("Seed of the bootstrap.", SEED)] = 12345,
    json_file: Annotated[Path | None, paths.written("Write JSON to this file.", "--json")] = None,
    *,
    outside: metrics.OutsideFlags,
    search: SearchFlags,
    engine: EngineFlags,
    model: MachineFlags,
) -> None:
    """Score translations with sacreBLEU: BLEU and chrF with 95 % percentile intervals and signatures.

    Give either a model folder with --source, or --hypotheses. Files are raw text: sacreBLEU tokenises.
    """
    from nmtkit.evaluation.metric import Reading
    from nmtkit.evaluation.metrics import with_usual
    from nmtkit.evaluation.scoring import evaluate as score
    from nmtkit.evaluation.scoring import segmentation_marks
    from nmtkit.features import read_sources
    from nmtkit.files import read_parallel
    from nmtkit.report.evaluation import lines, to_json

    _check(bool(folders), source, hypotheses, given(search, engine, model, output=output))
    check_engine(engine)
    metrics.check_outside(outside, known=hypotheses is not None)
    first, *references = read_sources(source, *reference) if source else read_parallel(hypotheses or "", *reference)
    outputs, outside_scores = first, metrics.read_outside(outside, len(first), first)
    facts: dict[str, Any] = {"model": None, "search": None}
    if folders:
        outputs, facts, made_by = _translated(folders, first, search, engine, model)
        if output:
            write_result(output, "".join(f"{line}\n" for line in outputs), counted(len(outputs), "line"))
    if marks := segmentation_marks(outputs):
        warn(marks)
    asked: list[Metric] = [*with_usual(metric or (), Reading(lowercase, tokenize, warns=True))]
    asked += [outside_scores] if outside_scores else []
    scores = score(outputs, references, asked, sources=first if folders else None, resamples=resamples, seed=seed)
    if json_file:
        text = json.dumps([{**to_json(result), **facts} for result in scores], indent=2, ensure_ascii=False) + "\n"
        write_result(json_file, text, counted(len(scores), "score"))
    if paths.STANDARD not in (output, json_file):
        for line in chain.from_iterable(map(lines, scores)):
            stdout_console().print(line, soft_wrap=True)
        if folders:
            stdout_console().print(made_by, soft_wrap=True)


def _translated(
    folders: list[Path], lines: Sequence[str], search: SearchFlags, engine: EngineFlags, model: MachineFlags
) -> tuple[list[str], dict[str, Any], str]:
    """The model's translations of lines, and how they were made, as facts and in words."""
    from nmtkit.decoding.beam import Beam
    from nmtkit.report.tables import short_hash

    translator = load_translator(folders, model)
    settings = search_settings(translator, search, n_best=1)
    other = load_engine(engine, translator, settings)
    settings = other.settings if other else settings
    results = translator.find(other or Beam.of(settings), translator.read(lines, settings, 1), settings)
    facts = {"model": translator.folder_hash, "search": asdict(settings)}
    words = f"  model {short_hash(translator.folder_hash)}, "
    if other:
        facts["engine"], words = other.in_words, f"{words}{other.in_words}, "
    return [hypotheses[0].text for hypotheses in translator.texts(results)], facts, words + settings.in_words


def _check(translates: bool, source: Path | None, hypotheses: Path | None, of_a_model: dict[str, Any]) -> None:
    """Refuse both ways at once, and options of a model if no model translates."""
    if (hypotheses is None) != translates or translates != (source is not None):
        raise typer.BadParameter("give either a model folder with --source, or --hypotheses")
    if of_a_model and not translates:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in of_a_model)
        raise typer.BadParameter(f"{names} only says how a model translates: give a model folder and --source")
