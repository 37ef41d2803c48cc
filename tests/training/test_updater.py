"""An update: its random numbers depend on seed, update and batch alone, and unused parameters stay unused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from support.training_toys import TRANSFORMER, add, corpus, model, tokenizer, work

from nmtkit.specials import BOS
from nmtkit.tokenizer.sampling import Sampler
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import ALONE
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import Updater, seed_dropout
from nmtkit.training.validation import DevSet

PAIRS = corpus(12)


def loss(dropout: float = 0.5, **options: Any) -> TaskLoss:
    made = model(replace(TRANSFORMER, dropout=dropout), shake=0.3).double().train()
    chosen = TrainingOptions(**options)
    alpha = chosen.subword_regularization
    sampler = Sampler(tokenizer(), alpha, chosen.seed, (99, 99)) if alpha else None
    return TaskLoss(made, TranslationTask(PAIRS, DevSet([], [], PAIRS), tokenizer(), chosen, sampler))


def test_dropout_depends_on_seed_update_and_place_and_on_nothing_else() -> None:
    made = loss()
    value = add(made, [0, 1], [2, 3])
    torch.manual_seed(99)
    torch.rand(7)
    assert add(made, [0, 1], [2, 3]) == value
    others = [add(made, [0, 1], [2, 3], seed=2), add(made, [0, 1], [2, 3], step=2), add(made, [2, 3], [0, 1])]
    assert len({value, *others}) == 4


def test_seeds_do_not_repeat() -> None:
    drawn = set()
    for seed in (1, 2):
        for step in range(40):
            for number in range(4):
                seed_dropout(seed, step, number)
                drawn.add(torch.randint(2**60, ()).item())
    assert len(drawn) == 2 * 40 * 4


def drawing() -> TaskLoss:
    """With segmentations drawn in every epoch."""
    return loss(dropout=0.0, subword_regularization=0.3, seed=3, label_smoothing=0.2)


def test_loss_and_gradient_are_means_over_the_pieces_that_were_drawn() -> None:
    made, batches = drawing(), ([0, 1, 4], [2], [3, 5, 7])
    task: Any = made.task
    updater = Updater(made, task.options, ALONE)
    mean, pieces = updater._gradients(work(task, *batches, epoch=2), 1)
    slopes = {name: parameter.grad.clone() for name, parameter in made.model.named_parameters()}

    drawn = [
        task.sampler.draw(side, 2, range(12), [part[index].tolist() for index in range(12)])
        for side, part in enumerate((PAIRS.source, PAIRS.target))
    ]
    count, total = 0, torch.zeros((), dtype=torch.float64)
    made.zero_grad()
    for index in [index for batch in batches for index in batch]:
        source, target = (torch.tensor([side[index]]) for side in drawn)
        memory = made.model.encode(source, torch.ones_like(source, dtype=torch.bool))
        shifted = torch.cat((torch.tensor([[BOS]]), target[:, :-1]), dim=1)
        total = total + made.model.decode(memory, shifted).loss(target, 0.2)
        count += target.numel()
    (total / count).backward()
    planned = sum(len(PAIRS.target[index]) for batch in batches for index in batch)
    assert pieces == count > planned
    assert float(mean) == pytest.approx(float(total.detach()) / count, abs=1e-12)
    for name, parameter in made.model.named_parameters():
        torch.testing.assert_close(slopes[name], parameter.grad, atol=1e-12, rtol=0)


def test_what_is_read_counts_the_pieces_that_were_drawn() -> None:
    made = drawing()
    updater = Updater(made, made.task.options, ALONE)  # type: ignore[attr-defined]
    works = [work(made.task, [0, 1, 2, 3]), work(made.task, [4, 5])]
    expected = sum(part.content.predicted for each in works for part in each.own)
    for step, each in enumerate(works, start=1):
        updater.update(each, step)
    assert updater.read(2, 2).predicted == expected


def test_planned_counts_that_hold_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = loss(dropout=0.0)
    value = add(made, [0, 1], [2, 3], seed=1, step=4)
    slopes = [parameter.grad.clone() for parameter in made.parameters()]  # type: ignore[union-attr]
    made.zero_grad()
    monkeypatch.setattr(torch, "_foreach_mul_", None)
    mean, pieces = Updater(made, made.task.options, ALONE)._gradients(work(made.task, [0, 1], [2, 3]), 4)  # type: ignore[attr-defined]
    assert float(mean) == value and pieces == made.task.size([0, 1, 2, 3]).predicted
    assert all(torch.equal(one, two.grad) for one, two in zip(slopes, made.parameters(), strict=True))  # type: ignore[arg-type]


def test_halves_of_a_batch_have_masks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = loss(dropout=0.0)
    seeds: list[tuple[int, ...]] = []
    monkeypatch.setattr("nmtkit.training.updater.seed_dropout", lambda *numbers: seeds.append(numbers))
    forward = made.task.loss

    def limited(made: Any, content: Any) -> Any:
        if len(content.source_BS) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(made, content)

    monkeypatch.setattr(TranslationTask, "loss", lambda self, made, content: limited(made, content))
    add(made, [0, 1, 2, 3, 4], [5], seed=3, step=9)
    assert seeds[-5:] == [(3, 9, 0, 0, 0), (3, 9, 0, 0, 1), (3, 9, 0, 1, 0), (3, 9, 0, 1, 1), (3, 9, 1, 0, 0)]


def test_a_reading_is_the_sum_since_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    made = loss(dropout=0.0, learning_rate=1e-30)
    updater = Updater(made, made.task.options, ALONE)  # type: ignore[attr-defined]
    sizes = [made.task.size(batch).predicted for batch in ([0, 1], [2])]
    expected = add(made, [0, 1]) * sizes[0] + add(made, [2]) * sizes[1]
    made.zero_grad(set_to_none=True)
    for step, batch in enumerate(([0, 1], [2]), start=1):
        updater.update(work(made.task, batch), step)
    reading = updater.read(2, 2)
    assert reading.loss == pytest.approx(expected, rel=1e-12) and reading.predicted == sum(sizes)
    assert reading.skipped == 0 and reading.norm > 0
    assert updater.read(2, 0).predicted == 0


def test_a_parameter_that_no_batch_uses_stays_as_it_is() -> None:
    made = loss(weight_decay=0.5, learning_rate=0.1, warmup=1)
    made.model.register_parameter("unused", torch.nn.Parameter(torch.ones(3, dtype=torch.float64)))
    updater = Updater(made, made.task.options, ALONE)  # type: ignore[attr-defined]
    before = {name: parameter.clone() for name, parameter in made.model.named_parameters()}
    updater.update(work(made.task, [0, 1]), 1)
    same = {name for name, parameter in made.model.named_parameters() if torch.equal(parameter, before[name])}
    assert same == {"unused"}
