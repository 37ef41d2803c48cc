"""The verification sees an export that is another model than it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.engine_toys import LINES, SETTINGS, TEXT, engine_of, random_translator, searched

from nmtkit.decoding.beam import Beam
from nmtkit.interop.engine import Engine
from nmtkit.interop.verification import TOLERANCE, Agreement, Comparison
from nmtkit.models.options import TransformerOptions
from nmtkit.translator import Translator

OPTIONS = TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1, norm="post")


def agreement(translator: Translator, engine: Engine, references: list[str] | None = None) -> Agreement:
    source = translator.read(LINES, engine.settings)
    queries = translator.queries(source, engine.settings)
    if references:
        targets = [(translator.encode_target(text),) for text in references]
        queries = [replace(query, targets=own) for query, own in zip(queries, targets, strict=True)]
    compared: list[Any] = translator.find(Comparison(engine), source, engine.settings, queries)
    return Agreement.of(compared)


def test_float32_agrees_on_given_translations_and_on_its_own(tmp_path: Path) -> None:
    translator = random_translator(OPTIONS, 1)
    engine = engine_of(translator, OPTIONS, tmp_path / "export")
    own = searched(translator, Beam.of(engine.settings), engine.settings)
    for references in (None, [*LINES[1:], "wool"]):
        facts = agreement(translator, engine, references)
        assert facts.sentences == facts.identical == len(LINES)
        assert 0 < facts.difference < TOLERANCE and facts.score_difference < 1e-5
        assert facts.score == pytest.approx(sum(one[0].score for one in own) / len(own), abs=1e-5)
        scored = zip(LINES, own if references is None else references, strict=True)
        assert facts.tokens == sum(
            len(given[0].tokens if references is None else translator.encode_target(given))
            for line, given in scored
            if translator.tokenizer.source.encode(line)
        )


def test_another_model_and_another_precision_are_seen(tmp_path: Path) -> None:
    translator, other = random_translator(OPTIONS, 1), random_translator(OPTIONS, 29)
    rounded = agreement(translator, engine_of(translator, OPTIONS, tmp_path / "int8", SETTINGS, "int8"))
    wrong = agreement(translator, engine_of(other, OPTIONS, tmp_path / "other"), ["a"] * len(LINES))
    assert TOLERANCE < rounded.difference < wrong.difference and wrong.identical < len(TEXT)
    assert wrong.score < wrong.own_score
