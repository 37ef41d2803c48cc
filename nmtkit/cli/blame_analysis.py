"""`nmtkit blame-analysis`: for every wrong translation, is the search or the model to blame?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from nmtkit.cli import paths
from nmtkit.cli.blame_options import (
    OF_THE_SWEEP,
    CertificateFlags,
    OutputFlags,
    RemedyFlags,
    Searched,
    VerdictFlags,
    budget,
    check,
    question,
    swept,
)
from nmtkit.cli.engine import EngineFlags, check_engine, load_engine
from nmtkit.cli.metrics import OutsideFlags
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    SearchFlags,
    load_translator,
    search_settings,
    takes,
    usage,
)
from nmtkit.cli.streams import SECONDS, write_result
from nmtkit.console import Progress, note, stdout_console, warn
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.blame.findings import Provenance, Report
    from nmtkit.blame.fit import TrainingText
    from nmtkit.blame.keeping import Keeper
    from nmtkit.blame.sweep import Sweep
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.inspection.details import Detail
    from nmtkit.translator import Translator


@takes(
    verdicts=VerdictFlags,
    outside=OutsideFlags,
    certificates=CertificateFlags,
    remedies=RemedyFlags,
    output=OutputFlags,
    search=Searched,
    engine=EngineFlags,
    model=MachineFlags,
)
def blame_analysis(
    folders: Folders,
    source: Annotated[Path, paths.read("Text to translate.", "--source", "-s")],
    reference: Annotated[list[Path], paths.read("Human translations; repeat for several.", "--reference", "-r")],
    prefix: Annotated[
        Path | None, paths.read("Line N begins the output for line N; blank: nothing is forced.", "--prefix")
    ] = None,
    *,
    verdicts: VerdictFlags,
    outside: OutsideFlags,
    certificates: CertificateFlags,
    remedies: RemedyFlags,
    output: OutputFlags,
    search: SearchFlags,
    engine: EngineFlags,
    model: MachineFlags,
) -> None:
    """Blame the beam search or the model for every wrong translation.

    The search is to blame where the human translation has the higher score J (log P / length^alpha), so that the model
    prefers it but the search did not find it; the model is to blame where it prefers its own output. The table shows
    both, the shares with 95 % intervals, and what to do next.
    """
    from nmtkit.blame.analysis import blame
    from nmtkit.blame.keeping import Keeper
    from nmtkit.features import read_sources

    check(len(folders), verdicts, outside, certificates, remedies, output)
    check_engine(engine, remedies, prefix=prefix)
    _check_training_text(folders[0], remedies, output)
    sources, *texts = read_sources(source, *reference, *([prefix] if prefix else []))
    references, prefixes = texts[: len(reference)], texts[-1] if prefix else None
    asked = {**question(verdicts, outside, len(sources)), "prefixes": prefixes}
    translator = load_translator(folders, model)
    settings = _settings(translator, search, remedies)
    other = load_engine(engine, translator, settings)
    settings = other.settings if other else settings
    training = _training_text(folders[0], model, remedies)
    keeper = Keeper(output.records) if output.records else None
    certified = min(certificates.sample or len(sources), len(sources))
    with _kept(keeper), Progress(certified, "exact search", every=SECONDS) as bar:
        report = blame(
            translator,
            sources,
            references,
            settings,
            **asked,
            exact=budget(certificates),
            keeper=keeper,
            training=training,
            engine=other,
            progress=lambda done, proved: bar.update(done, proved=f"{proved} of {done}"),
        )
    if keeper:
        note(_shown(keeper))
    measured = _measure(translator, sources, references, settings, remedies, asked)
    if measured and remedies.save_best:
        _save(folders[0], measured, report.provenance)
    _write(report, measured, output, remedies.plot, lambda most: _explain(translator, sources, report, settings, most))


def _check_training_text(folder: Path, remedies: RemedyFlags, output: OutputFlags) -> None:
    """Refuse to write over the training text."""
    from nmtkit.blame.fit import training_paths

    if remedies.train_sample:
        texts = training_paths(folder, remedies.train_text or ())
        known = paths.named(train_sample=[path for text in texts for path in text])
        paths.keep_apart(known, paths.named(plot=remedies.plot, **vars(output)))


def _settings(translator: Translator, search: SearchFlags, remedies: RemedyFlags) -> SearchSettings:
    """The settings of the search. Those that a sweep will measure are checked, too."""
    from nmtkit.blame.analysis import check_settings

    settings = search_settings(translator, search)
    beams, alphas = swept(remedies)
    with usage():
        check_settings(settings)
        for beam in beams:
            replace(settings, beam=beam, n_best=1)
        for alpha in alphas:
            replace(settings, length_alpha=alpha)
    return settings


def _training_text(folder: Path, model: MachineFlags, remedies: RemedyFlags) -> TrainingText | None:
    from nmtkit.blame.fit import read_training_text

    wanted = remedies.train_sample
    return (
        read_training_text(folder, model.weights or "best", remedies.train_text or (), wanted, warn) if wanted else None
    )


def _measure(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    remedies: RemedyFlags,
    asked: Mapping[str, Any],
) -> Sweep | None:
    """Measure the sweep, if the user asked for one."""
    from nmtkit.blame.sweep import sweep
    from nmtkit.evaluation.metrics import with_usual

    beams, alphas = swept(remedies)
    if not beams and not alphas:
        return None
    decides: dict[str, Any] = {name: value for name, value in asked.items() if name in OF_THE_SWEEP}
    columns = with_usual(remedies.metric or ())
    return sweep(translator, sources, references, settings, beams, alphas, metrics=columns, **decides)


def _explain(
    translator: Translator, sources: Sequence[str], report: Report, settings: SearchSettings, most: int
) -> list[Detail]:
    from nmtkit.inspection.details import explain
    from nmtkit.report.blame import all_in_turn

    return explain(translator, sources, all_in_turn(report)[:most], settings)


def _write(
    report: Report,
    measured: Sweep | None,
    output: OutputFlags,
    plot: Path | None,
    explain: Callable[[int], list[Detail]],
) -> None:
    """Write the files that the user named, and print the tables."""
    from nmtkit.report.blame import render, to_json, to_tsv
    from nmtkit.report.blame_page import DETAILS, page
    from nmtkit.report.plot import draw
    from nmtkit.report.sweep import to_json as sweep_to_json

    sentences = counted(len(report.records), "sentence")
    if output.json:
        value = {**to_json(report), "sweep": sweep_to_json(measured) if measured else None}
        write_result(output.json, json.dumps(value, indent=1, ensure_ascii=False) + "\n", sentences)
    if output.tsv:
        write_result(output.tsv, to_tsv(report), sentences)
    if output.html:
        most = DETAILS if output.details is None else output.details
        write_result(output.html, page(report, measured, explain(most)), sentences)
    if plot and measured:
        draw(measured, plot)
        note(f"{plot}: {counted(len(measured.settings), 'setting')}")
    if paths.STANDARD not in (output.json, output.tsv, output.html):
        console = stdout_console()
        for part in render(report, 5 if output.examples is None else output.examples, measured):
            console.print(part)


def _shown(keeper: Keeper) -> str:
    judged, certified = keeper.counts
    return f"{keeper.path}: {counted(judged, 'sentence')} judged, {certified} certified"


@contextmanager
def _kept(keeper: Keeper | None) -> Iterator[None]:
    """Say what was kept if the analysis is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if keeper:
            note(f"{_shown(keeper)}; the same command goes on from there")
        raise


def _save(folder: Path, measured: Sweep, facts: Provenance) -> None:
    """Make the best setting of a sweep the default of a model folder."""
    from nmtkit.checkpoint import ChosenOn, save_defaults

    best = measured.chosen
    chosen_on = ChosenOn(
        facts.sources_sha256,
        tuple(facts.references_sha256),
        measured.sentences,
        best.deciding.value,
        best.deciding.signature,
    )
    save_defaults(folder, {"beam": best.beam, "length_alpha": best.alpha}, chosen_on)
    why = "" if best is measured.settings[measured.best] else ", for no other is better beyond chance"
    note(f"{folder}: beam {best.beam} and α {best.alpha:g} are its defaults now{why}")
