"""Validation: loss sentence by sentence without smoothing and dropout, BLEU as sacreBLEU says it of the outputs."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu
import torch
from support.training_toys import FAMILIES, LEARNED, independent_total, model, parallel, tokenizer, toy_run

from nmtkit import checkpoint
from nmtkit.batches.corpus import load_corpus
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Model
from nmtkit.specials import EOS
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import WHOLE
from nmtkit.training.recipe import train
from nmtkit.training.translation import TranslationTask
from nmtkit.training.validation import DevSet, check_finite, dev_loss, validate, warn_of_guessing
from nmtkit.translator import Translator

SOURCE, TARGET = parallel(14, seed=31)
SETTINGS = SearchSettings(beam=2, length_alpha=0.3)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def mean_loss(made: Model, source: list[str], target: list[str]) -> float:
    """−log P of all pieces, EOS counted, over their number: each sentence alone."""
    sides = tokenizer()
    pairs = [
        ([*sides.source.encode(x), EOS], [*sides.target.encode(y), EOS])
        for x, y in zip(source, target, strict=True)
        if x.strip() and y.strip()
    ]
    return -sum(independent_total(made, *pair) for pair in pairs) / sum(len(y) for _, y in pairs)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_each_sentence_alone(family: str) -> None:
    made = model(replace(FAMILIES[family], dropout=0.5), shake=0.4).double().eval()
    dev = load_corpus(SOURCE, TARGET, tokenizer(), 99, 99)
    expected = mean_loss(made, SOURCE, TARGET)
    for batch_tokens in (1, 30, 5000):
        found = dev_loss(made, dev, range(len(dev)), batch_tokens) / sum(dev.target.lengths)
        assert found == pytest.approx(expected, abs=1e-9)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_bleu_is_of_the_outputs_and_blank_or_long_pairs_count_for_bleu_only() -> None:
    source, target = [*SOURCE, "", "cat"], [*TARGET, "rot", ""]
    made = model(shake=0.4).eval()
    translator = Translator(made, tokenizer(), SETTINGS)
    dev = DevSet(source, target, load_corpus(source, target, tokenizer(), 99, 99))
    found = validate(translator, dev, WHOLE, 60).scores()
    outputs = translator.translate(source, **vars(SETTINGS))
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [target], force=True).score, abs=1e-9)
    assert found["loss"] == pytest.approx(mean_loss(made, source, target), abs=1e-5)
    assert set(found) == {"loss", "bleu"}


@pytest.mark.parametrize("family", LEARNED)
def test_lines_that_the_model_cannot_hold_are_cut_without_a_word(
    family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were counted when training began; the loss leaves them out."""
    made = model(LEARNED[family], shake=0.4).double().eval()
    translator, sides = Translator(made, tokenizer(), SETTINGS), tokenizer()
    fits = [len(sides.source.encode(x)) < 8 > len(sides.target.encode(y)) for x, y in zip(SOURCE, TARGET, strict=True)]
    assert len(set(fits)) == 2
    dev = DevSet(SOURCE, TARGET, load_corpus(SOURCE, TARGET, sides, 7, 7))
    found = validate(translator, dev, WHOLE, 60).scores()
    assert "cut" not in capsys.readouterr().err
    fitting = [[line for line, fit in zip(side, fits, strict=True) if fit] for side in (SOURCE, TARGET)]
    assert found["loss"] == pytest.approx(mean_loss(made, *fitting), abs=1e-9)
    outputs = translator.translate(SOURCE, **vars(SETTINGS))
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [TARGET], force=True).score, abs=1e-9)


class Parrot(Translator):
    """Says what it was told to."""

    def __init__(self, outputs: dict[str, str]) -> None:
        super().__init__(model().eval(), tokenizer(), SETTINGS)
        self.outputs = outputs

    def search(self, lines, settings, first_line=1):  # type: ignore[no-untyped-def]
        assert settings == SETTINGS
        found = super().search(lines, SearchSettings(beam=1, max_length=1))
        return [[replace(best[0], text=self.outputs[line])] for line, best in zip(lines, found, strict=True)]


@pytest.mark.parametrize("right", [0, 7, 14])
def test_bleu_of_known_outputs(right: int) -> None:
    texts = {line: target if n < right else "x" for n, (line, target) in enumerate(zip(SOURCE, TARGET, strict=True))}
    found = validate(
        Parrot(texts), DevSet(SOURCE, TARGET, load_corpus(SOURCE, TARGET, tokenizer(), 99, 99)), WHOLE, 60
    ).scores()
    expected = sacrebleu.corpus_bleu([texts[line] for line in SOURCE], [TARGET], force=True).score
    assert found["bleu"] == pytest.approx(expected, abs=1e-9)
    assert (right == 14) == (found["bleu"] > 99.9) and (right == 0) == (found["bleu"] == 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_validates_the_weights_it_keeps_without_dropout_and_smoothing(family: str, tmp_path: Path) -> None:
    run = toy_run(tmp_path, family=family, updates=3, label_smoothing=0.3, learning_rate=0.02, valid_length_alpha=0.3)
    run = replace(run, model=replace(run.model, dropout=0.5))
    train(run)
    source, target = ((tmp_path / f"dev.{end}").read_text(encoding="utf-8").splitlines() for end in ("en", "de"))
    for weights in ("best", "last"):
        loaded = checkpoint.load(run.output, weights=weights)
        assert loaded.scores["loss"] == pytest.approx(mean_loss(loaded.model, source, target), abs=1e-5)
        outputs = Translator(loaded.model, loaded.tokenizer).translate(source, beam=2, length_alpha=0.3)
        assert loaded.scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [target], force=True).score)
    assert loaded.steps == 3


def test_validation_does_not_move_the_random_generator() -> None:
    dev = DevSet(SOURCE, TARGET, load_corpus(SOURCE, TARGET, tokenizer(), 99, 99))
    translator = Translator(model(replace(FAMILIES["transformer"], dropout=0.5)).eval(), tokenizer(), SETTINGS)
    before = torch.get_rng_state()
    validate(translator, dev, WHOLE, 60)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(loss: float) -> None:
    with pytest.raises(ValueError, match=f"the dev loss is {loss}, .* lower learning_rate"):
        check_finite(loss)


def test_worse_than_guessing_is_not_called_the_best_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten pieces guessed alike have ln 10 = 2.302585… nats each."""
    warn_of_guessing(2.3025, 10)
    assert capsys.readouterr().err == ""
    warn_of_guessing(2.3026, 10)
    assert "2.303 of mere guessing" in capsys.readouterr().err


def test_a_model_that_diverged_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    made = model(shake=40.0).eval()
    dev = DevSet(SOURCE, TARGET, load_corpus(SOURCE, TARGET, tokenizer(), 99, 99))
    task = TranslationTask(dev.corpus, dev, tokenizer(), TrainingOptions())
    facts = task.validate(made, WHOLE)
    assert task.score(facts, warming=True) == facts.scores() and capsys.readouterr().err == ""
    scores = task.score(facts)
    assert scores["loss"] > math.log(tokenizer().target.size - 2)
    assert "above the" in capsys.readouterr().err
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(math.nan)
    with pytest.raises(ValueError, match="the dev loss is nan"):
        task.score(task.validate(made, WHOLE))
