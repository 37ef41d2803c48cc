"""A third cause: outputs that float32 would not have chosen, with an engine that returns what is written here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from rich.text import Text
from support.blame_toys import AB, GREEDY_IS_BEATEN, A, B, toy

from nmtkit.blame.analysis import blame
from nmtkit.blame.keeping import Keeper
from nmtkit.blame.plain import from_plain, to_plain
from nmtkit.blame.records import Record, Verdict
from nmtkit.blame.search_errors import Budget
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.settings import SearchSettings
from nmtkit.report.blame import render, settings_line, to_json
from nmtkit.report.precision import render as sentences
from nmtkit.specials import EOS

SETTINGS = SearchSettings(beam=2, length_alpha=0.0, max_length=4, free_eos=True)
"""A beam of 2 finds b (0.27)."""


@dataclass
class Written:
    """An engine whose outputs are written down, with log P that are too high by 0.5."""

    outputs: Sequence[tuple[int, ...]]
    in_words: str = "CTranslate2 9.9, int8"

    def find(self, stepper: Any, batch: Any, queries: Any) -> list[list[Hypothesis]]:
        return [[Hypothesis((*self.outputs[query.index], EOS), -0.5, -0.5)] for query in queries]


def ask(outputs: Sequence[tuple[int, ...]], *references: str, **more: Any) -> Any:
    translator = toy(*[GREEDY_IS_BEATEN] * len(outputs))
    numbers = [str(number) for number in range(1, len(outputs) + 1)]
    engine: Any = Written(outputs)
    return blame(translator, numbers, [references], SETTINGS, warn=pytest.fail, engine=engine, **more)


def test_by_hand() -> None:
    """Float32 finds b (0.27). The engine returns b, a (0.154), a, a and bb (0.18).

    Against b, a is an error that float32 does not make, and a beam verdict that float32's search clears. Against bb, a
    is blamed on the search, although float32's b is better than both. Against a, the engine's a is none where float32's
    is one. Against b, bb is another error of the precision.
    """
    report = ask([(B,), (A,), (A,), (A,), (B, B)], "b", "b", "bb", "a", "b")
    verdicts = [record.verdict for record in report.records]
    assert verdicts == [Verdict.EQUAL, Verdict.BEAM, Verdict.BEAM, Verdict.EQUAL, Verdict.BEAM]
    twins = [record.twin.verdict if record.twin else None for record in report.records]
    assert twins == [None, Verdict.EQUAL, Verdict.MODEL, Verdict.MODEL, Verdict.EQUAL]
    facts = report.precision
    assert (facts.outputs, facts.changed, facts.lower, facts.higher) == (5, 4, 4, 0)
    assert (facts.made, facts.spared, facts.beam, facts.cleared) == (2, 1, 3, 3)
    lost = (3 * (math.log(0.27) - math.log(0.154)) + math.log(0.27) - math.log(0.18)) / 5
    assert facts.loss == pytest.approx(lost, abs=1e-6)
    assert (facts.rows[0].count, facts.rows[0].of) == (3, 3)
    low, high = 3 / (3 + 1.959964**2), 1.0  # Wilson's interval of 3 of 3
    assert (facts.rows[0].low, facts.rows[0].high) == pytest.approx((low, high), abs=1e-6)
    text = " ".join(part.plain for part in sentences(report))
    assert "CTranslate2 9.9, int8 returned another text" in text and "in 4 of 5 outputs" in text
    assert "2 are errors where float32's are none; 1 the other way round" in text
    assert "In 3 of 3 beam verdicts the search in float32 reaches J(y*)" in text
    assert "by CTranslate2 9.9, int8, beam 2" in settings_line(report)
    assert any(isinstance(part, Text) and "a third cause" in part.plain for part in render(report, 0))


def test_the_scores_of_the_engine_do_not_matter() -> None:
    """They are wrong by more than any parity check lets pass, and are only noted."""
    (record,) = ask([(A,)], "b").records
    (own,) = blame(
        toy(GREEDY_IS_BEATEN), ["1"], [["b"]], SearchSettings(beam=1, length_alpha=0.0, max_length=4)
    ).records
    assert record.output.total == pytest.approx(own.output.total, abs=1e-12)
    assert record.rescoring == pytest.approx(abs(record.output.total + 0.5)) and own.rescoring < 1e-6


def test_without_an_engine_there_are_no_such_facts() -> None:
    report = blame(toy(GREEDY_IS_BEATEN), ["1"], [["b"]], SETTINGS, warn=pytest.fail)
    assert report.precision is None and not list(sentences(report)) and report.records[0].twin is None
    assert "precision" not in to_json(report) and "engine" not in to_json(report)["provenance"]
    assert "twin" not in to_json(report)["records"][0]


def test_the_same_outputs_are_said_to_be_the_same() -> None:
    report = ask([(B,), (B,)], "b", "bb")
    assert report.precision is not None and report.precision.changed == 0
    (sentence,) = sentences(report)
    assert "gives the same 2 outputs as CTranslate2 9.9, int8" in sentence.plain


def test_other_pieces_of_the_same_text_are_no_change() -> None:
    """ab in one piece, and in two, where float32 chooses one."""
    table = {(): {AB: 0.9, A: 0.1}, (AB,): {EOS: 1.0}, (A,): {B: 1.0}, (A, B): {EOS: 1.0}}
    engine: Any = Written([(A, B)])
    report = blame(toy(table), ["1"], [["ab"]], SETTINGS, warn=pytest.fail, engine=engine)
    assert report.records[0].twin is not None and report.precision is not None and report.precision.changed == 0
    assert report.precision.loss > 1


def test_exact_search_proves_the_engines_outputs_wrong() -> None:
    report = ask([(A,), (B,)], "bb", "a", exact=Budget(1000))
    assert [record.certificate.error for record in report.records] == [True, False]
    assert all(record.certificate.proved and record.certificate.best.text == "b" for record in report.records)


def test_records_are_kept_with_the_engine(tmp_path: Any) -> None:
    path = tmp_path / "records"
    first = ask([(A,), (B,)], "b", "b", keeper=Keeper(path))
    assert ask([(A,), (B,)], "b", "b", keeper=Keeper(path)).records == first.records
    assert from_plain(Record, to_plain(first.records[0])) == first.records[0]
    with pytest.raises(ValueError, match="engine was CTranslate2 9.9, int8, now None"):
        blame(toy(GREEDY_IS_BEATEN), ["1", "2"], [["b", "b"]], SETTINGS, keeper=Keeper(path))
