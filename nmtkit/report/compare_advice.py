"""What changed between two error analyses and whether it is better, in plain words."""

from __future__ import annotations

from typing import Any

from nmtkit.blame.findings import Errors
from nmtkit.comparison.reports import Changed, Difference, Shift
from nmtkit.evaluation.bootstrap import CHANCE
from nmtkit.evaluation.metric import Direction
from nmtkit.evaluation.significance import Comparison
from nmtkit.report.evaluation import WORSEN
from nmtkit.report.rows import worse
from nmtkit.words import counted, plural

TITLES = {
    "length_alpha": "α",
    "listed": "errors that a person listed",
    "max_source": "limit of source pieces",
    "nmtkit": "version of nmtkit",
    "prefixes_sha256": "file of prefixes",
    "widths": "wider beams tried",
}
"""Names for people, where the name of a field does not speak for itself."""
OF_THE_ANALYSIS = ("widths", "exact_steps", "exact_seconds", "exact_sample", "listed", "reference_segmentations")
"""Settings of the analysis, which do not change the outputs."""


def advice(difference: Difference) -> list[str]:
    """What changed and whether it is better, in plain words, each sentence with its figures."""
    sentences = [_what_changed(difference)]
    sentences += [f"{score.metric.title} {_scores(score)}." for score in difference.scores]
    sentences += [_errors(shift, shift_title(shift, difference)) for shift in difference.shifts]
    if difference.same_output:
        sentences.append(
            f"Of the {counted(len(difference.changed), 'verdict')} that changed, {difference.same_output} "
            f"{plural(difference.same_output, 'has', 'have')} the same output as before: what judges it changed, "
            "not the output."
        )
    return [*sentences, *_likelier(difference), _brought(difference)]


def _what_changed(difference: Difference) -> str:
    changes = [_turn(setting) for setting in difference.settings if setting.name not in OF_THE_ANALYSIS]
    other_texts = plural(difference.rewritten, "is another text", "are other texts")
    return (
        f"Changed: {', '.join(changes) or 'no setting'}. {difference.rewritten} of "
        f"{counted(difference.sentences, 'output')} {other_texts} now, and "
        f"{counted(len(difference.changed), 'verdict')} changed."
    )


def _turn(setting: Changed) -> str:
    """A setting before and after; a hash or a list is only named."""
    if setting.name in ("model", "listed", "prefixes_sha256"):
        return f"the {title(setting.name)}"
    return f"{title(setting.name)} {in_words(setting.before)} → {in_words(setting.after)}"


def _scores(comparison: Comparison) -> str:
    change = f"{comparison.delta:+.2f}, {chance(comparison.p_value)}"
    figures = f"{comparison.baseline:.2f} before, {comparison.system:.2f} after ({change})"
    if not comparison.delta:
        return f"{figures}: no difference"
    if comparison.p_value < CHANCE:
        return f"{figures}: {'better' if comparison.gain > 0 else 'worse'} beyond chance"
    return f"{figures}: undecided, the difference may be chance"


def _errors(shift: Shift, title: str) -> str:
    change = f"{shift.gone} gone, {shift.new} new, {chance(shift.p_value)}"
    figures = f"{title[0].upper()}{title[1:]}: {shift.before} before, {shift.after} after ({change})"
    if not shift.gone + shift.new:
        return f"{figures}: no difference."
    if shift.decided:
        return f"{figures}: {'fewer' if shift.after < shift.before else 'more'} beyond chance."
    return f"{figures}: undecided, the difference may be chance."


def _likelier(difference: Difference) -> list[str]:
    """How J changed, and whether that helped."""
    score, beam = difference.scores[0], difference.shifts[2]
    change = round(difference.j_change or 0.0, 4)
    gains = [f"mean J rises by {change:.4f}"] if change > 0 else []
    gains += [f"beam errors fall from {beam.before} to {beam.after}"] if beam.after < beam.before else []
    if gains and score.gain < 0:
        sure = "" if score.p_value < CHANCE else "undecided, "
        measure, loss = score.metric, f"{-score.gain:.2f} ({sure}{chance(score.p_value)})"
        comparable = difference.j_change is not None
        lesson = "Likelier is not better" if comparable else "Fewer beam errors are not better translations"
        return [f"{lesson}: {' and '.join(gains)}, yet {measure.title} {WORSEN[measure.direction]} by {loss}."]
    if not change:
        return []
    turned, level = ("rises", "higher") if change > 0 else ("falls", "lower")
    return [f"Mean J {turned} by {abs(change):.4f}: the search finds text that the model scores {level}."]


def _brought(difference: Difference) -> str:
    promise = difference.promise
    if promise is None:
        return f"The outcome cannot be compared with a sweep: {why_unpromised(difference)}."
    figures = (
        f"for beam {promise.beam}, α {promise.alpha:g} the sweep measured {promise.metric.title} "
        f"{promise.measured:.2f}, and these outputs have {promise.found:.2f}"
    )
    if not promise.kept:
        return f"Not what was promised: {figures}. Something else differs: compare versions and devices."
    warning = " It was chosen on this text: evaluate it on another, too." if promise.chosen else ""
    return f"As promised: {figures}.{warning}"


def why_unpromised(difference: Difference) -> str:
    """Why the sweep promised nothing; empty where it did."""
    reason = difference.unpromised
    if reason is None:
        return ""
    if not reason.swept:
        return "the first report has no sweep"
    if reason.others:
        return f"the sweep measured with another {' and another '.join(map(title, reason.others))}"
    return f"the sweep did not measure beam {reason.beam} with α {reason.alpha:g}"


def shift_title(shift: Shift, difference: Difference) -> str:
    """Which errors became more or fewer."""
    with_ = "" if difference.scale.direction is Direction.HIGHER else "with "
    return {
        Errors.DIFFERENT: "errors",
        Errors.WORSE: f"errors {with_}{worse(difference.scale, difference.threshold)}",
        Errors.MISSED: "beam errors",
    }[shift.kind]


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
    """A p-value with three decimals."""
    return "p < 0.001" if p_value < 0.0005 else f"p = {p_value:.3f}"
