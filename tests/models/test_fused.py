"""Operations with gradients of their own: against plain PyTorch in float64 and against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.models.fused import (
    CHUNK,
    SharedMatrix,
    gated_unit,
    long_short_term_unit,
    projected_cross_entropy,
    rectified_network,
    split_linear,
)


def doubles(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_(True)


def same_gradients(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
    """Equal outputs, and equal gradients of all inputs for random gradients of the outputs."""
    weights = [torch.randn_like(output) for output in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    ours, theirs = torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4)])
def test_split_linear(shape: tuple[int, ...], parts: int) -> None:
    inputs = doubles(*shape), doubles(parts * 5, 4), doubles(parts * 5)
    same_gradients(split_linear(*inputs, parts), torch.nn.functional.linear(*inputs).chunk(parts, -1), inputs)
    if 0 not in shape:
        assert torch.autograd.gradcheck(lambda *given: split_linear(*given, parts), inputs)


def test_split_linear_of_a_part_that_nobody_used() -> None:
    inputs = doubles(3, 4), doubles(10, 4), doubles(10)
    found, expected = split_linear(*inputs, 2)[1], torch.nn.functional.linear(*inputs)[:, 5:]
    same_gradients((found,), (expected,), inputs)


def test_split_linear_of_transposed_gradients() -> None:
    """As from attention heads: the gradients that come back are no contiguous matrices."""
    inputs = doubles(2, 3, 4), doubles(8, 4), doubles(8)
    pairs = split_linear(*inputs, 2), torch.nn.functional.linear(*inputs).chunk(2, -1)
    found, expected = (tuple(part.unflatten(-1, (2, 2)).transpose(0, 2).exp() for part in pair) for pair in pairs)
    same_gradients(found, expected, inputs)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)])
def test_rectified_network(shape: tuple[int, ...], dropped: bool) -> None:
    inner, outer = torch.nn.Linear(4, 6).double(), torch.nn.Linear(6, 3).double()
    vectors = doubles(*shape)
    mask = (torch.rand(*shape[:-1], 6) < 0.6).double() / 0.6 if dropped else None
    hidden = torch.relu(inner(vectors))
    expected = outer(hidden if mask is None else hidden * mask)
    inputs = (vectors, *inner.parameters(), *outer.parameters())
    same_gradients((rectified_network(vectors, inner, outer, mask),), (expected,), inputs)


def test_gated_unit() -> None:
    inputs = doubles(4, 9), doubles(4, 9, seed=1), doubles(4, 3)
    words, state, hidden = inputs
    reset, update = torch.sigmoid(words[:, :3] + state[:, :3]), torch.sigmoid(words[:, 3:6] + state[:, 3:6])
    new = torch.tanh(words[:, 6:] + reset * state[:, 6:])
    same_gradients((gated_unit(*inputs),), ((1 - update) * new + update * hidden,), inputs)
    assert torch.autograd.gradcheck(gated_unit, inputs)


def test_long_short_term_unit() -> None:
    inputs = doubles(4, 12), doubles(4, 12, seed=1), doubles(4, 6)
    words, outputs, state = inputs
    enter, forget, proposed, out = (words + outputs).chunk(4, 1)
    cell = torch.sigmoid(forget) * state[:, 3:] + torch.sigmoid(enter) * torch.tanh(proposed)
    expected = torch.cat((torch.sigmoid(out) * torch.tanh(cell), cell), dim=1)
    same_gradients((long_short_term_unit(*inputs),), (expected,), inputs)
    assert torch.autograd.gradcheck(long_short_term_unit, inputs)


def test_long_short_term_unit_is_pytorchs_cell() -> None:
    """Over several steps, its state going on from step to step."""
    plain = torch.nn.LSTMCell(2, 3).double()
    vectors, first = doubles(5, 4, 2), doubles(4, 6)
    found, expected = first, first
    for vector in vectors:
        of_input = torch.nn.functional.linear(vector, plain.weight_ih, plain.bias_ih)
        found = long_short_term_unit(
            of_input, torch.nn.functional.linear(found[:, :3], plain.weight_hh, plain.bias_hh), found
        )
        expected = torch.cat(plain(vector, tuple(expected.chunk(2, 1))), dim=1)
    same_gradients((found,), (expected,), (vectors, first, *plain.parameters()))


def test_gradients_of_both_shares_of_the_gates_are_apart() -> None:
    """They are equal numbers; what is added to one afterwards must not reach the other."""
    inputs = doubles(2, 12), doubles(2, 12, seed=1), doubles(2, 6)
    long_short_term_unit(*inputs).sum().backward()
    one, other = inputs[0].grad, inputs[1].grad
    assert one is not None and other is not None and torch.equal(one, other)
    before = other.clone()
    (3 * inputs[0]).sum().backward()
    assert torch.equal(other, before) and torch.allclose(inputs[0].grad, before + 3)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_shared_matrix(steps: int) -> None:
    """A recurrence x_{t+1} = tanh(x_t M + b): the gradients are those of plain products."""
    matrix, bias, first = inputs = doubles(3, 3), doubles(3), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found = expected = first
    for _ in range(steps):
        found, expected = torch.tanh(shared.times(found, bias)), torch.tanh(expected @ matrix + bias)
    if steps:
        same_gradients((found,), (expected,), inputs)
    else:
        assert torch.autograd.grad(found.sum(), matrix, allow_unused=True) == (None,)


def test_shared_matrix_of_a_batch_used_beside_its_steps_and_twice() -> None:
    """As annotations are: one matrix a sentence, also a factor elsewhere; a second backward pass gives the same."""
    matrix, weights = inputs = doubles(2, 5, 3), doubles(2, 4, 5)
    shared = SharedMatrix(matrix)
    found = sum(shared.times(weights * factor).exp().sum() for factor in (1, 2, 3)) + (matrix**2).sum()
    expected = sum(((weights * factor) @ matrix).exp().sum() for factor in (1, 2, 3)) + (matrix**2).sum()
    theirs = torch.autograd.grad(expected, inputs)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(found, inputs, retain_graph=True), theirs)


def test_shared_matrix_after_a_pass_that_did_not_want_its_gradient() -> None:
    matrix, vectors = inputs = doubles(3, 3), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found, expected = shared.times(shared.times(vectors).tanh()).sum(), ((vectors @ matrix).tanh() @ matrix).sum()
    torch.autograd.grad(found, vectors, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs))


def test_shared_matrix_whose_last_step_nobody_used() -> None:
    matrix, vectors = inputs = doubles(3, 3), doubles(4, 3)
    shared = SharedMatrix(matrix)
    found, _ = shared.times(vectors), shared.times(2 * vectors)
    same_gradients((found,), (vectors @ matrix,), inputs)


def problem(positions: int, width: int, size: int, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = spread * torch.randn(positions, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(size, width, dtype=torch.float64, generator=generator)
    target = torch.randint(0, size, (positions,), generator=generator)
    return hidden.requires_grad_(True), weight.requires_grad_(True), target


def oracle(hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float) -> Tensor:
    logits = hidden @ weight.T
    return torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing, reduction="sum")


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
    expected = oracle(hidden, weight[2:], target - 2, smoothing)
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
    monkeypatch.setattr("nmtkit.models.fused.CHUNK", 2)
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


def test_the_loss_of_a_distribution_leaves_out_padding_and_rows_of_pad_and_bos() -> None:
    """Targets are ids; PAD positions add nothing, and output rows 0 and 1 take no part and get no gradient."""
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(6, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.tensor([[4, 5, 3], [3, 0, 0]])
    loss = ProjectedLogProbs(hidden, weight).loss(target, 0.1)
    picked = torch.stack([hidden[0, 0], hidden[0, 1], hidden[0, 2], hidden[1, 0]])
    torch.testing.assert_close(loss, oracle(picked, weight[2:], torch.tensor([2, 3, 1, 1]), 0.1))
    loss.backward()
    assert hidden.grad is not None and weight.grad is not None
    assert not hidden.grad[1, 1:].any() and not weight.grad[:2].any()
    assert (hidden.grad[0].abs().sum(-1) > 0).all() and (weight.grad[2:].abs().sum(-1) > 0).all()
