"""The loss against its plain formula, against PyTorch's cross-entropy, and finite differences.

Every test runs twice: with the passes for CPUs, and with those for GPUs in their place.
"""

from __future__ import annotations

import math

import pytest
import torch
from support.gradients import plainly, same_gradients
from torch import Tensor

from nmtkit.models.fused import loss as module
from nmtkit.models.fused.loss import CHUNK, by_log_softmax, by_softmax, projected_cross_entropy


@pytest.fixture(autouse=True, params=[by_softmax, by_log_softmax], ids=["cpu", "gpu"])
def _passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "by_softmax", request.param)


def problem(positions: int, width: int, size: int, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = spread * torch.randn(positions, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(size, width, dtype=torch.float64, generator=generator)
    target = torch.randint(0, size, (positions,), generator=generator)
    return hidden.requires_grad_(True), weight.requires_grad_(True), target


def oracle(hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float) -> Tensor:
    return plainly(projected_cross_entropy, hidden, weight, target, smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
def test_the_formula_is_pytorchs_cross_entropy(smoothing: float) -> None:
    hidden, weight, target = problem(9, 4, 6)
    logits = hidden @ weight.T
    expected = torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing, reduction="sum")
    same_gradients((oracle(hidden, weight, target, smoothing),), (expected,), (hidden, weight))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    ("positions", "width", "size"),
    [(1, 1, 3), (7, 5, 3), (13, 8, 50), (CHUNK, 4, 3), (CHUNK + 1, 4, 6), (2 * CHUNK + 37, 3, 11)],
)
def test_loss_and_gradients(positions: int, width: int, size: int, smoothing: float) -> None:
    hidden, weight, target = problem(positions, width, size, seed=positions + size)
    loss = projected_cross_entropy(hidden, weight, target, smoothing)
    found = torch.autograd.grad(0.37 * loss, (hidden, weight))  # a factor, as in a mean over tokens
    expected_loss = oracle(hidden, weight, target, smoothing)
    expected = torch.autograd.grad(0.37 * expected_loss, (hidden, weight))
    torch.testing.assert_close(loss, expected_loss, atol=1e-9, rtol=1e-12)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_support_that_begins_later(smoothing: float) -> None:
    hidden, weight, target = problem(5, 4, 7, seed=3)
    target = target % 5 + 2
    inputs = hidden, weight
    expected = plainly(projected_cross_entropy, hidden, weight, target, smoothing, 2)
    torch.testing.assert_close(expected, oracle(hidden, weight[2:], target - 2, smoothing))
    same_gradients((projected_cross_entropy(hidden, weight, target, smoothing, 2),), (expected,), inputs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_target_too_unlikely_for_float32(smoothing: float) -> None:
    """Logits 0 and 300: −log P of the first is 300, far beyond float32; that of the third, with logit 69, is not."""
    hidden = torch.tensor([[1.0], [1.0], [0.23]], requires_grad=True)
    weight = torch.tensor([[0.0], [300.0]], requires_grad=True)
    target = torch.tensor([0, 1, 0])
    same = oracle(hidden.double(), weight.double(), target, smoothing)
    found = projected_cross_entropy(hidden, weight, target, smoothing)
    assert found.item() == pytest.approx(same.item(), rel=1e-6) and same.item() > 300 * (1 - smoothing)


def test_by_hand() -> None:
    """Logits ln 1, ln 2, ln 5: P = 1/8, 2/8, 5/8."""
    hidden = torch.ones(1, 1, dtype=torch.float64)
    weight = torch.tensor([[math.log(1)], [math.log(2)], [math.log(5)]], dtype=torch.float64)
    target = torch.tensor([1])
    assert projected_cross_entropy(hidden, weight, target, 0.0).item() == pytest.approx(math.log(4))
    mean = (math.log(8) + math.log(4) + math.log(8 / 5)) / 3
    assert projected_cross_entropy(hidden, weight, target, 0.3).item() == pytest.approx(0.7 * math.log(4) + 0.3 * mean)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_positions(smoothing: float) -> None:
    hidden, weight, target = problem(0, 4, 3)
    loss = projected_cross_entropy(hidden, weight, target, smoothing)
    loss.backward()
    assert loss.item() == 0.0
    assert hidden.grad is not None and hidden.grad.shape == (0, 4)
    assert weight.grad is not None and torch.equal(weight.grad, torch.zeros(3, 4, dtype=torch.float64))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradcheck(smoothing: float) -> None:
    hidden, weight, target = problem(5, 3, 4, seed=9)
    assert torch.autograd.gradcheck(lambda h, w: projected_cross_entropy(h, w, target, smoothing), (hidden, weight))


def test_gradcheck_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 2 positions, the last one short."""
    monkeypatch.setattr("nmtkit.models.fused.loss.CHUNK", 2)
    hidden, weight, target = problem(5, 3, 4, seed=10)
    assert torch.autograd.gradcheck(lambda h, w: projected_cross_entropy(h, w, target, 0.1), (hidden, weight))
    loss = projected_cross_entropy(hidden, weight, target, 0.1)
    torch.testing.assert_close(loss, oracle(hidden, weight, target, 0.1))


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_of_one_argument_alone(which: int) -> None:
    """With the other frozen the gradient is the same."""
    hidden, weight, target = problem(6, 4, 5, seed=2)
    (expected,) = torch.autograd.grad(oracle(hidden, weight, target, 0.1), (hidden, weight)[which])
    arguments = [hidden.detach(), weight.detach()]
    arguments[which].requires_grad_(True)
    projected_cross_entropy(*arguments, target, 0.1).backward()
    torch.testing.assert_close(arguments[which].grad, expected, atol=1e-12, rtol=1e-12)
    assert arguments[1 - which].grad is None


def test_large_logits_do_not_overflow() -> None:
    """Logits in the thousands, where exp overflows in any precision."""
    hidden, weight, target = problem(8, 4, 6, seed=3, spread=2000.0)
    loss = projected_cross_entropy(hidden, weight, target, 0.1)
    assert math.isfinite(loss.item())
    torch.testing.assert_close(loss, oracle(hidden, weight, target, 0.1), atol=1e-6, rtol=1e-12)
    narrow = projected_cross_entropy(hidden.detach().float(), weight.detach().float(), target, 0.1)
    assert narrow.item() == pytest.approx(loss.item(), rel=1e-5)


def test_float32_is_close_to_float64() -> None:
    hidden, weight, target = problem(CHUNK + 200, 16, 300, seed=4)
    wide = projected_cross_entropy(hidden, weight, target, 0.1)
    narrow_hidden = hidden.detach().float().requires_grad_(True)
    narrow_weight = weight.detach().float().requires_grad_(True)
    narrow = projected_cross_entropy(narrow_hidden, narrow_weight, target, 0.1)
    expected = torch.autograd.grad(wide, (hidden, weight))
    found = torch.autograd.grad(narrow, (narrow_hidden, narrow_weight))
    assert narrow.item() == pytest.approx(wide.item(), rel=1e-6)
    torch.testing.assert_close(found[0].double(), expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1].double(), expected[1], atol=1e-3, rtol=1e-4)


def test_inputs_are_left_as_they_were() -> None:
    hidden, weight, target = problem(4, 3, 5)
    before = hidden.detach().clone(), weight.detach().clone(), target.clone()
    projected_cross_entropy(hidden, weight, target, 0.1).backward()
    assert all(torch.equal(one, other) for one, other in zip(before, (hidden, weight, target), strict=True))


# --- under autocast ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("formula", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_only_the_products_are_low(smoothing: float, formula: bool, low: torch.dtype) -> None:
    """Small whole numbers have exact products in 8 bits, so the loss must be exact to float32's rounding."""
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randint(1, 3, (40, 6), generator=generator).float()
    weight = torch.randint(-2, 3, (30, 6), generator=generator).float()
    target = torch.randint(0, 30, (40,), generator=generator)
    expected = oracle(hidden.double(), weight.double(), target, smoothing)
    with torch.autocast("cpu", low):
        compute = plainly if formula else lambda operation, *arguments: operation(*arguments)
        found = compute(projected_cross_entropy, hidden, weight, target, smoothing)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=2e-6)


def test_a_low_state_and_a_target_too_unlikely() -> None:
    """A state in 8 bits, as behind a linear map, gets its gradient in 8 bits; the weight in float32."""
    hidden = torch.tensor([[1.0], [0.5]], dtype=torch.bfloat16, requires_grad=True)
    weight = torch.tensor([[0.0], [300.0]], requires_grad=True)
    target = torch.tensor([0, 1])
    with torch.autocast("cpu", torch.bfloat16):
        loss = projected_cross_entropy(hidden, weight, target, 0.0)
    assert loss.item() == pytest.approx(300.0)
    loss.backward()
    assert hidden.grad is not None and hidden.grad.dtype == torch.bfloat16 and hidden.grad.tolist() == [[300.0], [0.0]]
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    torch.testing.assert_close(weight.grad, torch.tensor([[-1.0], [1.0]]))


def test_the_weights_gradient_is_summed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 chunks of one position: 8 bits would stop to count at 256."""
    monkeypatch.setattr("nmtkit.models.fused.loss.CHUNK", 1)
    hidden, weight = torch.ones(4000, 1), torch.zeros(2, 1, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        projected_cross_entropy(hidden, weight, torch.zeros(4000, dtype=torch.int64), 0.0).backward()
    assert weight.grad is not None and weight.grad.tolist() == [[-2000.0], [2000.0]]


def test_gradients_of_low_products() -> None:
    """Each p, and each product, is off by at most 2^-8 of itself."""
    hidden, weight, target = (tensor.detach() for tensor in problem(50, 8, 20, seed=6))
    hidden, weight = (tensor.bfloat16().double().requires_grad_() for tensor in (hidden, weight))
    expected = torch.autograd.grad(oracle(hidden, weight, target, 0.1), (hidden, weight))
    narrow = hidden.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = projected_cross_entropy(*narrow, target, 0.1)
    for one, other in zip(torch.autograd.grad(loss, narrow), expected, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 2**-7 * other.norm()


@pytest.mark.parametrize("frozen", [0, 1])
def test_one_gradient_without_the_other(frozen: int) -> None:
    inputs = problem(CHUNK + 5, 4, 7)
    inputs[frozen].requires_grad_(False)
    trained = inputs[1 - frozen]
    same_gradients((projected_cross_entropy(*inputs, 0.1),), (oracle(*inputs, 0.1),), (trained,))
    slopes = projected_cross_entropy(*inputs, 0.1).grad_fn.apply(torch.ones(()))  # type: ignore[union-attr, attr-defined]
    assert slopes[frozen] is None and slopes[1 - frozen] is not None
