"""`nmtkit blame-analysis`: for every wrong translation, is the search or the model to blame?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

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
from nmtkit.console import Progress, note, stdout_console, warn

if TYPE_CHECKING:
    from nmtkit.analysis.keeping import Keeper
    from nmtkit.analysis.records import Provenance
    from nmtkit.analysis.sweep import Sweep

Number = TypeVar("Number", int, float)

VERDICTS, CERTIFICATES, REMEDIES = "Verdicts", "Certificates", "Remedies"


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
    budget_steps: Annotated[
        int | None, count("Most model steps of it for a sentence (10000).", panel=CERTIFICATES)
    ] = None,
    budget_seconds: Annotated[
        float | None,
        real("Most seconds of it for a sentence, on average over a batch.", panel=CERTIFICATES, above=True),
    ] = None,
    sample: Annotated[int | None, count("Certify so many sentences, drawn at random.", panel=CERTIFICATES)] = None,
    records: Annotated[
        Path | None, typer.Option(help="Keep the records here as they come, and go on from them.")
    ] = None,
    train_sample: Annotated[
        int | None, count("Compare with the loss on so many pairs of the training text.", panel=REMEDIES)
    ] = None,
    train_text: Annotated[
        Path | None,
        typer.Option(metavar="PREFIX", help="That text, if it has moved: PREFIX.LANG.", rich_help_panel=REMEDIES),
    ] = None,
    sweep_beams: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Measure these beams, too.", rich_help_panel=REMEDIES)
    ] = None,
    sweep_alphas: Annotated[
        str | None, typer.Option(metavar="X,X,…", help="Measure these length exponents, too.", rich_help_panel=REMEDIES)
    ] = None,
    save_best: Annotated[
        bool,
        typer.Option(
            "--save-best", help="Make the setting with the highest BLEU the folder's default.", rich_help_panel=REMEDIES
        ),
    ] = False,
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
    from nmtkit.analysis.fit import read_training_text
    from nmtkit.analysis.keeping import Keeper
    from nmtkit.analysis.question import read_errors
    from nmtkit.analysis.search_errors import Budget
    from nmtkit.analysis.sweep import sweep
    from nmtkit.evaluation.metrics import parse_threshold
    from nmtkit.files import read_parallel
    from nmtkit.report.blame import render, to_json, to_tsv
    from nmtkit.report.sweep import render as render_sweep

    if json_file == tsv_file == "-":
        raise typer.BadParameter("--json - and --tsv - cannot share standard output: write one to a file")
    beams, alphas = _numbers(sweep_beams, int, "--sweep-beams"), _numbers(sweep_alphas, float, "--sweep-alphas")
    if save_best and (len(folders) > 1 or not (beams or alphas)):
        raise typer.BadParameter("--save-best writes what a sweep chose into one folder: add --sweep-beams")
    if not exact and given(sample=sample, budget_steps=budget_steps, budget_seconds=budget_seconds):
        raise typer.BadParameter("--sample and the budgets belong to --exact: add it, or leave them out")
    if train_text and not train_sample:
        raise typer.BadParameter("--train-text says where the text of --train-sample is: add it, or leave both out")
    with usage():
        threshold = parse_threshold(errors_below)
    listed = read_errors(errors) if errors else None
    sources, *references = read_parallel(source, *reference)
    translator = load_translator(folders, model)
    settings = search_settings(translator, search)
    with usage():
        check_settings(settings)
        for beam in beams:
            replace(settings, beam=beam, n_best=1)
        for alpha in alphas:
            replace(settings, length_alpha=alpha)
    training = None
    if train_sample:
        training = read_training_text(folders[0], model["weights"] or "best", train_text, train_sample, warn)
    keeper = Keeper(records) if records else None
    asked = min(sample or len(sources), len(sources))
    with _kept(keeper), Progress(asked, "exact search", every=SECONDS) as bar:
        report = blame(
            translator,
            sources,
            references,
            settings,
            tolerance=tolerance,
            errors=listed,
            threshold=threshold,
            reference_segmentations=reference_segmentations,
            exact=Budget(budget_steps or 10_000, budget_seconds, sample) if exact else None,
            keeper=keeper,
            training=training,
            progress=lambda done, proved: bar.update(done, proved=f"{proved} of {done}"),
        )
    made = None
    if beams or alphas:
        made = sweep(translator, sources, references, settings, beams, alphas, tolerance=tolerance)
        if save_best:
            _save(folders[0], made, report.provenance)
    if json_file:
        value = {**to_json(report), "sweep": asdict(made) if made else None}
        write_result(json_file, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    if tsv_file:
        write_result(tsv_file, to_tsv(report))
    if "-" not in (json_file, tsv_file):
        console = stdout_console()
        for part in render(report, examples):
            console.print(part)
        for part in render_sweep(made) if made else ():
            console.print(part)


@contextmanager
def _kept(keeper: Keeper | None) -> Iterator[None]:
    """Say what was kept when the analysis is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if keeper:
            note(f"{keeper}; the same command goes on from there")
        raise


def _numbers(text: str | None, kind: type[Number], flag: str) -> list[Number]:
    """The numbers of a list in one argument."""
    try:
        return [kind(part) for part in (text or "").split(",") if text]
    except ValueError:
        raise typer.BadParameter(f"{flag} {text!r} is no list of numbers: write for example 1,2,5") from None


def _save(folder: Path, made: Sweep, facts: Provenance) -> None:
    """Make the best setting of a sweep the default of a model folder."""
    from nmtkit.checkpoint import save_defaults

    best = made.settings[made.best]
    chosen_on = {
        "sources_sha256": facts.sources_sha256,
        "references_sha256": list(facts.references_sha256),
        "sentences": made.sentences,
        "bleu": best.bleu.value,
        "signature": best.bleu.signature,
    }
    save_defaults(folder, {"beam": best.beam, "length_alpha": best.alpha}, chosen_on)
    note(f"{folder}: beam {best.beam} and α {best.alpha:g} are its defaults now")
