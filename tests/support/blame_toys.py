"""For tests of blame analysis: table models over three pieces, and a small report written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from nmtkit.blame.analysis import blame
from nmtkit.blame.findings import Provenance, Report
from nmtkit.blame.records import Candidate, Obstacle, Record, Verdict
from nmtkit.blame.rows import count
from nmtkit.decoding.settings import SearchSettings
from nmtkit.specials import EOS, UNK
from nmtkit.translator import Translator
from support.toys import TableModel

A, B, AB = 4, 5, 6
PIECES = {A: "a", B: "b", AB: "ab", UNK: " ⁇ "}
SYMBOLS = 5


class Pieces:
    """The target side: a, b and ab, the longest first; anything else is UNK."""

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            piece = next((piece for piece in (AB, A, B) if text.startswith(PIECES[piece])), UNK)
            ids.append(piece)
            text = text[len(PIECES[piece]) if piece != UNK else 1 :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(PIECES[token] for token in ids)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [{**PIECES, EOS: "</s>"}[token] for token in ids]

    def segmentations(self, text: str, n: int) -> list[list[int]]:
        if not text:
            return [[]]
        starts = [piece for piece in (AB, A, B) if text.startswith(PIECES[piece])]
        return [[piece, *rest] for piece in starts for rest in self.segmentations(text[len(PIECES[piece]) :], 99)][:n]


class Numbers:
    """The source side: line "7" is sentence 7 of the table."""

    def encode(self, text: str) -> list[int]:
        return [int(text)] if text.strip() else []


SIDES: Any = SimpleNamespace(source=Numbers(), target=Pieces(), features=None)


def toy(*tables: Mapping[tuple[int, ...], Mapping[int, float]]) -> Any:
    """A translator whose source line "N" is the N-th of the tables (sentence 0 is PAD and so is never used)."""
    return Translator(TableModel.written([tables[0], *tables], symbols=SYMBOLS), SIDES)


def ask(translator: Translator, *references: str, sets: Sequence[Sequence[str]] = (), **more: Any) -> Report:
    """Blame over sentences 1, 2, 3 … with one reference each, or whole sets; search settings by name."""
    usual = {"beam": 5, "length_alpha": 0.0, "max_length": 4}
    named = {field.name for field in fields(SearchSettings)} & set(more)
    settings = SearchSettings(**{**usual, **{name: more.pop(name) for name in named}})
    all_sets = sets or [references]
    sources = more.pop("sources", [str(number) for number in range(1, len(all_sets[0]) + 1)])
    return blame(translator, sources, all_sets, settings, **{"warn": pytest.fail, **more})


GREEDY_IS_BEATEN = {
    (): {A: 0.55, B: 0.45},
    (A,): {EOS: 0.28, A: 0.24, B: 0.24, AB: 0.24},
    (B,): {EOS: 0.6, B: 0.4},
}
"""a: 0.55 · 0.28 = 0.154; b: 0.45 · 0.6 = 0.27; bb: 0.45 · 0.4 = 0.18."""


def record(
    number: int,
    verdict: str,
    *,
    text: str = "Jane visits Africa.",
    gap: float = 1.0,
    obstacle: str = "",
    total: float = -3.25,
) -> Record:
    return Record(
        number=number,
        source="Jane visite l'Afrique.",
        output=Candidate("Jane is going to Africa.", -4.5, 7, -1.0),
        references=(
            Candidate("not this one", -9.0, 4, -5.0),
            Candidate(text, total, 6, -1.0 + gap, Obstacle(obstacle)),
        ),
        judge=1,
        limit=20,
        verdict=Verdict(verdict),
        sentence_score=1 / 3,
        below=verdict == "beam",
        listed=False,
    )


def report(*records: Record) -> Report:
    facts = Provenance(
        "0.1.0",
        "f" * 64,
        5,
        0.7,
        "power",
        "2 × source pieces + 10",
        None,
        False,
        False,
        1000,
        1e-4,
        1,
        "chrf",
        60.0,
        "2.6",
        (10, 20, 50),
        None,
        None,
        None,
        "s",
        ("r",),
        rescoring_difference=1e-6,
    )
    return Report(records, count(records, judged=False), facts)


SMALL = report(
    record(1, "equal"),
    record(2, "beam", gap=0.5),
    record(3, "model", gap=-0.25),
    record(4, "unreachable", obstacle="not producible", total=-math.inf),
    record(5, "model", gap=-2.0),
    record(6, "model", gap=-1.0),
)
