"""Charts as SVG with the colours of the page; shapes, patterns and words tell the parts apart, not colour alone."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len

from nmtkit.blame.sweep import Sweep

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 92, 14, 36
"""Size and margins of a curve; left and right are wider where a name or a number needs more room."""
LETTERS = 12
"""Pixels of an em of the letters; in a heat map it is `SMALL`."""
SHAPES = 5
"""Number of marks and dashes that the style sheet defines for series."""


def room(text: str, size: float = LETTERS) -> float:
    """The most pixels that a text takes in any usual font, so that no name is cut."""
    return size * sum(map(_ems, unicodedata.normalize("NFD", text)))


def _ems(letter: str) -> float:
    """The width of a letter in ems, at least as in DejaVu Sans or Verdana, the widest of the usual fonts."""
    if not cell_len(letter):
        return 0.0
    if not letter.isascii():
        return 1.3
    return 1.0 if letter in "mwMW@%" else 0.85 if letter.isupper() or letter in "+<=>~#" else 0.65


@dataclass(frozen=True)
class Series:
    """A line of a chart: its name, and points (x, y, low, high); low and high are None without an interval."""

    name: str
    points: tuple[tuple[float, float, float | None, float | None], ...]


def curves(sweep: Sweep) -> list[tuple[str, list[Series]]]:
    """Deciding score, missed references and time over the beam; a line for each α, but one line of time for all."""
    alphas = sorted({setting.alpha for setting in sweep.settings})
    of = {alpha: [setting for setting in sweep.settings if setting.alpha == alpha] for alpha in alphas}
    quality = [
        Series(
            f"α = {alpha:g}",
            tuple(
                (setting.beam, score.value, score.low, score.high)
                for setting in of[alpha]
                for score in setting.scores[:1]
            ),
        )
        for alpha in alphas
    ]
    missed = [
        Series(
            f"α = {alpha:g}",
            tuple(
                (setting.beam, 100 * setting.beam_errors / max(setting.different, 1), None, None)
                for setting in of[alpha]
            ),
        )
        for alpha in alphas
    ]
    time = Series("all α", tuple((setting.beam, 1000 * setting.seconds, None, None) for setting in of[alphas[0]]))
    return [
        (f"{sweep.settings[0].deciding.metric.title} with 95 % intervals", quality),
        ("beam verdicts, % of the outputs that differ", missed),
        ("milliseconds a sentence", [time]),
    ]


def curve(title: str, x_name: str, series: Sequence[Series]) -> str:
    """Lines over a logarithmic x axis, with marks, intervals as bars, and the name of each line at its end."""
    xs = sorted({x for line in series for x, *_ in line.points})
    values = [value for line in series for _, *point in line.points for value in point if value is not None]
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or 0.5
    low, high = (low if low == 0 else low - pad), high + pad
    span = math.log(xs[-1] / xs[0]) or 1.0
    ticks = {tick: f"{tick:g}" for tick in _ticks(low, high)}
    left = max(LEFT, *(math.ceil(room(text)) + 8 for text in ticks.values()))
    right = max(RIGHT, *(math.ceil(room(line.name)) + 14 for line in series))
    width = max(WIDTH, left + right + LEAST)

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / xs[0]) / span if len(xs) > 1 else 0.5
        return left + across * (width - left - right), HEIGHT - BOTTOM - (y - low) / (high - low) * _HIGH

    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick, text in ticks.items():
        _, y = place(xs[0], tick)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - right}"/>')
        parts.append(f'<text class="end" x="{left - 6}" y="{y + 4:.1f}">{text}</text>')
    for x in xs:
        at, _ = place(x, low)
        parts.append(f'<text class="middle" x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}">{x:g}</text>')
    parts.append(f'<text class="middle" x="{(left + width - right) / 2}" y="{HEIGHT - 4}">{escape(x_name)}</text>')
    names = _spread([place(*line.points[-1][:2])[1] for line in series])
    for number, (line, name_y) in enumerate(zip(series, names, strict=True)):
        parts += _line(number % SHAPES, line, 4 * (number - (len(series) - 1) / 2), place)
        parts.append(f'<text x="{width - right + 12}" y="{name_y + 4:.1f}">{escape(line.name)}</text>')
    return "".join([*parts, "</svg>"])


_HIGH = HEIGHT - TOP - BOTTOM
LEAST = 120
"""Pixels that lines or bars have at least, however long the names are."""


def _line(
    number: int, series: Series, aside: float, place: Callable[[float, float], tuple[float, float]]
) -> Iterator[str]:
    """A line with marks and intervals, which are moved aside so that they do not cover each other."""
    places = [place(x, y) for x, y, *_ in series.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<g class="line{number}"><path class="line" d="{path}"/>'
    for (x, y), (at, _, low, high) in zip(places, series.points, strict=True):
        if low is not None and high is not None:
            yield f'<path class="interval" d="M{x + aside:.1f} {place(at, low)[1]:.1f}V{place(at, high)[1]:.1f}"/>'
        yield _mark(number, x, y)
    yield "</g>"


def _mark(number: int, x: float, y: float) -> str:
    """The mark of a series: circle, square, triangle, diamond or cross."""
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
    """The heights in the same order, moved apart where names would overlap."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for before, index in zip(order, order[1:], strict=False):
        moved[index] = max(moved[index], moved[before] + least)
    excess = max([*(moved[index] - (HEIGHT - BOTTOM) for index in order[-1:]), 0.0])
    return [height - excess for height in moved]


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars, one for each row of name, value, and the words after the bar."""
    most = max((value for _, value, _ in rows), default=0) or 1
    left = math.ceil(max((room(name) for name, _, _ in rows), default=0)) + 8
    right = math.ceil(max((room(words) for _, _, words in rows), default=0)) + 10
    across = max(LEAST, WIDTH - left - right)
    height = 24 * len(rows) + 6
    parts = [f'<svg viewBox="0 0 {left + across + right} {height}" role="img" aria-label="{escape(title)}">']
    for number, (name, value, words) in enumerate(rows):
        y, length = 24 * number + 4, across * value / most
        parts.append(f'<text class="end" x="{left - 6}" y="{y + 13}">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{length:.1f}" height="17"/>')
        parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 13}">{escape(words)}</text>')
    return "".join([*parts, "</svg>"])


def stack(title: str, parts: Sequence[tuple[str, float, str]]) -> str:
    """A bar of shares that sum to one, each part a style class, a share, and words that are shown where they fit."""
    drawn, x = [f'<svg viewBox="0 0 {WIDTH} 30" role="img" aria-label="{escape(title)}">'], 0.0
    for kind, share, words in parts:
        if share > 0:
            width = share * WIDTH
            drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="1" width="{width:.1f}" height="28"/>')
            if width > room(words) + 8:
                drawn.append(f'<text class="middle label" x="{x + width / 2:.1f}" y="20">{escape(words)}</text>')
            x += width
    return "".join([*drawn, "</svg>"])


CELL, MOST_LETTERS, SMALL = 15, 16, 11
"""In a heat map: pixels of a cell, the most letters of a name, pixels of an em of its letters."""
SLOPE = math.radians(60)
"""The slope of the names above the columns."""


def heat(
    title: str, rows: Sequence[str], columns: Sequence[str], weights: Sequence[Sequence[float]], most: float
) -> str:
    """A heat map: a row for what looked, a column for what was looked at; a darker cell has more weight.

    Args:
        most: the weight of full colour.
    """
    left = 8 + math.ceil(max((room(_short(name), SMALL) for name in rows), default=0))
    names = [room(_short(name), SMALL) for name in columns]
    top = 12 + math.ceil(math.sin(SLOPE) * max(names, default=0))
    ends = (CELL * (place + 1) + SMALL + math.cos(SLOPE) * long for place, long in enumerate(names))
    width, height = left + math.ceil(max(ends, default=0)), top + CELL * len(rows) + 4
    parts = [f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(title)}">']
    for number, name in enumerate(columns):
        where = f"translate({left + CELL * number + 10} {top - 4}) rotate(-60)"
        parts.append(f'<text transform="{where}">{_named(name)}</text>')
    for number, (name, row) in enumerate(zip(rows, weights, strict=True)):
        y = top + CELL * number
        parts.append(f'<text class="end" x="{left - 4}" y="{y + 12}">{_named(name)}</text>')
        for place, weight in enumerate(row):
            if weight >= 0.01 * most:
                parts.append(
                    f'<rect x="{left + CELL * place}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" '
                    f'fill-opacity="{weight / most:.2f}"/>'
                )
        frame = f'x="{left - 0.5}" y="{y - 0.5}" width="{CELL * len(columns)}" height="{CELL}"'
        parts.append(f'<rect class="frame" {frame}/>')
    return "".join([*parts, "</svg>"])


SHADES = 11
"""Shades of the scale below a heat map."""


def scale(name: str, most: float) -> str:
    """The scale of a heat map: its shades side by side, from 0 to the weight of full colour."""
    high = f"{most:.2g}"
    left = math.ceil(room(f"{name} 0", SMALL)) + 8
    right = left + CELL * SHADES
    width = right + 7 + math.ceil(room(high, SMALL))
    parts = [f'<svg width="{width}" height="{CELL + 4}" role="img" aria-label="{escape(name)} from 0 to {high}">']
    parts.append(f'<text class="end" x="{left - 5}" y="13">{escape(name)} 0</text>')
    for place in range(1, SHADES):
        shade = f'fill-opacity="{place / (SHADES - 1):.2f}"'
        parts.append(f'<rect x="{left + CELL * place}" y="1" width="{CELL}" height="{CELL}" {shade}/>')
    parts.append(f'<rect class="frame" x="{left - 0.5}" y="0.5" width="{CELL * SHADES + 1}" height="{CELL + 1}"/>')
    return "".join([*parts, f'<text x="{right + 5}" y="13">{high}</text></svg>'])


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def _named(name: str) -> str:
    """A name; where it is shortened, the whole name appears under the mouse."""
    whole = "" if _short(name) == name else f"<title>{escape(name)}</title>"
    return f"{escape(_short(name))}{whole}"
