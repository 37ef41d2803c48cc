"""The picture of a sweep holds the figures that were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.sweep_toys import MADE

from nmtkit.report.plot import build, check, draw


def test_every_measurement_is_in_the_picture() -> None:
    figure = build(MADE)
    quality, missed, time = figure.axes
    lines = [line for line in quality.lines if str(line.get_label()).startswith("α")]
    for alpha, line, bars in zip((0.0, 0.7), lines, quality.containers, strict=True):
        measured = [one for one in MADE.settings if one.alpha == alpha]
        assert list(zip(*line.get_data(), strict=True)) == [(one.beam, one.deciding.value) for one in measured]
        drawn: Any = bars
        (segments,) = (one.get_segments() for one in drawn[2])
        for segment, one in zip(segments, measured, strict=True):
            assert (segment[0][1], segment[1][1]) == pytest.approx((one.deciding.low, one.deciding.high))
            assert segment[0][0] == pytest.approx(one.beam, rel=0.02)
    assert not missed.containers and not time.containers, "no intervals there"
    shares = [100 * one.beam_errors / one.different for one in MADE.settings if one.alpha == 0]
    assert list(missed.lines[0].get_ydata()) == pytest.approx(shares)
    assert [list(line.get_ydata()) for line in time.lines] == [pytest.approx([1.5, 6.0, 12.0])]
    assert [text.get_text() for text in quality.get_legend().get_texts()] == ["α = 0", "α = 0.7"]
    marks = {(line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(marks) == 2, "not by colour alone"


@pytest.mark.parametrize(("name", "first"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_the_ending_decides(tmp_path: Path, name: str, first: bytes) -> None:
    draw(MADE, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(first)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a", "a.gif", ".png/x"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is written as png, svg, pdf: name a file that ends so"):
        check(Path(name))
