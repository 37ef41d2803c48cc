"""The training loop: loss and gradients against NumPy, what is split, validated, kept, averaged, and what it learns."""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.training_toys import FAMILIES, corpus, epoch_batches, model, parallel, tokenizer
from support.training_toys import add as added
from torch import Tensor

from nmtkit.batches.batch import Batch, make_batch
from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.checkpoint import unique_weights
from nmtkit.models.distribution import scored
from nmtkit.models.interface import Model
from nmtkit.specials import PAD
from nmtkit.training.feed import Work
from nmtkit.training.history import read_history
from nmtkit.training.loop import Trainer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import ALONE, Share
from nmtkit.training.schedule import learning_rate
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import IN_A_ROW, make_optimizer
from nmtkit.training.validation import DevSet
from nmtkit.translator import Translator

PAIRS = corpus(12)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is tested elsewhere."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def exact(family: str, seed: int = 1) -> Model:
    """In float64, without dropout, away from the start."""
    return model(FAMILIES[family], seed=seed, shake=0.3).double().train()


def targets(indices: Sequence[int]) -> int:
    return sum(PAIRS.target.lengths[index] for index in indices)


def task(smoothing: float = 0.1, pairs: Corpus = PAIRS, **options: Any) -> TranslationTask:
    return TranslationTask(
        pairs, DevSet([], [], pairs), tokenizer(), TrainingOptions(label_smoothing=smoothing, **options)
    )


def add(made: Model, *parts: Sequence[int], smoothing: float = 0.1) -> float:
    """The mean loss of batches of pairs, whose gradient is added to the parameters'."""
    return added(TaskLoss(made, task(smoothing)), *(list(part) for part in parts))


def gradients(made: Model) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = 1e-12) -> None:
    assert found.keys() == expected.keys() and found
    for name in found:
        torch.testing.assert_close(found[name], expected[name], atol=tolerance, rtol=0)


