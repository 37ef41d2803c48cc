"""The page of an error analysis: whole, offline, unbreakable, small, and a browser sorts, filters and opens it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.blame_toys import SMALL, record, report
from support.browser import Reader, check_offline, cut, data_in, drawn
from support.sweep_toys import MADE

from nmtkit.blame.findings import Fit, Frequency, Report
from nmtkit.blame.records import Candidate, Certificate, Divergence, Obstacle, Parting, Verdict
from nmtkit.blame.rows import count
from nmtkit.inspection.details import Detail
from nmtkit.inspection.traces import Candidate as Prefix
from nmtkit.inspection.traces import Step
from nmtkit.report import blame_page
from nmtkit.report.advice import advice
from nmtkit.report.blame_page import LEVELS, _lost, page
from nmtkit.report.rows import title
from nmtkit.report.sweep import advice as sweep_advice

NASTY = "</script><!-- <b>bold</b> &amp; \"'`${1}\\ \u2028\u2029 /*REPORT*/null <!--SUMMARY--> ]]> é😀"
TOKENS = {"tokens": (4, 5, 3), "log_probs": (-0.5, -math.inf, -0.25)}


def full() -> Report:
    """Every kind of record, with losses, divergences and certificates."""
    lost = {
        2: Parting("pruned", 3, 1234, -2.5, 10),
        3: Parting("stopped", 5, 2, 0.5),
        4: Parting("forbidden", 2, 1, 0.5),
        5: Parting("finished", 6, 4, 0.1),
        6: Parting("pruned", 1, 9, -1.5),
    }
    best = Candidate("Jane flies.", -2.0, 4, -0.75)
    records = [
        replace(
            one,
            source=f"Jane visite l'Afrique {one.number}.",
            parting=lost.get(one.number),
            source_pieces=7 + one.number,
            divergence=Divergence(2, "▁visits", "▁is", 1.0, 0.5) if one.number > 1 else None,
            output=replace(one.output, **TOKENS),
            references=tuple(replace(other, **TOKENS) for other in one.references),
            certificate={
                3: Certificate(best, True, False, 0.5, 99, 8),
                5: Certificate(one.output, False, True, 0.0, 12, 20),
                6: Certificate(one.output, False, False, 1.25, 100, 0),
            }.get(one.number),
        )
        for one in SMALL.records
    ]
    fit = Fit(50, 1.0, 3.0, 2 / 3, 0.6, 0.7, 10, 20, (Frequency(0, 0, 4, 9.5, 1), Frequency(1000, None, 99, 0.5, 7)))
    return replace(SMALL, records=tuple(records), rows=count(records, judged=True), fit=fit)


FULL = full()
HALF = tuple((1 / 63, 0.5, 1.0) for _ in range(3))
STEPS = (
    Step(2, 2, (Prefix(1, 1, "▁is", -0.5, -1.0, -0.6, "kept"), Prefix(2, 1, "▁was", -1.0, -1.5, -0.8, "pruned", True))),
    Step(3, 1, (Prefix(1, 1, "</s>", -0.5, -1.5, -0.7, "finished"),)),
)
DETAIL = Detail(
    2,
    ("▁Jane", "▁visite", "</s>"),
    ("▁Jane", "▁is", "</s>"),
    ("▁Jane", "▁visits", "</s>"),
    (HALF, HALF),
    (HALF, tuple((0.0, 0.0, 1.0) for _ in range(3))),
    STEPS,
    ((("▁Jane", "▁is"), ("▁Jane", "▁was")), (("▁Jane", "▁is", "</s>"),)),
)


SIDES = ("output", "reference")


def test_the_page_needs_no_network() -> None:
    check_offline(page(FULL, MADE, [DETAIL]))
    check_offline(page(report(record(1, "equal")), None, []))


def test_the_data_are_those_of_the_records() -> None:
    data = data_in(page(FULL, None, [DETAIL]))
    assert data["sentences"] == 6 and data["metric"] == "chrF" and data["worse"] == "below chrF 60"
    lines = {line["n"]: line for line in data["lines"]}
    assert list(lines) == [1, 2, 3, 4, 5, 6]
    assert [line["v"] for line in data["lines"]] == ["equal", "beam", "model", "unreachable", "model", "model"]
    second = lines[2]
    assert second["x"] == "Jane visite l'Afrique 2." and second["p"] == 9 and second["s"] == 0.3
    assert second["y"] == ["Jane is going to Africa.", -4.5, 7, -1.0]
    assert second["r"] == ["Jane visits Africa.", -3.25, 6, -0.5] and (second["j"], second["of"]) == (2, 2)
    assert (second["at"], second["turn"], second["b"], second["l"]) == (3, 2, 1, 0)
    assert lines[4]["r"][1] is None, "−∞"
    assert lines[1]["lost"] == "" and lines[1]["at"] is None and "turn" not in lines[1] and "c" not in lines[1]
    said = {number: line["lost"] for number, line in lines.items()}
    assert said[2] == (
        "The beam lost the reference at step 3: rank 1,234, 2.50 nats below the last one taken. A beam of 10 reaches "
        "its J."
    )
    assert said[3] == "The reference was still alive at step 5 when the search stopped."
    assert said[4] == "A rule of the search forbids the reference at step 2. It is not producible."
    assert said[5] == "The reference is among the finished translations, but not the best of them."
    assert lines[3]["c"] == ["better", 0, 0.5, 99, 8, "Jane flies.", -2.0, 4, -0.75]
    assert lines[5]["c"][:5] == ["best", 1, 0.0, 12, 20] and lines[6]["c"][:5] == ["open", 0, 1.25, 100, 0]
    too_long = replace(FULL.records[1], parting=Parting("too long", 4, 1, 0.0), limit=20)
    beaten = replace(FULL.records[1], number=3, parting=Parting("pruned", 4, 7, -math.inf, None))
    odd = data_in(page(replace(FULL, records=(too_long, beaten)), None, []))["lines"]
    assert odd[0]["lost"].startswith(
        "The reference is longer than the limit of 20 pieces. No wider beam that was tried"
    )
    assert "∞ nats below" in odd[1]["lost"]


@pytest.mark.parametrize(("ending", "step"), [("other prefix", 2), ("too long", 12)])
def test_a_reference_without_the_prefix_has_words_of_its_own(ending: str, step: int) -> None:
    (own,) = [one for one in FULL.records if one.number == 4]
    references = tuple(replace(one, obstacle=Obstacle.OTHER_PREFIX) for one in own.references)
    own = replace(own, prefix="In", references=references, parting=Parting(ending, step, 9, -1.0))
    words = _lost(own)
    left = "The reference leaves the forced beginning at step 2."
    assert words == left if ending == "other prefix" else words.endswith("pieces. It does not begin with the prefix.")


def test_details_are_maps_pieces_and_the_beam() -> None:
    detail = data_in(page(FULL, None, [DETAIL]))["details"]["2"]
    assert detail["source"] == ["▁Jane", "▁visite", "</s>"]
    pieces, maps, logs = detail["output"]
    assert pieces == ["▁Jane", "▁is", "</s>"] and logs == [-0.5, None, -0.25]
    assert len(LEVELS) == len(set(LEVELS)) == 64
    assert [[LEVELS.index(letter) for letter in text] for text in maps] == [[1, 32, 63] * 3] * 2
    assert detail["reference"][1][1] == "00_" * 3 and detail["highest"] == [1, 1]
    faint = tuple((0.01, 0.02, 0.0) for _ in range(3))
    strong = tuple((0.0, 4.0, 1.0) for _ in range(3))
    scaled = replace(DETAIL, output_map=(faint, faint), reference_map=(strong, tuple((0.0,) * 3 for _ in range(3))))
    detail = data_in(page(FULL, None, [scaled]))["details"]["2"]
    assert detail["highest"] == [4, 0.02], "of both maps of a layer; weights above 1 are kept"
    levels = [[[LEVELS.index(letter) for letter in text[:3]] for text in detail[side][1]] for side in SIDES]
    assert levels == [[[0, 0, 0], [32, 63, 0]], [[0, 63, 16], [0, 0, 0]]]
    assert detail["steps"] == [
        [2, [["▁Jane ▁is", 1, -1.0, "k", 0], ["▁Jane ▁was", 2, -1.5, "p", 1]]],
        [3, [["▁Jane ▁is </s>", 1, -1.5, "f", 0]]],
    ]


@pytest.mark.parametrize("text", [NASTY, "</SCRIPT>", "<!--<script>", "]]>", "\u2028", "\\u003c", "\ud800"])
def test_no_text_breaks_the_page(text: str) -> None:
    bad = replace(
        FULL,
        records=tuple(
            replace(
                one,
                source=text,
                output=replace(one.output, text=text),
                references=tuple(replace(other, text=text) for other in one.references),
                divergence=Divergence(1, text, text, 1.0, 1.0),
            )
            for one in FULL.records
        ),
        provenance=replace(FULL.provenance, length_limit=text),
    )
    detail = replace(DETAIL, source=(text,) * 3, output=(text,) * 3, prefixes=(((text,), (text,)), ((text,),)))
    made, plain = page(bad, MADE, [detail]), page(FULL, MADE, [DETAIL])
    assert [tag for tag, _ in Reader(made).elements] == [tag for tag, _ in Reader(plain).elements]
    assert made.lower().count("</script") == 1 and data_in(made)["lines"][0]["x"] == text


def test_the_summary_needs_no_script() -> None:
    """The advice, every figure of the rows, the sweep's and the provenance stand in the page itself."""
    text = page(FULL, MADE, [])
    visible = unescape(re.sub("<[^>]*>", " ", text[: text.index("<script>")]))
    answers = [visible.index(sentence) for sentence in (*advice(FULL), *sweep_advice(MADE))]
    assert answers == sorted(answers) and answers[-1] < visible.index("Who is to blame"), "the answer comes first"
    for row in FULL.rows:
        assert title(row, FULL.provenance) in visible
        for share in row.shares:
            assert f"{share.count} ({100 * share.share:.1f} %)" in visible
    assert "A piece of the references costs 3.00 nats, one of the training text 1.00 (50 pairs)" in visible
    assert "1 (25.0 %)" in visible and "35.5 (33.5–38.5)" in visible and "milliseconds a sentence" in visible
    assert "Where the beam lost the reference, of 5 errors: 2 pruned" in visible
    assert "f" * 64 in visible and "sentence threshold" in visible and "exact steps" not in visible
    assert text.count("<svg") == text.count("</svg>") == 3 + 1 + 2, "curves, histogram, a bar a row that has errors"


