"""The step of a model that is laid out for inference, against the step of its layers and against other precisions."""

from __future__ import annotations

import pytest
import torch

from nmtkit.models import matrices
from nmtkit.models.build import build
from nmtkit.models.fused.switch import plain
from nmtkit.models.interface import Model
from nmtkit.models.options import TransformerOptions, options_from_mapping

SIZES = {"width": 12, "feedforward": 20, "heads": 3, "encoder_layers": 1, "decoder_layers": 2}


def make(**own: object) -> Model:
    torch.manual_seed(3)
    model = build(TransformerOptions(**{**SIZES, **own}), source_size=11, target_size=11).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def walk(model: Model, padded: bool = True) -> list[torch.Tensor]:
    """The distributions of a search that expands, reorders and drops."""
    source = torch.tensor([[4, 5, 6, 3], [7, 3, 0, 0] if padded else [7, 8, 9, 3]])
    with torch.inference_mode():
        memory = model.encode(source, source != 0)
        state, token, seen = model.start(memory), torch.ones(2, dtype=torch.int64), []
        for rows in ([0, 0, 1, 1], [1, 0, 3, 2], [0, 1, 2, 3], [2, 2]):
            log_probs, state = model.step(token, state, memory)
            seen += [log_probs.dense(), log_probs.top(3)[0]]
            state = state.select(torch.tensor(rows))
            if len(rows) == 2:
                memory = memory.select(torch.tensor([1]))
            token = torch.tensor([4 + row for row in range(len(rows))])
        return [*seen, model.step(token, state, memory)[0].dense()]


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("reach", [None, 1])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["sinusoidal", "concatenated"])
def test_a_step_is_that_of_the_layers(norm: str, positions: str, reach: int | None, padded: bool) -> None:
    more = {"position_width": 4} if positions == "concatenated" else {}
    model = make(norm=norm, positions=positions, neighbourhood=reach, **more).double()
    expected = walk(model, padded)
    model.lay_out("float32")
    for fast, layers in zip(walk(model, padded), expected, strict=True):
        torch.testing.assert_close(fast, layers, atol=1e-12, rtol=0)
    with plain():
        for fast, layers in zip(walk(model, padded), expected, strict=True):
            torch.testing.assert_close(fast, layers, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("int8", 0.15), ("bfloat16", 0.15)])
@pytest.mark.parametrize("family", ["transformer", "recurrent", "convolutional"])
def test_a_precision_changes_a_copy_alone(
    family: str, precision: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrices, "LARGE", 1)
    torch.manual_seed(5)
    sizes = {"transformer": SIZES, "recurrent": {"units": 12, "embedding": 12}, "convolutional": {"width": 12}}
    options = options_from_mapping({"family": family, **sizes[family]}, "toy")
    model = build(options, source_size=11, target_size=11).eval()
    expected = walk(model)
    lowered = model.lowered(precision)
    places = {parameter.data_ptr() for parameter in model.parameters()}
    assert {parameter.data_ptr() for parameter in lowered.parameters()} == places
    for found, exact in zip(walk(lowered), expected, strict=True):
        torch.testing.assert_close(found, exact, atol=tolerance, rtol=0)
    if precision != "float32":
        assert not torch.equal(walk(lowered)[0], expected[0])
    for again, exact in zip(walk(model), expected, strict=True):
        assert torch.equal(again, exact)
