"""Two analyses of one text, before and after a remedy: which verdicts changed, and is it better beyond chance?

Counts of errors are tested by McNemar's exact test (1947): without a difference, each sentence that changed turns one
way or the other like a fair coin. Corpus scores are tested by paired bootstrap resampling.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from nmtkit.blame.findings import Errors, Provenance, Report
from nmtkit.blame.records import Record, Verdict
from nmtkit.blame.rule import same_text
from nmtkit.blame.sweep import Sweep
from nmtkit.evaluation.bootstrap import CHANCE, RESAMPLES
from nmtkit.evaluation.metric import Direction, Metric, Scale
from nmtkit.evaluation.metrics import USUAL
from nmtkit.evaluation.significance import Comparison, paired_bootstrap
from nmtkit.words import counted

NO_SETTINGS = ("sources_sha256", "references_sha256", "rescoring_difference", "scores_file")
"""Fields of a provenance that are not settings: texts, which must be the same, a measurement, and a file of scores."""
SEARCHED = (
    "model",
    "length_penalty",
    "length_limit",
    "patience",
    "free_eos",
    "forbid_unk",
    "max_source",
    "other_settings",
    "prefixes_sha256",
    "engine",
)
"""What decides the outputs besides beam and exponent."""


@dataclass(frozen=True)
class Changed:
    """A setting that differs between the analyses; `name` is a field of `Provenance`."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Counts:
    """How many sentences have a verdict."""

    verdict: Verdict
    before: int
    after: int


@dataclass(frozen=True)
class Shift:
    """Errors of a kind before and after, and the sentences that ceased to be errors or became errors.

    Attributes:
        kind: which sentences count as errors.
        before, after: number of errors in each analysis.
        gone, new: errors that are gone in the second analysis, and errors that are new there.
        p_value: of McNemar's exact two-sided test of "as many errors go as come".
    """

    kind: Errors
    before: int
    after: int
    gone: int
    new: int
    p_value: float

    @property
    def decided(self) -> bool:
        """Whether the change is beyond chance."""
        return self.p_value < CHANCE


@dataclass(frozen=True)
class Promise:
    """What the sweep of the first analysis measured for the setting of the second, and what came.

    Attributes:
        beam, alpha: the setting.
        metric: metric by which the sweep compared settings.
        measured, found: corpus score that the sweep measured, and that of the outputs of the second analysis.
        chosen: whether this setting was the best of the sweep.
    """

    beam: int
    alpha: float
    metric: Scale
    measured: float
    found: float
    chosen: bool

    @property
    def kept(self) -> bool:
        """Whether the two scores agree to the hundredth."""
        return abs(self.measured - self.found) < 0.005