def long(number: int, size: int) -> Any:
    one = record(number, "model", gap=-float(number), text="y" * size)
    return replace(one, source="x" * size, output=replace(one.output, text="z" * size))


def test_five_thousand_sentences_keep_below_the_limit() -> None:
    """Of ordinary length all have a line; of giant ones the most telling, and the page says how many are missing."""
    usual = report(*(long(number, 130) for number in range(1, 5001)))
    text = page(usual, None, [replace(DETAIL, number=number) for number in range(1, 5001)])
    assert len(text.encode()) < 20_000_000
    data = data_in(text)
    assert len(data["lines"]) == 5000 and len(data["details"]) > 1000
    giant = report(*(long(number, 1500) for number in range(1, 5001)))
    text = page(giant, None, [replace(DETAIL, number=number) for number in range(5000, 0, -1)])
    data = data_in(text)
    assert 12_000_000 < len(text.encode()) < 20_000_000
    kept = [line["n"] for line in data["lines"]]
    assert kept == list(range(5001 - len(kept), 5001)) and 2000 < len(kept) < 5000, "the widest differences in J"
    assert data["sentences"] == 5000 and set(map(int, data["details"])) <= set(kept)


def test_limits_cut_what_is_less_telling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame_page, "LINES_BYTES", 1500)
    data = data_in(page(FULL, None, [DETAIL]))
    assert 2 in [line["n"] for line in data["lines"]] and 1 <= len(data["lines"]) < 6
    monkeypatch.setattr(blame_page, "MOST_BYTES", 1500)
    assert data_in(page(FULL, None, [DETAIL]))["details"] == {}


