"""Scored translations as columns and as JSON, read back as a stranger would."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.report.scores import columns, escaped, row, to_json
from nmtkit.report.scores import unescaped as unescaped_again

ONE = Hypothesis((7, 9, 3), -3.5, -1.25, (-0.5, -1.0, -2.0))
PIECES = ["▁Jane", "▁a\tb", "</s>"]
ODD = ["", "\t", "\n", "\\", "\\t", "a\u3000b", "\u2028", "\x85", "\x1c", "\u200b", '"', "\U0001f600", "\ud800"]

piece_texts = st.one_of(st.text(max_size=6).map(lambda text: text.replace(" ", "▁")), st.sampled_from(ODD))
"""SentencePiece writes a plain space as U+2581."""


@given(st.lists(piece_texts, min_size=1, max_size=6))
def test_pieces_and_their_log_p_split_back(pieces: list[str]) -> None:
    log_probs = tuple(-0.25 * place for place in range(len(pieces)))
    one = Hypothesis(tuple(range(len(pieces))), sum(log_probs), -1.0, log_probs)
    row = "\t".join(columns(one, "the text", scores=True, pieces=pieces))
    j, total, length, written, values, text = row.split("\t")
    assert (float(j), float(total), text) == (-1.0, sum(log_probs), "the text")
    assert len(written.split(" ")) == len(values.split(" ")) == int(length) == len(pieces)
    assert tuple(map(float, values.split(" "))) == log_probs
    assert "\n" not in row and len(row.splitlines()) == 1
    assert [unescaped(piece) for piece in written.split(" ")] == pieces


@given(st.text(max_size=8), st.lists(piece_texts, min_size=1, max_size=3))
def test_no_text_adds_a_column(text: str, pieces: list[str]) -> None:
    """A tab in it is a space then; alone in its line it keeps its tabs."""
    log_probs = (-0.5,) * len(pieces)
    one = Hypothesis(tuple(range(len(pieces))), -1.0, -1.0, log_probs)
    fields = row(["7", "1", *columns(one, text, scores=True, pieces=pieces)]).split("\t")
    assert len(fields) == 8 and fields[-1] == " ".join(text.split("\t"))
    assert [unescaped(piece) for piece in fields[5].split(" ")] == pieces
    assert row(columns(one, text, scores=False, pieces=None)) == text


def unescaped(piece: str) -> str:
    """The inverse that Python has."""
    return piece.encode("latin-1", "backslashreplace").decode("unicode_escape")


@given(piece_texts)
def test_escapes_are_for_white_space_and_backslashes_only(piece: str) -> None:
    written = escaped(piece)
    assert not any(character.isspace() for character in written)
    assert unescaped(written) == piece
    if "\\" not in piece and not any(character.isspace() for character in piece):
        assert written == piece


@given(piece_texts, piece_texts)
def test_different_pieces_are_written_differently(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@pytest.mark.parametrize(
    ("piece", "expected"),
    [("a\tb", r"a\tb"), ("\\t", r"\\t"), ("\u3000", r"\u3000"), ("\xa0", r"\xa0"), ("▁é", "▁é"), ("\n", r"\n")],
)
def test_escapes_are_python_s(piece: str, expected: str) -> None:
    assert escaped(piece) == expected


def test_even_a_plain_space_is_escaped() -> None:
    assert " " not in escaped("a b") and unescaped(escaped("a b")) == "a b"


def test_columns_as_far_as_asked_for() -> None:
    numbers, pieces, values = (
        ["-1.250000", "-3.500000", "3"],
        r"▁Jane ▁a\tb </s>",
        "-0.500000 -1.000000 -2.000000",
    )
    assert columns(ONE, "Jane", scores=False, pieces=None) == ["Jane"]
    assert columns(ONE, "Jane", scores=True, pieces=None) == [*numbers, "Jane"]
    assert columns(ONE, "Jane", scores=False, pieces=PIECES) == [pieces, values, "Jane"]
    assert columns(ONE, "Jane", scores=True, pieces=PIECES, extra=["0.5", "8"]) == [
        *numbers,
        "0.5",
        "8",
        pieces,
        values,
        "Jane",
    ]


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("pieces", [None, PIECES])
@pytest.mark.parametrize("extra", [(), ("0.5", "8")])
def test_what_could_not_be_done_has_as_many_empty_columns(
    scores: bool, pieces: list[str] | None, extra: tuple[str, ...]
) -> None:
    done = columns(ONE, "Jane", scores=scores, pieces=pieces, extra=extra)
    failed = columns(None, "", scores=scores, pieces=[] if pieces else None, extra=[""] * len(extra))
    assert len(failed) == len(done) and not any(failed)


def test_json_holds_everything() -> None:
    assert json.loads(to_json(ONE, "Ja\u2028ne", PIECES, line=4, rank=2)) == {
        "line": 4,
        "rank": 2,
        "j": -1.25,
        "log_p": -3.5,
        "length": 3,
        "tokens": [
            {"piece": "▁Jane", "id": 7, "log_p": -0.5},
            {"piece": "▁a\tb", "id": 9, "log_p": -1.0},
            {"piece": "</s>", "id": 3, "log_p": -2.0},
        ],
        "text": "Ja\u2028ne",
    }
    assert "tokens" not in json.loads(to_json(ONE, "Jane", None))


def test_what_json_does_not_know_is_null() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    lost = Hypothesis((7, 3), -math.inf, -math.inf, (-math.inf, -1.0))
    record = json.loads(to_json(lost, "x", ["a", "</s>"]), parse_constant=refuse)
    assert (record["j"], record["log_p"], record["length"]) == (None, None, 2)
    assert [one["log_p"] for one in record["tokens"]] == [None, -1.0]
    failed = json.loads(to_json(None, "", PIECES, line=4), parse_constant=refuse)
    assert failed == {"line": 4, "j": None, "log_p": None, "length": None, "text": ""}


@given(st.text(), st.lists(piece_texts, min_size=3, max_size=3))
def test_json_is_one_line_with_any_text(text: str, pieces: list[str]) -> None:
    line = to_json(ONE, text, pieces)
    assert "\n" not in line
    record = json.loads(line)
    assert record["text"] == text and [one["piece"] for one in record["tokens"]] == pieces


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_what_was_escaped_reads_back(piece: str) -> None:
    assert unescaped_again(escaped(piece)) == piece
