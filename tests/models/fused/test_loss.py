"""The loss against its plain formula, against PyTorch's cross-entropy, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from support.gradients import plainly, same_gradients
from torch import Tensor

from nmtkit.models.fused.loss import CHUNK, projected_cross_entropy


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


@pytest.mark.parametrize("frozen", [0, 1])
def test_one_gradient_without_the_other(frozen: int) -> None:
    inputs = problem(CHUNK + 5, 4, 7)
    inputs[frozen].requires_grad_(False)
    trained = inputs[1 - frozen]
    same_gradients((projected_cross_entropy(*inputs, 0.1),), (oracle(*inputs, 0.1),), (trained,))
    slopes = projected_cross_entropy(*inputs, 0.1).grad_fn.apply(torch.ones(()))  # type: ignore[union-attr, attr-defined]
    assert slopes[frozen] is None and slopes[1 - frozen] is not None
