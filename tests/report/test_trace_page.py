"""The page of a traced beam search: it asks nobody for anything, texts cannot break it, and a browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nmtkit.analysis.traces import Candidate, Header, Reference, Scored, Step, Trace
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


class Reader(HTMLParser):
    """The elements of a page with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def of_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for one, attributes in self.elements
            if one == tag and name in (attributes.get("class") or "").split()
        ]


def data_in(text: str) -> Any:
    """What the page's script is given."""
    [value] = re.findall(r"^const data = (.*);$", text, re.MULTILINE)
    return json.loads(value)


def test_the_page_needs_no_network() -> None:
    text = page(HEADER, [replace(one, source="x") for one in TRACES])
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", text)) == {"http://www.w3.org/2000/svg"}
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action", "data", "xlink:href"} & attributes.keys()
    style, script = reader.texts["style"][0], reader.texts["script"][0]
    assert "@import" not in style and "url(" not in style
    assert not any(
        word in script for word in ("fetch(", "XMLHttpRequest", "import ", "WebSocket", "sendBeacon", ".src")
    )
    assert text.startswith("<!doctype html>") and '<meta charset="utf-8">' in text


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


def drawn(folder: Path, text: str) -> Reader:
    """The page as a browser leaves it after its script has run."""
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("no chromium on this machine: the page is not drawn")
    (folder / "page.html").write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [chromium, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", f"file://{folder}/page.html"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return Reader(done.stdout.decode("utf-8"))


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


@pytest.mark.parametrize("traces", [[], TRACES[2:]])
def test_a_browser_draws_what_is_empty(tmp_path: Path, traces: list[Trace]) -> None:
    reader = drawn(tmp_path, page(HEADER, traces))
    assert not reader.of_class("g", "box") and len(reader.texts.get("option", [])) == len(traces)
    assert "beam 2, α 0.7 (power), nmtkit 0.1.0" in reader.texts["p"]
