"""Where the model lost the references, as a terminal shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.text import Text
from support.blame_toys import SMALL, record

from nmtkit.blame.findings import Fit, Flip, Frequency, Report
from nmtkit.blame.records import Divergence
from nmtkit.report.model_errors import frequencies, known, lengths, often, render


def turned(number: int, step: int, piece: str, deficit: float, rest: float) -> Report:
    return replace(record(number, "model"), divergence=Divergence(step, piece, "x", deficit, rest))


def said(report: Report) -> str:
    return " ".join(part.plain for part in render(report) if isinstance(part, Text))


def test_the_medians_of_the_first_differences() -> None:
    """At pieces 1, 3 and 9; deficits 0.5, 1 and 2; behind it 1 lost, 0.25 and 3 gained: the first lost all of it."""
    facts = ((1, "▁cat", 0.5, -1.0), (3, "▁cat", 1.0, 0.25), (9, "▁dog", 2.0, 3.0))
    report = replace(SMALL, records=tuple(turned(number, *one) for number, one in enumerate(facts, start=1)))
    text = said(report)
    assert "in 3 model verdicts: at piece 3 (median; 1 at the first), where its own piece is 1.00 nats likelier" in text
    assert "after that the output gains 0.25 more (median), and loses all of it in 1." in text
    assert "most often where the reference has ▁cat 2 times (0.75 nats)." in text and "dog" not in text
    assert said(replace(SMALL, records=SMALL.records[:2])) == "", "none turned away"


def test_other_exponents_speak_only_where_they_turn_something() -> None:
    flips = (Flip(0.0, 0, 0), Flip(1.0, 2, 1))
    text = said(replace(SMALL, records=(), flips=flips))
    assert text == (
        "Under α = 1 the same outputs would turn 2 of the verdicts from model to beam and 1 from beam to model."
    )


def test_the_mean_sentence_score_stands_under_the_name_and_in_the_digits_of_its_metric() -> None:
    records = tuple(
        replace(record(number, "model"), source_pieces=number, sentence_score=number / 100) for number in range(1, 21)
    )
    headings, rows = lengths(replace(SMALL, records=records))
    assert headings[-1] == "mean chrF" and [row[0] for row in rows] == ["1–5", "6–10", "11–15", "16–20"]
    assert [row[-1] for row in rows] == ["0.0", "0.1", "0.1", "0.2"]
    facts = replace(SMALL.provenance, sentence_metric="ter")
    assert lengths(replace(SMALL, records=records, provenance=facts))[0][-1] == "mean TER"


FREQUENCIES = (Frequency(0, 0, 4, 5.0, 3), Frequency(1, 9, 2000, 3.25, 10), Frequency(1000, None, 10, 1.0, 0))


def test_what_rare_pieces_cost() -> None:
    fit = Fit(50, 1.0, 3.0, 2 / 3, 0.5, 0.75, 0, 0, FREQUENCIES)
    assert known(fit) == (
        "A piece of the references costs 3.00 nats, one of the training text 1.00 (50 pairs): 66.7 % of the loss (50.0 "
        "to 75.0 %) comes from text that the model has not seen."
    )
    assert frequencies(fit)[1] == [
        ["never", "4", "5.00", "3 (75.0 %)"],
        ["1–9", "2,000", "3.25", "10 (0.5 %)"],
        ["1,000 and more", "10", "1.00", "0 (0.0 %)"],
    ]


@pytest.mark.parametrize(("one", "words"), zip(FREQUENCIES, ("never", "1–9", "1,000 and more"), strict=True))
def test_how_often(one: Frequency, words: str) -> None:
    assert often(one) == words
