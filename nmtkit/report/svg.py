"""Charts as SVG text that takes its colours from the page: told apart by shape, pattern and words, not by colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nmtkit.analysis.sweep import Sweep

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 92, 14, 36
SHAPES = 5
"""Marks and dashes of a series, in the style sheet by number."""


@dataclass(frozen=True)
class Series:
    """A line of a chart: its name, and points (x, y, low, high); low and high are None without an interval."""

    name: str
    points: tuple[tuple[float, float, float | None, float | None], ...]


def curves(made: Sweep) -> list[tuple[str, list[Series]]]:
    """BLEU, missed references and time over the beam, a line for each α (of the time one: it serves all)."""
    alphas = sorted({one.alpha for one in made.settings})
    of = {alpha: [one for one in made.settings if one.alpha == alpha] for alpha in alphas}
    quality = [
        Series(f"α = {alpha:g}", tuple((one.beam, one.bleu.value, one.bleu.low, one.bleu.high) for one in of[alpha]))
        for alpha in alphas
    ]
    missed = [
        Series(
            f"α = {alpha:g}",
            tuple((one.beam, 100 * one.beam_errors / max(one.different, 1), None, None) for one in of[alpha]),
        )
        for alpha in alphas
    ]
    time = Series("all α", tuple((one.beam, 1000 * one.seconds, None, None) for one in of[alphas[0]]))
    return [
        ("BLEU with 95 % intervals", quality),
        ("beam verdicts, % of the outputs that differ", missed),
        ("milliseconds a sentence", [time]),
    ]


def curve(title: str, x_name: str, series: Sequence[Series]) -> str:
    """Lines over a logarithmic x, with marks, intervals as bars, and each line's name at its end."""
    xs = sorted({x for one in series for x, *_ in one.points})
    values = [value for one in series for _, *point in one.points for value in point if value is not None]
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or 0.5
    low, high = (low if low == 0 else low - pad), high + pad
    span = math.log(xs[-1] / xs[0]) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / xs[0]) / span if len(xs) > 1 else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (y - low) / (high - low) * _HIGH

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in _ticks(low, high):
        _, y = place(xs[0], tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{tick:g}</text>')
    for x in xs:
        at, _ = place(x, low)
        parts.append(f'<text class="middle" x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}">{x:g}</text>')
    parts.append(f'<text class="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}">{escape(x_name)}</text>')
    names = _spread([place(*one.points[-1][:2])[1] for one in series])
    for number, (one, name_y) in enumerate(zip(series, names, strict=True)):
        parts += _line(number % SHAPES, one, 4 * (number - (len(series) - 1) / 2), place)
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{name_y + 4:.1f}">{escape(one.name)}</text>')
    return "".join([*parts, "</svg>"])


_HIGH = HEIGHT - TOP - BOTTOM


def _line(
    number: int, one: Series, aside: float, place: Callable[[float, float], tuple[float, float]]
) -> Iterator[str]:
    """Line, marks and intervals, the latter moved aside so that none covers another's."""
    places = [place(x, y) for x, y, *_ in one.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<g class="line{number}"><path class="line" d="{path}"/>'
    for (x, y), (at, _, low, high) in zip(places, one.points, strict=True):
        if low is not None and high is not None:
            yield f'<path class="interval" d="M{x + aside:.1f} {place(at, low)[1]:.1f}V{place(at, high)[1]:.1f}"/>'
        yield _mark(number, x, y)
    yield "</g>"


def _mark(number: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond, cross."""
    if number == 0:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    shapes = ("", "M-4-4h8v8h-8z", "M0-5L5 4H-5z", "M0-5L5 0L0 5L-5 0z", "M-4-4L4 4M4-4L-4 4")
    return f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{shapes[number]}"/>'


def _ticks(low: float, high: float) -> Iterator[float]:
    """About five round numbers between the two."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield round(number * step, 10)


def _spread(heights: Sequence[float], least: float = 14) -> list[float]:
    """The heights, moved apart where names would stand on each other; in the same order."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for before, index in zip(order, order[1:], strict=False):
        moved[index] = max(moved[index], moved[before] + least)
    excess = max([*(moved[index] - (HEIGHT - BOTTOM) for index in order[-1:]), 0.0])
    return [height - excess for height in moved]


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Bars from left to right: name, value, and the words behind it."""
    most = max((value for _, value, _ in rows), default=0) or 1
    height = 24 * len(rows) + 6
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for number, (name, value, words) in enumerate(rows):
        y = 24 * number + 4
        parts.append(f'<text class="end" x="62" y="{y + 13}">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="70" y="{y}" width="{190 * value / most:.1f}" height="17"/>')
        parts.append(f'<text x="{76 + 190 * value / most:.1f}" y="{y + 13}">{escape(words)}</text>')
    return "".join([*parts, "</svg>"])


def stack(title: str, parts: Sequence[tuple[str, float, str]]) -> str:
    """One bar of shares that sum to one: style class, share, and the words inside where they fit."""
    drawn, x = [f'<svg viewBox="0 0 {WIDTH} 30" role="img" aria-label="{escape(title)}">'], 0.0
    for kind, share, words in parts:
        if share > 0:
            width = share * WIDTH
            drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="1" width="{width:.1f}" height="28"/>')
            if width > 9 * len(words):
                drawn.append(f'<text class="middle label" x="{x + width / 2:.1f}" y="20">{escape(words)}</text>')
            x += width
    return "".join([*drawn, "</svg>"])


CELL, MOST_LETTERS = 15, 16
"""Of a heat map: pixels of a cell, letters of a name."""


def heat(title: str, rows: Sequence[str], columns: Sequence[str], weights: Sequence[Sequence[float]]) -> str:
    """A heat map: a row for what looked, a column for what was looked at; a darker cell has more weight."""
    left, top = (8 + 7 * min(MOST_LETTERS, max(map(len, names), default=0)) for names in (rows, columns))
    width, height = left + CELL * len(columns) + 40, top + CELL * len(rows) + 4
    parts = [f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(title)}">']
    for number, name in enumerate(columns):
        where = f"translate({left + CELL * number + 10} {top - 4}) rotate(-60)"
        parts.append(f'<text transform="{where}">{escape(_short(name))}</text>')
    for number, (name, row) in enumerate(zip(rows, weights, strict=True)):
        y = top + CELL * number
        parts.append(f'<text class="end" x="{left - 4}" y="{y + 12}">{escape(_short(name))}</text>')
        for place, weight in enumerate(row):
            if weight >= 0.01:
                parts.append(
                    f'<rect x="{left + CELL * place}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" '
                    f'fill-opacity="{min(1.0, weight):.2f}"/>'
                )
        frame = f'x="{left - 0.5}" y="{y - 0.5}" width="{CELL * len(columns)}" height="{CELL}"'
        parts.append(f'<rect class="frame" {frame}/>')
    return "".join([*parts, "</svg>"])


SHADES = 11
"""Of the scale."""


def scale(name: str) -> str:
    """The shades of heat maps from 0 to 1, side by side."""
    left = 7 * len(name) + 16
    right = left + CELL * SHADES
    parts = [f'<svg width="{right + 16}" height="{CELL + 4}" role="img" aria-label="{escape(name)} from 0 to 1">']
    parts.append(f'<text class="end" x="{left - 5}" y="13">{escape(name)} 0</text>')
    for place in range(1, SHADES):
        shade = f'fill-opacity="{place / (SHADES - 1):.2f}"'
        parts.append(f'<rect x="{left + CELL * place}" y="1" width="{CELL}" height="{CELL}" {shade}/>')
    parts.append(f'<rect class="frame" x="{left - 0.5}" y="0.5" width="{CELL * SHADES + 1}" height="{CELL + 1}"/>')
    return "".join([*parts, f'<text x="{right + 5}" y="13">1</text></svg>'])


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
