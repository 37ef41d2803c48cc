"""The rule of "auto", autocast and TF32 within their blocks, and the scale of the loss by hand and as GradScaler's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nmtkit.models.options import PRESETS
from nmtkit.training.precision import LossScale, default, reduced, tf32

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)
INF = float("inf")


# --- the rule ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((8, 9), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_on_a_gpu_its_capability_decides(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability)
    assert default(GPU, PRESETS["rnn-tiny"]) == precision
    assert asked == [GPU]


@pytest.mark.parametrize(
    ("able", "fast"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "avx512_f": True}, False),
        ({}, False),
        (None, False),
    ],
)
@pytest.mark.parametrize(
    ("preset", "wide"),
    [
        ("transformer-base", True),
        ("transformer-big", True),
        ("rnn-base", True),
        ("transformer-small", False),
        ("transformer-tiny", False),
        ("rnn-small", False),
        ("convs2s", False),
    ],
)
def test_on_a_cpu_instructions_and_width_decide(
    preset: str, wide: bool, able: dict[str, bool] | None, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if able is None:  # a torch that cannot tell
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert default(CPU, PRESETS[preset]) == ("bfloat16" if wide and fast else "float32")


def test_the_width_is_that_of_the_hidden_states() -> None:
    recurrent, convolutional = PRESETS["bahdanau"], PRESETS["convs2s"]
    assert replace(recurrent, units=512, embedding=64).width == 512  # type: ignore[call-arg]
    assert replace(convolutional, width=520, embedding=64).width == 520  # type: ignore[call-arg]


# --- blocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_products_are_reduced_within_the_block_alone(precision: str) -> None:
    factor = torch.ones(2, 2)
    with reduced(precision, CPU):
        assert (factor @ factor).dtype == getattr(torch, precision)
        assert (factor + factor).dtype == torch.float32
    assert (factor @ factor).dtype == torch.float32


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision = 'auto' is not known: choose one of float32, bfloat16, float16"):
        reduced("auto", CPU).__enter__()


def flags() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("on", "inside"), [(True, ("high", True)), (False, ("highest", False))])
def test_tf32_holds_within_its_block(on: bool, inside: tuple[str, bool]) -> None:
    before = flags()
    with pytest.raises(KeyError), tf32(on, GPU):
        assert flags() == inside
        with tf32(not on, GPU):
            assert flags() != inside
        with tf32(not on, CPU):
            assert flags() == inside
        raise KeyError
    assert flags() == before


# --- the scale of the loss --------------------------------------------------------------------------------------------


def scale_of(factor: float, good: int) -> LossScale:
    scale = LossScale("float16", CPU)
    scale.restore({"factor": torch.tensor(factor), "good": torch.tensor(good, dtype=torch.int32)})
    return scale


@pytest.mark.parametrize(
    ("factor", "good", "bad", "then"),
    [
        (2.0**16, 0, True, (2.0**15, 0)),
        (2.0**16, 0, False, (2.0**16, 1)),
        (2.0**16, 1998, False, (2.0**16, 1999)),
        (2.0**16, 1999, False, (2.0**17, 0)),
        (2.0**16, 1999, True, (2.0**15, 0)),
        (0.25, 5, True, (0.125, 0)),
        (2.0**127, 1999, False, (2.0**127, 0)),
    ],
)
def test_the_factor_by_hand(factor: float, good: int, bad: bool, then: tuple[float, int]) -> None:
    scale = scale_of(factor, good)
    scale.update(torch.tensor(bad))
    assert (scale.factor.item(), scale.good.item()) == then
    assert (scale.factor.dtype, scale.good.dtype) == (torch.float32, torch.int32)


def test_it_begins_at_65536() -> None:
    scale = LossScale("float16", CPU)
    assert (scale.factor.item(), scale.good.item()) == (65536.0, 0)


def stepped(losses: Sequence[float], ours: bool) -> tuple[list[Tensor], list[float]]:
    """The weights and the factors of a run in which the gradient is a multiple of the loss's value, which may be ∞."""
    torch.manual_seed(2)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), 0.1, fused=True)
    scale: Any = LossScale("float16", CPU) if ours else torch.amp.GradScaler("cpu", growth_interval=3)
    factors = []
    for value in losses:
        loss = (layer(torch.arange(3.0)) * value).sum()
        if ours:
            scale.up(loss).backward()
            scale.down(layer.parameters())
            scale.step(optimizer, torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0))
            factors.append(scale.factor.item())
        else:
            scale.scale(loss).backward()
            scale.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
            scale.step(optimizer)
            scale.update()
            factors.append(scale.get_scale())
        optimizer.zero_grad()
    states = [value for state in optimizer.state.values() for value in state.values()]
    assert not hasattr(optimizer, "found_inf") and not hasattr(optimizer, "grad_scale")
    return [*layer.parameters(), *states], factors


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([0.5, -2.0, 3.0, INF, float("nan"), 1e-6]), min_size=1, max_size=12))
def test_weights_moments_counts_and_factors_are_gradscalers(losses: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossScale, "GROWTH_INTERVAL", 3)
        tensors, factors = stepped(losses, ours=True)
    expected, theirs = stepped(losses, ours=False)
    assert factors == theirs
    assert len(tensors) == len(expected) >= 2
    assert all(torch.equal(one, other) for one, other in zip(tensors, expected, strict=True))


def test_a_bad_step_changes_nothing_but_the_factor() -> None:
    before, _ = stepped([0.5, 3.0], ours=True)
    after, factors = stepped([0.5, 3.0, INF, float("nan")], ours=True)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert factors[-2:] == [2.0**15, 2.0**14]
    assert [tensor.item() for tensor in after if tensor.dim() == 0] == [2.0, 2.0]  # steps counted by the optimiser


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_other_precisions_have_no_factor(precision: str) -> None:
    scale, layer = LossScale(precision, CPU), nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)  # which could not leave out a step
    loss = layer(torch.ones(2)).sum()
    assert scale.up(loss) is loss and scale.state() == {} and scale.factor.item() == 1
    loss.backward()
    before = layer.weight.detach().clone()
    scale.down(layer.parameters())
    scale.step(optimizer, torch.tensor(INF))
    assert torch.equal(layer.weight, before - 0.5) and scale.factor.item() == 1


def test_it_goes_on_from_its_state() -> None:
    first = LossScale("float16", CPU)
    for bad in (False, True, False, False):
        first.update(torch.tensor(bad))
    second = LossScale("float16", CPU)
    second.restore(first.state())
    for scale in (first, second):
        scale.update(torch.tensor(False))
    assert (second.factor.item(), second.good.item()) == (first.factor.item(), first.good.item()) == (2.0**15, 3)


def test_small_gradients_survive_float16() -> None:
    """A gradient of 2^-26, below float16's least value of 2^-24, passes a product in float16."""
    results = []
    for precision in ("float16", "bfloat16"):  # bfloat16: no factor
        weight = torch.ones(1, 1, requires_grad=True)
        scale = LossScale(precision, CPU)
        with reduced("float16", CPU):
            product = torch.ones(1, 1) @ weight
        scale.up(product.float().sum() * 2.0**-26).backward()
        scale.down([weight])
        assert weight.grad is not None
        results.append(weight.grad.item())
    assert results == [2.0**-26, 0.0]
