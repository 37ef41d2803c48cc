"""Attention maps in a terminal, as a picture, as a page, and as JSON Lines.

A map is always shaded from 0 to its own highest weight, which is printed with it. So a map whose weights are all small
is as easy to read as one that looks at a single word, and a sigmoid may have weights above 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from nmtkit.report.plot import save
from nmtkit.report.svg import heat, scale
from nmtkit.report.tables import shown
from nmtkit.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nmtkit.inspection.attention_maps import AttentionMap

SHADES = " ░▒▓█"
"""Shades of a terminal, for weights from 0 to the highest of a map."""
NAME, HEAD = 14, 10
"""Letters that the name of a row may take, and lines that the name of a column may take."""
MARK = "<!--MAPS-->"


def render(attention_map: AttentionMap, width: int) -> Iterator[Text]:
    """A map in a terminal of `width` columns; where columns are left out for lack of room, a line says so."""
    yield Text(f"line {attention_map.line}{_where(attention_map)}: ", style="bold") + shown(attention_map.source)
    yield Text("  ") + shown(attention_map.target)
    names = [shown(name).plain for name in attention_map.columns]
    cell = 2 if 2 * len(names) <= width - NAME - 1 else 1
    seen = min(len(names), (width - NAME - 1) // cell)
    high = min(HEAD, max((len(name) for name in names[:seen]), default=0))
    for line in range(high):
        letters = (name[:HEAD].rjust(high)[line].ljust(cell) for name in names[:seen])
        yield Text(" " * (NAME + 1) + "".join(letters).rstrip())
    most = attention_map.highest
    for name, row in zip(attention_map.rows, attention_map.weights.tolist(), strict=True):
        shades = (SHADES[round((len(SHADES) - 1) * weight / most)] * cell for weight in row[:seen])
        yield Text(f"{shown(name).plain[:NAME]:>{NAME}} {''.join(shades)}".rstrip())
    yield Text(f"{SHADES[-1] * 2:>{NAME}} is a weight of {most:.2g}", style="dim")
    if seen < len(names):
        have = counted(len(names) - seen, "more column has", "more columns have")
        yield Text(f"{have} no room here; --html or --plot shows all")


def _where(attention_map: AttentionMap) -> str:
    """The layer and the head of a map; empty where it is the mean of all."""
    named = (("layer", attention_map.layer), ("head", attention_map.head))
    return "".join(f", {name} {number}" for name, number in named if number is not None)


def to_line(attention_map: AttentionMap) -> str:
    """A map as a line of JSON, line feed included; weights have six digits, a layer or head of null is the mean."""
    record = {
        "line": attention_map.line,
        "layer": attention_map.layer,
        "head": attention_map.head,
        "source": attention_map.source,
        "target": attention_map.target,
        "rows": attention_map.rows,
        "columns": attention_map.columns,
        "weights": [[round(weight, 6) for weight in row] for row in attention_map.weights.tolist()],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def page(maps: Sequence[AttentionMap], what: str) -> str:
    """A page that needs no network: every sentence with its map, or with a row of maps for each layer.

    Args:
        what: the first words of the page: what looked, at what, and which maps these are.
    """
    legend = "Rows looked, columns were looked at. Full colour is the highest weight of a map, which stands below it"
    parts = [f'<p class="soft">{escape(what)}. {legend}.</p>']
    for _, group in groupby(maps, key=lambda attention_map: attention_map.line):
        own = list(group)
        title = f"<h2>{own[0].line}: {escape(own[0].source)}</h2><p>{escape(own[0].target)}</p>"
        by_layer = groupby(own, key=lambda attention_map: attention_map.layer)
        layers = ("".join(map(_framed, heads)) for _, heads in by_layer)
        rows = "".join(f'<div class="maps">{heads}</div>' for heads in layers)
        parts.append(f"<section>{title}{rows}</section>")
    template = resources.files("nmtkit.report").joinpath("attention.html").read_text("utf-8")
    before, after = template.split(MARK)
    return "".join([before, *parts, after])


def _framed(attention_map: AttentionMap) -> str:
    """A map as HTML, which scrolls by itself where it is too wide."""
    where, weights, highest = _where(attention_map), attention_map.weights.tolist(), attention_map.highest
    line = f"line {attention_map.line}{where}"
    drawn = heat(line, attention_map.rows, attention_map.columns, weights, highest) + scale("weight", highest)
    named = f"<figcaption>{where.removeprefix(', ')}</figcaption>" if where else ""
    return f'<figure class="map" tabindex="0" role="group" aria-label="map of {line}">{named}{drawn}</figure>'


def draw(maps: Sequence[AttentionMap], path: Path) -> None:
    """Write a picture of one sentence."""
    save(build(maps), path, bbox_inches="tight", pad_inches=0.1)


def build(maps: Sequence[AttentionMap]) -> Figure:
    """Heat maps, a row for each layer and a column for each head, columns named above, their highest weights below."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    first, lines = maps[0], len({attention_map.layer for attention_map in maps})
    across = -(-len(maps) // lines)
    cell, left, top = (0.3, 2.0, 1.6) if len(maps) == 1 else (0.16, 1.1, 1.0)
    size = (across * (left + cell * len(first.columns)), lines * (top + cell * len(first.rows)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, across, squeeze=False)
    for attention_map, axes in zip(maps, panels.flat, strict=True):
        image = axes.imshow(attention_map.weights, cmap="Blues", vmin=0, vmax=attention_map.highest)
        letters = "medium" if len(maps) == 1 else "x-small"
        columns, rows = ([_plain(name) for name in names] for names in (attention_map.columns, attention_map.rows))
        axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor", fontsize=letters)
        axes.set_yticks(range(len(rows)), rows, fontsize=letters)
        axes.xaxis.tick_top()
        several = f"\nhighest {attention_map.highest:.2g}" if len(maps) > 1 else ""
        axes.set_xlabel(_where(attention_map).removeprefix(", ") + several)
    if len(maps) == 1:
        figure.colorbar(image, ax=panels, shrink=0.7, label="weight")
    else:
        shades = figure.colorbar(ScalarMappable(cmap="Blues"), ax=panels, shrink=0.7, ticks=[0, 1])
        shades.set_ticklabels(["0", "highest\nof a map"])
    return figure


def _plain(name: str) -> str:
    """A name that matplotlib reads as text, not as a formula."""
    return name.replace("$", r"\$")
