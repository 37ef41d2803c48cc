"""Two analyses of one text, before and after a remedy: which verdicts changed, and is it better beyond chance?

Whether sentences became errors or ceased to be is tested by McNemar's exact test (1947): of n sentences that changed,
as many may turn one way as a fair coin shows heads. BLEU and chrF are tested by paired bootstrap resampling.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from nmtkit.blame.records import Provenance, Record, Report, Verdict
from nmtkit.blame.rows import METRIC_NAMES
from nmtkit.blame.rule import same_text
from nmtkit.blame.sweep import Sweep
from nmtkit.evaluation.bootstrap import CHANCE, RESAMPLES
from nmtkit.evaluation.significance import Comparison, paired_bootstrap
from nmtkit.words import counted, plural

NO_SETTINGS = ("sources_sha256", "references_sha256", "rescoring_difference")
"""What of a provenance is no setting: the texts, which must be the same, and a measurement."""
SEARCHED = ("model", "length_penalty", "length_limit", "patience", "free_eos", "forbid_unk", "max_source")
"""What decides the outputs besides beam and exponent."""
TITLES = {
    "length_alpha": "α",
    "listed": "errors that a person listed",
    "max_source": "limit of source pieces",
    "nmtkit": "version of nmtkit",
    "widths": "wider beams tried",
}
"""Settings whose name does not speak for itself."""


@dataclass(frozen=True)
class Changed:
    """A setting of the analysis that differs; `name` is that of a field of `Provenance`."""

    name: str
    before: Any
    after: Any

    @property
    def title(self) -> str:
        """The name in words."""
        return title(self.name)


@dataclass(frozen=True)
class Counts:
    """How many sentences have a verdict."""

    verdict: Verdict
    before: int
    after: int


@dataclass(frozen=True)
class Shift:
    """Sentences that ceased to be errors of a kind, or became such.

    Attributes:
        title: which errors.
        before, after: how many there were and are.
        gone, new: of the first those that are none now, of the second those that were none.
        p_value: of McNemar's exact two-sided test of "as many go as come".
    """

    title: str
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
        bleu, found: corpus BLEU as measured by the sweep, and of the second analysis's outputs.
        chosen: whether the sweep found this setting the best.
    """

    beam: int
    alpha: float
    bleu: float
    found: float
    chosen: bool

    @property
    def kept(self) -> bool:
        """Whether both agree to the hundredth."""
        return abs(self.bleu - self.found) < 0.005


@dataclass(frozen=True)
class Difference:
    """Two analyses of the same sentences.

    Attributes:
        sentences: how many.
        settings: that differ, in the order of `Provenance`.
        transitions: 4 × 4 counts in the order of `Verdict`: the row is the verdict before, the column that after.
        counts: of each verdict, in the order of `Verdict`.
        changed: numbers of the sentences whose verdict changed, ascending.
        same_output: of these, those whose output is the same text: not the output turned, but what judges it.
        rewritten: outputs that are another text now, whatever their verdict.
        shifts: of all errors, of those below the sentence score, and of beam errors.
        scores: corpus BLEU and chrF, paired.
        j_change: mean of J(ŷ) after less before; None where model or objective differ, so that J cannot be compared.
        promise: None where the sweep promised nothing for the second analysis; `unpromised` says why.
    """

    sentences: int
    settings: tuple[Changed, ...]
    transitions: tuple[tuple[int, ...], ...]
    counts: tuple[Counts, ...]
    changed: tuple[int, ...]
    same_output: int
    rewritten: int
    shifts: tuple[Shift, Shift, Shift]
    scores: tuple[Comparison, Comparison]
    j_change: float | None
    promise: Promise | None
    unpromised: str