def rows(reader: Reader) -> list[str]:
    """The line numbers that the table shows."""
    return [text for text in reader.texts["button"] if text.isdigit()]


def test_a_browser_lists_sorts_and_filters(tmp_path: Path) -> None:
    text = page(FULL, MADE, [DETAIL])
    reader = drawn(tmp_path, text)
    assert rows(reader) == ["2", "3", "4", "5", "6"], "errors, in the order of the text"
    assert "showing 5 of 5 chosen; 6 sentences in all; 1 with full detail" in reader.texts["p"]
    every = page(FULL, None, [replace(DETAIL, number=number) for number in range(1, 7)])
    assert "showing 5 of 5 chosen; 6 sentences in all" in drawn(tmp_path, every).texts["p"]
    assert not reader.of_class("td", "inside")
    # J(y*) − J(ŷ): +0.5, −0.25, +1, −2, −1
    assert rows(drawn(tmp_path, text, fragment="sort=gap")) == ["5", "6", "3", "2", "4"]
    assert rows(drawn(tmp_path, text, fragment="sort=-gap&verdict=model")) == ["3", "6", "5"]
    assert rows(drawn(tmp_path, text, fragment="verdict=equal,beam")) == ["1", "2"]
    assert rows(drawn(tmp_path, text, fragment="q=AFRIQUE%205")) == ["5"]
    assert rows(drawn(tmp_path, text, fragment="only=better")) == ["3"]
    assert rows(drawn(tmp_path, text, fragment="only=proved&verdict=model")) == ["5"]
    assert rows(drawn(tmp_path, text, fragment="only=below&open=99&sort=moon")) == ["2"]


