"""Histories in a terminal, as a picture and as JSON: the values that were measured, in their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from nmtkit.inspection.histories import Curve, History, Point, Quantity, of_lines
from nmtkit.report.history import BARS, bars, build, draw, figure, remarks, render, summary, title, to_json

LINES: list[dict[str, Any]] = [
    {"step": 10, "epoch": 0, "seconds": 30.0, "train_loss": 3.0, "learning_rate": 0.0001, "waiting": 0.25},
    {"step": 10, "epoch": 0, "seconds": 60.0, "dev_loss": 2.5, "dev_bleu": 4.0},
    {"step": 20, "epoch": 1, "seconds": 90.0, "train_loss": 1.0, "learning_rate": 0.0002, "waiting": 0.125},
    {"step": 20, "epoch": 1, "seconds": 120.0, "dev_loss": 2.75, "dev_bleu": 16.0},
]


def history(name: str = "a", lines: list[dict[str, Any]] = LINES) -> History:
    return of_lines(lines, name, f"runs/{name}")


def curve(*points: tuple[int, float]) -> Curve:
    return Curve(Quantity("train_loss", None), tuple(Point(step, 60.0 * step, value) for step, value in points))


def text_of(histories: list[History], axis: str = "updates", width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        for part in render(histories, axis, width):
            console.print(part)
    return capture.get()


def rows(text: str) -> list[list[str]]:
    """The cells of each line, without the bars."""
    return [[cell for cell in line.split() if not set(cell) & set(BARS)] for line in text.splitlines()]


def test_one_training_has_a_row_for_each_quantity() -> None:
    text = text_of([history()])
    assert text.startswith("a: 20 updates, 1 epoch, 2.0 min, 2 validations\n")
    table = rows(text)
    assert ["train", "loss", "3.000", "1.000", "1.000", "20"] in table
    assert ["dev", "loss", "2.500", "2.750", "2.500", "10"] in table
    assert ["BLEU", "4.00", "16.00", "16.00", "20"] in table
    assert ["learning", "rate", "1.00e-04", "2.00e-04"] in table
    assert ["waiting", "for", "data", "25.0", "%", "12.5", "%"] in table
    assert ["0–20", "updates", "first", "last", "best", "update"] in table


def test_several_trainings_have_a_table_for_each_quantity_and_one_scale() -> None:
    worse = [{**line, "train_loss": 5.0} if "train_loss" in line else line for line in LINES[:3]]
    text = text_of([history(), history("other", worse)], "minutes")
    table = rows(text)
    start = table.index(["train", "loss", "0–2.0", "minutes", "first", "last", "best", "update"])
    assert table[start + 2] == ["a", "3.000", "1.000", "1.000", "20"]
    assert table[start + 3] == ["other", "5.000", "5.000", "5.000", "10"]
    drawn = [[letter for letter in line if letter in BARS] for line in text.splitlines()[start + 2 : start + 4]]
    assert (drawn[0][0], drawn[0][-1]) == ("▅", "▁"), "3 and 1 of 1 to 5: 3.5 and 0 of 7 steps"
    assert set(drawn[1]) == {BARS[-1]}


def test_bars_are_means_of_their_parts_and_lie_between_their_neighbours() -> None:
    measured = curve((1, 0.0), (2, 7.0), (8, 7.0), (9, 7.0), (10, 3.0))
    assert bars(measured, "updates", 10, 5, 0, 7) == "▅▆▇█▆", "3.5, then 4.67 and 5.83 on the way to 7, and 5"
    assert bars(measured, "minutes", 10, 5, 0, 7) == "▅▆▇█▆", "a minute for each update"
    assert bars(curve((10, 1.0)), "updates", 10, 4, 0, 7) == "   ▂"
    assert bars(curve((5, 7.0)), "updates", 20, 4, 0, 7) == "█   ", "the end of a part belongs to it"
    assert bars(curve((0, 2.0)), "updates", 0, 2, 2, 2) == "▁ "


POINTS = st.lists(st.tuples(st.integers(0, 50), st.floats(-1e99, 1e99)), min_size=1, max_size=30)


@given(points=POINTS, count=st.integers(1, 40))
@example(points=[(1, 0.1), (2, 0.1), (3, 0.1), (50, 0.1 - 2**-56)], count=1)
def test_bars_fit_any_curve(points: list[tuple[int, float]], count: int) -> None:
    points.sort(key=lambda point: point[0])
    values = [value for _, value in points]
    drawn = bars(curve(*points), "updates", points[-1][0], count, min(values), max(values))
    assert len(drawn) == count and set(drawn) <= {*BARS, " "} and drawn.strip()
    assert " " not in drawn.strip(), "no gap"


@pytest.mark.parametrize("axis", ["updates", "minutes"])
def test_long_names_and_numbers_fit_80_columns_and_no_number_is_cut(axis: str) -> None:
    lines = [
        {
            "step": 99_999_900,
            "seconds": 9e6,
            "train_loss": 12.3456,
            "dev_loss": 1e30,
            "tokens_per_second": 123_456.7,
            "gradient_norm": 123456.0,
            "learning_rate": 1.25e-5,
            "dev_bleu": 100.0,
            "waiting": 1.0,
        }
    ]
    for histories in ([history("x" * 200, lines)], [history("語" * 100, lines), history("[b]\x1b[31m", lines)]):
        text = text_of(histories, axis)
        assert max(map(cell_len, text.splitlines()[len(histories) :])) <= 80
        assert all(number in text for number in ("12.346", "1.00e+30", "123,457", "1.23e+05", "1.25e-05", "100.0 %"))
        assert "99999900" in text and "\x1b" not in text


def test_titles_and_figures() -> None:
    assert [title(key) for key in ("dev_chrf++", "dev_ter", "dev_my_score", "waiting")] == [
        "chrF++",
        "TER",
        "my score",
        "waiting for data",
    ]
    assert [figure("gradient_norm", value) for value in (0.0, 0.54321, 12.5)] == ["0", "0.543", "12.5"]


def test_remarks_say_what_is_wrong_and_of_which_training() -> None:
    dev = [3.0, 2.5, 2.25, 2.1, 2.0, 2.1, 2.3, 2.5, 2.7, 2.9, 3.1, 3.3]
    lines: list[dict[str, Any]] = []
    for number, loss in enumerate(dev):
        lines += [{"step": 10 * number, "train_loss": 3 - number / 10, "skipped": 1}]
        lines += [{"step": 10 * number, "dev_loss": loss}]
    bad = history("b", [*lines, {"step": 120, "learning_rate": float("inf")}, {"step": 120, "learning_rate": 0.1}])
    overfits, skipped, lost = remarks(bad)
    assert overfits.startswith("the model overfits: since update 40 the dev loss has risen from 2.000 to 3.300")
    assert "more dropout or more data." in overfits
    assert skipped == "12 updates were skipped, since loss or gradient was not finite."
    assert lost == "learning rate: 1 value not finite, left out here."
    assert remarks(history()) == []
    text = " ".join(text_of([history(), bad]).split())
    assert "• b: the model overfits" in text and "• b: 12 updates" in text and "• a" not in text
    assert summary(bad).startswith("b: 120 updates, 0 epochs, 0.0 min, 12 validations")


def test_json_holds_every_value() -> None:
    (training,) = json.loads(json.dumps(to_json([history()])))["trainings"]
    assert training["curves"]["dev_bleu"] == {
        "updates": [10, 20],
        "seconds": [60.0, 120.0],
        "values": [4.0, 16.0],
        "not_finite": 0,
        "best_update": 20,
    }
    assert training["curves"]["learning_rate"]["best_update"] is None
    assert (training["name"], training["folder"], training["updates"], training["overfitting"]) == (
        "a",
        "runs/a",
        20,
        None,
    )


@pytest.mark.parametrize(("axis", "places"), [("updates", [10, 20]), ("minutes", [0.5, 1.5])])
def test_the_picture_has_a_panel_for_each_quantity_and_a_line_for_each_training(axis: str, places: list[float]) -> None:
    old = [{key: value for key, value in line.items() if key != "waiting"} for line in LINES]
    figure = build([history("a$b$"), history("_old", old)], axis)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["train loss", "dev loss", "BLEU", "learning rate", "waiting for data"]
    train, dev, bleu, _, waiting = figure.axes
    assert [list(line.get_xdata()) for line in train.lines] == [places, places]
    assert [list(line.get_ydata()) for line in train.lines] == [[3.0, 1.0]] * 2
    assert [list(line.get_ydata()) for line in dev.lines] == [[2.5, 2.75], [2.5]] * 2, "each with its ring"
    assert [list(line.get_ydata()) for line in bleu.lines] == [[4.0, 16.0], [16.0]] * 2
    assert [list(line.get_ydata()) for line in waiting.lines] == [[0.25, 0.125]]
    styles = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in train.lines]
    assert all(len(set(kind)) == 2 for kind in zip(*styles, strict=True)), "not by colour alone"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [r"a\$b\$", "_old"]
    assert [handle.get_color() for handle in legend.legend_handles] == [colour for colour, *_ in styles]
    assert {axes.get_xlabel() for axes in figure.axes[2:]} == {axis}


def test_one_training_needs_no_legend_and_many_have_theirs_beside(tmp_path: Path) -> None:
    alone = build([history("alone")], "updates")
    assert not alone.legends and alone.get_suptitle() == "alone"
    many = [history(f"{number}" * 40) for number in range(8)]
    draw(many, "updates", tmp_path / "many.svg")
    assert (tmp_path / "many.svg").read_bytes().startswith(b"<?xml")
