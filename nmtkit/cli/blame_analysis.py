"""`nmtkit blame-analysis`: for every wrong translation, is the search or the model to blame?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nmtkit.blame.bounds import SEGMENTATIONS, TOLERANCE
from nmtkit.cli import paths
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
)
from nmtkit.cli.streams import SECONDS, write_result
from nmtkit.console import Progress, note, stdout_console, warn
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.blame.keeping import Keeper
    from nmtkit.blame.records import Provenance, Report
    from nmtkit.blame.search_errors import Budget
    from nmtkit.blame.sweep import Sweep
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.inspection.details import Detail
    from nmtkit.translator import Translator

Number = TypeVar("Number", int, float)

VERDICTS, CERTIFICATES, REMEDIES, OUTPUT = "Verdicts", "Certificates", "Remedies", "Output"

BANS = ("min_length", "min_length_ratio", "no_repeat_ngram")
"""Options of the search that analysis.blame refuses: known here so that the refusal says why."""

OF_THE_SWEEP = ("tolerance", "reference_segmentations")
"""What decides the verdicts of a sweep, too."""


def _option(
    text: str, panel: str, metavar: str | None = None, name: str | None = None, default: str | bool = True
) -> Any:
    names = (name,) if name else ()
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=default)


VERDICT_OPTIONS: Options = {
    "errors_below": Annotated[
        str | None,
        _option("Second row: errors below this sentence score, chrf or bleu.", VERDICTS, "METRIC:X", default="chrf:60"),
    ],
    "errors": Annotated[
        Path | None,
        paths.read("Numbers of sentences a person judged wrong, one a line: a row of their own.", panel=VERDICTS),
    ],
    "tolerance": Annotated[
        float | None,
        real(
            "On J: differences up to it blame the model. Nats in all at α 0, nats a piece at α 1.",
            TOLERANCE,
            VERDICTS,
            default="0.0001",
        ),
    ],
    "reference_segmentations": Annotated[
        int | None,
        count("Score a reference under its best of so many segmentations.", SEGMENTATIONS, VERDICTS, default="1"),
    ],
}
CERTIFICATE_OPTIONS: Options = {
    "exact": Annotated[bool, _option("Certify the outputs by exact search.", CERTIFICATES, name="--exact")],
    "budget_steps": Annotated[
        int | None, count("Most model steps of it for a sentence.", BUDGET_STEPS, CERTIFICATES, default="10000")
    ],
    "budget_seconds": Annotated[
        float | None,
        real(
            "Most seconds of it for a sentence, on average over a batch.",
            BUDGET_SECONDS,
            CERTIFICATES,
            default="no limit",
        ),
    ],
    "sample": Annotated[
        int | None, count("Certify so many sentences, drawn at random.", panel=CERTIFICATES, default="all")
    ],
}
REMEDY_OPTIONS: Options = {
    "train_sample": Annotated[
        int | None, count("Compare with the loss on so many pairs of the training text.", panel=REMEDIES)
    ],
    "train_text": Annotated[
        Path | None, paths.prefix("That text, if it has moved: PREFIX.LANG.", REMEDIES, default="where it was")
    ],
    "sweep_beams": Annotated[str | None, _option("Measure these beams, too.", REMEDIES, "N,N,…")],
    "sweep_alphas": Annotated[str | None, _option("Measure these length exponents, too.", REMEDIES, "X,X,…")],
    "plot": Annotated[Path | None, paths.written("Draw what was measured, as .png, .svg or .pdf.", panel=REMEDIES)],
    "save_best": Annotated[
        bool, _option("Make the setting to use the folder's default.", REMEDIES, name="--save-best")
    ],
}
OUTPUT_OPTIONS: Options = {
    "records": Annotated[
        Path | None,
        paths.option(
            paths.file_to_go_on_with, "Keep the records here as they come, and go on from them.", panel=OUTPUT
        ),
    ],
    "html": Annotated[Path | None, paths.written("Write a page to look at, one file.", panel=OUTPUT)],
    "details": Annotated[int | None, count("Sentences of the page in full detail.", 0, panel=OUTPUT, default="200")],
    "json": Annotated[Path | None, paths.written("Write all records as JSON.", panel=OUTPUT)],
    "tsv": Annotated[Path | None, paths.written("Write one line a sentence.", panel=OUTPUT)],
    "examples": Annotated[int | None, count("Sentences shown in the table.", 0, panel=OUTPUT, default="5")],
}


@takes(
    verdicts=VERDICT_OPTIONS,
    certificates=CERTIFICATE_OPTIONS,
    remedies=REMEDY_OPTIONS,
    output=OUTPUT_OPTIONS,
    search={**SEARCH_OPTIONS, **refused(*BANS)},
    model=MODEL_OPTIONS,
)
def blame_analysis(
    folders: Folders,
    source: Annotated[Path, paths.read("Text to translate.", "--source", "-s")],
    reference: Annotated[list[Path], paths.read("Human translations; repeat for several.", "--reference", "-r")],
    *,
    verdicts: Options,
    certificates: Options,
    remedies: Options,
    output: Options,
    search: Options,
    model: Options,
) -> None:
    """Blame the beam search or the model for every wrong translation.

    The search is to blame where the human translation has the higher score J (log P / length^alpha), so that the model
    prefers it but the search did not find it; the model is to blame where it prefers its own output. The table shows
    both, the shares with 95 % intervals, and what to do next.
    """
    from nmtkit.blame.analysis import blame, check_settings
    from nmtkit.blame.fit import read_training_text, training_paths
    from nmtkit.blame.keeping import Keeper
    from nmtkit.blame.sweep import sweep
    from nmtkit.files import read_parallel

    _check(len(folders), certificates, remedies, output)
    if remedies["train_sample"]:
        known = paths.named(train_sample=training_paths(folders[0], remedies["train_text"]))
        paths.keep_apart(known, paths.named(plot=remedies["plot"], **output))
    question = _question(verdicts)
    sources, *references = read_parallel(source, *reference)
    translator = load_translator(folders, model)
    settings = search_settings(translator, search)
    beams, alphas = _swept(remedies)
    with usage():
        check_settings(settings)
        for beam in beams:
            replace(settings, beam=beam, n_best=1)
        for alpha in alphas:
            replace(settings, length_alpha=alpha)
    training = None
    if wanted := remedies["train_sample"]:
        training = read_training_text(folders[0], model["weights"] or "best", remedies["train_text"], wanted, warn)
    keeper = Keeper(output["records"]) if output["records"] else None
    asked = min(certificates["sample"] or len(sources), len(sources))
    with _kept(keeper), Progress(asked, "exact search", every=SECONDS) as bar:
        report = blame(
            translator,
            sources,
            references,
            settings,
            **question,
            exact=_budget(certificates),
            keeper=keeper,
            training=training,
            progress=lambda done, proved: bar.update(done, proved=f"{proved} of {done}"),
        )
    if keeper:
        note(f"{keeper}")
    made = None
    if beams or alphas:
        decides: dict[str, Any] = {name: value for name, value in question.items() if name in OF_THE_SWEEP}
        made = sweep(translator, sources, references, settings, beams, alphas, **decides)
        if remedies["save_best"]:
            _save(folders[0], made, report.provenance)
    _write(report, made, output, remedies["plot"], lambda most: _explain(translator, report, settings, most))


def _check(folders: int, certificates: Options, remedies: Options, output: Options) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    from nmtkit.report.plot import check

    sweeping = any(_swept(remedies))
    if remedies["save_best"] and (folders > 1 or not sweeping):
        raise typer.BadParameter("--save-best writes what a sweep chose into one folder: add --sweep-beams")
    if remedies["plot"]:
        if not sweeping:
            raise typer.BadParameter("--plot draws what a sweep measured: add --sweep-beams")
        with usage():
            check(remedies["plot"])
    if not certificates["exact"] and len(given(**certificates)) > 1:
        raise typer.BadParameter("--sample and the budgets belong to --exact: add it, or leave them out")
    if remedies["train_text"] and not remedies["train_sample"]:
        raise typer.BadParameter("--train-text says where the text of --train-sample is: add it, or leave both out")
    if output["details"] is not None and not output["html"]:
        raise typer.BadParameter("--details says how much --html shows: add it, or leave both out")


def _question(verdicts: Options) -> dict[str, Any]:
    """What decides the verdicts, as `blame` takes it."""
    from nmtkit.blame.question import read_errors
    from nmtkit.evaluation.metrics import parse_threshold

    values = given(**{name: verdicts[name] for name in ("tolerance", "reference_segmentations")})
    if verdicts["errors_below"]:
        with usage():
            values["threshold"] = parse_threshold(verdicts["errors_below"])
    if verdicts["errors"]:
        values["errors"] = read_errors(verdicts["errors"])
    return values


def _budget(certificates: Options) -> Budget | None:
    from nmtkit.blame.search_errors import Budget

    if not certificates["exact"]:
        return None
    return Budget(certificates["budget_steps"] or 10_000, certificates["budget_seconds"], certificates["sample"])


def _swept(remedies: Options) -> tuple[list[int], list[float]]:
    """Beams and exponents to be measured."""
    beams = _numbers(remedies["sweep_beams"], int, "--sweep-beams")
    return beams, _numbers(remedies["sweep_alphas"], float, "--sweep-alphas")


def _explain(translator: Translator, report: Report, settings: SearchSettings, most: int) -> list[Detail]:
    from nmtkit.inspection.details import explain
    from nmtkit.report.blame import all_in_turn

    return explain(translator, all_in_turn(report)[:most], settings)


def _write(
    report: Report, made: Sweep | None, output: Options, plot: Path | None, explain: Callable[[int], list[Detail]]
) -> None:
    """The files that were asked for, and the tables."""
    from nmtkit.report.blame import render, to_json, to_tsv
    from nmtkit.report.blame_page import DETAILS, page
    from nmtkit.report.plot import draw

    sentences = counted(len(report.records), "sentence")
    if output["json"]:
        value = {**to_json(report), "sweep": asdict(made) if made else None}
        write_result(output["json"], json.dumps(value, indent=1, ensure_ascii=False) + "\n", sentences)
    if output["tsv"]:
        write_result(output["tsv"], to_tsv(report), sentences)
    if output["html"]:
        most = DETAILS if output["details"] is None else output["details"]
        write_result(output["html"], page(report, made, explain(most)), sentences)
    if plot and made:
        draw(made, plot)
        note(f"{plot}: {counted(len(made.settings), 'setting')}")
    if paths.STANDARD not in (output["json"], output["tsv"], output["html"]):
        console = stdout_console()
        for part in render(report, 5 if output["examples"] is None else output["examples"], made):
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
    from nmtkit.checkpoint import ChosenOn, save_defaults

    best = made.chosen
    chosen_on = ChosenOn(
        facts.sources_sha256,
        tuple(facts.references_sha256),
        made.sentences,
        best.bleu.value,
        best.bleu.signature,
    )
    save_defaults(folder, {"beam": best.beam, "length_alpha": best.alpha}, chosen_on)
    why = "" if best is made.settings[made.best] else ", for no other is better beyond chance"
    note(f"{folder}: beam {best.beam} and α {best.alpha:g} are its defaults now{why}")
