"""Attention maps in a terminal, as a picture, as a page, and as JSON Lines.

Everywhere a map is shaded from 0 to its own highest weight, and says which that is: a map whose weights are all small
is as easy to read as one that looks at a single word, and a weight above 1 (of a sigmoid) is shown as what it is.
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

from nmtkit.files import replacing
from nmtkit.report.plot import check
from nmtkit.report.svg import heat, scale
from nmtkit.report.tables import shown
from nmtkit.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nmtkit.inspection.attention_maps import AttentionMap

SHADES = " ░▒▓█"
"""Weights from 0 to the highest of a map in a terminal."""
NAME, HEAD = 14, 10
"""Letters of a row's name, and lines of a column's."""
MARK = "<!--MAPS-->"


def render(one: AttentionMap, width: int) -> Iterator[Text]:
    """A map in a terminal of so many columns; what has no room at the right is left out, said so."""
    yield Text(f"line {one.line}{_where(one)}: ", style="bold") + shown(one.source)
    yield Text("  ") + shown(one.target)
    names = [shown(name).plain for name in one.columns]
    cell = 2 if 2 * len(names) <= width - NAME - 1 else 1
    seen = min(len(names), (width - NAME - 1) // cell)
    high = min(HEAD, max((len(name) for name in names[:seen]), default=0))
    for line in range(high):
        letters = (name[:HEAD].rjust(high)[line].ljust(cell) for name in names[:seen])
        yield Text(" " * (NAME + 1) + "".join(letters).rstrip())
    most = one.highest
    for name, row in zip(one.rows, one.weights.tolist(), strict=True):
        shades = (SHADES[round((len(SHADES) - 1) * weight / most)] * cell for weight in row[:seen])
        yield Text(f"{shown(name).plain[:NAME]:>{NAME}} {''.join(shades)}".rstrip())
    yield Text(f"{SHADES[-1] * 2:>{NAME}} is a weight of {most:.2g}", style="dim")
    if seen < len(names):
        have = counted(len(names) - seen, "more column has", "more columns have")
        yield Text(f"{have} no room here; --html or --plot shows all")


def _where(one: AttentionMap) -> str:
    """Layer and head of a map that is not the mean of all."""
    named = (("layer", one.layer), ("head", one.head))
    return "".join(f", {name} {number}" for name, number in named if number is not None)


def to_line(one: AttentionMap) -> str:
    """A line of JSON, its line feed included; weights to six digits, layer and head null where it is their mean."""
    record = {
        "line": one.line,
        "layer": one.layer,
        "head": one.head,
        "source": one.source,
        "target": one.target,
        "rows": one.rows,
        "columns": one.columns,
        "weights": [[round(weight, 6) for weight in row] for row in one.weights.tolist()],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def page(maps: Sequence[AttentionMap], what: str) -> str:
    """One page without network: every sentence with its map, or a row of maps for each layer.

    Args:
        what: stands first: what looked, at what, and which maps.
    """
    said = "Rows looked, columns were looked at. Full colour is the highest weight of a map, which stands below it"
    parts = [f'<p class="soft">{escape(what)}. {said}.</p>']
    for _, group in groupby(maps, key=lambda one: one.line):
        own = list(group)
        title = f"<h2>{own[0].line}: {escape(own[0].source)}</h2><p>{escape(own[0].target)}</p>"
        layers = ("".join(map(_framed, some)) for _, some in groupby(own, key=lambda one: one.layer))
        rows = "".join(f'<div class="maps">{heads}</div>' for heads in layers)
        parts.append(f"<section>{title}{rows}</section>")
    template = resources.files("nmtkit.report").joinpath("attention.html").read_text("utf-8")
    before, after = template.split(MARK)
    return "".join([before, *parts, after])


def _framed(one: AttentionMap) -> str:
    """A map that scrolls by itself where it is too wide."""
    drawn = heat(f"line {one.line}{_where(one)}", one.rows, one.columns, one.weights.tolist(), one.highest)
    named = f"<figcaption>{_where(one).removeprefix(', ')}</figcaption>" if _where(one) else ""
    label, shades = f"map of line {one.line}{_where(one)}", scale("weight", one.highest)
    return f'<figure class="map" tabindex="0" role="group" aria-label="{label}">{named}{drawn}{shades}</figure>'


def draw(maps: Sequence[AttentionMap], path: Path) -> None:
    """A picture of one sentence, its format by the ending of its name, whole or not at all."""
    with replacing(path) as temporary:
        build(maps).savefig(temporary, format=check(path), dpi=160, bbox_inches="tight", pad_inches=0.1)


def build(maps: Sequence[AttentionMap]) -> Figure:
    """Heat maps, a row for each layer and a column for each head, columns named above, their highest weights below."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    one, lines = maps[0], len({one.layer for one in maps})
    across = -(-len(maps) // lines)
    cell, left, top = (0.3, 2.0, 1.6) if len(maps) == 1 else (0.16, 1.1, 1.0)
    size = (across * (left + cell * len(one.columns)), lines * (top + cell * len(one.rows)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, across, squeeze=False)
    for one, axes in zip(maps, panels.flat, strict=True):
        image = axes.imshow(one.weights, cmap="Blues", vmin=0, vmax=one.highest)
        letters = "medium" if len(maps) == 1 else "x-small"
        columns, rows = ([_plain(name) for name in names] for names in (one.columns, one.rows))
        axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor", fontsize=letters)
        axes.set_yticks(range(len(rows)), rows, fontsize=letters)
        axes.xaxis.tick_top()
        several = f"\nhighest {one.highest:.2g}" if len(maps) > 1 else ""
        axes.set_xlabel(_where(one).removeprefix(", ") + several)
    if len(maps) == 1:
        figure.colorbar(image, ax=panels, shrink=0.7, label="weight")
    else:
        shades = figure.colorbar(ScalarMappable(cmap="Blues"), ax=panels, shrink=0.7, ticks=[0, 1])
        shades.set_ticklabels(["0", "highest\nof a map"])
    return figure


def _plain(name: str) -> str:
    """A name that matplotlib reads as text, not as a formula."""
    return name.replace("$", r"\$")
