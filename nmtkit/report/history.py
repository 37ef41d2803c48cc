"""The histories of trainings in a terminal, as a picture, and as JSON.

In the terminal, a line of bars draws each quantity. Bars of one training reach from its lowest value to its highest;
those of several trainings share one scale, so that they can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from nmtkit.console import printable
from nmtkit.evaluation.metrics import METRICS
from nmtkit.inspection.histories import DEV, DEV_LOSS, TRAIN_LOSS, Curve, History, Point, all_quantities
from nmtkit.report.plot import DASHES, MARKS, save
from nmtkit.report.tables import bullets, grid, percent
from nmtkit.words import counted, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = "▁▂▃▄▅▆▇█"
NAME, LONGEST, SHORTEST, GAP = 16, 60, 12, 2
"""In a table: width of the longest name, most and fewest bars, and columns of the terminal between two columns."""
TITLES = {
    TRAIN_LOSS: "train loss",
    DEV_LOSS: "dev loss",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "tokens_per_second": "tokens/s",
    "waiting": "waiting for data",
}


def title(key: str) -> str:
    """The name of a quantity for people."""
    name = key.removeprefix(DEV)
    return TITLES.get(key) or (METRICS[name].title if name in METRICS else name.replace("_", " "))


def figure(key: str, value: float) -> str:
    """A value of a quantity for people."""
    if key == "waiting":
        return percent(value)
    if key in ("learning_rate", "gradient_norm") or abs(value) >= 1e7:
        return f"{value:.2e}" if key == "learning_rate" or abs(value) >= 1e4 else f"{value:.3g}"
    return f"{value:,.0f}" if key == "tokens_per_second" else f"{value:.{3 if key in (TRAIN_LOSS, DEV_LOSS) else 2}f}"


def render(histories: Sequence[History], axis: str, width: int) -> Iterator[RenderableType]:
    """The trainings in a terminal of `width` columns: how far each is, what it shows, and all of its quantities."""
    several = len(histories) > 1
    for history in histories:
        yield Text(summary(history))
    if sentences := [sentence for history in histories for sentence in remarks(history, several)]:
        yield bullets(sentences)
    span = max(_place(point, axis) for history in histories for curve in history.curves for point in curve.points)
    groups: dict[str, list[tuple[str, Curve]]] = {}
    for quantity in all_quantities(histories):
        for history in histories:
            if curve := history.curve(quantity.key):
                heading, name = (title(quantity.key), history.name) if several else ("", title(quantity.key))
                groups.setdefault(heading, []).append((name, curve))
    for heading, curves in groups.items():
        yield _table(heading, curves, axis, span, width)


def summary(history: History) -> str:
    """How far a training is, in one line."""
    done = [counted(history.step, "update"), counted(history.epoch, "epoch"), f"{history.seconds / 60:.1f} min"]
    return f"{printable(history.name)}: {', '.join(done)}, {counted(history.validations, 'validation')}"


def remarks(history: History, several: bool = False) -> list[str]:
    """What is wrong with a training, in sentences; each begins with its name if there are several."""
    first = f"{printable(history.name)}: " if several else ""
    sentences = [f"{history.overfitting}."] if history.overfitting else []
    if history.skipped:
        what = plural(history.skipped, "update was", "updates were")
        sentences.append(f"{history.skipped} {what} skipped, since loss or gradient was not finite.")
    sentences += [
        f"{title(curve.quantity.key)}: {counted(curve.not_finite, 'value')} not finite, left out here."
        for curve in history.curves
        if curve.not_finite
    ]
    return [f"{first}{sentence}" for sentence in sentences]


def _table(heading: str, curves: Sequence[tuple[str, Curve]], axis: str, span: float, width: int) -> RenderableType:
    """A row for each curve: its name, its bars, its first, last and best value, and the update of the best.

    Args:
        heading: the quantity of all curves, whose bars then share a scale; empty if each is another quantity.
        span: the updates or minutes at the right end of the bars.
    """
    names = [_short(name) for name, _ in curves]
    cells = [_figures(curve) for _, curve in curves]
    headings = ["first", "last", "best", "update"]
    columns = [[name, *row] for name, row in zip([heading, *names], [headings, *cells], strict=True)]
    taken = sum(max(map(cell_len, column)) + GAP for column in zip(*columns, strict=True)) + GAP
    room = min(LONGEST, max(SHORTEST, width - taken))
    values = [point.value for _, curve in curves for point in curve.points]
    rows = []
    for name, (_, curve), row in zip(names, curves, cells, strict=True):
        own = values if heading else [point.value for point in curve.points]
        rows.append([name, bars(curve, axis, span, room, min(own), max(own)), *row])
    table = grid([heading, f"0–{span:,.{0 if axis == 'updates' else 1}f} {axis}", *headings], rows)
    for column in table.columns[:2]:
        column.justify = "left"
    return table


def _short(name: str) -> str:
    """A name that fits; of a longer one the end, which is what tells models and paths apart."""
    text = printable(name)
    if cell_len(text) <= NAME:
        return text
    while cell_len(text) >= NAME:
        text = text[1:]
    return f"…{text}"


def _figures(curve: Curve) -> list[str]:
    key, best = curve.quantity.key, curve.best
    first, last = (figure(key, curve.points[place].value) for place in (0, -1))
    return [first, last, *((figure(key, best.value), f"{best.step}") if best else ("", ""))]


def _place(point: Point, axis: str) -> float:
    return point.step if axis == "updates" else point.seconds / 60


def bars(curve: Curve, axis: str, span: float, count: int, low: float, high: float) -> str:
    """A curve as bars, each the mean of the values in its part of the axis, or interpolated where that holds none.

    Args:
        span: where the axis ends; it begins at 0.
        count: number of parts.
        low: the value of the lowest bar.
        high: the value of the highest bar.
    """
    width = (span or 1) / count
    inside: dict[int, list[float]] = {}
    for point in curve.points:
        inside.setdefault(min(count - 1, max(0, math.ceil(_place(point, axis) / width) - 1)), []).append(point.value)
    known = sorted(inside)
    means = np.interp(range(count), known, [fmean(inside[part]) for part in known])
    shares = ((means - low) / (high - low or 1)).clip(0, 1)  # a mean may be rounded to beyond its values
    heights = np.rint(shares * (len(BARS) - 1)).astype(int)
    drawn = (BARS[height] if known[0] <= part <= known[-1] else " " for part, height in enumerate(heights.tolist()))
    return "".join(drawn)


def to_json(histories: Sequence[History]) -> dict[str, Any]:
    """All points of all curves, and what is said of each training."""
    return {
        "trainings": [
            {
                "name": history.name,
                "folder": history.folder,
                "updates": history.step,
                "epochs": history.epoch,
                "seconds": history.seconds,
                "validations": history.validations,
                "skipped": history.skipped,
                "overfitting": asdict(history.overfitting) if history.overfitting else None,
                "curves": {curve.quantity.key: _curve_to_json(curve) for curve in history.curves},
            }
            for history in histories
        ]
    }


def _curve_to_json(curve: Curve) -> dict[str, Any]:
    return {
        "updates": [point.step for point in curve.points],
        "seconds": [point.seconds for point in curve.points],
        "values": [point.value for point in curve.points],
        "not_finite": curve.not_finite,
        "best_update": curve.best.step if curve.best else None,
    }


def draw(histories: Sequence[History], axis: str, path: Path) -> None:
    """Write the picture of all trainings."""
    save(build(histories, axis), path)


ACROSS, LETTERS, BELOW = 4, 32, 6
"""Most panels side by side, letters on a line of the legend, most trainings with a legend below the panels."""
MARKED = 40
"""Points of a curve that have marks; more would run into each other."""


def build(histories: Sequence[History], axis: str) -> Figure:
    """The figure: a panel for each quantity, in each a line for each training, and a ring around its best score."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    quantities = all_quantities(histories)
    across = min(ACROSS, len(quantities) if len(quantities) <= ACROSS else -(-len(quantities) // 2))
    down = -(-len(quantities) // across)
    names = [fill(history.name.replace("$", r"\$"), LETTERS) for history in histories]
    figure = Figure(figsize=(3.6 * across + (2.4 if len(names) > BELOW else 0), 2.6 * down + 0.5), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True).flatten().tolist()
    lines: dict[int, Any] = {}
    for axes, quantity in zip(panels, quantities, strict=False):
        for number, history in enumerate(histories):
            if curve := history.curve(quantity.key):
                lines[number] = _draw(axes, curve, axis, number)
        axes.set_title(title(quantity.key), fontsize="medium")
        axes.grid(alpha=0.3)
        if quantity.key == "waiting":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    for place, axes in enumerate(panels):
        if place >= len(quantities):
            axes.remove()
        elif place + across >= len(quantities):
            axes.set_xlabel(axis)
            axes.tick_params(labelbottom=True)
    if len(names) == 1:
        figure.suptitle(names[0], fontsize="medium")
        return figure
    handles = [lines[number] for number in range(len(names))]
    if len(names) > BELOW:
        figure.legend(handles, names, loc="outside right upper", fontsize="small")
    else:
        figure.legend(handles, names, loc="outside lower center", fontsize="small", ncols=min(ACROSS, len(names)))
    return figure


def _draw(axes: Axes, curve: Curve, axis: str, number: int) -> Any:
    """Draw the curve of training `number`; returns its line."""
    xs, ys = [_place(point, axis) for point in curve.points], [point.value for point in curve.points]
    (line,) = axes.plot(xs, ys, color=f"C{number % 10}", linewidth=1.4)
    line.set(linestyle=DASHES[(number + number // len(MARKS)) % len(DASHES)])
    if len(xs) <= MARKED:
        line.set(marker=MARKS[number % len(MARKS)], markersize=3.5)
    if curve.quantity.key.startswith(DEV) and curve.best:
        (ring,) = axes.plot([_place(curve.best, axis)], [curve.best.value], "o", color=line.get_color())
        ring.set(markersize=9, fillstyle="none")
    return line
