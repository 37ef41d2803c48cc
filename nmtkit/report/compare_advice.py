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
    "widths": "wider beams tried",
}
"""Settings whose name does not speak for itself."""
OF_THE_ANALYSIS = ("widths", "exact_steps", "exact_seconds", "exact_sample", "listed", "reference_segmentations")
"""What differs in how it was looked at, not in what was done."""


def advice(difference: Difference) -> list[str]:
    """What changed and whether it is better, in plain words, each sentence with its figures."""
    sentences = [_what_changed(difference)]
    sentences += [f"{one.metric.title} {_scores(one)}." for one in difference.scores]
    sentences += [_errors(one, shift_title(one, difference)) for one in difference.shifts]
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
        return f"the {title(one.name)}"
    return f"{title(one.name)} {in_words(one.before)} → {in_words(one.after)}"


def _scores(one: Comparison) -> str:
    figures = f"{one.baseline:.2f} before, {one.system:.2f} after ({one.delta:+.2f}, {chance(one.p_value)})"
    if not one.delta:
        return f"{figures}: no difference"
    if one.p_value < CHANCE:
        return f"{figures}: {'better' if one.gain > 0 else 'worse'} beyond chance"
    return f"{figures}: undecided, the difference may be chance"


def _errors(one: Shift, title: str) -> str:
    figures = f"{one.before} before, {one.after} after ({one.gone} gone, {one.new} new, {chance(one.p_value)})"
    figures = f"{title[0].upper()}{title[1:]}: {figures}"
    if not one.gone + one.new:
        return f"{figures}: no difference."
    if one.decided:
        return f"{figures}: {'fewer' if one.after < one.before else 'more'} beyond chance."
    return f"{figures}: undecided, the difference may be chance."


def _likelier(one: Difference) -> list[str]:
    """What became of J, and whether it helped."""
    score, beam = one.scores[0], one.shifts[2]
    change = round(one.j_change or 0.0, 4)
    gains = [f"mean J rises by {change:.4f}"] if change > 0 else []
    gains += [f"beam errors fall from {beam.before} to {beam.after}"] if beam.after < beam.before else []
    if gains and score.gain < 0:
        sure = "" if score.p_value < CHANCE else "undecided, "
        measure, loss = score.metric, f"{-score.gain:.2f} ({sure}{chance(score.p_value)})"
        lesson = (
            "Likelier is not better" if one.j_change is not None else "Fewer beam errors are not better translations"
        )
        return [f"{lesson}: {' and '.join(gains)}, yet {measure.title} {WORSEN[measure.direction]} by {loss}."]
    if not change:
        return []
    turned, found = ("rises", "higher") if change > 0 else ("falls", "lower")
    return [f"Mean J {turned} by {abs(change):.4f}: the search finds text that the model scores {found}."]


def _brought(one: Difference) -> str:
    made = one.promise
    if made is None:
        return f"What came cannot be held against a sweep: {why_unpromised(one)}."
    figures = (
        f"for beam {made.beam}, α {made.alpha:g} the sweep measured {made.metric.title} {made.measured:.2f}, and "
        f"{made.found:.2f} came"
    )
    if not made.kept:
        return f"Not what was promised: {figures}. Something else differs; look at versions and device."
    warning = " It was chosen on this text: evaluate it on another, too." if made.chosen else ""
    return f"As promised: {figures}.{warning}"


def why_unpromised(difference: Difference) -> str:
    """Why the sweep promised nothing; nothing where it did."""
    one = difference.unpromised
    if one is None:
        return ""
    if not one.swept:
        return "the first report has no sweep"
    if one.others:
        return f"the sweep measured with another {' and another '.join(map(title, one.others))}"
    return f"the sweep did not measure beam {one.beam} with α {one.alpha:g}"


def shift_title(one: Shift, difference: Difference) -> str:
    """Which errors became more or fewer."""
    with_ = "" if difference.scale.direction is Direction.HIGHER else "with "
    return {
        Errors.DIFFERENT: "errors",
        Errors.WORSE: f"errors {with_}{worse(difference.scale, difference.threshold)}",
        Errors.MISSED: "beam errors",
    }[one.kind]


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
