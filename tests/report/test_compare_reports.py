"""Two analyses side by side as people and programs read them."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.blame_toys import SMALL, record

from nmtkit.blame.findings import Report
from nmtkit.blame.records import Candidate, Record, Verdict
from nmtkit.blame.rows import count
from nmtkit.comparison.reports import compare_reports
from nmtkit.report.compare_advice import advice
from nmtkit.report.compare_reports import render, telling, to_json

NASTY = "tab\there [bold]x[/bold] \\t line\nfeed\r\x85\u2028 :smile: \x1b[31mred \U0001f600"


def changed(number: int, verdict: str, output: str = "Jane goes.", score: float = 50.0) -> Record:
    made = record(number, verdict)
    return replace(made, output=replace(made.output, text=output, score=-0.75), sentence_score=score)


def report(*records: Record, **facts: object) -> Report:
    provenance = replace(SMALL.provenance, references_sha256=("r", "q"), **facts)  # type: ignore[arg-type]
    return Report(records, count(records, judged=False), provenance)


BEFORE = report(*SMALL.records)
AFTER = report(
    changed(1, "equal"),
    changed(2, "model", score=90.0),
    changed(3, "equal", score=100.0),
    changed(4, "model", score=20.0),
    changed(5, "model"),
    changed(6, "beam", score=10.0),
    beam=20,
)


def printed(before: Report = BEFORE, after: Report = AFTER, examples: int = 5, width: int = 80) -> str:
    difference = compare_reports(before, after, None, resamples=10)
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    for part in render(difference, before, after, examples):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_settings_transitions_and_scores() -> None:
    text = printed()
    lines = rows(text)
    assert ["beam", "5", "20"] in lines and "No setting differs" not in text
    # before equal, beam, model × 3, unreachable; after equal, model, equal, model, model, beam
    for row in (
        ["before", "equal", "beam", "model", "unreachable", "sum"],
        ["equal", "1", "0", "0", "0", "1"],
        ["beam", "0", "0", "1", "0", "1"],
        ["model", "1", "1", "1", "0", "3"],
        ["unreachable", "0", "0", "1", "0", "1"],
        ["after", "2", "1", "3", "0", "6"],
        ["errors", "5", "4", "-1", "1", "0", "1.000"],
        ["beam", "errors", "1", "1", "+0", "1", "1", "1.000"],
        ["errors", "below", "chrF", "60", "1", "1", "+0", "1", "1", "1.000"],
    ):
        assert row in lines, row
    difference = compare_reports(BEFORE, AFTER, None, resamples=10)
    bleu, chrf = difference.scores
    for score in (bleu, chrf):
        figures = [f"{score.baseline:.2f}", f"{score.system:.2f}", f"{score.delta:+.2f}", f"{score.p_value:.3f}"]
        assert [score.metric.title, *figures] in lines
    assert f"{bleu.signature}\n" in text and f"{chrf.signature}\n" in text
    assert ["mean", "J", "+0.2500"] in lines
    words = " ".join(text.split())
    assert all(f"• {' '.join(sentence.split())}" in words for sentence in advice(difference))


def test_the_answer_comes_first_and_the_longest_table_last() -> None:
    words = " ".join(printed().split())
    parts = [*(f"• {' '.join(one.split())}" for one in advice(compare_reports(BEFORE, AFTER, None, resamples=10)))]
    parts += ["differs before after", "Verdicts of 6", "before after change", "ŷ before"]
    assert words.startswith("• ") and [words.index(part) for part in parts] == sorted(map(words.index, parts))


def test_a_report_beside_itself_and_beside_another_model() -> None:
    same = printed(BEFORE, BEFORE)
    assert "No setting differs." in same and ["mean", "J", "+0.0000"] in rows(same) and "ŷ before" not in same
    other = printed(BEFORE, report(*AFTER.records, model="e" * 64))
    assert ["model", "f" * 12, "e" * 12] in rows(other) and "mean J" not in other


@pytest.mark.parametrize(("most", "numbers"), [(0, []), (1, [3]), (2, [2, 3]), (3, [2, 3, 4]), (9, [2, 3, 4, 6])])
def test_sentences_whose_score_changed_most(most: int, numbers: list[int]) -> None:
    """From 1/3: to 100, 90, 20 and 10; line 5 changed its score but not its verdict."""
    difference = compare_reports(BEFORE, AFTER, None, resamples=2)
    assert [old.number for old, _ in telling(difference, BEFORE, AFTER, most)] == numbers
    text = printed(examples=most)
    assert text.count("ŷ before") == text.count("ŷ after") == len(numbers)
    assert ("of the 4 sentences whose verdict changed" in text) == (0 < most < 4)


def test_both_outputs_with_their_verdicts() -> None:
    text = printed(examples=1, width=120)
    lines = [" ".join(row) for row in rows(text)]
    assert "3 source Jane visite l'Afrique." in lines
    assert "y* Jane visits Africa." in lines and "y* before" not in text
    assert "ŷ before Jane is going to Africa. 0.3 -1.000 model" in lines
    assert "ŷ after Jane goes. 100.0 -0.750 equal" in lines


def test_where_another_reference_judges_both_are_shown() -> None:
    judged = report(*(replace(one, judge=0) for one in AFTER.records))
    lines = [" ".join(row) for row in rows(printed(BEFORE, judged, examples=1))]
    assert "y* before Jane visits Africa." in lines and "y* not this one" in lines


def test_everything_fits_80_columns() -> None:
    long = [
        replace(record(number, "unreachable", text="日本語の文章" * 40, obstacle="not producible", total=-math.inf))
        for number in range(1, 12)
    ]
    new = [changed(number, "model", "ein sehr langer Satz " * 30) for number in range(1, 12)]
    new[3] = replace(new[3], number=1234567, output=Candidate("x" * 500, -123456.789, 9, -12345.678))
    long[3] = replace(long[3], number=1234567)
    rules = {"length_limit": "1.5 × source pieces, 1 at least, and 100 more besides", "patience": 1.5, "beam": 100}
    text = printed(report(*long), report(*new, model="+".join("abc"), listed=tuple(range(90)), **rules), examples=11)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "1234567" in text and "unreachable" in text and "-12345.678" not in text, "another model's J"
    alike = printed(report(*long), report(*new), examples=11)
    assert max(cell_len(line) for line in alike.splitlines()) <= 80 and "-12345.678" in alike


def test_texts_are_shown_as_they_are() -> None:
    text = printed(BEFORE, report(changed(1, "model", NASTY), *AFTER.records[1:]), width=300)
    assert "[bold]x[/bold]" in text and ":smile:" in text and "tab\\there" in text
    assert "\x1b" not in text and "\\x1b[31mred" in text


def test_json_round_trip() -> None:
    difference = compare_reports(BEFORE, AFTER, None, resamples=10)
    value = to_json(difference)
    back = json.loads(json.dumps(value, allow_nan=False))
    assert back == value
    assert back["transitions"]["model"] == {"equal": 1, "beam": 1, "model": 1, "unreachable": 0}
    assert list(back["transitions"]) == [verdict.value for verdict in Verdict]
    assert back["changed"] == [2, 3, 4, 6] and back["sentences"] == 6
    assert back["settings"] == [{"name": "beam", "before": 5, "after": 20}]
    assert back["counts"][1] == {"verdict": "beam", "before": 1, "after": 1}
    assert back["shifts"][0] == {"title": "errors", "before": 5, "after": 4, "gone": 1, "new": 0, "p_value": 1.0}
    assert back["scores"][1]["metric"] == "chrF" and back["scores"][0]["delta"] == difference.scores[0].delta
    assert back["promise"] is None and back["unpromised"] == "the first report has no sweep"
    assert back["advice"] == advice(difference) and back["j_change"] == 0.25
