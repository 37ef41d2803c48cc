"""What is told about a sentence is what a trace, a forced pass and the attention of the model say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Data, head
from support.training_toys import LEARNED, tokenizer
from support.training_toys import model as toy_model

from nmtkit.blame.analysis import blame
from nmtkit.blame.search_errors import Budget
from nmtkit.decoding.settings import SearchSettings
from nmtkit.inspection.attended import attended
from nmtkit.inspection.details import explain
from nmtkit.inspection.tracing import trace
from nmtkit.translator import Translator


@pytest.mark.parametrize("beam", [1, 4])
def test_everything_comes_from_elsewhere_too(model: Path, data: Data, beam: int) -> None:
    translator = Translator.load(model, device="cpu")
    lines, references = head(data.folder / "dev.fr", 6), head(data.folder / "dev.en", 6)
    settings = replace(translator.defaults, beam=beam, max_length=40)
    report = blame(translator, lines, [references], settings)
    chosen = [report.records[index] for index in (4, 0, 3)]
    details = explain(translator, lines, chosen, settings)
    assert [detail.number for detail in details] == [5, 1, 4]
    for record, detail in zip(chosen, details, strict=True):
        source = translator.tokenizer.source
        assert detail.source == (*source.pieces(source.encode(record.source)), "</s>")
        target = translator.tokenizer.target
        seen = attended(translator, translator.read([record.source], settings), 0, record.output.tokens, settings)
        for layer, found in zip(seen.cross, detail.output_map, strict=True):
            assert found == pytest.approx(layer.sum(0) / len(layer), abs=1e-6)
        assert detail.output == tuple(target.pieces(record.output.tokens)) and detail.output[-1] == "</s>"
        assert "".join(detail.reference[:-1]).replace("▁", " ").strip() == record.reference.text
        [(_, traced)] = trace(translator, [record.source], settings, [record.reference.text])
        assert record.parting is not None and traced.reference is not None
        lost = len(traced.reference.ranks)
        assert lost == record.parting.step
        wanted = traced.steps[max(0, lost - 2) : lost + 1]
        assert [step.length for step in detail.steps] == [step.length for step in wanted]
        for mine, theirs, prefixes in zip(detail.steps, wanted, detail.prefixes, strict=True):
            for one, other, prefix in zip(mine.candidates, theirs.candidates, prefixes, strict=True):
                assert (one.piece, one.fate, one.reference) == (other.piece, other.fate, other.reference)
                assert one.total == pytest.approx(other.total, abs=1e-4)
                assert prefix[-1] == one.piece and len(prefix) == mine.length
                if one.reference:
                    assert prefix == detail.reference[: mine.length]


def test_a_line_longer_than_the_model_can_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Its pieces and maps, like the record, are of the seven pieces that are read; that is said once."""
    translator = Translator(toy_model(LEARNED["convolutional"], shake=0.5).eval(), tokenizer())
    lines, settings = ["cat", "the red dog sees the house"], SearchSettings(beam=1)
    report = blame(translator, lines, [["katze", "rot hund"]], settings, exact=Budget(steps=3))
    assert [record.source_pieces for record in report.records] == [2, 7]
    assert [record.limit for record in report.records] == [8, 8]
    (detail,) = explain(translator, lines, report.records[1:], settings)
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: line 2: 20 pieces, cut to the first 7 ")
    source = translator.tokenizer.source
    assert detail.source == (*source.pieces(source.encode(lines[1])[:7]), "</s>")
    assert {len(row) for layer in (*detail.output_map, *detail.reference_map) for row in layer} == {8}


def test_a_reference_that_was_not_scored_has_no_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    """What is told of the output, and of another line, is told all the same."""
    translator = Translator(toy_model(LEARNED["convolutional"], shake=0.5).eval(), tokenizer())
    lines, settings = ["cat", "dog"], SearchSettings(beam=1)
    report = blame(translator, lines, [["katze" * 9000, "rot"]], settings)
    assert "line 1" in capsys.readouterr().err
    long, short = explain(translator, lines, report.records, settings)
    assert long.reference == long.reference_map == () and long.output and long.output_map and long.steps
    assert "".join(short.reference) == "▁rot</s>" and short.reference_map


def test_nothing_to_explain(model: Path) -> None:
    translator = Translator.load(model, device="cpu")
    assert explain(translator, [], [], translator.defaults) == []
