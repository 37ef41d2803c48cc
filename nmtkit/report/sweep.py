"""A sweep over settings of the search: a table with the curve for a terminal, advice, and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.bootstrap import CHANCE
from nmtkit.evaluation.metrics import OF_SENTENCES, USUAL
from nmtkit.evaluation.scoring import Score
from nmtkit.report.evaluation import BEST, IMPROVE, by_name, figure
from nmtkit.report.tables import grid
from nmtkit.words import counted, plural

BAR = 8
"""Characters of the longest bar, from the lowest deciding score of the sweep to the highest."""


def render(made: Sweep) -> Iterator[Text | Table]:
    """Print one by one."""
    yield Text(heading(made))
    headings, rows = table(made)
    values = [one.deciding.value for one in made.settings]
    low, high = min(values), max(values)
    bars = ["█" * round(BAR * (value - low) / (high - low)) if high > low else "" for value in values]
    drawn = grid([*headings, ""], [[*row, bar or "▏"] for row, bar in zip(rows, bars, strict=True)])
    drawn.columns[-1].justify = "left"
    yield drawn
    if len(made.settings[0].scores) > len(USUAL):
        yield grid(*more(made))


def heading(made: Sweep) -> str:
    """What the columns say."""
    best = made.settings[made.best].deciding
    return (
        f"settings measured on {counted(made.sentences, 'sentence')}: > now, * {BEST[best.metric.direction]} "
        f"{best.metric.title}; in brackets 95 % percentile intervals; p: of no difference from now, corrected for the "
        f"choice among {len(made.settings)}; "
        "missed: beam verdicts, of the outputs that differ; length: pieces of ŷ / y*; ms: a sentence"
    )


def table(made: Sweep) -> tuple[list[str], list[list[str]]]:
    """A setting a line, with the usual scores: headings and rows."""
    rows = [
        [
            *_place(made, index),
            _with_interval(one.deciding),
            "" if one.p_value is None else f"{one.p_value:.3f}",
            *(figure(score.value, score.metric) for score in one.scores[1 : len(USUAL)]),
            f"{one.beam_errors}/{one.different}",
            f"{one.length_ratio:.2f}",
            f"{1000 * one.seconds:.1f}",
        ]
        for index, one in enumerate(made.settings)
    ]
    first, *others = (score.metric.title for score in made.settings[0].scores[: len(USUAL)])
    return ["", "beam", "α", f"{first} (95 %)", "p", *others, "missed", "length", "ms"], rows


def more(made: Sweep) -> tuple[list[str], list[list[str]]]:
    """A setting a line, with all scores but the usual ones: headings and rows."""
    rows = [
        [*_place(made, index), *map(_with_interval, one.scores[len(USUAL) :])]
        for index, one in enumerate(made.settings)
    ]
    return ["", "beam", "α", *(f"{score.metric.title} (95 %)" for score in made.settings[0].scores[len(USUAL) :])], rows


def _place(made: Sweep, index: int) -> list[str]:
    """A setting, and whether it is the present or the best one."""
    one = made.settings[index]
    marks = (">" if index == made.current else "") + ("*" if index == made.best else "")
    return [marks, str(one.beam), f"{one.alpha:g}"]


def _with_interval(one: Score) -> str:
    value, low, high = (figure(number, one.metric) for number in (one.value, one.low, one.high))
    return f"{value} ({low}–{high})"


def to_json(made: Sweep) -> dict[str, Any]:
    """Every figure; of each setting a score by the name of its metric."""
    return {**vars(made), "settings": [_setting(one) for one in made.settings]}


def _setting(one: Setting) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in vars(one).items():
        facts.update(by_name(value) if name == "scores" else {name: value})
    return facts


def advice(made: Sweep) -> list[str]:
    """What the sweep says, in plain words, each sentence with its figures."""
    best = made.settings[made.best]
    sentences, measure = [_choice(made)], best.deciding.metric
    same = [one for one in made.settings if one.alpha == best.alpha]
    enough = next(one for one in same if _gain(best, one) <= 0.1)
    if enough.beam < same[-1].beam:
        longer = same[-1].seconds / max(enough.seconds, 1e-9)
        sentences.append(
            f"Beyond beam {enough.beam} {measure.title} does not {IMPROVE[measure.direction]} by more than 0.1 at α "
            f"{best.alpha:g}, while beam {same[-1].beam} takes {longer:.1f} times as long."
        )
    now = next(one for one in best.scores if one.metric.name == OF_SENTENCES.name)
    sentences.append(
        f"Reranking the {best.beam} best could bring {now.metric.title} to {made.oracle:.1f} at the most (now "
        f"{now.value:.1f})."
    )
    return sentences


def _gain(one: Setting, over: Setting) -> float:
    """By how much the deciding score of a setting is better."""
    return one.deciding.metric.direction.gain(one.deciding.value, over.deciding.value)


def _choice(made: Sweep) -> str:
    """Which setting to use, and whether chance may decide it."""
    best, current = made.settings[made.best], made.settings[made.current]
    others, title = [one for one in made.settings if one is not current], best.deciding.metric.title
    now = f"beam {current.beam}, α {current.alpha:g}, {title} {current.deciding.value:.1f}"
    if not others:
        return f"Only the present setting was measured ({now})."
    corrected = f"corrected for the choice among {len(made.settings)}"
    if best is not current:
        other = f"beam {best.beam}, α {best.alpha:g}"
        use = f"Use {other}:" if best.decided else f"Keep the present setting, undecided whether {other} is better:"
        return (
            f"{use} {title} {best.deciding.value:.1f} against {current.deciding.value:.1f} with beam {current.beam}, "
            f"α {current.alpha:g} (p = {best.p_value:.3f}, {corrected})."
        )
    none = plural(len(others), "the other does not have", f"none of the other {len(others)} has")
    keep = f"Keep the present setting ({now}): {none} a {best.deciding.metric.direction} {title}."
    worse = [f"beam {one.beam}, α {one.alpha:g} ({title} {one.deciding.value:.1f})" for one in others if one.decided]
    if not worse:
        least = min(one.p_value for one in others if one.p_value is not None)
        return f"{keep} Undecided whether any is worse (lowest p = {least:.3f}, {corrected})."
    rest = "" if len(worse) == len(others) else f"; undecided for the other {len(others) - len(worse)}"
    return f"{keep} Worse beyond chance (p < {CHANCE}, {corrected}): {', '.join(worse)}{rest}."
