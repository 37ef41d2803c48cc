"""The largest batch: found by trying, against a GPU whose memory is played by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_toys import model, only_line, toy_run

from nmtkit import checkpoint
from nmtkit.models.fused.switch import is_plain
from nmtkit.training import batch_size, recipe
from nmtkit.training.batch_size import LEAST, ON_CPU, largest_batch
from nmtkit.training.options import TrainingOptions
from nmtkit.training.recipe import train

SIZES = (300, 300)


class Memory:
    """A GPU with a number of bytes, of which a batch takes some for each padded piece of source and target."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, total: int, a_piece: int = 1000, breaks: int = 10**9) -> None:
        self.shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        pairs = batch_size._pairs

        def remember(*arguments: Any) -> Any:
            source, target = pairs(*arguments)
            self.shapes.append((tuple(source.shape), tuple(target.shape)))
            if target.numel() > breaks:
                raise torch.OutOfMemoryError("CUDA out of memory")
            few = [side[:1, :2] for side in (source, target)]
            return few[0], few[1]

        def used(_: Any) -> int:
            source, target = self.shapes[-1]
            return a_piece * (source[0] * source[1] + target[0] * target[1])

        monkeypatch.setattr(batch_size, "_pairs", remember)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (total // 3, 10**13))  # others have the rest
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: total - total // 3)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", used)


@pytest.mark.parametrize("fitting", [300, 1000, 5000, 100_000])
def test_the_largest_that_fits_is_within_a_root_of_two(fitting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    moments = 2 * sum(parameter.nbytes for parameter in made.parameters())
    Memory(monkeypatch, math.ceil((3 * fitting * 1000 + moments) / 0.8))
    found = largest_batch(made, (40, 20), SIZES, False)
    assert fitting / math.sqrt(2) - 80 <= found <= fitting + 40
    assert all(parameter.grad is None for parameter in made.parameters())


def test_the_trial_takes_the_longest_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(monkeypatch, 10**12)
    assert largest_batch(model(), (40, 20), SIZES, False) > 700_000
    for source, target in memory.shapes:
        assert source[0] == target[0] and target[1] == 20 and source[1] == 40
    assert memory.shapes[0][1] == (LEAST // 20, 20)


def test_an_error_of_the_allocator_is_the_end_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    encode = made.encode

    def limited(source: Any, mask: Any) -> Any:
        if len(source) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(source, mask)

    monkeypatch.setattr(made, "encode", limited)
    facts = {"reset_peak_memory_stats": None, "max_memory_allocated": 0, "mem_get_info": (10**12, 0)}
    for name, value in {**facts, "memory_reserved": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert largest_batch(made, (10, 10), SIZES, False) == 362  # 36 rows; the next, 512, has 51


def test_a_compiled_training_is_tried_with_the_formulas_that_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(monkeypatch, 10**9)
    made, ways = model(), set()
    encode = made.encode
    monkeypatch.setattr(made, "encode", lambda *sides: ways.add(is_plain()) or encode(*sides))
    largest_batch(made, (40, 20), SIZES, False, compiled=True)
    assert ways == {True} and not is_plain()
    largest_batch(made, (40, 20), SIZES, False)
    assert ways == {True, False}


def test_a_model_that_leaves_no_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(monkeypatch, 1000)
    with pytest.raises(ValueError, match="a batch of 256 pieces") as caught:
        largest_batch(model(), (40, 20), SIZES, False)
    assert only_line(caught.value, "smaller model")


def test_on_a_cpu_auto_is_a_number_and_the_folder_has_it(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2, batch_tokens=0)
    train(run)
    stored = checkpoint.read_options(run.output).training(TrainingOptions)
    assert stored.batch_tokens == ON_CPU == 4096
    train(replace(run, training=replace(run.training, updates=4)))
    with pytest.raises(ValueError, match="batch_tokens was 4096, now 60"):
        train(replace(run, training=replace(run.training, batch_tokens=60)))


def test_on_a_gpu_it_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmtkit.training.plan.ON_CPU", 0)  # as if the device were a GPU
    found = iter([77])

    def find(made: Any, *_: Any) -> int:
        frozen = {name for name, own in made.named_parameters() if not own.requires_grad}
        assert frozen and all(name.startswith("encoder.") for name in frozen)
        return next(found)

    monkeypatch.setattr(recipe, "largest_batch", find)
    run = toy_run(tmp_path, updates=2, batch_tokens=0, freeze=("encoder.*",))
    train(run)
    train(replace(run, training=replace(run.training, updates=4)))
    assert checkpoint.read_options(run.output).training(TrainingOptions).batch_tokens == 77
