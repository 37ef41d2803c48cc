"""Translation as a task: the sizes it says are those of its loss, halves are the batch, facts of parts add up."""

from __future__ import annotations

import functools
import operator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training_toys import (
    LEARNED,
    TRANSFORMER,
    corpus,
    epoch_batches,
    model,
    only_line,
    parallel,
    tokenizer,
    toy_run,
)

from nmtkit import checkpoint
from nmtkit.batches.corpus import load_corpus
from nmtkit.evaluation.metrics import bleu
from nmtkit.models.options import ModelOptions
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import WHOLE, Share
from nmtkit.training.recipe import train
from nmtkit.training.task import Size, TaskLoss
from nmtkit.training.translation import TranslationTask, _compiled, validation_settings
from nmtkit.training.validation import DevSet, Validation
from nmtkit.translator import Translator

PAIRS = corpus(12)
OPTIONS = TrainingOptions(batch_tokens=40, seed=3, label_smoothing=0.2, valid_beam=2, valid_length_alpha=0.3)


def dev(first: int, last: int) -> DevSet:
    source, target = (side[first:last] for side in parallel(8, seed=21))
    return DevSet(source, target, load_corpus(source, target, tokenizer(), 99, 99))


TASK = TranslationTask(PAIRS, dev(0, 8), tokenizer(), OPTIONS)


def test_batches_are_those_of_the_epoch() -> None:
    assert list(TASK.batches(0, 0)) == epoch_batches(PAIRS, 40, 3, 0) != list(TASK.batches(1, 0))


def test_sizes_count_every_piece_once() -> None:
    sizes = [TASK.size(batch) for batch in TASK.batches(0, 0)]
    assert sum(size.items for size in sizes) == 12
    assert sum(size.predicted for size in sizes) == sum(len(PAIRS.target[index]) for index in range(12))
    assert sum(size.read for size in sizes) == sum(len(PAIRS.source[index]) for index in range(12))
    assert TASK.size([2]) == Size(1, len(PAIRS.target[2]), len(PAIRS.source[2]))


@pytest.mark.parametrize("batch", [[4], [4, 5], [7, 1, 3, 2, 9]])
def test_halves_are_the_batch_in_its_order(batch: list[int]) -> None:
    halves = TASK.halves(batch)
    assert [index for half in halves for index in half] == batch and all(halves)
    assert len(halves) == min(2, len(batch))


def test_the_forward_pass_of_model_and_task_is_the_loss_with_the_count_of_the_size() -> None:
    made, batch = model(shake=0.3).double().eval(), [0, 3, 5]
    loss, count = TaskLoss(made, TASK)(TASK.load(batch, 0))
    assert count == TASK.size(batch).predicted
    one_by_one = sum(float(TASK.loss(made, TASK.load([index], 0))[0]) for index in batch)
    assert float(loss) == pytest.approx(one_by_one, abs=1e-9)
    loss.backward()
    assert all(parameter.grad is not None for parameter in made.parameters())
    assert [id(one) for one in TaskLoss(made, TASK).parameters()] == [id(one) for one in made.parameters()]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 11])
def test_the_facts_of_all_shares_add_up_to_those_of_the_whole(size: int) -> None:
    made = model(shake=0.4).double().eval()
    whole = TASK.validate(made, WHOLE)
    facts = [TASK.validate(made, Share(rank, size)) for rank in range(size)]
    added = functools.reduce(operator.add, facts)
    assert added.loss == pytest.approx(whole.loss, abs=1e-9) and added.pieces == whole.pieces
    assert (added.outputs, added.references) == (whole.outputs, whole.references)
    assert whole.references == tuple(TASK.dev.target_lines)
    assert TASK.score(added) == pytest.approx(TASK.score(whole))
    assert max(len(part.outputs) for part in facts) == -(-8 // size)


@pytest.mark.parametrize("size", [1, 3])
def test_samples_are_the_outputs_of_their_lines_however_the_work_was_shared(size: int) -> None:
    made = model(shake=0.4).double().eval()
    outputs = Translator(made, tokenizer()).translate(TASK.dev.source_lines, beam=2, length_alpha=0.3)
    facts = [TASK.validate(made, Share(rank, size)) for rank in range(size)]
    lines = [" ".join(line.split()) for line in TASK.samples(functools.reduce(operator.add, facts))]
    expected = []
    for number in (1, 4, 6):  # of eight: the middles of thirds
        expected.append(f"line {number + 1} {TASK.dev.source_lines[number]}")
        expected += [f"reference {TASK.dev.target_lines[number]}", f"output {' '.join(outputs[number].split())}"]
    assert lines == expected


def test_scores_are_a_mean_and_bleu() -> None:
    facts = Validation(6.0, 4, ("rot katze hund baum", "x"), ("rot katze hund baum", "haus auto"))
    expected = {"loss": 1.5, "bleu": bleu(facts.outputs, [facts.references])}
    assert TASK.score(facts) == expected and 0 < expected["bleu"] < 100
    assert TASK.shown({"loss": 1.5, "bleu": 12.345}) == "dev loss 1.500 nats a piece, BLEU 12.35"


def test_the_search_of_the_validation_is_the_options() -> None:
    settings = validation_settings(OPTIONS)
    assert (settings.beam, settings.length_alpha) == (2, 0.3)


def test_validation_leaves_the_weights_alone() -> None:
    made = model(shake=0.4).eval()
    before = [parameter.clone() for parameter in made.parameters()]
    TASK.validate(made, WHOLE)
    assert all(torch.equal(one, other) for one, other in zip(before, made.parameters(), strict=True))


LONG = replace(LEARNED["convolutional"], max_positions=64)


@pytest.mark.slow
@pytest.mark.parametrize("options", [TRANSFORMER, LONG])
def test_a_compiled_loss_is_the_loss(options: ModelOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated as torch.compile does it, but not turned into machine code, which takes minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    _compiled.cache_clear()
    pairs = corpus(9)
    results = []
    for compiled in (False, True):
        task = TranslationTask(pairs, dev(0, 8), tokenizer(), replace(OPTIONS, compile=compiled))
        made = model(options, shake=0.3).double().train()
        for batch in ([0, 3, 5], [1, 2], [4, 6, 7, 8]):
            task.loss(made, task.load(batch, 0))[0].backward()
        results.append([parameter.grad for parameter in made.parameters()])
    _compiled.cache_clear()
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


def test_dropout_is_drawn_in_a_compiled_loss_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    _compiled.cache_clear()
    task = TranslationTask(PAIRS, dev(0, 8), tokenizer(), replace(OPTIONS, compile=True))
    made, losses = model(replace(TRANSFORMER, dropout=0.5), shake=0.3).train(), []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        losses.append(task.loss(made, task.load([0, 3, 5], 0))[0].item())
    _compiled.cache_clear()
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.slow
def test_machine_code_trains(tmp_path: Path) -> None:
    losses = []
    for name, compiled in (("plain", False), ("compiled", True)):
        run = toy_run(tmp_path, name, updates=6, compile=compiled)
        train(run)
        losses.append(checkpoint.load(run.output, weights="last").scores["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_recurrent_model_is_not_compiled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="compile = true: a recurrent model") as caught:
        train(toy_run(tmp_path, family="recurrent", compile=True))
    assert only_line(caught.value, "leave it out")
