"""Beam search in another precision, and the forced pass over what it found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from support.engine_toys import SETTINGS, TEXT, random_translator

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.engines import OtherPrecision, Rescored
from nmtkit.models import matrices
from nmtkit.models.interface import Model
from nmtkit.models.options import TransformerOptions
from nmtkit.translator import Translator

NBEST = replace(SETTINGS, n_best=3)


class Backwards(Beam):
    """Beam search that returns the best hypothesis last."""

    def find(self, *arguments: Any) -> list[Any]:
        return [hypotheses and hypotheses[::-1] for hypotheses in super().find(*arguments)]


@pytest.fixture
def translator(monkeypatch: pytest.MonkeyPatch) -> Translator:
    monkeypatch.setattr(matrices, "LARGE", 1)
    options = TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=2, decoder_layers=2)
    return random_translator(options, 6)


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_the_search_is_that_of_the_lowered_model_and_its_scores_those_of_the_model(
    translator: Translator, precision: str
) -> None:
    lowered = cast(Model, translator.model).lowered(precision)
    engine = OtherPrecision(lowered, precision, NBEST)
    assert engine.in_words == f"nmtkit, {precision}"
    source = translator.read(TEXT, NBEST)
    found: list[Any] = translator.find(engine, source, NBEST)
    assert found == Translator(lowered, translator.tokenizer).find(Beam.of(NBEST), source, NBEST)
    rescored = translator.find(Rescored.of(engine), source, NBEST)
    targets = [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found]
    forced = translator.score(source, targets, NBEST)
    moved = 0.0
    for own, again, expected in zip(found, rescored, forced, strict=True):
        assert again is not None
        assert [one.score for one in again] == sorted((one.score for one in expected), reverse=True)
        assert {one.tokens for one in again} == {one.tokens for one in own}
        moved = max(moved, *(abs(one.score - other.score) for one, other in zip(own, expected, strict=True)))
    assert 1e-4 < moved < 0.1  # the precision is another, but not far away


def test_the_order_is_that_of_the_forced_pass(translator: Translator) -> None:
    source = translator.read(TEXT, NBEST)
    backwards, right = Backwards.of(NBEST), translator.find(Beam.of(NBEST), source, NBEST)
    assert translator.find(backwards, source, NBEST) != right
    rescored = translator.find(Rescored(backwards, NBEST.objective), source, NBEST)
    assert [[one.tokens for one in own or ()] for own in rescored] == [[one.tokens for one in own] for own in right]


def test_large_weights_are_there_once(translator: Translator) -> None:
    model = cast(Model, translator.model)
    pairs = zip(model.parameters(), model.lowered("int8").parameters(), strict=True)
    assert all(one.data_ptr() == other.data_ptr() for one, other in pairs)