@torch.no_grad()
def numpy_loss(made: Model, indices: Sequence[int], smoothing: float) -> float:
    """Mean label-smoothed cross-entropy of a target piece, sentence by sentence, from written-out distributions."""
    total, pieces = 0.0, 0
    for index in indices:
        batch = make_batch(PAIRS, [index])
        log_probs_TV = made.decode(made.encode(batch.source_BS, batch.mask_BS), batch.target_in_BT).dense()[0].numpy()
        for row, gold in zip(log_probs_TV, batch.target_out_BT[0].tolist(), strict=True):
            support = row[2:]
            assert np.isclose(np.exp(support).sum(), 1)
            wanted = np.full(support.shape, smoothing / len(support))
            wanted[gold - 2] += 1 - smoothing
            total -= float((wanted * support).sum())
            pieces += 1
    return total / pieces


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_label_smoothed_cross_entropy(family: str, smoothing: float) -> None:
    made, indices = exact(family), [0, 3, 4, 7]
    found = add(made, indices, smoothing=smoothing)
    assert found == pytest.approx(numpy_loss(made, indices, smoothing), abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_the_slope_of_the_loss(family: str) -> None:
    made, indices, step = exact(family), [1, 2, 5], 1e-5
    add(made, indices)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if name.endswith("table.weight") or name.endswith("embedding.weight"):
            direction[PAD] = 0
        value, losses = parameter.data.clone(), []
        for sign in (1, -1):
            parameter.data.copy_(value + sign * step * direction)
            losses.append(numpy_loss(made, indices, 0.1))
        parameter.data.copy_(value)
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float((parameter.grad * direction).sum()) == pytest.approx(slope, abs=1e-6), name


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_of_one_update_are_as_one_batch(family: str) -> None:
    indices, found = list(range(9)), []
    for parts in ([indices], [indices[:4], indices[4:]], [[index] for index in indices]):
        made = exact(family)
        loss = add(made, *parts)
        found.append((loss, gradients(made)))
    for loss, slopes in found[1:]:
        assert loss == pytest.approx(found[0][0], abs=1e-12)
        assert_same(slopes, found[0][1])


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_neither_loss_nor_gradient(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    indices, results = [0, 1, 2], []
    for more in (0, 3):

        def padded(pairs: Corpus, batch: Sequence[int], more: int = more) -> Batch:
            *rows, _ = vars(make_batch(pairs, batch)).values()
            longer = [torch.nn.functional.pad(one, (0, more)) for one in rows]
            return Batch(*longer, scored(longer[-1]))

        monkeypatch.setattr("nmtkit.training.translation.make_batch", padded)
        made = exact(family)
        results.append((add(made, indices), gradients(made)))
    assert results[1][0] == pytest.approx(results[0][0], abs=1e-12)
    assert_same(results[1][1], results[0][1])


def small_memory(made: Model, monkeypatch: pytest.MonkeyPatch, most: int, after_decoding: bool) -> list[int]:
    """Batches of more than `most` pairs run out of memory, before anything or after the model has decoded."""
    sizes: list[int] = []
    encode, decode = made.encode, made.decode

    def encode_little(source_BS: Tensor, mask_BS: Tensor) -> Any:
        sizes.append(source_BS.shape[0])
        if source_BS.shape[0] > most and not after_decoding:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(source_BS, mask_BS)

    def decode_little(memory: Any, target_in_NT: Tensor) -> Any:
        result = decode(memory, target_in_NT)
        if target_in_NT.shape[0] > most and after_decoding:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    monkeypatch.setattr(made, "encode", encode_little)
    monkeypatch.setattr(made, "decode", decode_little)
    return sizes


@pytest.mark.parametrize("after_decoding", [False, True])
@pytest.mark.parametrize("most", [1, 3, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_out_of_memory_splits_the_batch_and_changes_nothing(
    family: str, most: int, after_decoding: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [[0, 1], [2, 3, 4, 5, 6, 7, 8, 9], [10]]  # the first has given its gradient when the second fails
    whole = exact(family)
    expected = add(whole, *parts)
    made = exact(family)
    sizes = small_memory(made, monkeypatch, most, after_decoding)
    assert add(made, *parts) == pytest.approx(expected, abs=1e-12)
    assert_same(gradients(made), gradients(whole))
    warnings = capsys.readouterr().err.splitlines()
    halvings = {1: 3, 3: 2, 4: 1}[most]
    assert len(warnings) == halvings == sum(size > most for size in sizes)
    assert warnings[0].startswith("warning: out of memory") and "8 pairs" in warnings[0]


def test_what_a_failed_backward_pass_held_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the halves are computed, nothing is left of the batch that was too large."""
    made = exact("transformer")
    held: list[weakref.ref[Tensor]] = []
    sizes: list[int] = []
    forward, backward = TaskLoss.forward, Tensor.backward

    def loss(self: TaskLoss, content: Batch) -> tuple[Tensor, int]:
        assert not [reference for reference in held if reference() is not None]
        total, count = forward(self, content)
        mark = torch.zeros((), dtype=torch.float64, requires_grad=True)  # lives as long as the graph
        sizes.append(len(content.source_BS))
        if sizes[-1] > 2:
            held.append(weakref.ref(mark))
        return total + mark * mark, count

    def fail(own: Tensor) -> None:
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        backward(own)

    monkeypatch.setattr(TaskLoss, "forward", loss)
    monkeypatch.setattr(Tensor, "backward", fail)
    add(made, [0, 1, 2, 3, 4, 5, 6, 7])
    assert sizes == [8, 4, 2, 2, 2, 2]


def test_a_single_pair_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    made = exact("transformer")
    small_memory(made, monkeypatch, 0, False)
    with pytest.raises(torch.OutOfMemoryError):
        add(made, [0, 1, 2])


@dataclass(frozen=True)
class Told(TranslationTask):
    """The pairs, with scores that somebody else says; the facts are the weights."""

    say: Callable[[dict[str, Tensor]], dict[str, float]] = field(kw_only=True)

    def validate(self, made: Model, share: Share) -> Any:
        assert not made.training
        return {name: tensor.clone() for name, tensor in unique_weights(made).items()}

    def score(self, facts: Any, warming: bool = False) -> dict[str, float]:
        return self.say(facts)

    def samples(self, facts: Any) -> Sequence[str]:
        return []


class Watch:
    """A trainer with a written sequence of validation scores, and a record of all that it does."""

    def __init__(
        self,
        folder: Path,
        scores: Sequence[float] = (),
        made: Model | None = None,
        pairs: Corpus = PAIRS,
        **options: Any,
    ) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.gradients: list[dict[str, Tensor]] = []
        self.rates: list[float] = []
        self.validated: list[Mapping[str, Tensor]] = []
        self.kept: list[tuple[int, bool, float]] = []
        self.scores: Iterator[float] = iter(scores)
        few: dict[str, Any] = {"updates": 6, "batch_tokens": 40, "warmup": 2, "average": 1, "snapshot_every": 100}
        self.options = TrainingOptions(**{**few, "validate_every": 1, "log_every": 1000, **options})
        self.model = made or model(seed=3)
        told = Told(pairs, DevSet([], [], pairs), tokenizer(), self.options, say=self.say)
        self.trainer = Trainer(self.model, told, self.options, folder, self.keep)
        step = self.trainer.optimizer.step

        def watched_step() -> None:
            self.gradients.append(gradients(self.model))
            self.rates.append(self.trainer.optimizer.param_groups[0]["lr"])
            step()
            self.weights.append({name: p.detach().clone() for name, p in self.model.named_parameters()})

        self.trainer.optimizer.step = watched_step  # type: ignore[method-assign, assignment]

    def say(self, weights: dict[str, Tensor]) -> dict[str, float]:
        self.validated.append(weights)
        score = next(self.scores, 0.0)
        return {"bleu": score, "loss": score}

    def keep(self, weights: Mapping[str, Tensor], scores: Mapping[str, float], step: int, best: bool) -> None:
        assert all(torch.equal(weights[name], self.validated[-1][name]) for name in weights)
        self.kept.append((step, best, scores["bleu"]))


def norm(slopes: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(slope.double().square().sum()) for slope in slopes.values()))


def test_a_stop_saves_what_was_measured_until_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any update, also where measurements are read from the device every ten only."""
    watch = Watch(tmp_path, updates=20, validate_every=20)
    watch.trainer._every = 10
    asked = nullcontext(lambda: watch.trainer.position.step == 3)
    monkeypatch.setattr("nmtkit.training.loop.interruptible", lambda twice: asked)
    with pytest.raises(KeyboardInterrupt):
        watch.trainer.run()
    again = Watch(tmp_path, updates=20, validate_every=20)
    again.trainer.resume()
    meter = again.trainer.position.meter
    assert again.trainer.position.step == meter.updates == 3 and meter.read > 0 and meter.seconds > 0
    assert meter.predicted > 0 and 1 < meter.mean_loss() < 10 and meter.norm > 0


@pytest.mark.parametrize(("clip", "expected"), [(0.05, 0.05), (0.0, None), (1e6, None)])
def test_gradients_are_clipped_to_the_norm(clip: float, expected: float | None, tmp_path: Path) -> None:
    watch = Watch(tmp_path, made=exact("transformer"), updates=1, clip_norm=clip, label_smoothing=0.2)
    watch.trainer.run()
    plain, indices = exact("transformer"), epoch_batches(PAIRS, 40, 1, 0)[0]
    add(plain, indices, smoothing=0.2)
    whole = gradients(plain)
    assert norm(whole) > 0.1
    assert norm(watch.gradients[0]) == pytest.approx(expected or norm(whole), rel=1e-4)
    scale = norm(watch.gradients[0]) / norm(whole)
    assert_same(watch.gradients[0], {name: scale * slope for name, slope in whole.items()}, 1e-9)


def test_accumulated_batches_make_one_update_of_one_large_batch(tmp_path: Path) -> None:
    batches = epoch_batches(PAIRS, 40, 1, 0)
    watch = Watch(tmp_path, made=exact("recurrent"), updates=1, accumulate=2, clip_norm=0.0)
    watch.trainer.run()
    indices = [*batches[0], *batches[1]]
    plain = exact("recurrent")
    add(plain, indices)
    assert_same(watch.gradients[0], gradients(plain))
    assert watch.trainer.position.batch == 2


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_every_pair_is_seen_once_an_epoch(accumulate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    per_epoch = len(epoch_batches(PAIRS, 30, 1, 0))
    updates = math.ceil(per_epoch / accumulate)
    watch = Watch(tmp_path, updates=2 * updates, accumulate=accumulate, batch_tokens=30, validate_every=99)
    seen: list[list[int]] = []
    make = make_batch

    def remember(pairs: Corpus, indices: Sequence[int]) -> Batch:
        seen.append(list(indices))
        return make(pairs, indices)

    monkeypatch.setattr("nmtkit.training.translation.make_batch", remember)
    works: list[Work] = []
    update = watch.trainer._update
    watch.trainer._update = lambda work: (works.append(work), update(work))  # type: ignore
    watch.trainer.run()
    assert per_epoch >= 4
    used = [batch for work in works for batch in work.batches]
    assert used[:per_epoch] == epoch_batches(PAIRS, 30, 1, 0) and used[per_epoch:] == epoch_batches(PAIRS, 30, 1, 1)
    assert sorted(index for batch in used[per_epoch:] for index in batch) == list(range(len(PAIRS)))
    assert seen[: len(used)] == used, "what is loaded is what is used"
    assert len(watch.weights) == 2 * updates


def test_updates_are_adam_with_decoupled_decay_at_the_scheduled_rate(tmp_path: Path) -> None:
    options = {"learning_rate": 0.01, "adam_beta1": 0.8, "adam_beta2": 0.95, "weight_decay": 0.1, "warmup": 2}
    watch = Watch(tmp_path, made=exact("transformer"), updates=4, **options)
    value = {name: p.detach().numpy().copy() for name, p in watch.model.named_parameters()}
    watch.trainer.run()
    assert watch.rates == pytest.approx([0.005, 0.01, 0.01 * math.sqrt(2 / 3), 0.01 * math.sqrt(2 / 4)])
    assert watch.rates == [learning_rate(step, 0.01, 2) for step in (1, 2, 3, 4)]
    for name in value:
        first = second = np.zeros_like(value[name])
        for step in range(1, 5):
            slope, rate = watch.gradients[step - 1][name].numpy(), watch.rates[step - 1]
            first, second = 0.8 * first + 0.2 * slope, 0.95 * second + 0.05 * slope**2
            unbiased = first / (1 - 0.8**step), second / (1 - 0.95**step)
            value[name] -= rate * 0.1 * value[name] + rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-9)
            np.testing.assert_allclose(watch.weights[step - 1][name].numpy(), value[name], atol=1e-9)


def test_the_optimizer_has_every_weight_once() -> None:
    made = model()
    [group] = make_optimizer(made, TrainingOptions()).param_groups
    assert sum(p.numel() for p in group["params"]) == sum(p.numel() for p in made.parameters())


def spoiled(folder: Path, failing: range, **options: Any) -> Watch:
    """A trainer whose gradient is no number in some updates."""
    watch = Watch(folder, learning_rate=0.5, **options)
    first = next(watch.model.parameters())
    first.register_hook(lambda slope: slope * (math.nan if watch.trainer.position.step in failing else 1))
    return watch


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_an_update_whose_gradient_is_no_number_is_left_out(clip_norm: float, tmp_path: Path) -> None:
    watch = spoiled(tmp_path, range(2, 4), clip_norm=clip_norm, log_every=3)
    watch.trainer.run()
    same = [
        all(torch.equal(before[name], after[name]) for name in before)
        for before, after in zip(watch.weights, watch.weights[1:], strict=False)
    ]
    assert same == [False, True, True, False, False]
    states = watch.trainer.optimizer.state_dict()["state"].values()
    assert {float(state["step"]) for state in states} == {4.0}
    assert [line["skipped"] for line in read_history(tmp_path / "history.jsonl") if "skipped" in line] == [1, 1]


def test_a_loss_that_is_no_number_is_left_out_too(tmp_path: Path) -> None:
    watch = Watch(tmp_path, log_every=6, validate_every=6)
    make = watch.trainer._update
    losses = []

    def spoil(work: Work) -> None:
        first, step = next(watch.model.parameters()), watch.trainer.position.step
        value = first.detach().clone()
        if step == 3:
            first.data.fill_(math.nan)
        else:
            losses.append(numpy_loss(watch.model, [i for batch in work.batches for i in batch], 0.1))
        make(work)
        if step == 3:
            assert first.isnan().all()
            first.data.copy_(value)

    watch.trainer._update = spoil  # type: ignore[method-assign]
    watch.trainer.run()
    [line] = [line for line in read_history(tmp_path / "history.jsonl") if "skipped" in line]
    assert line["skipped"] == 1
    batches = [*epoch_batches(PAIRS, 40, 1, 0), *epoch_batches(PAIRS, 40, 1, 1)][:6]
    sizes = [targets(batch) for step, batch in enumerate(batches) if step != 3]
    mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
    assert line["train_loss"] == pytest.approx(mean, abs=1e-4)


def test_many_of_them_in_a_row_name_the_update_and_the_fix(tmp_path: Path) -> None:
    watch = spoiled(tmp_path, range(3, 99), updates=60, validate_every=60)
    with pytest.raises(ValueError, match=rf"up to update {3 + IN_A_ROW} .*learning_rate = 0\.5") as caught:
        watch.trainer.run()
    assert "\n" not in str(caught.value) and watch.trainer.state.step() == 0


def test_others_in_between_break_the_row(tmp_path: Path) -> None:
    watch = spoiled(tmp_path, range(1, IN_A_ROW), updates=IN_A_ROW + 3, validate_every=60)
    watch.trainer.run()
    assert watch.trainer.position.step == IN_A_ROW + 3


SEQUENCES = [
    ([1, 3, 2, 4, 3, 3, 9], 2, 6, [1, 2, 4]),
    ([5, 5, 5, 9], 2, 3, [1]),  # equal is not better
    ([0, 0, 1, 0, 2, 0], 2, 6, [1, 3, 5]),
    ([3, 2, 1, 0, 0, 0], 0, 6, [1]),  # never stops
    ([3, 2], 1, 2, [1]),
]


@pytest.mark.parametrize("best_by", ["bleu", "loss"])
@pytest.mark.parametrize(("scores", "patience", "steps", "best"), SEQUENCES)
def test_patience_and_the_best(
    scores: list[float], patience: int, steps: int, best: list[int], best_by: str, tmp_path: Path
) -> None:
    sign = 1 if best_by == "bleu" else -1
    watch = Watch(tmp_path, [sign * s for s in scores], patience=patience, best_by=best_by, updates=6)
    watch.trainer.run()
    expected = [(step, step in best, sign * scores[step - 1]) for step in range(1, steps + 1)]
    assert watch.kept == expected
    position = watch.trainer.position
    assert (position.step, position.best_step, position.best) == (steps, best[-1], scores[best[-1] - 1])
    assert position.stale == steps - best[-1]
    assert watch.trainer.over()
    watch.trainer.run()
    assert watch.kept == expected  # nothing more happens


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(0, 5), (0, 4), (0, 4.5), (0, 3)], [1, 2, 4]),  # at first nothing is right: the loss tells
        ([(2, 5), (2, 5), (1, 1), (2, 6)], [1]),
        ([(1, 5), (3, 9), (3, 8), (2, 1)], [1, 2, 3]),
    ],
)
def test_of_equal_bleu_the_lower_loss_is_better(
    scores: list[tuple[float, float]], best: list[int], tmp_path: Path
) -> None:
    watch = Watch(tmp_path, updates=4)
    told = iter(scores)
    watch.trainer.validate = lambda weights, ranks=ALONE: (dict(zip(("bleu", "loss"), next(told), strict=True)), [])
    kept: list[tuple[int, bool]] = []
    watch.trainer.keep = lambda weights, scores, step, better: kept.append((step, better))
    watch.trainer.run()
    assert kept == [(step, step in best) for step in (1, 2, 3, 4)]
    assert watch.trainer.position.stale == 4 - best[-1]


def test_a_falling_loss_at_bleu_0_does_not_end_a_run(tmp_path: Path) -> None:
    watch = Watch(tmp_path, updates=6, patience=2)
    losses = iter([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    watch.trainer.validate = lambda weights, ranks=ALONE: ({"bleu": 0.0, "loss": next(losses)}, [])
    watch.trainer.keep = lambda *_: None
    watch.trainer.run()
    assert watch.trainer.position.step == 6


def test_it_validates_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    watch = Watch(tmp_path, updates=7, validate_every=3, snapshot_every=2)
    watch.trainer.run()
    assert [step for step, _, _ in watch.kept] == [3, 6, 7]


@pytest.mark.parametrize("average", [1, 2, 3, 50])
def test_the_mean_of_the_last_snapshots_is_validated(average: int, tmp_path: Path) -> None:
    watch = Watch(tmp_path, updates=9, validate_every=4, snapshot_every=2, average=average)
    watch.trainer.run()
    for validated, steps in zip(watch.validated, ([2, 4], [2, 4, 6, 8], [2, 4, 6, 8, 9]), strict=True):
        for name, tensor in validated.items():
            snapshots = [watch.weights[step - 1][name].double().numpy() for step in steps[-average:]]
            np.testing.assert_allclose(tensor.numpy(), np.mean(snapshots, axis=0), atol=1e-7)
    files = sorted(path.name for path in (tmp_path / "training").glob("snapshot-*"))
    kept = {*[2, 4, 6, 8][-average:], *[2, 4, 6, 8, 9][-average:]}  # of the state before, too
    assert files == sorted(f"snapshot-{step}.safetensors" for step in kept)


def test_training_goes_on_from_its_own_weights_not_from_the_mean(tmp_path: Path) -> None:
    often = Watch(tmp_path / "a", updates=6, validate_every=1, snapshot_every=1, average=3)
    once = Watch(tmp_path / "b", updates=6, validate_every=6, snapshot_every=6, average=1)
    for watch, name in ((often, "a"), (once, "b")):
        (tmp_path / name).mkdir()
        watch.trainer.run()
    for one, other in zip(often.weights, once.weights, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_state_is_saved_before_the_first_snapshot_too(tmp_path: Path) -> None:
    watch = Watch(tmp_path, updates=6, validate_every=6, snapshot_every=6, save_every=2)
    watch.trainer.run()
    again = Watch(tmp_path, updates=6)
    again.trainer.resume()
    assert again.trainer.position.step == 6


def test_progress_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(tmp_path, [7.0], updates=4, validate_every=4, log_every=2, label_smoothing=0.0)
    indices = [epoch_batches(PAIRS, 40, 1, 0)[step] for step in range(2)]
    losses = []
    trainer_update = watch.trainer._update

    def measure(work: Work) -> None:
        if watch.trainer.position.step < 2:
            losses.append(numpy_loss(watch.model, [i for batch in work.batches for i in batch], 0.0))
        trainer_update(work)

    watch.trainer._update = measure  # type: ignore[method-assign]
    watch.trainer.run()
    sizes = [targets(batch) for batch in indices]
    mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
    history = read_history(tmp_path / "history.jsonl")
    assert [line["step"] for line in history] == [2, 4, 4]
    assert history[0]["train_loss"] == pytest.approx(mean, abs=1e-4)
    assert history[0]["learning_rate"] == learning_rate(2, watch.options.learning_rate, watch.options.warmup)
    assert history[2]["dev_bleu"] == history[2]["dev_loss"] == 7.0
    assert all(line["tokens_per_second"] > 0 for line in history[:2])
    shown = capsys.readouterr().err
    assert f"update 2/4  loss {mean:.3f}" in shown and "validation at update 4: dev loss 7.000" in shown


def test_overfitting_is_told_once_and_not_again_when_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model learns, whatever its dev losses are said to be."""
    losses = [3.0, 2.5, 2.25, 2.125, 2.0625, 2.125, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0]
    few: dict[str, Any] = {"validate_every": 5, "log_every": 1, "learning_rate": 0.01, "patience": 0}
    Watch(tmp_path, losses[:12], updates=60, **few).trainer.run()
    before = capsys.readouterr().err.splitlines()
    (place,) = [number for number, line in enumerate(before) if line.startswith("hint: ")]
    assert "since update 25 the dev loss has risen from 2.062 to" in before[place]
    assert before[place - 1].startswith("validation at update ")
    again = Watch(tmp_path, losses[12:], updates=70, **few)
    again.trainer.resume()
    again.trainer.run()
    after = capsys.readouterr().err
    assert "validation at update 70" in after and "hint" not in after


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns_to_copy(family: str, tmp_path: Path) -> None:
    lines = sorted(set(parallel(40, seed=12, longest=4)[0]))[:30]
    pairs = load_corpus(lines, lines, tokenizer(), 99, 99)
    made = model(FAMILIES[family], seed=1)
    settings: dict[str, Any] = {"batch_tokens": 150, "learning_rate": 0.02, "warmup": 30, "label_smoothing": 0.0}
    watch = Watch(tmp_path, made=made, pairs=pairs, updates=260, validate_every=260, **settings)
    del watch.trainer.optimizer.step  # the record of all weights is not needed
    watch.trainer.run()
    outputs = Translator(made.eval(), tokenizer()).translate(lines, beam=1)
    assert sum(output == line for output, line in zip(outputs, lines, strict=True)) >= 0.95 * len(lines)
    assert len(lines) == 30


def test_what_a_run_records_is_json(tmp_path: Path) -> None:
    watch = Watch(tmp_path, [1.0, 2.0], updates=2, log_every=1)
    watch.trainer.run()
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 1, 2, 2]


def test_a_line_of_updates_that_were_all_left_out_has_no_loss(tmp_path: Path) -> None:
    watch = spoiled(tmp_path, range(2, 4), log_every=2, validate_every=6)
    watch.trainer.run()
    lines = [line for line in read_history(tmp_path / "history.jsonl") if "skipped" in line]
    assert [("train_loss" in line, line["skipped"]) for line in lines] == [(True, 0), (False, 2), (True, 0)]