def test_a_browser_obeys_mouse_and_keys(tmp_path: Path) -> None:
    """Clicks on a heading, a checkbox, a line; typing; Escape; arrows: by events, as a person makes them."""
    text = page(FULL, None, [DETAIL])
    click = "[...document.querySelectorAll('#lines th button')].find(one => one.textContent.startsWith('J(')).click();"
    assert rows(drawn(tmp_path, text, then=click)) == ["5", "6", "3", "2", "4"]
    twice = drawn(tmp_path, text, then=click * 2)
    assert rows(twice) == ["4", "2", "3", "6", "5"]
    assert [one.get("aria-sort") for tag, one in twice.elements if tag == "th" and "aria-sort" in one] == ["descending"]
    off = "document.querySelector('#verdicts input[value=model]').click();"
    assert rows(drawn(tmp_path, text, then=off)) == ["2", "4"]
    typed = "query.value = 'afrique 6'; query.dispatchEvent(new Event('input'));"
    assert rows(drawn(tmp_path, text, then=typed)) == ["6"]
    opened = "document.querySelector('#lines .row').click();"
    assert len(drawn(tmp_path, text, then=opened).of_class("td", "inside")) == 1
    closed = opened + "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));"
    assert not drawn(tmp_path, text, then=closed).of_class("td", "inside")
    down = "document.querySelector('#lines .row button').focus();" + (
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}));" * 2
    )
    entered = drawn(tmp_path, text, then=down + "document.activeElement.click();")
    assert "Jane visite l'Afrique 4." in entered.texts["dd"]
    slash = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}));"
    found = drawn(tmp_path, text, then=slash + "document.title = document.activeElement.id;")
    assert found.texts["title"][0] == "query"


def test_a_browser_opens_a_sentence(tmp_path: Path) -> None:
    reader = drawn(tmp_path, page(FULL, None, [DETAIL]), fragment="open=2")
    assert reader.texts["dd"][0] == "Jane visite l'Afrique 2."
    assert reader.texts["dd"][1] == "Jane visits Africa. J -0.500, log P -3.25, 6 pieces"
    assert any(text.startswith("The beam lost the reference at step 3") for text in reader.texts["p"])
    chips = [text for text in reader.texts["li"] if text.endswith("%")]
    assert chips == ["▁Jane60.7 %", "⇄ ▁is0 %", "</s>77.9 %", "▁Jane60.7 %", "⇄ ▁visits0 %", "</s>77.9 %"]
    looked = [one["aria-label"] for one in reader.of_class("g", "row")]
    assert looked[0] == "▁Jane looked at </s> 1.00, ▁visite 0.51, ▁Jane 0.02" and len(looked) == 6
    assert looked[3] == "▁Jane looked at </s> 1.00, ▁visite 0.25, ▁Jane 0.01", "the mean of both layers"
    assert [one.get("class") for tag, one in reader.elements if tag == "li" and one.get("title")] == [
        "k",
        "p star",
        "f",
    ]
    other = drawn(tmp_path, page(FULL, None, [DETAIL]), fragment="open=3")
    assert any("Full detail comes along for 1 of the 6 sentences" in text for text in other.texts["p"])
    assert "Jane flies. J -0.750, log P -2.00, 4 pieces" in other.texts["dd"]
    assert any(
        "up to 8 pieces nothing scores higher, beyond it something could by 0.500" in t for t in other.texts["dd"]
    )


def test_a_browser_chooses_a_layer(tmp_path: Path) -> None:
    then = "const layer = document.querySelector('select[aria-label=layer]'); layer.value = 1;"
    then += "layer.dispatchEvent(new Event('change'));"
    looked = drawn(tmp_path, page(FULL, None, [DETAIL]), fragment="open=2", then=then).of_class("g", "row")
    assert looked[3]["aria-label"] == "▁Jane looked at </s> 1.00, ▁Jane 0.00, ▁visite 0.00"


