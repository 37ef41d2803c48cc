"""The blame report as people and programs read it."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.blame_toys import SMALL, record, report
from support.sweep_toys import MADE

from nmtkit.blame.findings import Report
from nmtkit.blame.records import Candidate, Certificate, Parting
from nmtkit.blame.rows import count
from nmtkit.blame.sweep import Sweep
from nmtkit.report.advice import advice
from nmtkit.report.blame import all_in_turn, render, settings_line, telling, to_json, to_tsv
from nmtkit.report.sweep import advice as sweep_advice

NASTY = "tab\there [bold]x[/bold] \\t\\ line\nfeed\r\x0b\x0c\x85\u2028\u2029\x1c :smile: \x1b[31mred \U0001f600"


def printed(shown: Report, examples: int = 3, width: int = 80, sweep: Sweep | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    for part in render(shown, examples, sweep):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_tables_hold_the_counts_and_the_lecture_s_columns() -> None:
    text = printed(SMALL)
    words = " ".join(text.split())
    assert "6 sentences, beam 5, α = 0.7, at most 2 × source pieces + 10 pieces" in words
    assert "output ≠ reference 5 1 (20.0 %) 3 (60.0 %) 1 (20.0 %)" in words
    # Wilson, 1 of 5: 0.0362 to 0.6245; 3 of 5: 0.2307 to 0.8824
    assert "3.6 to 62.4 % 23.1 to 88.2 % 3.6 to 62.4 %" in words
    assert "of these, below chrF 60 1 1 (100.0 %) 0 (0.0 %) 0 (0.0 %)" in words
    assert "1 of 6 outputs equals a reference and is no error." in words
    assert all(heading in text for heading in ("log P", "|y|", "J", "at fault"))
    assert "human y* 2/2 Jane visits Africa. -3.25 6 -0.500 beam" in words
    assert "algorithm ŷ Jane is going to Africa. -4.50 7 -1.000" in " ".join(printed(SMALL, width=200).split())


def test_the_answer_comes_first_and_the_longest_table_last() -> None:
    """The advice, that of a sweep with it, then the shares, then what they rest on, and the sentences at the end."""
    words = " ".join(printed(SMALL, sweep=MADE).split())
    answers = [*advice(SMALL), *sweep_advice(MADE)]
    places = [words.index(f"• {' '.join(sentence.split())}") for sentence in answers]
    assert places == sorted(places) and len(places) == 3
    parts = ["6 sentences, beam 5", "• ", "errors n beam", "95 % Wilson", "settings measured on", "human y*"]
    order = [words.index(part) for part in parts]
    assert order == sorted(order) and places[-1] < order[2]
    lines = printed(SMALL).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("• "))
    assert first < 4 and lines[first + 1].startswith(("• ", "  ")), "what does not fit on a line is indented"


def test_records_in_turn_are_all_records() -> None:
    assert [one.number for one in all_in_turn(SMALL)] == [2, 1, 3, 4, 5, 6]
    equal = report(record(1, "equal"), record(2, "equal"))
    assert [one.number for one in all_in_turn(equal)] == [1, 2]


def test_a_row_without_errors_shows_no_shares() -> None:
    words = " ".join(printed(report(record(1, "equal"))).split())
    assert "output ≠ reference 0 – – –" in words
    assert "Every output equals a reference (1 of 1)" in words


def test_everything_fits_80_columns() -> None:
    numbers = [
        record(n, ("beam", "model", "unreachable")[n % 3], text="ein sehr langer Satz " * 30) for n in range(1, 2000)
    ]
    long = [
        record(2000000, "beam", text="x" * 500, total=-123456.789, gap=10000),
        record(2000001, "unreachable", text="日本語の文章" * 40, obstacle="not producible", total=-math.inf),
    ]
    long = [replace(one, below=True) for one in long]
    text = printed(report(*numbers, *long), examples=6)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "2000000" in text and "−∞" in text
    assert "-123456.79" in text and "producible" in text and "667 (" in text


def test_texts_are_shown_as_they_are() -> None:
    text = printed(report(record(1, "beam", text=NASTY)), width=300)
    assert "[bold]x[/bold]" in text and ":smile:" in text
    assert "\x1b" not in text and "\\x1b[31mred" in text
    assert "tab\\there" in text and "\\u2028" in text


@pytest.mark.parametrize(("most", "numbers"), [(0, []), (1, [2]), (2, [2, 5]), (3, [2, 4, 5]), (4, [2, 4, 5, 6])])
def test_telling_sentences_show_every_verdict_and_the_clearest_first(most: int, numbers: list[int]) -> None:
    different = replace(SMALL, records=tuple(replace(one, below=False) for one in SMALL.records))
    different = replace(different, rows=count(different.records, judged=False))
    assert sorted(one.number for one in telling(different, most)) == numbers
    assert [one.number for one in telling(different, 4)] == [2, 5, 4, 6], "verdicts in turn, the clearest first"
    assert [one.number for one in telling(SMALL, 4)] == [2], "where sentence scores find errors, only those"


def test_json_round_trip() -> None:
    value = to_json(SMALL)
    back = json.loads(json.dumps(value, allow_nan=False))
    assert back == value
    silent = ("scores_file", "other_settings", "prefixes_sha256", "engine")  # silent where there is nothing to say
    facts = {name: value for name, value in asdict(SMALL.provenance).items() if name not in silent}
    assert back["provenance"] == {
        **facts,
        **{"references_sha256": ["r"], "widths": [10, 20, 50], "listed": []},
    }
    assert back["rows"][0]["errors"] == 5 and back["rows"][0]["numbers"] == [2, 3, 4, 5, 6]
    assert [(one["verdict"], one["count"]) for one in back["rows"][0]["shares"]] == [
        ("beam", 1),
        ("model", 3),
        ("unreachable", 1),
    ]
    assert back["records"][3]["references"][1] == {
        "text": "Jane visits Africa.",
        "total": None,
        "length": 6,
        "score": 0.0,
        "obstacle": "not producible",
        "tokens": [],
        "log_probs": [],
        "others": [],
    }
    assert back["records"][1]["sentence_score"] == 1 / 3 and back["records"][1]["judge"] == 1
    assert all(type(one["verdict"]) is str for one in value["records"])
    assert back["advice"]


def read_tsv(text: str) -> list[dict[str, Any]]:
    """As a stranger would read it, from the documentation of the columns."""
    header, *lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_tsv_round_trip() -> None:
    best = Candidate(NASTY, -1.5, 3, -0.5)
    nasty = replace(
        record(2, "beam", text=NASTY),
        source=NASTY,
        parting=Parting("pruned", 4, 12345, -0.125, 20),
        certificate=Certificate(best, True, False, 0.1, 77, 9),
    )
    rows = read_tsv(to_tsv(report(record(1, "equal"), nasty, record(3, "unreachable", obstacle="too long"))))
    assert [row["number"] for row in rows] == ["1", "2", "3"]
    names = "number verdict below listed sentence_score limit source prefix"
    names += " output output_log_p output_length output_j judge"
    names += " lost lost_step lost_rank lost_margin width best best_log_p best_length best_j"
    names += " proved gap steps proved_limit"
    each = ("reference_N", "reference_N_log_p", "reference_N_length", "reference_N_j", "reference_N_obstacle")
    assert list(rows[0]) == [*names.split(), *(name.replace("N", n) for n in "12" for name in each)]
    for name in ("source", "reference_2"):
        escaped = "".join(c if c.isascii() else c.encode("unicode_escape").decode() for c in rows[1][name])
        assert escaped.encode().decode("unicode_escape") == NASTY
    lost = [rows[1][name] for name in ("lost", "lost_step", "lost_rank", "lost_margin", "width")]
    assert lost == ["pruned", "4", "12345", "-0.125", "20"]
    exact = [
        rows[1][name] for name in ("best_log_p", "best_length", "best_j", "proved", "gap", "steps", "proved_limit")
    ]
    assert exact == ["-1.5", "3", "-0.5", "no", "0.1", "77", "9"] and rows[1]["best"] == rows[1]["source"]
    assert {rows[0][name] for name in ("lost", "width", "best", "best_j", "proved", "proved_limit")} == {""}
    assert [row["verdict"] for row in rows] == ["equal", "beam", "unreachable"]
    assert [row["below"] for row in rows] == ["no", "yes", "no"]
    assert (rows[1]["judge"], rows[2]["reference_2_obstacle"]) == ("2", "too long")
    assert float(rows[1]["sentence_score"]) == 1 / 3
    assert (float(rows[1]["reference_2_log_p"]), rows[1]["reference_2_length"], rows[1]["limit"]) == (-3.25, "6", "20")
    assert (float(rows[1]["reference_2_j"]), float(rows[1]["output_j"])) == (0.0, -1.0)
    assert read_tsv(to_tsv(SMALL))[3]["reference_2_log_p"] == "-inf"


def test_reports_need_no_torch() -> None:
    program = "import sys, nmtkit.report.blame, nmtkit.report.advice; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_forced_beginnings_are_told() -> None:
    begun = report(replace(record(1, "beam"), prefix="Jane is\t"), record(2, "model"), record(3, "equal"))
    begun = replace(begun, provenance=replace(begun.provenance, prefixes_sha256="p" * 64))
    assert settings_line(begun).startswith("3 sentences, 1 beginning forced (J is of the rest), beam ")
    rules = replace(SMALL, provenance=replace(SMALL.provenance, patience=1.0, free_eos=True))
    assert ", patience 1, free eos, at most " in settings_line(rules) and "patience" not in settings_line(SMALL)
    assert "forced" not in settings_line(SMALL)
    assert [row["prefix"] for row in read_tsv(to_tsv(begun))] == ["Jane is\\t", "", ""]
    assert all(row["prefix"] == "" for row in read_tsv(to_tsv(SMALL)))
