"""For tests of comparisons: two analyses of eight sentences with two references each, and a sweep of the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sacrebleu.metrics.bleu import BLEU

from nmtkit.blame.findings import Report
from nmtkit.blame.records import Candidate, Obstacle, Record, Verdict
from nmtkit.blame.rows import count
from nmtkit.blame.sweep import Setting, Sweep
from support.blame_toys import SMALL
from support.sweep_toys import scores

RIGHT = "the cat sat on the mat and saw the dog"
WORDS = {"equal": RIGHT, "beam": "a cat sat on the mat and saw dogs", "model": "one cat", "unreachable": "dog the saw"}
KINDS = [verdict.value for verdict in Verdict]


def one(number: int, verdict: str, *, j: float = -1.0, text: str | None = None, below: bool = False) -> Record:
    """A sentence with two references."""
    output = Candidate(WORDS[verdict] if text is None else text, -4.5, 7, j)
    sets = Candidate("felines were there", -9.0, 4, -5.0), Candidate(RIGHT, -3.0, 6, -0.5, Obstacle(""))
    return Record(number, "le chat", output, sets, 1, 20, Verdict(verdict), 50.0, below, False)


def report(*records: Record, **facts: Any) -> Report:
    provenance = replace(SMALL.provenance, references_sha256=("r", "q"), **facts)
    return Report(records, count(records, judged=False), provenance)


def of(*verdicts: str, **facts: Any) -> Report:
    return report(*(one(number, verdict) for number, verdict in enumerate(verdicts, start=1)), **facts)


def scored(*values: float, **facts: Any) -> Report:
    return report(*(one(number, "model", j=value) for number, value in enumerate(values, start=1)), **facts)


BEFORE = of("beam", "beam", "beam", "model", "model", "unreachable", "equal", "equal")
AFTER = of("equal", "model", "beam", "model", "equal", "model", "equal", "beam")


def swept(bleu: float, best: int = 0) -> Sweep:
    """Beam 1, 5 (that of the report) and 20 with α 0.7; `bleu` is that of beam 20."""
    values = [(1, 1.5), (5, 2.5), (20, bleu)]
    made = [Setting(beam, 0.7, scores(value, 50.0), 8, 1, 1.0, 0.1) for beam, value in values]
    return Sweep(tuple(made), 8, 1, best, 50.0)


TRUE = BLEU(force=True).corpus_score(
    [record.output.text for record in AFTER.records], [["felines were there"] * 8, [RIGHT] * 8]
)
