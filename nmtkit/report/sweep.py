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


def render(sweep: Sweep) -> Iterator[Text | Table]:
    """The sweep in parts, to be printed one by one."""
    yield Text(heading(sweep))
    headings, rows = table(sweep)
    values = [setting.deciding.value for setting in sweep.settings]
    low, high = min(values), max(values)
    bars = ["█" * round(BAR * (value - low) / (high - low)) if high > low else "" for value in values]
    drawn = grid([*headings, ""], [[*row, bar or "▏"] for row, bar in zip(rows, bars, strict=True)])
    drawn.columns[-1].justify = "left"
    yield drawn
    if len(sweep.settings[0].scores) > len(USUAL):
        yield grid(*more(sweep))


def heading(sweep: Sweep) -> str:
    """A sentence that explains the columns of the table."""
    best = sweep.settings[sweep.best].deciding
    return (
        f"settings measured on {counted(sweep.sentences, 'sentence')}: > now, * {BEST[best.metric.direction]} "
        f"{best.metric.title}; in brackets 95 % percentile intervals; p: of no difference from now, corrected for the "
        f"choice among {len(sweep.settings)}; "
        "missed: beam verdicts, of the outputs that differ; length: pieces of ŷ / y*; ms: a sentence"
    )


def table(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table: a setting a line, with the usual scores."""
    rows = [
        [
            *_place(sweep, index),
            _with_interval(setting.deciding),
            "" if setting.p_value is None else f"{setting.p_value:.3f}",
            *(figure(score.value, score.metric) for score in setting.scores[1 : len(USUAL)]),
            f"{setting.beam_errors}/{setting.different}",
            f"{setting.length_ratio:.2f}",
            f"{1000 * setting.seconds:.1f}",
        ]
        for index, setting in enumerate(sweep.settings)
    ]
    first, *others = (score.metric.title for score in sweep.settings[0].scores[: len(USUAL)])
    return ["", "beam", "α", f"{first} (95 %)", "p", *others, "missed", "length", "ms"], rows


def more(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a second table: a setting a line, with all other scores."""
    rows = [
        [*_place(sweep, index), *map(_with_interval, setting.scores[len(USUAL) :])]
        for index, setting in enumerate(sweep.settings)
    ]
    titles = (f"{score.metric.title} (95 %)" for score in sweep.settings[0].scores[len(USUAL) :])
    return ["", "beam", "α", *titles], rows


def _place(sweep: Sweep, index: int) -> list[str]:
    """The first cells of a row: the mark of the present and of the best setting, beam and α."""
    setting = sweep.settings[index]
    marks = (">" if index == sweep.current else "") + ("*" if index == sweep.best else "")
    return [marks, str(setting.beam), f"{setting.alpha:g}"]


def _with_interval(score: Score) -> str:
    value, low, high = (figure(number, score.metric) for number in (score.value, score.low, score.high))
    return f"{value} ({low}–{high})"


def to_json(sweep: Sweep) -> dict[str, Any]:
    """All figures; the scores of a setting are found under the names of their metrics."""
    return {**vars(sweep), "settings": [_setting(setting) for setting in sweep.settings]}


def _setting(setting: Setting) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in vars(setting).items():
        facts.update(by_name(value) if name == "scores" else {name: value})
    return facts


def advice(sweep: Sweep) -> list[str]:
    """What the sweep says, in plain words, each sentence with its figures."""
    best = sweep.settings[sweep.best]
    sentences, measure = [_choice(sweep)], best.deciding.metric
    same = [setting for setting in sweep.settings if setting.alpha == best.alpha]
    enough = next(setting for setting in same if _gain(best, setting) <= 0.1)
    if enough.beam < same[-1].beam:
        longer = same[-1].seconds / max(enough.seconds, 1e-9)
        sentences.append(
            f"Beyond beam {enough.beam} {measure.title} does not {IMPROVE[measure.direction]} by more than 0.1 at α "
            f"{best.alpha:g}, while beam {same[-1].beam} takes {longer:.1f} times as long."
        )
    now = next(score for score in best.scores if score.metric.name == OF_SENTENCES.name)
    sentences.append(
        f"Reranking the {best.beam} best could bring {now.metric.title} to {sweep.oracle:.1f} at the most (now "
        f"{now.value:.1f})."
    )
    return sentences


def _gain(setting: Setting, over: Setting) -> float:
    """By how much the deciding score of a setting is better than that of `over`."""
    return setting.deciding.metric.direction.gain(setting.deciding.value, over.deciding.value)


def _choice(sweep: Sweep) -> str:
    """Which setting to use, and whether the difference may be chance."""
    best, current = sweep.settings[sweep.best], sweep.settings[sweep.current]
    others, title = [setting for setting in sweep.settings if setting is not current], best.deciding.metric.title
    now = f"beam {current.beam}, α {current.alpha:g}, {title} {current.deciding.value:.1f}"
    if not others:
        return f"Only the present setting was measured ({now})."
    corrected = f"corrected for the choice among {len(sweep.settings)}"
    if best is not current:
        other = f"beam {best.beam}, α {best.alpha:g}"
        use = f"Use {other}:" if best.decided else f"Keep the present setting, undecided whether {other} is better:"
        return (
            f"{use} {title} {best.deciding.value:.1f} against {current.deciding.value:.1f} with beam {current.beam}, "
            f"α {current.alpha:g} (p = {best.p_value:.3f}, {corrected})."
        )
    none = plural(len(others), "the other does not have", f"none of the other {len(others)} has")
    keep = f"Keep the present setting ({now}): {none} a {best.deciding.metric.direction} {title}."
    worse = [
        f"beam {setting.beam}, α {setting.alpha:g} ({title} {setting.deciding.value:.1f})"
        for setting in others
        if setting.decided
    ]
    if not worse:
        least = min(setting.p_value for setting in others if setting.p_value is not None)
        return f"{keep} Undecided whether any is worse (lowest p = {least:.3f}, {corrected})."
    rest = "" if len(worse) == len(others) else f"; undecided for the other {len(others) - len(worse)}"
    return f"{keep} Worse beyond chance (p < {CHANCE}, {corrected}): {', '.join(worse)}{rest}."
