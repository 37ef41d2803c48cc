"""What is told about a sentence is what a trace, a forced pass and the attention of the model say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Data, head

from nmtkit.analysis.blame import blame
from nmtkit.analysis.details import explain
from nmtkit.analysis.tracing import trace
from nmtkit.models.interface import stack_targets
from nmtkit.specials import EOS
from nmtkit.translator import Translator


@pytest.mark.parametrize("beam", [1, 4])
def test_everything_comes_from_elsewhere_too(model: Path, data: Data, beam: int) -> None:
    translator = Translator.load(model, device="cpu")
    lines, references = head(data.folder / "dev.fr", 6), head(data.folder / "dev.en", 6)
    settings = replace(translator.defaults, beam=beam, max_length=40)
    report = blame(translator, lines, [references], settings)
    chosen = [report.records[index] for index in (4, 0, 3)]
    details = explain(translator, chosen, settings)
    assert [detail.number for detail in details] == [5, 1, 4]
    for record, detail in zip(chosen, details, strict=True):
        source = translator.tokenizer.source
        assert detail.source == (*source.pieces(source.encode(record.source)), "</s>")
        target = translator.tokenizer.target
        assert detail.output == tuple(target.pieces(record.output.tokens)) and detail.output[-1] == "</s>"
        assert "".join(detail.reference[:-1]).replace("▁", " ").strip() == record.reference.text
        [(_, traced)] = trace(translator, [record.source], settings, [record.reference.text])
        assert record.loss is not None and traced.reference is not None
        lost = len(traced.reference.ranks)
        assert lost == record.loss.step
        wanted = traced.steps[max(0, lost - 2) : lost + 1]
        assert [step.length for step in detail.steps] == [step.length for step in wanted]
        for mine, theirs, prefixes in zip(detail.steps, wanted, detail.prefixes, strict=True):
            for one, other, prefix in zip(mine.candidates, theirs.candidates, prefixes, strict=True):
                assert (one.piece, one.fate, one.reference) == (other.piece, other.fate, other.reference)
                assert one.total == pytest.approx(other.total, abs=1e-4)
                assert prefix[-1] == one.piece and len(prefix) == mine.length
                if one.reference:
                    assert prefix == detail.reference[: mine.length]


def test_attention_is_the_mean_of_the_heads_of_one_sentence_alone(model: Path, data: Data) -> None:
    """In a batch of lines of several lengths each map is that of the line by itself, and its rows sum to one."""
    translator = Translator.load(model, device="cpu")
    lines = [*head(data.folder / "dev.fr", 3), "a", ""]
    targets = [[translator.encode_target("Jane visits Africa."), (EOS,)] for _ in lines]
    found = translator.attention(lines, targets, translator.defaults)
    for line, maps in zip(lines, found, strict=True):
        ids = [*translator.tokenizer.source.encode(line), EOS]
        source = torch.tensor([ids])
        memory = translator.model.encode(source, source > 0)
        for target, layers in zip(targets[0], maps, strict=True):
            own = translator.model.attention(memory, stack_targets([target], torch.device("cpu"))[0]).cross
            assert len(layers) == len(own)
            for layer, weights in zip(layers, own, strict=True):
                assert torch.tensor(layer).shape == (len(target), len(ids))
                torch.testing.assert_close(torch.tensor(layer), weights[0].sum(0) / weights.shape[1])
                assert torch.tensor(layer).sum(1).tolist() == pytest.approx([1.0] * len(target), abs=1e-5)


def test_nothing_to_explain(model: Path) -> None:
    translator = Translator.load(model, device="cpu")
    assert explain(translator, [], translator.defaults) == []
