"""Exports of random small models give the scores and the outputs of the models themselves."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.engine_toys import (
    LINES,
    SETTINGS,
    TEXT,
    best,
    engine_of,
    exportable,
    own_search,
    random_options,
    random_translator,
    searched,
)
from support.training_toys import tokenizer

from nmtkit.decoding.search import Encoded
from nmtkit.interop.specification import POSITIONS, Exportable
from nmtkit.models.options import ConvolutionalOptions, RecurrentOptions, TransformerOptions
from nmtkit.specials import EOS
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide

MODELS = 40


@pytest.mark.parametrize("seed", range(MODELS))
def test_random_models_agree_token_by_token_and_in_j(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    options = random_options(rng)
    translator = random_translator(options, seed, separate=rng.random() < 0.5)
    settings = replace(SETTINGS, beam=rng.choice([1, 2, 5]), length_alpha=rng.choice([0.0, 0.6, 1.0]))
    engine = engine_of(translator, options, tmp_path / "export", settings)

    targets = [
        (*(rng.randrange(EOS + 1, translator.tokenizer.target.size) for _ in range(rng.randint(0, 12))), EOS)
        for _ in TEXT
    ]
    source = translator.read(TEXT, settings)
    forced = translator.score(source, [[target] for target in targets], settings)
    theirs = engine.log_probs(Encoded(translator.model, *source.batch(range(len(targets)))), targets)
    for (own,), other in zip(forced, theirs, strict=True):
        assert other == pytest.approx(own.log_probs, abs=5e-5, rel=5e-6)  # logits of up to 100 in float32

    pairs = list(zip(best(searched(translator, engine, settings)), best(own_search(translator, engine)), strict=True))
    for output, own in pairs:
        assert output.score == pytest.approx(own.score, abs=5e-5, rel=5e-6)
        assert output.total == pytest.approx(own.total, abs=2e-4, rel=5e-6)
    assert sum(output.tokens == own.tokens for output, own in pairs) >= len(LINES) - 1


def test_the_random_models_cover_every_option() -> None:
    drawn = [random_options(random.Random(seed)) for seed in range(MODELS)]
    assert {options.positions for options in drawn} == {"sinusoidal", "concatenated", "learned", "none"}
    for name in ("norm", "tie_source", "tie_output"):
        assert len({(getattr(options, name), options.positions) for options in drawn}) == 8, name


SMALL = TransformerOptions(width=8, feedforward=8, heads=2, encoder_layers=1, decoder_layers=1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (RecurrentOptions(), "family = 'recurrent' is not one of its models"),
        (ConvolutionalOptions(), "family = 'convolutional' is not one of its models"),
        (replace(SMALL, neighbourhood=3), "neighbourhood = 3: its attention sees all positions"),
    ],
)
def test_what_ctranslate2_cannot_run_is_refused(options: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"^CTranslate2 cannot run this model: {why}"):
        Exportable(torch.nn.Identity(), tokenizer(), options, "f")  # type: ignore[arg-type]


def test_an_ensemble_and_vectors_are_refused() -> None:
    translator = random_translator(SMALL, 1)
    with pytest.raises(ValueError, match="an ensemble has several models: name one folder"):
        exportable(translator, SMALL, "a+b")
    sides = Tokenizer(VectorSide(7), tokenizer().target)
    with pytest.raises(ValueError, match=r"the source is vectors \(features = 7\), not text"):
        Exportable(translator.model, sides, SMALL, "f")


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    """Quantisation scales what it is given in place."""
    translator = random_translator(SMALL, 3)
    module: Any = translator.model
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    engine_of(translator, SMALL, tmp_path / "export", precision="int8")
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_positions_are_those_of_the_model_if_it_has_a_limit() -> None:
    learned = replace(SMALL, positions="learned", max_positions=17)
    assert exportable(random_translator(learned, 1), learned).positions == 17
    assert exportable(random_translator(SMALL, 1), SMALL).positions == POSITIONS
