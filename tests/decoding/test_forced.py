"""Forced scores: the log-probabilities of given outputs, token by token."""

from __future__ import annotations

import math

import pytest
import torch
from support.toys import TableModel, stack_targets

from nmtkit.decoding.forced import forced_log_probs
from nmtkit.specials import BOS, EOS, PAD, UNK


def test_by_hand() -> None:
    model = TableModel.written(
        [
            {(): {4: 0.5, EOS: 0.25, UNK: 0.25}, (4,): {4: 0.125, EOS: 0.875}},
            {(): {4: 0.1, EOS: 0.9}},
        ],
        symbols=3,
    )
    result = forced_log_probs(model, model.memory(), [[4, EOS], [EOS]])
    assert [len(row) for row in result] == [2, 1]  # padding is not reported
    assert result[0] == pytest.approx([math.log(0.5), math.log(0.875)], abs=1e-12)
    assert result[1] == pytest.approx([math.log(0.9)], abs=1e-12)
    several = forced_log_probs(model, model.memory(), [[4, 4, EOS], [UNK, EOS], [4, EOS], [EOS]])
    assert [sum(row) for row in several] == pytest.approx(
        [math.log(0.5 * 0.125), math.log(0.25), math.log(0.1), math.log(0.9)], abs=1e-12
    )


def test_several_targets_of_several_sentences_match_the_written_table() -> None:
    """W targets of a source stand next to each other: target n belongs to sentence n // W."""
    model = TableModel.random(3, sentences=3, symbols=4, depth=6)
    targets = [[4, 5, EOS], [EOS], [UNK, UNK, UNK, 4, 4, EOS], [5, EOS], [4, 4, 4, EOS], [UNK, EOS]]
    result = forced_log_probs(model, model.memory(), targets)
    for number, (target, row) in enumerate(zip(targets, result, strict=True)):
        expected = [model.log_probs(number // 2, target[:t])[token] for t, token in enumerate(target)]
        assert row == pytest.approx(expected, abs=1e-12)


def test_no_gradient_is_kept() -> None:
    model = TableModel.random(0, sentences=1, symbols=3, depth=2)
    model.table.requires_grad_(True)
    assert all(type(value) is float for value in forced_log_probs(model, model.memory(), [[4, EOS]])[0])


def test_stack_targets() -> None:
    read, wanted = stack_targets([(7, 8, EOS), (EOS,), (9, EOS)], torch.device("cpu"))
    assert read.tolist() == [[BOS, 7, 8], [BOS, EOS, PAD], [BOS, 9, EOS]]
    assert wanted.tolist() == [[7, 8, EOS], [EOS, PAD, PAD], [9, EOS, PAD]]
    assert read.dtype == wanted.dtype == torch.int64