def compare(before: Report, after: Report, sweep: Sweep | None, *, resamples: int = RESAMPLES) -> Difference:
    """What a remedy changed.

    Args:
        sweep: of the analysis before; None if it had none.
        resamples: of the bootstrap.

    Raises:
        ValueError: where the analyses are not of the same texts, or count other errors in their second rows.
    """
    _check(before, after)
    pairs = list(zip(before.records, after.records, strict=True))
    turns = Counter((old.verdict, new.verdict) for old, new in pairs)
    changed = [(old, new) for old, new in pairs if old.verdict != new.verdict]
    scores = _score("bleu", pairs, resamples), _score("chrf", pairs, resamples)
    promise = _promise(before.provenance, after.provenance, sweep, scores[0].system)
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
        shifts=_shifts(pairs, before.provenance),
        scores=scores,
        j_change=_j_change(pairs) if _comparable(before.provenance, after.provenance) else None,
        promise=promise if isinstance(promise, Promise) else None,
        unpromised="" if isinstance(promise, Promise) else promise,
    )


def mcnemar(gone: int, new: int) -> float:
    """The exact two-sided p-value: twice the smaller tail of a binomial distribution with share ½, at most 1."""
    total, tail, term = gone + new, 0, 1
    for count in range(min(gone, new) + 1):
        tail += term
        term = term * (total - count) // (count + 1)
    return min(1.0, float(Fraction(2 * tail, 2**total)))


OF_THE_ANALYSIS = ("widths", "exact_steps", "exact_seconds", "exact_sample", "listed", "reference_segmentations")
"""What differs in how it was looked at, not in what was done."""


def title(name: str) -> str:
    """The name of a field of `Provenance` in words."""
    return TITLES.get(name, name.replace("_", " "))


