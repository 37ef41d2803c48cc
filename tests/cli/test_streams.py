"""Lines in, lines out: windows, streams that belong together, progress and what failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_here, write_lines
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.cli import streams
from nmtkit.cli.paths import STANDARD
from nmtkit.cli.streams import Tally, beside, count_lines, windows


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_windows_are_the_lines_cut_into_pieces(lines: list[int], size: int) -> None:
    found = list(windows(iter(lines), size))
    assert [line for window in found for line in window] == lines
    assert all(len(window) == size for window in found[:-1]) and all(found)


def test_windows_are_smaller_where_a_line_has_many_results() -> None:
    sizes = {results: streams.window_size(results) for results in (1, 4, 5, 10, 20, 10_000)}
    assert sizes == {1: 5000, 4: 5000, 5: 4000, 10: 2000, 20: 1000, 10_000: 1000}
    assert [streams.window_size(results, 100) for results in (1, 10, 50, 200, 10_000)] == [5000, 2000, 400, 100, 100]


def test_no_window_is_read_before_the_last_is_used() -> None:
    taken: list[int] = []
    stream = (taken.append(number) or number for number in range(10))  # type: ignore[func-returns-value]
    first = next(windows(stream, 4))
    assert first == taken == [0, 1, 2, 3]


@given(st.lists(st.text(max_size=2), max_size=6), st.lists(st.text(max_size=2), max_size=6))
def test_streams_of_different_lengths_are_refused(first: list[str], second: list[str]) -> None:
    pairs = beside(iter(first), [iter(second)], ["b.en"])
    if len(first) == len(second):
        assert list(pairs) == list(zip(first, second, strict=True))
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        list(pairs)
    short = len(second) < len(first)
    assert str(caught.value).startswith(f"b.en: ends before line {len(second) + 1}," if short else "b.en: has more")


@pytest.mark.parametrize(("content", "expected"), [(b"", 0), (b"a\nb\n", 2), (b"a\n" * 700_000, 700_000)])
def test_count_lines(content: bytes, expected: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert count_lines(tmp_path / "a") == expected
    assert count_lines(STANDARD) is count_lines(tmp_path) is None


def test_what_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines and words a second while it runs and at the end; every failure, until there are too many."""
    clock = iter([0.0, 4.0, 5.0, 10.0])
    monkeypatch.setattr(streams.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(streams, "SECONDS", 0.0)
    with Tally("translating", 4, live=True) as tally:
        tally.words_of = len
        tally.done([[1, 2, 3], [1]])
        tally.done([[1] * 6])
        tally.failed(4, RuntimeError("line 4: broken"))
    with pytest.raises(ValueError, match="1 of 4 lines failed"):
        tally.close()
    assert capsys.readouterr().err.splitlines() == [
        "translating: 2/4  words per second 1",
        "translating: 3/4  words per second 2",
        "warning: line 4: left empty: broken (internal error: --debug shows where)",
        "4 lines, 10 words in 10.0 s (0.4 lines, 1 word a second)",
    ]


def test_when_everything_fails_the_error_is_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("translating", None, live=False)
    for line in range(1, 50):
        tally.failed(line, ValueError("damaged"))
    with pytest.raises(ValueError, match="^damaged$"):
        tally.close(summary=False)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == streams.WARNINGS and said[-1].endswith("damaged; more such lines are only counted")


def test_a_window_is_written_before_the_next_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a file of any size needs the memory of one window."""
    from nmtkit.translator import Translator

    sizes: list[int] = []
    find = Translator.find

    def spy(self: Translator, search: Any, source: Any, *rest: Any, **more: Any) -> Any:
        sizes.append(len(source.lengths))
        return find(self, search, source, *rest, **more)

    monkeypatch.setattr(Translator, "find", spy)
    monkeypatch.setattr(streams, "WINDOW", 3)
    source = write_lines(tmp_path / "a.fr", ["Oui."] * 10)
    assert len(run_here("translate", model, "--max-length", 3, "--input", source).lines) == 10
    assert sizes == [3, 3, 3, 1]