def test_a_browser_shades_both_maps_on_one_scale(tmp_path: Path) -> None:
    """Relative to the highest weight of the two, which is named; 0.02 of 0.04 is half as dark as 0.04."""
    output, reference = (tuple((0.0, 0.01, most) for _ in range(3)) for most in (0.02, 0.04))
    faint = replace(DETAIL, output_map=(output,), reference_map=(reference,))
    reader = drawn(tmp_path, page(FULL, None, [faint]), fragment="open=2")
    cells = [float(str(one["fill-opacity"])) for tag, one in reader.elements if tag == "rect" and "class" not in one]
    assert cells == pytest.approx([0.25, 0.5] * 3 + [0.25, 1.0] * 3, abs=0.011)
    assert "Full colour is a weight of 0.04, the highest of both maps." in reader.texts["p"]
    assert reader.of_class("g", "row")[0]["aria-label"] == "▁Jane looked at </s> 0.02, ▁visite 0.01, ▁Jane 0.00"


@pytest.mark.parametrize("name", ["W" * 14, "日本語の文章を書く", "▁a"])
def test_a_browser_cuts_no_name(tmp_path: Path, name: str) -> None:
    late = replace(FULL.records[1], parting=Parting("pruned", 23, 7, -1.0))
    named = replace(DETAIL, source=("a", "b", name), output=(name, "b", "c"), reference=("a", "b", name))
    text = page(replace(FULL, records=(*FULL.records[:1], late, *FULL.records[2:])), MADE, [named])
    assert "17 and later" in text
    assert cut(tmp_path, text.replace("svg {", "svg { overflow: visible;"), fragment="open=2") == []


def test_a_model_without_attention_draws_no_map(tmp_path: Path) -> None:
    reader = drawn(tmp_path, page(FULL, None, [replace(DETAIL, output_map=(), reference_map=())]), fragment="open=2")
    assert not reader.of_class("g", "row") and [text for text in reader.texts["li"] if text.endswith("%")]


def test_a_reference_that_was_not_scored_is_left_out(tmp_path: Path) -> None:
    then = "document.title = document.querySelector('svg[role=group]').getAttribute('width');"
    unscored = replace(DETAIL, reference=(), reference_map=())
    reader = drawn(tmp_path, page(FULL, None, [unscored]), fragment="open=2", then=then)
    assert len(reader.of_class("g", "row")) == 3 and float(reader.texts["title"][0]) > 0
    assert len([text for text in reader.texts["li"] if text.endswith("%")]) == 3


def test_a_browser_says_that_the_output_is_the_best_in_other_pieces(tmp_path: Path) -> None:
    numbers = {record.number: record for record in FULL.records}
    best = Certificate(numbers[3].output, False, True, 0.0, 9, 20, other_pieces=True)
    made = replace(FULL, records=tuple(replace(one, certificate=best) for one in FULL.records))
    reader = drawn(tmp_path, page(made, None, []), fragment="open=3")
    assert "ŷ is the text of the best, in other pieces; proved (9 model steps)" in reader.texts["dd"]
    assert "is the best" in reader.texts["td"]


def test_nothing_is_wider_than_a_phone(tmp_path: Path) -> None:
    """500 pixels is the narrowest window that Chromium opens without a screen."""
    then = "document.title = document.documentElement.scrollWidth;"
    reader = drawn(tmp_path, page(FULL, MADE, [DETAIL]), fragment="open=2", then=then, width=500)
    assert int(reader.texts["title"][0]) <= 500


def test_a_browser_draws_what_is_empty(tmp_path: Path) -> None:
    equal = report(record(1, "equal"))
    assert rows(drawn(tmp_path, page(equal, None, []))) == ["1"]


def test_a_browser_shows_thousands_by_and_by(tmp_path: Path) -> None:
    text = page(report(*(long(number, 9) for number in range(1, 5001))), None, [])
    reader = drawn(tmp_path, text)
    assert len(rows(reader)) == 200
    assert "showing 200 of 5000 chosen; 5000 sentences in all; none with full detail" in reader.texts["p"]
    assert len(rows(drawn(tmp_path, text, then="more.click();"))) == 400
    assert rows(drawn(tmp_path, text, fragment="open=300"))[-1] == "300"
    timed = "const begun = performance.now(); state.sort = 'gap'; list(); document.title = performance.now() - begun;"
    assert float(drawn(tmp_path, text, then=timed).texts["title"][0]) < 2000
    assert [Verdict(line["v"]) for line in data_in(text)["lines"][:1]] == [Verdict.MODEL]
