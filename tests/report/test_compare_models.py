"""Models compared: what the tables, the sentences and the figure say of figures made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from rich.console import Console

from nmtkit.comparison.models import Bucket, ModelComparison, Result, Run, System
from nmtkit.evaluation.bootstrap import Interval
from nmtkit.evaluation.metrics import METRICS, USUAL
from nmtkit.report.compare_models import build, conclusions, draw, render


def interval(value: float, reach: float = 1.0) -> Interval:
    return Interval(value, value - reach, value + reach)


def system(name: str, first: bool, values: tuple[float, ...], p: float = 0.2, growth: float = 0.0) -> System:
    """Two runs; its BLEU by length, above a first one that has 10, 9, 8."""
    facts = ((1000.0, 2.0), (3000.0, 3.0))
    runs = tuple(Run(name, "runs/m", "0ab1", 1234567, 800, speed, loss, 2 * speed, ("x",)) for speed, loss in facts)
    gains = tuple(interval(value - base) for value, base in zip(values, (10.0, 9.0, 8.0), strict=True))
    score, beside = interval(sum(values) / 3), None if first else p
    return System(
        name,
        runs,
        (Result(score, beside), Result(interval(50.0), beside)),
        0.5,
        beside,
        tuple(map(interval, values)),
        gains,
        interval(growth),
    )


def comparison(*rivals: System) -> ModelComparison:
    buckets = (Bucket(1, 4, 30), Bucket(5, 5, 20), Bucket(6, 20, 10))
    systems = (system("none", True, (10.0, 9.0, 8.0)), *rivals)
    return ModelComparison(systems, buckets, 60, USUAL, ("bleu-signature", "chrf-signature"))


BETTER = system("attention", False, (11.0, 12.0, 13.0), p=0.002, growth=4.0)


def test_tables_hold_means_over_the_seeds() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        for part in render(comparison(BETTER)):
            console.print(part)
    text = capture.get()
    rows = [line.split() for line in text.splitlines()]
    assert ["attention", "1,234,567", "800", "2,000", "4,000", "2.500"] in rows
    assert ["attention", "12.0", "(11.0–13.0)", "±0.5", "0.002", "50.0", "(49.0–51.0)", "0.002"] in rows
    assert ["none", "10.0", "9.0", "8.0", "▆▆▅"] in rows, "of 13: 5.4, 4.8 and 4.3 of 7 steps"
    assert ["attention", "11.0", "12.0", "13.0", "▇▇█"] in rows and ["+1.0", "+3.0", "+5.0"] in rows
    assert ["1–4", "5", "6–20"] in rows and ["model", "(30)", "(20)", "(10)", "0–13"] in rows
    assert all(words in text for words in ("bleu-signature", "chrf-signature"))
    assert "in brackets 95 % percentile intervals, p two-sided by paired bootstrap" in " ".join(text.split())


def test_the_answer_comes_first_and_the_longest_table_last() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        for part in render(comparison(BETTER)):
            console.print(part)
    words = " ".join(capture.get().split())
    parts = ["2 models", *(f"• {sentence}" for sentence in conclusions(comparison(BETTER)))]
    parts += ["BLEU (95 %)", "bleu-signature", "parameters", "BLEU by words"]
    assert [words.index(part) for part in parts] == sorted(map(words.index, parts))
    assert len(list(render(comparison()))) == len(list(render(comparison(BETTER)))) - 1, "of one model nothing is said"


def test_ten_lengths_fit_in_a_terminal() -> None:
    """80 columns, with nothing cut short."""
    made = comparison(BETTER)
    wide = [replace(one, buckets=one.buckets[:1] * 10, gains=(interval(-12.3),) * 10) for one in made.systems]
    made = replace(made, systems=tuple(wide), buckets=(Bucket(11, 12, 1234),) * 10)
    console = Console(width=80)
    with console.capture() as capture:
        for part in render(made):
            console.print(part)
    text = capture.get()
    gains = [line.split() for line in text.splitlines() if set(line.split()) == {"-12.3"}]
    assert list(map(len, gains)) == [6, 4] and "…" not in text and text.count("(1234)") == 10
    assert text.count("\n attention ") == 4, "sizes, scores, and two tables of lengths"


def test_a_gain_that_rounds_to_nothing_has_no_minus() -> None:
    console, tiny = Console(width=100), system("twin", False, (9.96, 9.0, 8.0))
    with console.capture() as capture:
        for part in render(comparison(tiny)):
            console.print(part)
    assert ["+0.0", "+0.0", "+0.0"] in [line.split() for line in capture.get().splitlines()]
    assert "twin has +0.0 BLEU" in conclusions(comparison(tiny))[0]


def test_sentences_say_what_is_sure() -> None:
    better, grows = conclusions(comparison(BETTER))
    assert "attention has +3.0 BLEU over none (p = 0.002): better" in better
    assert grows.startswith("Its gain grows with the source's length: +5.0 at 6–20 words against +1.0 at 1–4")
    assert "difference +4.0, 95 % percentile interval +3.0 to +5.0" in grows
    (worse, falls) = conclusions(comparison(system("uniform", False, (8.0, 6.0, 3.0), p=0.01, growth=-3.0)))
    assert "-3.3 BLEU" in worse and worse.endswith("worse.") and "falls" in falls
    (undecided,) = conclusions(comparison(system("twin", False, (10.0, 9.0, 8.3), growth=0.3)))
    assert "undecided" in undecided, "and of a growth whose interval holds zero nothing is said"


def test_better_is_lower_where_the_metric_says_so_and_tables_stay_narrow() -> None:
    ter = METRICS["ter"]
    made = replace(comparison(BETTER), metrics=(ter, *USUAL))
    better, *_ = conclusions(made)
    assert "attention has +3.0 TER over none (p = 0.002): worse." in better
    results = (*BETTER.results, replace(BETTER.deciding, score=interval(77.0)))
    wide = [replace(one, results=results) for one in made.systems]
    console = Console(width=80)
    with console.capture() as capture:
        for part in render(replace(made, systems=tuple(wide), metrics=(*USUAL, ter), signatures=("b", "c", "t"))):
            console.print(part)
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["model", "BLEU", "(95", "%)", "p", "chrF", "(95", "%)", "p"] in lines
    assert ["model", "TER", "(95", "%)", "p"] in lines and ["attention", "77.0", "(76.0–78.0)", "0.002"] in lines


def test_many_questions_and_single_runs_are_owned_up_to() -> None:
    """A verdict stands on the corrected p, and one run is said to be one."""
    lucky = replace(BETTER, name="lucky", results=(replace(BETTER.deciding, p_value=0.03),), p_corrected=0.06)
    sentences = conclusions(comparison(BETTER, lucky))
    assert "(p = 0.002, 0.002 corrected for 2 comparisons): better" in sentences[0]
    assert "(p = 0.030, 0.060 corrected for 2 comparisons): undecided" in sentences[2]
    assert not any("another seed" in sentence for sentence in sentences)
    single = replace(BETTER, runs=BETTER.runs[:1])
    assert "another seed" in conclusions(comparison(single))[-1]


def test_the_figure_has_a_line_and_intervals_for_each() -> None:
    figure = build(comparison(BETTER))
    (axes,) = figure.axes
    first, second = (line for line in axes.lines if not line.get_label().startswith("_"))
    assert list(first.get_xdata()) == list(second.get_xdata()) == [0, 1, 2]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1–4\n(30)", "5\n(20)", "6–20\n(10)"]
    assert axes.get_ylim()[0] == 0
    assert list(second.get_ydata()) == [11.0, 12.0, 13.0]
    bars = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
    assert len(bars) == 2
    for one, values in zip(bars, ((10.0, 9.0, 8.0), (11.0, 12.0, 13.0)), strict=True):
        ends = [segment[:, 1] for segment in one.lines[2][0].get_segments()]
        np.testing.assert_allclose(ends, [[value - 1, value + 1] for value in values])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["none", "attention"]


@pytest.mark.parametrize("rivals", [6, 18])
def test_many_lines_look_different_and_have_no_intervals(rivals: int) -> None:
    figure = build(comparison(*(system(f"m{number}", False, (1.0, 2.0, 3.0)) for number in range(rivals))))
    (axes,) = figure.axes
    looks = {(line.get_marker(), str(line.get_linestyle()), str(line._dash_pattern)) for line in axes.lines}
    assert len(looks) == len(axes.lines) == rivals + 1 and not axes.containers
    assert axes.get_legend() is None and len(figure.legends[0].get_texts()) == rivals + 1


@pytest.mark.parametrize("rivals", [2, 8])
def test_the_legend_holds_long_names_whole(rivals: int) -> None:
    names = [f"{'runs/a-long-name/' * 6}of-a-folder-{number}" for number in range(rivals)]
    figure = build(comparison(*(system(name, False, (1.0, 2.0, 3.0)) for name in names)))
    figure.canvas.draw()
    (axes,) = figure.axes
    legend = axes.get_legend() or figure.legends[0]
    box, whole = legend.get_window_extent(), figure.bbox
    assert box.x0 >= 0 and box.x1 <= whole.width and axes.get_window_extent().width > whole.width / 3
    assert [text.get_text().replace("\n", "") for text in legend.get_texts()] == ["none", *names]


def test_the_picture_is_written_whole(tmp_path: Path) -> None:
    draw(comparison(BETTER), tmp_path / "length.png")
    assert (tmp_path / "length.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="png, svg, pdf"):
        draw(comparison(BETTER), tmp_path / "length.gif")
    assert not (tmp_path / "length.gif").exists()
