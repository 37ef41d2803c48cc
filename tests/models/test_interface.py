"""The interface itself: values made of rows, and what a search may ask of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support.searches import beam_search
from support.toys import TableModel, stack_targets
from torch import Tensor

from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.objective import Objective
from nmtkit.models.interface import Model, Rows


@dataclass(frozen=True)
class Inner(Rows):
    values: Tensor


@dataclass(frozen=True)
class Outer(Rows):
    layers: tuple[Tensor, ...]
    inner: Inner
    pairs: tuple[Inner, Inner]


def test_rows_are_selected_at_every_depth() -> None:
    values = torch.tensor([10, 20, 30])
    rows = Outer((values, values + 1), Inner(values + 2), (Inner(values + 3), Inner(values + 4)))
    chosen = rows.select(torch.tensor([2, 0, 0, 1]))
    assert (rows.size(), chosen.size()) == (3, 4)
    assert [layer.tolist() for layer in chosen.layers] == [[30, 10, 10, 20], [31, 11, 11, 21]]
    assert chosen.inner.values.tolist() == [32, 12, 12, 22]
    assert [pair.values.tolist() for pair in chosen.pairs] == [[33, 13, 13, 23], [34, 14, 14, 24]]
    assert rows.inner.values.tolist() == [12, 22, 32]


class Only:
    """Of a model the protocol alone: no module, no weights, nothing else to ask for."""

    NAMES = ("device", "longest", "encode", "start", "step", "decode", "attention", "encoder_attention")

    def __init__(self, model: Model) -> None:
        for name in self.NAMES:
            setattr(self, name, getattr(model, name))


def test_a_search_needs_the_protocol_and_no_more() -> None:
    model = TableModel.random(3, sentences=2, symbols=4, depth=4)
    stepper: Any = Only(model)
    found, expected = (
        beam_search(either, model.memory(), [5, 5], beam=3, objective=Objective(), n_best=2)
        for either in (stepper, model)
    )
    assert found == expected and len(found[0]) == 2
    tokens = [row[0].tokens for row in found]
    totals = [sum(row) for row in forced_log_probs(stepper, model.memory(), tokens)]
    assert totals == pytest.approx([row[0].total for row in found])


@pytest.mark.parametrize("missing", ["encode", "start", "step", "decode", "attention"])
def test_a_family_without_a_method_of_the_protocol_cannot_be_made(missing: str) -> None:
    others = {name: getattr(TableModel, name) for name in Only.NAMES if name not in (missing, "device", "longest")}
    with pytest.raises(TypeError, match=missing):
        type("Family", (Model,), others)()


def test_targets_are_stacked_as_input_and_output() -> None:
    target_in_NT, target_out_NT = stack_targets([[7, 8, 3], [3]], torch.device("cpu"))
    assert target_in_NT.tolist() == [[1, 7, 8], [1, 3, 0]]
    assert target_out_NT.tolist() == [[7, 8, 3], [3, 0, 0]]
