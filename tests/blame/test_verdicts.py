"""What a verdict rests on: the reference that judges is followed, and every sentence is encoded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from support.blame_toys import GREEDY_IS_BEATEN, A, B, toy
from support.searches import score_texts

from nmtkit.blame.question import Question
from nmtkit.blame.records import Record, Verdict
from nmtkit.blame.verdicts import PARITY, judge
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.threshold import parse_threshold
from nmtkit.specials import EOS

SETTINGS = SearchSettings(beam=1, length_alpha=0.0, max_length=4)
QUESTION = Question(1e-4, frozenset(), parse_threshold("chrf:60"), 1)


def judged(translator: Any, *rows: tuple[str, ...], first: int = 1, **change: Any) -> list[Record]:
    sources = [str(number) for number in range(1, len(rows) + 1)]
    return judge(translator, sources, rows, replace(SETTINGS, **change), QUESTION, first)


def test_by_hand() -> None:
    """Greedy search finds a (0.154) and misses b (0.27) in the first step, where b is second; bb has 0.18."""
    missed, found, worse = judged(toy(*[GREEDY_IS_BEATEN] * 3), ("b",), ("a",), ("aa",))
    assert [record.verdict for record in (missed, found, worse)] == [Verdict.BEAM, Verdict.EQUAL, Verdict.MODEL]
    assert missed.output.tokens == (A, EOS) and missed.reference.tokens == (B, EOS)
    assert missed.parting is not None and found.parting is None
    assert (missed.parting.ending, missed.parting.step, missed.parting.rank) == ("pruned", 1, 2)
    assert missed.divergence is not None
    assert (missed.divergence.step, missed.divergence.piece, missed.divergence.output_piece) == (1, "b", "a")


def test_of_several_references_the_one_that_judges_is_followed() -> None:
    """bb (0.18) against b (0.27): b judges, whichever comes first, and the beam lost it at step 1."""
    for row, judge_index in ((("bb", "b"), 1), (("b", "bb"), 0)):
        (record,) = judged(toy(GREEDY_IS_BEATEN), row)
        assert record.judge == judge_index and record.reference.text == "b"
        assert record.parting is not None and record.parting.step == 1


def test_numbers_go_on_from_the_first() -> None:
    records = judged(toy(*[GREEDY_IS_BEATEN] * 2), ("b",), ("a",), first=41)
    assert [record.number for record in records] == [41, 42]


def test_every_sentence_is_tokenised_and_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    translator, encoded, tokenised = toy(*[GREEDY_IS_BEATEN] * 3), [], []
    encode, read = translator.model.encode, translator.tokenizer.source.encode

    def spy(source: torch.Tensor, mask: torch.Tensor) -> Any:
        encoded.append(len(source))
        return encode(source, mask)

    monkeypatch.setattr(translator.model, "encode", spy)
    monkeypatch.setattr(translator.tokenizer.source, "encode", lambda line: tokenised.append(line) or read(line))
    judged(translator, ("b", "bb"), ("a", ""), ("aa", "ab"))
    assert encoded == [3] and tokenised == ["1", "2", "3"]


def test_scores_are_those_of_a_forced_pass() -> None:
    translator = toy(*[GREEDY_IS_BEATEN] * 2)
    records = judged(translator, ("b",), ("ab",))
    for record, source, text in zip(records, ("1", "2"), ("b", "ab"), strict=True):
        (reference,) = score_texts(translator, [source], [text], SETTINGS)
        (output,) = score_texts(translator, [source], [record.output.text], SETTINGS)
        assert record.reference.score == pytest.approx(reference.score, abs=1e-12)
        assert record.output.score == pytest.approx(output.score, abs=1e-12) and record.rescoring < PARITY
