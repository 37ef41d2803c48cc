"""Training under autocast: every family's loss and gradients against float64, weights and gradients in float32.

The bounds follow from u, the unit roundoff: 2^-8 for bfloat16's 8 significant bits, 2^-11 for float16's 11. A factor of
a product is off by at most u, by u / √3 in the mean. Errors of independent roundings add up like a random walk: after K
of them the gradient is off by √(K / 3) · u. Between the loss and any weight lie fewer than 48 rounded factors in the
models here (at most 2 layers a side, forward and backward), hence 4 u for the whole gradient.

That holds for smooth models. A rectified unit whose input is within its error of zero switches, and its gradient is
lost or gained as a whole; of normally distributed inputs a share of about u is that near, so that the gradient is off
by √u. The smooth bound is tested with biases that keep all rectified units away from zero, the other with those of a
fresh model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from support.gradients import plainly
from torch import Tensor

from nmtkit.models.autocast import as_written, lowered, product_dtype, raised
from nmtkit.models.build import build
from nmtkit.models.distribution import scored
from nmtkit.models.interface import Model
from nmtkit.models.options import PRESETS, ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions
from nmtkit.models.options.recurrent import NORMALISERS, SCORES
from nmtkit.specials import BOS, PAD

U = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
VOCABULARY = 60
SIZES: dict[str, dict[str, Any]] = {
    "transformer": {"width": 32, "feedforward": 48, "heads": 4, "encoder_layers": 2, "decoder_layers": 2},
    "recurrent": {"embedding": 24, "units": 16, "attention": 12},
    "convolutional": {"width": 24, "embedding": 20, "encoder_layers": 2, "decoder_layers": 2},
}


def shrunk(options: ModelOptions) -> ModelOptions:
    """The same model with narrow and few layers."""
    sizes = dict(SIZES[options.family])
    if options.family == "recurrent":
        for name in ("encoder_layers", "decoder_layers"):
            sizes[name] = min(2, getattr(options, name))
        sizes["encoder_units"] = 8 if getattr(options, "encoder_units", None) else None
    return replace(options, **sizes)


GATED = RecurrentOptions(embedding=24, units=16, encoder_units=8, attention=12, decoder_layers=2, dropout=0.2)
LAYERS = TransformerOptions(**SIZES["transformer"], dropout=0.2, activation_dropout=0.1)
FAMILIES: dict[str, ModelOptions] = {
    **{name: shrunk(options) for name, options in PRESETS.items()},
    **{f"score-{score}": replace(GATED, score=score, heads=1 + (score == "general")) for score in SCORES},
    **{f"normaliser-{name}": replace(GATED, normaliser=name, extent="local-m") for name in NORMALISERS},
    "luong-rnn": replace(GATED, cell="rnn", order="luong", heads=2),
    "concatenated": replace(LAYERS, positions="concatenated", position_width=8),
    "learned": replace(LAYERS, positions="learned", norm="post"),
    "near": replace(LAYERS, neighbourhood=1),
    "sinusoidal-convolutions": ConvolutionalOptions(**SIZES["convolutional"], positions="sinusoidal", dropout=0.1),
}
HARD = [name for name, options in FAMILIES.items() if getattr(options, "hard", False)]


def padded(rows: int, length: int, seed: int) -> Tensor:
    """Ids whose rows are of all lengths from `length` down to 2."""
    ids = torch.randint(4, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))
    keep = torch.arange(length) < (length - torch.arange(rows) % (length - 1)).unsqueeze(1)
    return ids.masked_fill(~keep, PAD)


SOURCE, TARGET = padded(12, 8, 1), padded(12, 9, 2)
TARGET_IN = torch.cat((torch.full((12, 1), BOS), TARGET[:, :-1]), dim=1)


def fresh(options: ModelOptions, smooth: bool) -> Model:
    """A model with shaken weights; if `smooth`, no rectified unit is near zero."""
    torch.manual_seed(1)
    model = build(options, source_size=VOCABULARY, target_size=VOCABULARY).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
            if smooth and name.endswith("feedforward.inner.bias"):
                parameter.copy_(6.0 - 12.0 * (torch.arange(len(parameter)) % 2))
    return model


def loss_of(model: Model) -> Tensor:
    torch.manual_seed(3)  # the same dropout in every precision
    return model.decode(model.encode(SOURCE, SOURCE != PAD), TARGET_IN).loss(TARGET, 0.1)


def gradients(model: Model, low: torch.dtype | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients by name, under autocast if a low precision is given."""
    with torch.autocast("cpu", low, enabled=low is not None):
        loss = loss_of(model)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def joined(values: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.double().flatten() for value in values.values()])


