"""Charts: well-formed, to scale, and nothing that a name could break."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from support.browser import cut

from nmtkit.report.svg import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Series, bars, curve, heat, room, scale, stack

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def circles(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in root.iter(f"{SVG}circle")]


def test_points_are_to_scale() -> None:
    """Beams 1, 2, 4 are evenly apart on a logarithmic axis; a value half-way stands half-way."""
    one = Series("α = 0", ((1, 10.0, None, None), (2, 15.0, None, None), (4, 20.0, None, None)))
    places = circles(parsed(curve("BLEU", "beam", [one])))
    assert [x for x, _ in places] == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT], abs=0.06)
    (_, low), (_, middle), (_, high) = places
    assert middle == pytest.approx((low + high) / 2, abs=0.06) and high < low < HEIGHT - BOTTOM


def test_intervals_reach_from_low_to_high() -> None:
    one = Series("a", ((1, 5.0, 4.0, 7.0), (10, 6.0, 5.0, 7.0)))
    root = parsed(curve("t", "beam", [one]))
    moves = [re.fullmatch(r"M([\d.]+) ([\d.]+)V([\d.]+)", path.attrib["d"]) for path in root.iter(f"{SVG}path")]
    spans = [(float(found[2]), float(found[3])) for found in moves if found]
    (_, first), (_, second) = circles(root)
    for (bottom, top), y, (low, value, high) in zip(
        spans, (first, second), ((4.0, 5.0, 7.0), (5.0, 6.0, 7.0)), strict=True
    ):
        assert (bottom - y) / (bottom - top) == pytest.approx((value - low) / (high - low), abs=0.01)


def test_lines_are_told_apart_without_colour() -> None:
    points = ((1, 1.0, None, None), (5, 2.0, None, None))
    root = parsed(curve("t", "beam", [Series(f"α = {number}", points) for number in range(5)]))
    groups = [one.attrib["class"] for one in root.iter(f"{SVG}g")]
    assert groups == [f"line{number}" for number in range(5)]
    shapes = {one.attrib.get("d", "circle") for one in root.iter() if one.attrib.get("class") == "mark"}
    assert len(shapes) == 5
    names = {one.text: float(one.attrib["y"]) for one in root.iter(f"{SVG}text") if (one.text or "").startswith("α")}
    heights = sorted(names.values())
    assert len(names) == 5 and all(b - a >= 13.9 for a, b in zip(heights, heights[1:], strict=False))


@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(-1e3, 1e3)), min_size=1, max_size=6, unique_by=lambda p: p[0]),
    st.text(alphabet="<>&\"'é x", max_size=8),
)
def test_any_numbers_and_names(points: list[tuple[int, float]], name: str) -> None:
    series = Series(name, tuple((float(x), y, None, None) for x, y in sorted(points)))
    root = parsed(curve(name, name, [series]))
    assert len(circles(root)) == len(points)
    for _, y in circles(root):
        assert 0 <= y <= HEIGHT
    assert root.attrib["aria-label"] == name


def test_bars_and_stacks_are_as_long_as_their_values() -> None:
    root = parsed(bars("t", [("1", 5.0, "five & more"), ("2–3", 10.0, "ten")]))
    first, second = (float(one.attrib["width"]) for one in root.iter(f"{SVG}rect"))
    assert second == pytest.approx(2 * first) and "five & more" in [one.text for one in root.iter(f"{SVG}text")]
    (none,) = parsed(bars("none", [("1", 0.0, "0")])).iter(f"{SVG}rect")
    assert none.attrib["width"] == "0.0"
    root = parsed(stack("t", [("beam", 0.25, "◆ beam"), ("model", 0.75, "▲ model"), ("unreachable", 0.0, "○")]))
    rectangles = [(one.attrib["class"], float(one.attrib["width"]) / WIDTH) for one in root.iter(f"{SVG}rect")]
    assert rectangles == [("beam", 0.25), ("model", 0.75)]
    assert [one.text for one in root.iter(f"{SVG}text")] == ["◆ beam", "▲ model"]
    thin = parsed(stack("t", [("beam", 0.01, "◆ beam"), ("model", 0.99, "▲ model")]))
    assert [one.text for one in thin.iter(f"{SVG}text")] == ["▲ model"], "no word where it has no room"


def inside(root: ElementTree.Element) -> None:
    """No text that stands level begins left of its chart or ends right of it; measured in DejaVu Sans."""
    width = float(root.attrib.get("viewBox", f"0 0 {root.attrib.get('width')} 0").split()[2])
    for one in root.iter(f"{SVG}text"):
        if "transform" not in one.attrib and (one.text or "").strip():
            size = 11 if "width" in root.attrib else 12  # as the style sheet of the page says
            box = TextPath((0, 0), (one.text or "").replace("$", r"\$"), size, prop=FontProperties("DejaVu Sans"))
            long, x = box.get_extents().x1, float(one.attrib["x"])
            left = x - long * {"end": 1, "middle": 0.5}.get(one.attrib.get("class", "").split(" ")[0], 0)
            assert left >= 0 and left + long <= width, (one.text, left, width)


NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@settings(deadline=None, max_examples=40)
@given(st.lists(NAMES, min_size=1, max_size=4))
@example(["0" * 11])
def test_no_name_is_cut(names: list[str]) -> None:
    """By the widths of the letters in a font file."""
    points = ((1, 0.0001234, None, None), (5, 0.0002, None, None))
    inside(parsed(bars("t", [(name, float(number), name) for number, name in enumerate(names)])))
    inside(parsed(curve("t", "x", [Series(name, points) for name in names])))
    inside(parsed(heat("t", names, ["a"], [[1.0]] * len(names), 1.0)))
    inside(parsed(scale(names[0], 0.00012345)))


def test_the_last_bin_of_the_histogram_has_its_first_digit() -> None:
    root = parsed(bars("t", [("17 and later", 3.0, "3, margin -2.50"), ("1", 12.0, "12, margin -1.00")]))
    inside(root)
    assert float(next(one for one in root.iter(f"{SVG}rect")).attrib["width"]) > 20, "and the bars have room"


@pytest.mark.parametrize("name", ["W" * 16, "m" * 40, "日本語の文章" * 3, "😀" * 16, "▁préférences", "a"])
def test_a_browser_cuts_no_name(tmp_path: Path, name: str) -> None:
    points = ((1, 1e-05, None, None), (5, 2.0, None, None))
    charts = [
        bars("t", [(name, 1.0, name), ("1", 9.0, "9")]),
        curve("t", "beam", [Series(name, points)]),
        heat("t", [name, "b"], ["a", name], [[1.0, 0.5], [0.0, 0.2]], 1.0),
        scale("weight", 0.123),
        stack("t", [("beam", 0.3, name[:8]), ("model", 0.7, name)]),
    ]
    style = "svg { font: 12px system-ui, sans-serif; overflow: visible; } .end { text-anchor: end; }"
    style += " .middle { text-anchor: middle; }"
    page = f"<!doctype html><meta charset=utf-8><title></title><style>{style}</style>{''.join(charts)}"
    assert cut(tmp_path, page.replace('<svg width="', '<svg style="font-size:11px" width="')) == []


@given(st.text(max_size=30))
def test_room_is_made_for_any_text(text: str) -> None:
    assert room(text) >= 0 and room(text + "W") > room(text) and room(text, 24) == pytest.approx(2 * room(text))


@pytest.mark.parametrize(("most", "named"), [(1.0, "1"), (0.0312, "0.031"), (12.5, "12")])
def test_the_scale_has_the_shades_of_the_maps(most: float, named: str) -> None:
    """Cells from left to right in tenths of the highest weight, each as dark as that weight is in a map, in a frame."""
    root = parsed(scale("<w>", most))
    *cells, frame = root.iter(f"{SVG}rect")
    tenths = [f"{number / 10:.2f}" for number in range(1, 11)]
    assert [one.attrib["fill-opacity"] for one in cells] == tenths
    of_map = parsed(heat("t", ["r"], list("abcdefghij"), [[most * number / 10 for number in range(1, 11)]], most))
    assert [one.attrib.get("fill-opacity") for one in of_map.iter(f"{SVG}rect")] == [*tenths, None]
    xs, width = [float(one.attrib["x"]) for one in cells], float(cells[0].attrib["width"])
    assert [right - left for left, right in zip(xs, xs[1:], strict=False)] == [width] * 9
    left, right = float(frame.attrib["x"]), float(frame.attrib["x"]) + float(frame.attrib["width"])
    assert xs[0] - width == pytest.approx(left, abs=1) and xs[-1] + width == pytest.approx(right, abs=1)
    low, high = root.iter(f"{SVG}text")
    assert (low.text, high.text) == ("<w> 0", named)
    assert float(low.attrib["x"]) < left and right < float(high.attrib["x"]) < float(root.attrib["width"])
