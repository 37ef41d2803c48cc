"""Attention maps in a terminal, as a picture, as a page, and as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from nmtkit.files import replacing
from nmtkit.report.plot import check
from nmtkit.report.svg import heat
from nmtkit.report.tables import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nmtkit.analysis.attention_maps import AttentionMap

SHADES = " ░▒▓█"
"""Weights from 0 to 1 in a terminal."""
NAME, HEAD = 14, 10
"""Letters of a row's name, and lines of a column's."""
MARK = "<!--MAPS-->"


def render(one: AttentionMap, width: int) -> Iterator[Text]:
    """A map in a terminal of so many columns; what has no room at the right is left out, said so."""
    yield Text(f"line {one.line}: ", style="bold") + shown(one.source)
    yield Text("  ") + shown(one.target)
    names = [shown(name).plain for name in one.columns]
    cell = 2 if 2 * len(names) <= width - NAME - 1 else 1
    seen = min(len(names), (width - NAME - 1) // cell)
    high = min(HEAD, max((len(name) for name in names[:seen]), default=0))
    for line in range(high):
        letters = (name[:HEAD].rjust(high)[line].ljust(cell) for name in names[:seen])
        yield Text(" " * (NAME + 1) + "".join(letters).rstrip())
    for name, row in zip(one.rows, one.weights.tolist(), strict=True):
        shades = (SHADES[round((len(SHADES) - 1) * min(1.0, weight))] * cell for weight in row[:seen])
        yield Text(f"{shown(name).plain[:NAME]:>{NAME}} {''.join(shades)}".rstrip())
    if seen < len(names):
        yield Text(f"{len(names) - seen} more columns have no room here; --html or --plot shows all")


def to_line(one: AttentionMap) -> str:
    """A line of JSON, its line feed included; weights to four digits."""
    record = {
        "line": one.line,
        "source": one.source,
        "target": one.target,
        "rows": one.rows,
        "columns": one.columns,
        "weights": [[round(weight, 4) for weight in row] for row in one.weights.tolist()],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def page(maps: Sequence[AttentionMap], what: str) -> str:
    """One page without network: every sentence with its map."""
    parts = [f'<p class="soft">{escape(what)}; darker: more weight. Rows looked, columns were looked at.</p>']
    for one in maps:
        drawn = heat(f"line {one.line}", one.rows, one.columns, one.weights.tolist())
        framed = f'<div class="map" tabindex="0" role="group" aria-label="map of line {one.line}">{drawn}</div>'
        title = f"<h2>{one.line}: {escape(one.source)}</h2><p>{escape(one.target)}</p>"
        parts.append(f"<section>{title}{framed}</section>")
    template = resources.files("nmtkit.report").joinpath("attention.html").read_text("utf-8")
    before, after = template.split(MARK)
    return "".join([before, *parts, after])


def draw(one: AttentionMap, path: Path) -> None:
    """A picture, its format by the ending of its name, whole or not at all."""
    with replacing(path) as temporary:
        build(one).savefig(temporary, format=check(path), dpi=160)


def build(one: AttentionMap) -> Figure:
    """A heat map, columns named above."""
    from matplotlib.figure import Figure

    size = (2 + 0.3 * len(one.columns), 1.6 + 0.3 * len(one.rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(one.weights, cmap="Blues", vmin=0, vmax=max(1.0, float(one.weights.max(initial=0))))
    axes.set_xticks(range(len(one.columns)), [_plain(name) for name in one.columns], rotation=60, ha="left")
    axes.set_yticks(range(len(one.rows)), [_plain(name) for name in one.rows])
    axes.xaxis.tick_top()
    figure.colorbar(image, ax=axes, shrink=0.7)
    return figure


def _plain(name: str) -> str:
    """A name that matplotlib reads as text, not as a formula."""
    return name.replace("$", r"\$")