def in_words(value: Any) -> str:
    """The value of a setting."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def chance(p_value: float) -> str:
    """A p-value with three digits."""
    return "p < 0.001" if p_value < 0.0005 else f"p = {p_value:.3f}"


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
    rows = [f"{METRIC_NAMES[one.sentence_metric]} {one.sentence_threshold:g}" for one in (old, new)]
    if (old.sentence_metric, old.sentence_threshold) != (new.sentence_metric, new.sentence_threshold):
        raise ValueError(
            f"the reports count other errors in their second rows (below {rows[0]} and below {rows[1]}): give "
            "blame-analysis the same --errors-below for both"
        )


def _settings(old: Provenance, new: Provenance) -> tuple[Changed, ...]:
    names = [field.name for field in fields(Provenance) if field.name not in NO_SETTINGS]
    values = [(name, getattr(old, name), getattr(new, name)) for name in names]
    return tuple(Changed(*one) for one in values if one[1] != one[2])


def _shifts(pairs: list[tuple[Record, Record]], facts: Provenance) -> tuple[Shift, Shift, Shift]:
    below = f"errors below {METRIC_NAMES[facts.sentence_metric]} {facts.sentence_threshold:g}"
    return (
        _shift("errors", pairs, lambda record: record.verdict != Verdict.EQUAL),
        _shift(below, pairs, lambda record: record.below),
        _shift("beam errors", pairs, lambda record: record.verdict == Verdict.BEAM),
    )


def _shift(name: str, pairs: list[tuple[Record, Record]], wrong: Callable[[Record], bool]) -> Shift:
    turns = Counter((wrong(old), wrong(new)) for old, new in pairs)
    stayed, gone, new = turns[True, True], turns[True, False], turns[False, True]
    return Shift(name, stayed + gone, stayed + new, gone, new, mcnemar(gone, new))


def _score(metric: str, pairs: list[tuple[Record, Record]], resamples: int) -> Comparison:
    """Corpus scores against all references."""
    old, new = ([record.output.text for record in records] for records in zip(*pairs, strict=True))
    sets = zip(*([one.text for one in record.references] for record, _ in pairs), strict=True)
    (comparison,) = paired_bootstrap(metric, old, [new], [list(lines) for lines in sets], resamples)
    return comparison


def _comparable(old: Provenance, new: Provenance) -> bool:
    """Whether J is the same function; a model without a folder has no name."""
    names = ("model", "length_alpha", "length_penalty")
    return bool(old.model) and all(getattr(old, name) == getattr(new, name) for name in names)


def _j_change(pairs: list[tuple[Record, Record]]) -> float:
    return statistics.fmean(new.output.score - old.output.score for old, new in pairs)


def _promise(old: Provenance, new: Provenance, sweep: Sweep | None, found: float) -> Promise | str:
    """What the sweep promised, or why nothing."""
    if sweep is None:
        return "the first report has no sweep"
    if others := [title(name) for name in SEARCHED if getattr(old, name) != getattr(new, name)]:
        return f"the sweep measured with another {' and another '.join(others)}"
    places = [(one.beam, one.alpha) for one in sweep.settings]
    if (new.beam, new.length_alpha) not in places:
        return f"the sweep did not measure beam {new.beam} with α {new.length_alpha:g}"
    index = places.index((new.beam, new.length_alpha))
    return Promise(*places[index], sweep.settings[index].bleu.value, found, index == sweep.best)


def advice(difference: Difference) -> list[str]:
    """What changed and whether it is better, in plain words, each sentence with its figures."""
    sentences = [_what_changed(difference)]
    sentences += [f"{one.metric} {_scores(one)}." for one in difference.scores]
    sentences += [_errors(one) for one in difference.shifts]
    if difference.same_output:
        sentences.append(
            f"Of the {counted(len(difference.changed), 'verdict')} that changed, {difference.same_output} "
            f"{plural(difference.same_output, 'has', 'have')} the same output as before: what judges it changed, "
            "not the output."
        )
    return [*sentences, *_likelier(difference), _brought(difference)]


def _what_changed(one: Difference) -> str:
    said = [_turn(setting) for setting in one.settings if setting.name not in OF_THE_ANALYSIS]
    return (
        f"Changed: {', '.join(said) or 'no setting'}. {one.rewritten} of "
        f"{counted(one.sentences, 'output')} {plural(one.rewritten, 'is another text', 'are other texts')} now, and "
        f"{counted(len(one.changed), 'verdict')} changed."
    )


def _turn(one: Changed) -> str:
    """Hashes and lists are named only."""
    if one.name in ("model", "listed"):
        return f"the {one.title}"
    return f"{one.title} {in_words(one.before)} → {in_words(one.after)}"


def _scores(one: Comparison) -> str:
    figures = f"{one.baseline:.2f} before, {one.system:.2f} after ({one.delta:+.2f}, {chance(one.p_value)})"
    if not one.delta:
        return f"{figures}: no difference"
    if one.p_value < CHANCE:
        return f"{figures}: {'better' if one.delta > 0 else 'worse'} beyond chance"
    return f"{figures}: undecided, the difference may be chance"


def _errors(one: Shift) -> str:
    figures = f"{one.before} before, {one.after} after ({one.gone} gone, {one.new} new, {chance(one.p_value)})"
    figures = f"{one.title[0].upper()}{one.title[1:]}: {figures}"
    if not one.gone + one.new:
        return f"{figures}: no difference."
    if one.decided:
        return f"{figures}: {'fewer' if one.after < one.before else 'more'} beyond chance."
    return f"{figures}: undecided, the difference may be chance."


def _likelier(one: Difference) -> list[str]:
    """What became of J, and whether it helped."""
    bleu, beam = one.scores[0], one.shifts[2]
    change = round(one.j_change or 0.0, 4)
    gains = [f"mean J rises by {change:.4f}"] if change > 0 else []
    gains += [f"beam errors fall from {beam.before} to {beam.after}"] if beam.after < beam.before else []
    if gains and bleu.delta < 0:
        sure = "" if bleu.p_value < CHANCE else "undecided, "
        lesson = (
            "Likelier is not better" if one.j_change is not None else "Fewer beam errors are not better translations"
        )
        return [f"{lesson}: {' and '.join(gains)}, yet BLEU falls by {-bleu.delta:.2f} ({sure}{chance(bleu.p_value)})."]
    if not change:
        return []
    turned, found = ("rises", "higher") if change > 0 else ("falls", "lower")
    return [f"Mean J {turned} by {abs(change):.4f}: the search finds text that the model scores {found}."]


def _brought(one: Difference) -> str:
    if one.promise is None:
        return f"What came cannot be held against a sweep: {one.unpromised}."
    made = one.promise
    figures = (
        f"for beam {made.beam}, α {made.alpha:g} the sweep measured BLEU {made.bleu:.2f}, and {made.found:.2f} came"
    )
    if not made.kept:
        return f"Not what was promised: {figures}. Something else differs; look at versions and device."
    warning = " It was chosen on this text: evaluate it on another, too." if made.chosen else ""
    return f"As promised: {figures}.{warning}"
