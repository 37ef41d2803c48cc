"""The page of a traced beam search: it asks nobody for anything, texts cannot break it, and a browser draws it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.browser import Reader, check_offline, cut, data_in, drawn

from nmtkit.inspection.traces import Candidate, Header, Reference, Scored, Step, Trace
from nmtkit.report.trace_page import embedded, page

HEADER = Header("0.1.0", "f" * 64, 2, 0.7, "power", 9998)
NASTY = "</script><!-- <b>bold</b> &amp; \"'`${1}\\ \u2028\u2029 /*TRACES*/null ]]> é😀"
STEPS = (
    Step(
        1,
        1,
        (
            Candidate(1, 0, "▁Jane", -0.51234, -0.51234, -0.51234, "kept", True),
            Candidate(2, 0, "</script>", -1.0, -1.0, -1.0, "finished"),
            Candidate(3, 0, "<!--", -2.0, -2.0, -2.0, "pruned"),
        ),
    ),
    Step(
        2,
        1,
        (
            Candidate(1, 1, "▁is", -0.5, -1.0, -0.61557, "kept", True),
            Candidate(2, 1, "</s>", -0.75, -1.25, -0.76946, "finished"),
        ),
    ),
)
OUTPUT = Scored("Jane", ("▁Jane", "</s>"), (-0.5, -0.75), -1.25, -0.76946)
HUMAN = Scored("Jane is", ("▁Jane", "▁is", "▁here", "</s>"), (-0.5, -0.5, -3.0, -0.25), -4.25, -1.6104)
ALIVE = Reference(HUMAN, (1, 1), (0.5, 0.25), "stopped")
LOST = Reference(HUMAN, (1, 1, 4321), (0.5, 0.25, -2.0), "pruned")
THIRD = Step(3, 1, (Candidate(1, 1, "</s>", -0.5, -1.5, -0.69523, "finished"),))
TRACES = [
    Trace(1, NASTY, ("▁Jane",), 12, STEPS, (OUTPUT,), ALIVE),
    Trace(7, "perdu", ("▁perdu",), 12, (*STEPS, THIRD), (OUTPUT, OUTPUT), LOST),
    Trace(8, "failed", (), 12, (), (), None),
]


def test_the_page_needs_no_network() -> None:
    check_offline(page(HEADER, [replace(one, source="x") for one in TRACES]))


def test_the_data_are_those_of_the_traces() -> None:
    data = data_in(page(HEADER, TRACES))
    assert data["settings"] == "beam 2, α 0.7 (power), nmtkit 0.1.0"
    assert [one["line"] for one in data["sentences"]] == [1, 7, 8]
    assert [one["source"] for one in data["sentences"]] == [NASTY, "perdu", "failed"]
    first, second, third = data["sentences"]
    assert first["steps"][0]["candidates"] == [
        [0, "▁Jane", -0.5123, -0.5123, -0.5123, "k", 1],
        [0, "</script>", -1.0, -1.0, -1.0, "f", 0],
        [0, "<!--", -2.0, -2.0, -2.0, "p", 0],
    ]
    assert first["steps"][1]["title"] == ["step 2", "1 × 9,998 = 9,998 candidates", "1 kept, 1 finished"]
    assert first["outputs"] == [{"text": "Jane", "total": -1.25, "score": -0.7695, "length": 2}]
    assert (first["reference"]["step"], first["reference"]["missing"]) == (2, None)
    assert "still alive at step 2" in first["reference"]["lost"]
    # after three pieces: −0.5 − 0.5 − 3
    assert second["reference"]["missing"] == ["▁here", -4.0, 4321, -2.0] and second["reference"]["step"] == 3
    assert (second["reference"]["text"], second["reference"]["length"]) == ("Jane is", 4)
    assert third["steps"] == third["outputs"] == [] and third["reference"] is None


@pytest.mark.parametrize("text", [NASTY, "</SCRIPT>", "<script>", "<!--<script>", "]]>", "\u2028", "\\u003c", "\\"])
def test_no_text_ends_the_script(text: str) -> None:
    scored = replace(HUMAN, text=text, pieces=(text,) * 4)
    steps = tuple(replace(step, candidates=tuple(replace(x, piece=text) for x in step.candidates)) for step in STEPS)
    bad = Trace(1, text, (text,), 12, steps, (scored,), replace(LOST, scored=scored))
    made = page(HEADER, [bad])
    plain = page(HEADER, [replace(TRACES[1], source="x")])
    assert made.lower().count("<script") == plain.lower().count("<script") == 1
    assert made.count("<!--") == 0 and made.lower().count("</script") == 1
    assert [tag for tag, _ in Reader(made).elements] == [tag for tag, _ in Reader(plain).elements]
    assert data_in(made)["sentences"][0]["source"] == text
    inside = embedded({"text": text})
    assert "<" not in inside and len(inside.splitlines()) == 1 and json.loads(inside) == {"text": text}


def test_a_browser_draws_every_candidate(tmp_path: Path) -> None:
    reader = drawn(tmp_path, page(HEADER, TRACES))
    boxes = reader.of_class("g", "box")
    assert len(boxes) == 3 + 2
    assert [len(reader.of_class("g", kind)) for kind in ("k", "f", "p")] == [2, 2, 1]
    assert len(reader.of_class("g", "star")) == 2
    labels = [str(box["aria-label"]) for box in boxes]
    assert labels[0].startswith("step 1, rank 1, kept: ▁Jane — log P -0.512")
    assert labels[4].startswith("step 2, rank 2, finished: ▁Jane </s> — log P -1.250")
    assert any("▁Jane ★" in text for text in reader.texts["text"])
    assert len(reader.of_class("path", "k")) == len(reader.of_class("path", "f")) == 1
    assert reader.texts["dd"][0] == NASTY
    assert len(reader.texts["option"]) == 3 and reader.texts["option"][0].startswith("1: ")
    assert any(text.startswith("★ the reference was still alive") for text in reader.texts["p"])


def test_a_browser_draws_the_reference_where_it_fell_out(tmp_path: Path) -> None:
    reader = drawn(tmp_path, page(HEADER, TRACES[1:]))
    boxes = reader.of_class("g", "box")
    assert len(boxes) == 3 + 2 + 1 + 1, "the reference was not among the candidates noted"
    assert len(reader.of_class("g", "star")) == 3
    [label] = [str(box["aria-label"]) for box in boxes if "4321" in str(box["aria-label"])]
    assert label.startswith("step 3: the reference went on with ▁here, rank 4321, log P -4.000, 2.000 nats below")
    assert reader.texts["dd"][0] == "perdu" and len(reader.texts["dd"]) == 4


@pytest.mark.parametrize("piece", ["W" * 12, "日本語の文章を書くのが好き", "▁Africa"])
def test_a_browser_keeps_pieces_inside_their_boxes(tmp_path: Path, piece: str) -> None:
    steps = tuple(replace(step, candidates=tuple(replace(x, piece=piece) for x in step.candidates)) for step in STEPS)
    then = "document.title = [...document.querySelectorAll('.box')].every(box => { const [rect, text] = "
    then += "['rect', 'text'].map(name => box.querySelector(name).getBoundingClientRect());"
    then += "return text.left > rect.left && text.right < rect.right; });"
    reader = drawn(tmp_path, page(HEADER, [replace(TRACES[0], steps=steps)]), then=then)
    assert reader.texts["title"][0] == "true" and len(reader.of_class("g", "box")) == 5
    assert cut(tmp_path, page(HEADER, [replace(TRACES[0], steps=steps)])) == []
    assert any(text.startswith(f"· {piece[:4]}") for text in reader.texts["text"])


@pytest.mark.parametrize("traces", [[], TRACES[2:]])
def test_a_browser_draws_what_is_empty(tmp_path: Path, traces: list[Trace]) -> None:
    reader = drawn(tmp_path, page(HEADER, traces))
    assert not reader.of_class("g", "box") and len(reader.texts.get("option", [])) == len(traces)
    assert "beam 2, α 0.7 (power), nmtkit 0.1.0" in reader.texts["p"]
