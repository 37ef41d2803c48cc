"""Frozen parameters: bit for bit as they were, without a gradient and without a slot, while others are trained."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_toys import (
    FAMILIES,
    LEARNED,
    TRANSFORMER,
    corpus,
    model,
    only_line,
    state_of,
    tokenizer,
    toy_run,
    work,
)

from nmtkit import checkpoint
from nmtkit.models.options import ModelOptions
from nmtkit.training.freezing import counts, freeze
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import ALONE
from nmtkit.training.recipe import check, train
from nmtkit.training.state import KIND
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import Updater
from nmtkit.training.validation import DevSet

MODELS: dict[str, ModelOptions] = {**FAMILIES, "convolutional": LEARNED["convolutional"]}
PAIRS = corpus(12)
SHORT = [index for index in range(len(PAIRS)) if max(PAIRS.source.lengths[index], PAIRS.target.lengths[index]) <= 8]
"""The pairs that a model of eight positions holds."""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def updated(options: ModelOptions, *patterns: str) -> tuple[Any, dict[str, torch.Tensor], Updater]:
    """A model after three updates with weight decay, and its parameters before."""
    made = model(options, shake=0.3).train()
    training = TrainingOptions(freeze=patterns, weight_decay=0.5, learning_rate=0.1, warmup=1)
    updater = Updater(
        TaskLoss(made, TranslationTask(PAIRS, DevSet([], [], PAIRS), tokenizer(), training)), training, ALONE
    )
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    for step in (1, 2, 3):
        updater.update(work(updater.loss.task, SHORT), step)
    return made, before, updater


PATTERNS: dict[str, str] = {
    "encoder.*": r"encoder\..*",
    "decoder.*": r"decoder\..*",
    "*embedding*": r".*embedding.*",
    "front.*": r"front\..*",
    "*bias*": r".*bias.*",
    "decoder.*weight*": r"decoder\..*weight.*",
}
"""Patterns as regular expressions."""


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", MODELS)
def test_what_is_frozen_stays_and_the_rest_moves(family: str, tied: bool, pattern: str) -> None:
    made, before, updater = updated(replace(MODELS[family], tie_source=tied, tie_output=tied), pattern)
    names = {
        name
        for name, one in made.named_parameters()
        for other, two in made.named_parameters(remove_duplicate=False)
        if one is two and re.fullmatch(PATTERNS[pattern], other)
    }
    same = {name for name, parameter in made.named_parameters() if torch.equal(parameter, before[name])}
    assert same == names and 0 < len(names) < len(before)
    slots = updater.optimizer.state_dict()["state"]
    assert len(slots) == len(before) - len(names)


def test_the_others_get_the_gradient_that_they_would_get_without() -> None:
    """Freezing spares the fused operations work, and changes nothing else."""
    for options in MODELS.values():
        plain, frozen = (model(options, shake=0.3).double() for _ in range(2))
        freeze(frozen, ["encoder.0.*"])
        grads = []
        for made in (plain, frozen):
            task = TranslationTask(PAIRS, DevSet([], [], PAIRS), tokenizer(), TrainingOptions())
            task.loss(made, task.load(SHORT, 0))[0].backward()
            grads.append({name: parameter.grad for name, parameter in made.named_parameters()})
        for name, gradient in grads[1].items():
            assert (gradient is None) == name.startswith("encoder.0.")
            if gradient is not None:
                torch.testing.assert_close(gradient, grads[0][name], atol=1e-12, rtol=0)


def test_a_shared_tensor_is_frozen_by_any_of_its_names() -> None:
    made = model(TRANSFORMER)
    freeze(made, ["output_weight"])
    names = {name for name, one in made.named_parameters(remove_duplicate=False) if not one.requires_grad}
    assert names == {"output_weight", "front.table.weight", "target_embedding.weight"}
    total = sum(parameter.numel() for parameter in made.parameters())
    assert (
        counts(made)
        == f"{total:,} parameters, {total - 300 * 16:,} of them trained (encoder, decoder, encoder_norm, decoder_norm)"
    )
    assert counts(model(TRANSFORMER)) == f"{total:,} parameters"


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (("encodr.*", "decoder.*"), ["freeze = 'encodr.*' is the name of no parameter", "did you mean encoder"]),
        (("encoder",), ["'encoder' is the name of no parameter; did you mean 'encoder*'?"]),
        (("target_embeding.weight",), ["'target_embeding.weight'", "target_embedding.weight"]),
        (("*",), ["freeze = '*' leaves nothing to train"]),
        (("encoder*", "[!e]*"), ["leaves nothing to train"]),
    ],
)
def test_patterns_that_match_nothing_or_everything(patterns: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    run = toy_run(tmp_path, freeze=patterns)
    for call in (check, train):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call(run)
        assert only_line(caught.value, *words), caught.value
    assert not run.output.exists()


def test_a_run_says_how_much_it_trains_and_its_state_holds_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run(tmp_path, updates=2, freeze=("encoder.*", "target_embedding.*"))
    made = model(run.model)  # type: ignore[arg-type]
    trained = [one for name, one in made.named_parameters() if not name.startswith(("encoder.", "output_weight"))]
    total, moved = (sum(one.numel() for one in part) for part in (made.parameters(), trained))
    said = (
        f"transformer, {total:,} parameters, {moved:,} of them trained (decoder, encoder_norm, decoder_norm), 2 updates"
    )
    assert check(run).endswith(f": {said}")
    train(run)
    assert f"training {said}" in capsys.readouterr().err
    tensors, _ = checkpoint.load_tensors(state_of(run.output), KIND)
    slots = [tensor.numel() for name, tensor in tensors.items() if name.endswith(".exp_avg")]
    assert sorted(slots) == sorted(one.numel() for one in trained)
