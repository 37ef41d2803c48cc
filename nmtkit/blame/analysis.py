"""Error analysis after Ng: for every wrong translation, is the search or the model at fault?

With the objective J that the search maximises, the reference y* and the output ŷ, both scored by one forced pass:

    equal         ŷ and y* are the same text                                   no error
    beam          J(y*) > J(ŷ) + tolerance                                     the search missed what the model prefers
    model         J(y*) ≤ J(ŷ) + tolerance                                     the model prefers the worse translation
    unreachable   y* is longer than the limit, the model cannot produce it,    neither
                  or its pieces do not begin with those of a forced prefix

Under a forced prefix J is that of what follows it, as in every search (`Objective`).

`rule.py` says what is the same text, which reference judges, and which of two J is higher. The tolerance is an
absolute difference of the two J: nats in all where α = 0, nats a piece where α = 1. `equal` is decided first, so a text
that the search did return is never unreachable. The model cannot produce a piece of probability zero, nor UNK, which
stands for no certain text. A reference that is longer than any translation could be is not scored at all. The empty
translation, |y| = 1, is judged like any other, so a blank source, whose limit is 1, is `equal` or `unreachable`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import sacrebleu

from nmtkit import __version__, console
from nmtkit.blame.findings import Provenance, Report
from nmtkit.blame.fit import TrainingText, measure
from nmtkit.blame.model_errors import ALPHAS, flips
from nmtkit.blame.precision import count_changes
from nmtkit.blame.question import (
    TOLERANCE,
    WINDOW,
    Question,
    check,
    warn_about_blanks,
    warn_about_length,
    warn_about_listed,
)
from nmtkit.blame.rows import count
from nmtkit.blame.rule import Rule, blank_as_empty
from nmtkit.blame.search_errors import WIDTHS, Budget, certify, count_proofs, widen
from nmtkit.blame.verdicts import judge
from nmtkit.decoding.settings import SHOWN
from nmtkit.evaluation.threshold import USUAL, Threshold
from nmtkit.files import sha256_of_lines

if TYPE_CHECKING:
    from nmtkit.blame.keeping import Keeper
    from nmtkit.blame.records import Record
    from nmtkit.decoding.engines import Engine
    from nmtkit.decoding.objective import Objective
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator


def blame(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    *,
    tolerance: float = TOLERANCE,
    errors: Collection[int] | None = None,
    threshold: Threshold = USUAL,
    reference_segmentations: int = 1,
    prefixes: Sequence[str] | None = None,
    exact: Budget | None = None,
    keeper: Keeper | None = None,
    training: TrainingText | None = None,
    engine: Engine | None = None,
    warn: Callable[[str], None] = console.warn,
    progress: Callable[[int, int], None] = lambda done, proved: None,
) -> Report:
    """Translate the sources and blame the search or the model for every output that differs from its references.

    Args:
        references: one or more reference sets, each with a line for every source; the best reachable one judges.
        settings: settings of the search; `n_best` is not used.
        tolerance: J(y*) must exceed J(ŷ) by more than this for the verdict `beam`; within `bounds.TOLERANCE`.
        errors: numbers (from 1) of the sentences that a person judged wrong; they are counted in a row of their own.
        threshold: outputs with a worse sentence score are the errors of the second row.
        reference_segmentations: how many segmentations of a reference are scored; the best J counts.
        prefixes: what each output is forced to begin with, blank for nothing.
        exact: budget of an exact search that certifies the outputs; None: no certificates.
        keeper: gives the records of an interrupted analysis and keeps the new ones; None: nothing is kept.
        training: what the model was trained on; a sample is scored for comparison. None: no comparison.
        engine: gives the outputs under `settings`, which must be its own; all else is the model's in float32.
        warn: called with a sentence for everything that is odd about the texts.
        progress: called with the number of sentences that exact search has done, and for how many it proved the best.

    Raises:
        ValueError: for texts and arguments that do not fit, and where search and forced pass score an output unlike.
    """
    question = Question(tolerance, frozenset(errors or ()), threshold, reference_segmentations, prefixes)
    check(sources, references, question)
    settings = replace(check_settings(settings), n_best=1)
    texts = [tuple(blank_as_empty(text) for text in row) for row in zip(*references, strict=True)]
    warn_about_blanks(sources, texts, warn)
    provenance = _provenance(translator, sources, references, settings, question, exact, engine)
    keep = keeper.keep if keeper else lambda records: None
    records = keeper.begin(provenance) if keeper else []
    _judge_all(translator, sources, texts, settings, question, records, keep, engine)
    if exact:
        records = certify(translator, sources, records, settings, tolerance, exact, progress, keep)
    warn_about_listed(records, warn)
    warn_about_length(records, warn)
    return Report(
        tuple(records),
        rows := count(records, judged=errors is not None),
        replace(provenance, rescoring_difference=max(record.rescoring for record in records)),
        count_proofs(records),
        tuple(flips(records, _others(settings), tolerance)),
        measure(translator, records, training, settings) if training else None,
        count_changes(records, rows, Rule(settings.objective, tolerance)) if engine else None,
    )


def _others(settings: SearchSettings) -> list[Objective]:
    """The objectives with other exponents, under which verdicts are compared."""
    return [replace(settings, length_alpha=alpha).objective for alpha in ALPHAS if alpha != settings.length_alpha]


def _judge_all(
    translator: Translator,
    sources: Sequence[str],
    texts: Sequence[tuple[str, ...]],
    settings: SearchSettings,
    question: Question,
    records: list[Record],
    keep: Callable[[Sequence[Record]], None],
    engine: Engine | None,
) -> None:
    """Append the missing records, window by window."""
    for start in range(len(records), len(sources), WINDOW):
        part = slice(start, start + WINDOW)
        judged = judge(translator, sources[part], texts[part], settings, question, start + 1, engine)
        records += widen(translator, sources, judged, settings, question.tolerance)
        keep(records)


RECORDED = ("patience", "free_eos", "forbid_unk")
"""Settings of the search that have a field of their own in the provenance."""


def check_settings(settings: SearchSettings) -> SearchSettings:
    """The settings. Raises ValueError for one that bans some outputs, but not the references that are scored."""
    for name in ("min_length", "min_length_ratio", "no_repeat_ngram"):
        if getattr(settings, name):
            raise ValueError(f"{name} = {getattr(settings, name)} bans outputs, not references: leave it out")
    return settings


def _provenance(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    question: Question,
    exact: Budget | None,
    engine: Engine | None,
) -> Provenance:
    """Everything that determines the records."""
    return Provenance(
        nmtkit=__version__,
        model=translator.folder_hash,
        beam=settings.beam,
        length_alpha=settings.length_alpha,
        length_penalty=settings.length_penalty,
        length_limit=translator.limit_in_words(settings),
        patience=settings.patience,
        free_eos=settings.free_eos,
        forbid_unk=settings.forbid_unk,
        max_source=settings.max_source,
        tolerance=question.tolerance,
        listed=tuple(sorted(question.listed)),
        reference_segmentations=question.segmentations,
        sentence_metric=question.threshold.metric.name,
        sentence_threshold=question.threshold.value,
        sacrebleu=sacrebleu.__version__,
        widths=tuple(width for width in WIDTHS if width > settings.beam),
        exact_steps=exact.steps if exact else None,
        exact_seconds=exact.seconds if exact else None,
        exact_sample=exact.sample if exact else None,
        sources_sha256=sha256_of_lines(sources),
        references_sha256=tuple(sha256_of_lines(lines) for lines in references),
        scores_file=question.threshold.metric.origin,
        other_settings=settings.changed(*SHOWN, *RECORDED) or None,
        prefixes_sha256=None if question.prefixes is None else sha256_of_lines(question.prefixes),
        engine=engine.in_words if engine else None,
    )