@dataclass(frozen=True)
class Unpromised:
    """Why a sweep promised nothing for a setting.

    Attributes:
        beam, alpha: the setting.
        swept: whether there was a sweep.
        others: fields of `Provenance` that had another value in the sweep; where there are none, the sweep did not
            measure the setting.
    """

    beam: int
    alpha: float
    swept: bool
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Two analyses of the same sentences.

    Attributes:
        sentences: number of sentences.
        settings: settings that differ, in the order of `Provenance`.
        transitions: 4 × 4 counts in the order of `Verdict`: rows are verdicts before, columns verdicts after.
        counts: counts of each verdict, in the order of `Verdict`.
        changed: numbers of the sentences whose verdict changed, ascending.
        same_output: how many of these have the same output as before, so that only the judgement changed.
        rewritten: number of outputs that are another text now, whatever their verdict.
        scale, threshold: metric of the sentence scores; errors with a score worse than the threshold are counted apart.
        shifts: shifts of all errors, of errors with a bad sentence score, and of beam errors.
        scores: corpus scores, paired; the first metric is the one by which a sweep compares settings.
        j_change: change of the mean J(ŷ); None where model, objective or prefixes differ, so that J cannot be compared.
        promise: what the sweep promised; None where it promised nothing for the second analysis.
        unpromised: why there is no promise; None where there is one.
    """

    sentences: int
    settings: tuple[Changed, ...]
    transitions: tuple[tuple[int, ...], ...]
    counts: tuple[Counts, ...]
    changed: tuple[int, ...]
    same_output: int
    rewritten: int
    scale: Scale
    threshold: float
    shifts: tuple[Shift, Shift, Shift]
    scores: tuple[Comparison, ...]
    j_change: float | None
    promise: Promise | None
    unpromised: Unpromised | None


def compare_reports(
    before: Report,
    after: Report,
    sweep: Sweep | None,
    metrics: Sequence[Metric] = USUAL,
    *,
    resamples: int = RESAMPLES,
) -> Difference:
    """What a remedy changed.

    Args:
        sweep: sweep of the first analysis; None where it had none.
        metrics: metrics of the corpus; the first is the one by which a sweep compares settings.
        resamples: resamples of the bootstrap.

    Raises:
        ValueError: where the analyses are not of the same texts, or count other errors in their second rows.
    """
    _check(before, after)
    pairs = list(zip(before.records, after.records, strict=True))
    turns = Counter((old.verdict, new.verdict) for old, new in pairs)
    changed = [(old, new) for old, new in pairs if old.verdict != new.verdict]
    scores = tuple(_score(metric, pairs, resamples) for metric in metrics)
    unpromised = _unpromised(before.provenance, after.provenance, sweep)
    return Difference(
        sentences=len(pairs),
        settings=_settings(before.provenance, after.provenance),
        transitions=tuple(tuple(turns[old, new] for new in Verdict) for old in Verdict),
        counts=tuple(
            Counts(kind, *(sum(record.verdict == kind for record in report.records) for report in (before, after)))
            for kind in Verdict
        ),
        changed=tuple(old.number for old, _ in changed),
        same_output=sum(same_text(old.output.text, new.output.text) for old, new in changed),
        rewritten=sum(not same_text(old.output.text, new.output.text) for old, new in pairs),
        scale=before.provenance.scale,
        threshold=before.provenance.sentence_threshold,
        shifts=_shifts(pairs),
        scores=scores,
        j_change=_j_change(pairs) if _comparable(before.provenance, after.provenance) else None,
        promise=_promise(after.provenance, sweep, scores[0].system) if sweep and not unpromised else None,
        unpromised=unpromised,
    )


def mcnemar(gone: int, new: int) -> float:
    """The exact two-sided p-value: twice the smaller tail of a binomial distribution with share ½, at most 1."""
    total, tail, term = gone + new, 0, 1
    for count in range(min(gone, new) + 1):
        tail += term
        term = term * (total - count) // (count + 1)
    return min(1.0, float(Fraction(2 * tail, 2**total)))


def _check(before: Report, after: Report) -> None:
    old, new = before.provenance, after.provenance
    if old.sources_sha256 != new.sources_sha256 or len(before.records) != len(after.records):
        raise ValueError(
            f"the reports are of different source texts ({len(before.records)} and "
            f"{counted(len(after.records), 'sentence')}), so "
            "no sentence can be compared: give blame-analysis the same --source for both"
        )
    if old.references_sha256 != new.references_sha256:
        raise ValueError(
            f"the reports have different references ({len(old.references_sha256)} and {len(new.references_sha256)} "
            "sets): give blame-analysis the same --reference files, in the same order, for both"
        )
    rows = [(facts.scale.direction, facts.sentence_metric, facts.sentence_threshold) for facts in (old, new)]
    if rows[0] != rows[1]:
        sides = {Direction.HIGHER: "below", Direction.LOWER: "above"}
        first, second = (
            f"{sides[facts.scale.direction]} {facts.scale.title} {facts.sentence_threshold:g}" for facts in (old, new)
        )
        raise ValueError(
            f"the reports count other errors in their second rows ({first} and {second}): give blame-analysis the same "
            "--errors-below for both"
        )


def _settings(old: Provenance, new: Provenance) -> tuple[Changed, ...]:
    names = [field.name for field in fields(Provenance) if field.name not in NO_SETTINGS]
    values = [(name, getattr(old, name), getattr(new, name)) for name in names]
    return tuple(Changed(name, before, after) for name, before, after in values if before != after)


def _shifts(pairs: list[tuple[Record, Record]]) -> tuple[Shift, Shift, Shift]:
    return (
        _shift(Errors.DIFFERENT, pairs, lambda record: record.verdict != Verdict.EQUAL),
        _shift(Errors.WORSE, pairs, lambda record: record.below),
        _shift(Errors.MISSED, pairs, lambda record: record.verdict == Verdict.BEAM),
    )


def _shift(kind: Errors, pairs: list[tuple[Record, Record]], wrong: Callable[[Record], bool]) -> Shift:
    turns = Counter((wrong(old), wrong(new)) for old, new in pairs)
    stayed, gone, new = turns[True, True], turns[True, False], turns[False, True]
    return Shift(kind, stayed + gone, stayed + new, gone, new, mcnemar(gone, new))


def _score(metric: Metric, pairs: list[tuple[Record, Record]], resamples: int) -> Comparison:
    """Corpus scores of both analyses against all references."""
    old, new = ([record.output.text for record in records] for records in zip(*pairs, strict=True))
    sets = zip(*([reference.text for reference in record.references] for record, _ in pairs), strict=True)
    (comparison,) = paired_bootstrap(metric, old, [new], [list(lines) for lines in sets], resamples)
    return comparison


def _comparable(old: Provenance, new: Provenance) -> bool:
    """Whether both analyses have the same J; a model without a folder has no hash to compare."""
    names = ("model", "length_alpha", "length_penalty", "prefixes_sha256")
    return bool(old.model) and all(getattr(old, name) == getattr(new, name) for name in names)


def _j_change(pairs: list[tuple[Record, Record]]) -> float:
    return statistics.fmean(new.output.score - old.output.score for old, new in pairs)


def _unpromised(old: Provenance, new: Provenance, sweep: Sweep | None) -> Unpromised | None:
    """Why the sweep promised nothing; None where it did."""
    if sweep is None:
        return Unpromised(new.beam, new.length_alpha, swept=False)
    others = tuple(name for name in SEARCHED if getattr(old, name) != getattr(new, name))
    if others or (new.beam, new.length_alpha) not in _places(sweep):
        return Unpromised(new.beam, new.length_alpha, True, others)
    return None


def _promise(new: Provenance, sweep: Sweep, reached: float) -> Promise:
    index = _places(sweep).index((new.beam, new.length_alpha))
    score = sweep.settings[index].deciding
    return Promise(new.beam, new.length_alpha, score.metric, score.value, reached, index == sweep.best)


def _places(sweep: Sweep) -> list[tuple[int, float]]:
    return [(setting.beam, setting.alpha) for setting in sweep.settings]
