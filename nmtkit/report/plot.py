"""The curves of a sweep as a picture for a paper or a slide: PNG, SVG or PDF, by the ending of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmtkit.blame.sweep import Sweep
from nmtkit.files import replacing
from nmtkit.report.svg import Series, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = ("png", "svg", "pdf")
MARKS, DASHES = "os^Dx", ("-", "--", ":", "-.", (0, (8, 4)))
"""Marks and dashes tell the series apart, not colour alone."""


def draw(sweep: Sweep, path: Path) -> None:
    """Write the picture of a sweep."""
    save(build(sweep), path)


def save(figure: Figure, path: Path, **how: Any) -> None:
    """Write a figure, whole or not at all, in the format that the ending of the file names.

    Args:
        how: more arguments of `Figure.savefig`.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format=check(path), dpi=160, **how)


def check(path: Path) -> str:
    """The format that the ending of a file names; ValueError for an unknown ending."""
    ending = path.suffix.lstrip(".").lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: a plot is written as {', '.join(ENDINGS)}: name a file that ends so")
    return ending


def build(sweep: Sweep) -> Figure:
    """The figure: deciding score, missed references and time over the beam, side by side."""
    from matplotlib.figure import Figure

    panels = curves(sweep)
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    for axes, (title, series) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _panel(axes, title, series)
    return figure


def _panel(axes: Axes, title: str, series: Sequence[Series]) -> None:
    """Draw lines with marks; intervals stand beside the marks, so that they do not cover each other."""
    for number, curve in enumerate(series):
        xs, ys, lows, highs = zip(*curve.points, strict=True)
        style = {"marker": MARKS[number % len(MARKS)], "linestyle": DASHES[number % len(DASHES)]}
        (line,) = axes.plot(xs, ys, label=curve.name)
        line.set(**style)
        if None not in lows:
            pairs = list(zip(lows, ys, highs, strict=True))
            beyond = [[max(0.0, y - low) for low, y, _ in pairs], [max(0.0, high - y) for _, y, high in pairs]]
            aside = [x * 1.03 ** (number - (len(series) - 1) / 2) for x in xs]
            axes.errorbar(aside, ys, yerr=beyond, fmt="none", ecolor=line.get_color(), capsize=3, elinewidth=0.8)
    beams = sorted({x for curve in series for x, *_ in curve.points})
    axes.set_xscale("log")
    axes.set_xticks(beams, [f"{beam:g}" for beam in beams])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("beam")
    axes.set_title(title, fontsize="medium")
    if len(series) > 1:
        axes.legend(fontsize="small")
