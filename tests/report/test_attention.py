"""Attention maps as a person sees them: shades, names, a page that asks nobody for anything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.browser import Reader, cut

from nmtkit.inspection.attention_maps import AttentionMap
from nmtkit.report.attention import build, page, render, to_line
from nmtkit.report.svg import heat

WEIGHTS = np.array([[0.0, 0.25, 0.75], [1.0, 0.005, 0.5]], dtype=np.float32)
ONE = AttentionMap(3, "le chat", "a <b>", ("▁a", "$x_1$"), ("▁le", "</script>", "</s>"), WEIGHTS)


def lines(one: AttentionMap, width: int = 80) -> list[str]:
    return [part.plain for part in render(one, width)]


def test_shades_by_hand() -> None:
    """Two columns a cell; names of columns stand upright above them, those of rows to the left."""
    first, second, *names, top, bottom, scale = lines(ONE)
    assert scale == " " * 12 + "██ is a weight of 1"
    assert (first, second) == ("line 3: le chat", "  a <b>")
    assert top == " " * 12 + "▁a" + " " + "  ░░▓▓" and bottom == " " * 9 + "$x_1$" + " ██  ▒▒"
    assert ["".join(line.ljust(30)[15 + 2 * column] for line in names).strip() for column in range(3)] == [
        "▁le",
        "</script>",
        "</s>",
    ]


def test_what_has_no_room_is_said() -> None:
    many = AttentionMap(1, "x", "y", ("a",), tuple(map(str, range(100))), np.full((1, 100), 0.5, dtype=np.float32))
    shown = lines(many)
    assert max(map(len, shown)) <= 80 and shown[-1].startswith("35 more columns have no room")
    assert shown[-3].count("█") == 65 and shown[-2].endswith("██ is a weight of 0.5"), "shades are relative"
    ones = replace(many, columns=("a", "b"), weights=np.array([[0.0123, 0.0031]], dtype=np.float32))
    assert [line[15:] for line in lines(ones)[-2:]] == ["██░░", "is a weight of 0.012"]
    nothing = replace(ones, weights=np.zeros((1, 2), dtype=np.float32))
    assert lines(nothing)[-2].strip() == "a"
    console = Console(width=80)
    assert console.width == 80 and not [line for line in lines(ONE) if "no room" in line]
    empty = AttentionMap(1, "", "", ("</s>",), ("</s>",), np.ones((1, 1), dtype=np.float32))
    assert lines(empty)[-2].endswith("██")


def test_json_is_read_back() -> None:
    record = json.loads(to_line(ONE))
    assert record["rows"] == list(ONE.rows) and record["line"] == 3
    np.testing.assert_allclose(record["weights"], WEIGHTS, atol=1e-6)
    thirds = replace(ONE, weights=np.full((2, 3), 1 / 3, dtype=np.float32))
    assert json.loads(to_line(thirds))["weights"] == [[0.333333] * 3] * 2


def test_a_cell_for_every_weight_worth_seeing() -> None:
    text = heat("t", ONE.rows, ONE.columns, WEIGHTS.tolist(), 1.0)
    cells = [one for tag, one in Reader(text).elements if tag == "rect" and "class" not in one]
    assert [one["fill-opacity"] for one in cells] == ["0.25", "0.75", "1.00", "0.50"]
    xs = [float(str(one["x"])) for one in cells]
    assert xs[0] - xs[2] == 15 and xs[1] - xs[0] == 15


def test_the_page_is_whole_and_nothing_breaks_it() -> None:
    text = page([ONE, replace(ONE, line=4)], "what <i>")
    reader = Reader(text)
    assert [tag for tag, _ in reader.elements].count("section") == 2
    assert "script" not in [tag for tag, _ in reader.elements] and "i" not in [tag for tag, _ in reader.elements]
    assert "://" not in text and "url(" not in text and reader.texts["text"][:3] == ["▁le", "</script>", "</s>"]
    assert reader.texts["text"][5:7] == ["weight 0", "1"] and reader.texts["p"][0].startswith("what <i>.")
    assert [tag for tag, _ in reader.elements].count("svg") == 4, "a scale below each map"


def opacities(text: str) -> list[float]:
    """Of the cells of the maps, not of the scales."""
    cells = (one for tag, one in Reader(text).elements if tag == "rect" and one.get("height") == "14")
    return [float(str(one["fill-opacity"])) for one in cells]


@pytest.mark.parametrize("factor", [0.02, 1.0, 7.5])
def test_the_page_shades_a_map_by_what_it_holds(factor: float) -> None:
    """A diffuse map is as dark as a sharp one, weights above 1 are told apart, and the scale names the highest."""
    text = page([replace(ONE, weights=factor * WEIGHTS)], "what")
    assert opacities(text) == pytest.approx([0.25, 0.75, 1.0, 0.5], abs=0.011)
    low, high = Reader(text).texts["text"][-2:]
    assert (low, float(high)) == ("weight 0", pytest.approx(factor))
    nothing = page([replace(ONE, weights=0 * WEIGHTS)], "what")
    assert opacities(nothing) == [] and Reader(nothing).texts["text"][-1] == "1"


def test_each_map_of_a_sentence_names_its_own_scale() -> None:
    """Highest weights of `each`: 1 / 11 to 1 / 23."""
    highest = [0.091, 0.083, 0.077, 0.048, 0.045, 0.043]
    texts = Reader(page(each(), "what")).texts["text"]
    assert [float(after) for text, after in zip(texts, texts[1:], strict=False) if text == "weight 0"] == highest
    for one, most in zip(each(), highest, strict=True):
        assert [line.strip() for line in lines(one)][-1] == f"██ is a weight of {most}"


@pytest.mark.parametrize("name", ["W" * 16, "日本語の文章" * 3, "▁a"])
def test_a_browser_cuts_no_name(tmp_path: Path, name: str) -> None:
    text = page([replace(ONE, rows=(name, "b"), columns=("a", "b", name)), *each()], "what")
    assert cut(tmp_path, text.replace("svg {", "svg { overflow: visible;")) == []


@pytest.mark.parametrize("name", ["$x_1$", "\\frac", "a_b^c", "é😀"])
def test_the_picture_holds_the_weights(name: str) -> None:
    """And takes no name for a formula."""
    figure = build([AttentionMap(1, "x", "y", (name, "b"), ("c", "d", "e"), WEIGHTS)])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    figure.canvas.draw()
    assert figure.axes[1].get_ylim() == (0, 1) and figure.axes[1].get_ylabel() == "weight"
    assert [label.get_text().replace("\\$", "$") for label in axes.get_yticklabels()] == [name, "b"]


@pytest.mark.parametrize("factor", [0.02, 7.5])
def test_the_picture_is_shaded_by_what_it_holds(factor: float) -> None:
    """From 0 to the highest weight, which the scale beside it ends at."""
    figure = build([replace(ONE, weights=factor * WEIGHTS)])
    assert figure.axes[0].images[0].get_clim() == (0, pytest.approx(factor))
    assert figure.axes[1].get_ylim() == (0, pytest.approx(factor))


def each() -> list[AttentionMap]:
    """Two layers of three heads, every map with other weights."""
    places = [(layer, head) for layer in (1, 2) for head in (1, 2, 3)]
    return [replace(ONE, weights=WEIGHTS / (10 * layer + head), layer=layer, head=head) for layer, head in places]


def test_every_layer_and_head_has_its_panel() -> None:
    """Layers below each other, heads side by side, each from 0 to its own highest weight, which stands below it."""
    figure = build(each())
    figure.canvas.draw()
    panels, boxes = figure.axes[:6], [axes.get_position() for axes in figure.axes[:6]]
    for axes, one in zip(panels, each(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), one.weights)
        assert axes.images[0].get_clim() == (0, pytest.approx(one.weights.max()))
        highest = 1 / (10 * one.layer + one.head)
        assert axes.get_xlabel() == f"layer {one.layer}, head {one.head}\nhighest {highest:.2g}"
    assert boxes[0].x0 < boxes[1].x0 < boxes[2].x0 and boxes[0].y0 > boxes[3].y1
    assert boxes[0].x0 == pytest.approx(boxes[3].x0, abs=0.02)


def test_every_layer_and_head_is_named_in_page_json_and_terminal() -> None:
    text = page(each(), "what")
    names = [f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2, 3)]
    reader = Reader(text)
    assert reader.texts["figcaption"] == names and [tag for tag, _ in reader.elements].count("section") == 1
    assert "figcaption" not in Reader(page([ONE], "what")).texts
    records = [json.loads(to_line(one)) for one in each()]
    assert [f"layer {one['layer']}, head {one['head']}" for one in records] == names
    assert [lines(one)[0] for one in each()] == [f"line 3, {name}: le chat" for name in names]
    assert (json.loads(to_line(ONE))["layer"], json.loads(to_line(ONE))["head"]) == (None, None)
