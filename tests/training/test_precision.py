"""The rule of "auto", autocast and TF32 within their blocks, and the scale of the loss by hand and as GradScaler's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training_toys import changed, fingerprint, fingerprints, state_of, toy_run
from torch import Tensor, nn

from nmtkit import checkpoint
from nmtkit.checkpoint import load_tensors, save_tensors
from nmtkit.models.options import PRESETS
from nmtkit.models.transformer import Transformer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.precision import LossScale, default, reduced, step_unless, tf32
from nmtkit.training.recipe import train
from nmtkit.training.state import KIND, SNAPSHOT

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
    scale.tensors["factor"].fill_(factor)
    scale.tensors["good"].fill_(good)
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
            failed = ~torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0).isfinite()
            step_unless(failed, optimizer)
            scale.update(failed)
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
    scale, weight = LossScale(precision, CPU), torch.ones(2, requires_grad=True)
    loss = weight.sum()
    assert scale.up(loss) is loss and scale.tensors == {} and scale.factor.item() == 1
    loss.backward()
    scale.down([weight])
    scale.update(torch.tensor(True))
    assert weight.grad is not None and weight.grad.tolist() == [1.0, 1.0] and scale.factor.item() == 1


def test_it_goes_on_from_its_tensors() -> None:
    first = LossScale("float16", CPU)
    for bad in (False, True, False, False):
        first.update(torch.tensor(bad))
    second = LossScale("float16", CPU)
    for name, tensor in second.tensors.items():
        tensor.copy_(first.tensors[name])
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


# --- in a run ---------------------------------------------------------------------------------------------------------


def test_a_run_has_what_auto_came_to_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmtkit.training.plan.default", lambda device, model: "bfloat16")
    run = toy_run(tmp_path, updates=2)
    train(run)
    monkeypatch.setattr("nmtkit.training.plan.default", lambda device, model: "float32")
    train(changed(run, updates=4))
    assert checkpoint.read_options(run.output).training(TrainingOptions).precision == "bfloat16"
    with pytest.raises(ValueError, match="precision was bfloat16, now float16"):
        train(changed(run, updates=4, precision="float16"))


def test_an_older_run_goes_on_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, whole = toy_run(tmp_path, updates=2, precision="float32"), toy_run(tmp_path, "whole", updates=4)
    monkeypatch.setattr("nmtkit.training.plan.default", lambda device, model: "float32")
    train(whole)
    train(run)
    options = json.loads((run.output / "options.json").read_text(encoding="utf-8"))
    del options["training"]["precision"], options["training"]["tf32"]
    (run.output / "options.json").write_text(json.dumps(options), encoding="utf-8")
    for path in (run.output / "training").iterdir():  # they name the run as it is written now
        tensors, header = load_tensors(path, KIND if path.name.startswith("state") else SNAPSHOT)
        save_tensors(path, tensors, {name: value for name, value in header.items() if name != "run"})
    monkeypatch.setattr("nmtkit.training.plan.default", lambda device, model: "bfloat16")
    train(changed(run, updates=4, precision="auto"))
    assert fingerprints(run.output) == fingerprints(whole.output)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_an_interrupted_run_ends_with_the_same_weights(precision: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"precision": precision, "learning_rate": 0.01, "validate_every": 4}
    whole, parts = toy_run(tmp_path, "whole", updates=12, **settings), toy_run(tmp_path, "parts", updates=4, **settings)
    plain = toy_run(tmp_path, "plain", updates=12, **{**settings, "precision": "float32"})
    for run in (whole, parts, plain, changed(parts, updates=8), changed(parts, updates=12)):
        train(run)
    assert fingerprints(parts.output) == fingerprints(whole.output)
    assert fingerprint(whole.output / "last.safetensors") != fingerprint(plain.output / "last.safetensors")
    losses = [checkpoint.load(run.output, weights="last").scores["loss"] for run in (whole, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    tensors, _ = load_tensors(state_of(whole.output), KIND)
    factors = {name: tensor.item() for name, tensor in tensors.items() if "loss_scale" in name}
    assert factors == (
        {"more.loss_scale.factor": 2.0**16, "more.loss_scale.good": 12} if precision == "float16" else {}
    )


def test_the_validation_stays_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = toy_run(tmp_path, updates=2, precision="bfloat16")
    inside: list[tuple[bool, bool]] = []
    decode = Transformer.decode

    def watched(self: Transformer, *arguments: Any) -> Any:
        inside.append((self.training, torch.is_autocast_enabled("cpu")))
        return decode(self, *arguments)

    monkeypatch.setattr(Transformer, "decode", watched)
    train(run)
    assert set(inside) == {(True, True), (False, False)}