@pytest.mark.parametrize("low", U)
@pytest.mark.parametrize("formula", [False, True], ids=["fused", "plain"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_float64(
    family: str, formula: bool, low: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family in HARD:  # float64 draws other numbers: here the heaviest position is drawn
        monkeypatch.setattr(Tensor, "exponential_", lambda self: self.fill_(1.0))
        monkeypatch.setattr(torch, "rand_like", lambda like: torch.full_like(like, 0.7))
    options = FAMILIES[family]
    wide, expected = gradients(fresh(options, smooth=True).double())
    model = fresh(options, smooth=True)
    loss, found = plainly(gradients, model, low) if formula else gradients(model, low)
    assert loss.dtype == torch.float32
    assert found.keys() == expected.keys() and all(value.dtype == torch.float32 for value in found.values())
    assert loss.item() == pytest.approx(wide.item(), rel=U[low])
    whole = joined(expected)
    bound = 4 * U[low]
    assert (joined(found) - whole).norm() < bound * whole.norm()
    for name, value in expected.items():  # a bias of keys has the gradient 0: rounding is all that is left of it
        error = (found[name].double() - value).norm()
        assert error < 2 * bound * (value.norm() + 0.05 * whole.norm()), name


@pytest.mark.parametrize("low", U)
@pytest.mark.parametrize("family", ["transformer-base", "transformer-post"])
def test_gradients_of_rectified_units(family: str, low: torch.dtype) -> None:
    _, expected = gradients(fresh(FAMILIES[family], smooth=False).double())
    _, found = gradients(fresh(FAMILIES[family], smooth=False), low)
    one, other = joined(found), joined(expected)
    assert (one - other).norm() < 2 * U[low] ** 0.5 * other.norm()
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 1 - 2 * U[low]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_is_never_waited_for(family: str) -> None:
    """Tensors of the device "meta" have no values: whatever asks for one, as for a length or a condition, fails."""
    model = fresh(FAMILIES[family], smooth=False).to("meta")
    source, target_in, target, scored_M = (one.to("meta") for one in (SOURCE, TARGET_IN, TARGET, scored(TARGET)))
    log_probs = model.decode(model.encode(source, source != PAD), target_in)
    with pytest.raises((RuntimeError, NotImplementedError)):
        log_probs.loss(target, 0.1)
    log_probs.loss(target, 0.1, scored_M).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("family", "low"),
    [
        *((name, torch.bfloat16) for name in ("transformer-small", "transformer-post", "bahdanau", "convs2s")),
        ("transformer-small", torch.float16),
    ],
)
def test_a_toy_is_learned_as_well(family: str, low: torch.dtype) -> None:
    """60 updates on one batch; the losses of both runs, as shares of the first, end within 0.02 of each other."""
    options = replace(FAMILIES[family], dropout=0.05)
    ends = []
    for precision in (None, low):
        model = fresh(options, smooth=False)
        optimizer, first = torch.optim.AdamW(model.parameters(), 0.01), 0.0
        for update in range(60):
            loss, _ = gradients(model, precision)
            optimizer.step()
            optimizer.zero_grad()
            first = first if update else loss.item()
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        ends.append(loss_of(model.eval()).item() / first)
    assert ends[0] < 0.5
    assert ends[1] == pytest.approx(ends[0], abs=0.02)


def test_a_source_of_vectors_enters_in_float32() -> None:
    """A linear map would leave it in 8 bits, and positions and all that is added later with it."""
    model = build(LAYERS, source_size=5, target_size=VOCABULARY, features=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.front(torch.randn(2, 3, 5)).dtype == torch.float32  # type: ignore[operator]


# --- the functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low", U)
def test_lowered_and_raised_by_hand(low: torch.dtype) -> None:
    narrow, wide, double = (torch.ones(1, dtype=dtype) for dtype in (low, torch.float32, torch.float64))
    for tensor in (narrow, wide, double):
        assert lowered(tensor) is tensor and raised(tensor) is tensor and product_dtype(tensor) == tensor.dtype
    with torch.autocast("cpu", low):
        assert (lowered(narrow).dtype, lowered(wide).dtype, lowered(double).dtype) == (low, low, torch.float64)
        assert raised(narrow).dtype == torch.float32
        assert raised(wide) is wide and raised(double) is double
        assert product_dtype(wide) == low and product_dtype(double) == torch.float64
        assert (wide.view(1, 1) @ wide.view(1, 1)).dtype == low
        with as_written(wide):
            assert (wide.view(1, 1) @ wide.view(1, 1)).dtype == torch.float32
            assert raised(narrow) is narrow


def test_gradients_come_back_in_their_own_precision() -> None:
    weight = torch.randn(3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        (lowered(weight) * 2).sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, torch.full((3,), 2.0))
