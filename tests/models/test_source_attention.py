"""Attention to the source by hand: softmax(score) · values, and what plugs in: windows, normalisers, hard choice."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nmtkit.models.focus import (
    Extent,
    Global,
    Monotonic,
    Normaliser,
    Place,
    Predictive,
    Sigmoid,
    Softmax,
    Sparse,
    Window,
)
from nmtkit.models.fused.shared_matrix import SharedMatrix
from nmtkit.models.hard import HardChoice
from nmtkit.models.scores import AdditiveScore, DotScore, LocationScore
from nmtkit.models.source_attention import HeadSizes, Look, SourceAttention

MASK_BS = torch.tensor([[True, True, True, False]])
KEYS = torch.tensor([[[[math.log(1.0)], [math.log(2.0)], [math.log(5.0)], [9.0]]]])
"""Dot products with the query 1 are ln 1, ln 2 and ln 5, so that the weights are 1/8, 2/8 and 5/8; then padding."""
VALUES = torch.tensor([[[[8.0, 0.0], [0.0, 8.0], [16.0, 16.0], [1e6, 1e6]]]])
ONE = torch.ones(1, 1, 1)


def single(hard: HardChoice | None = None, extent: Extent | None = None, bias: bool | None = None) -> SourceAttention:
    normaliser = Softmax() if bias is None else Sigmoid(bias)
    return SourceAttention(DotScore(1.0), extent or Global(), normaliser, hard, HeadSizes(1, 2, 1))


def looked(attention: SourceAttention, query_BWQ: Tensor = ONE, position: int = 0) -> Look:
    return attention.look(query_BWQ, Place(query_BWQ, torch.tensor([position])), KEYS, VALUES, MASK_BS)


def test_weights_and_context() -> None:
    look = looked(single())
    assert look.weights_BHWS.flatten().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8, 0.0])
    assert look.context_BWD.tolist() == [[pytest.approx([1 + 10, 2 + 10])]]
    assert look.draws is None


def test_every_query_looks_for_itself() -> None:
    """The query 0 finds everything alike, the query 2 squares: 1, 4 and 25 of 30."""
    look = looked(single(), torch.tensor([[[1.0], [0.0], [2.0]]]))
    assert look.weights_BHWS[0, 0, 1].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])
    assert look.weights_BHWS[0, 0, 2].tolist() == pytest.approx([1 / 30, 4 / 30, 25 / 30, 0.0])
    assert look.context_BWD[0, 1].tolist() == pytest.approx([8.0, 8.0])


def test_a_window() -> None:
    """At most one position from the first: the third is not seen."""
    look = looked(single(extent=Monotonic(1)))
    assert look.weights_BHWS.flatten().tolist() == pytest.approx([1 / 3, 2 / 3, 0.0, 0.0])
    assert look.context_BWD.flatten().tolist() == pytest.approx([8 / 3, 16 / 3])


def test_factors_come_after_the_softmax_and_are_not_normalised() -> None:
    class Halves(Extent):
        def window(self, place: Place, mask_BS: Tensor) -> Window:
            return Window(mask_BS.unsqueeze(1), torch.tensor([[[0.5, 1.0, 0.5, 1.0]]]))

    look = looked(single(extent=Halves()))
    assert look.weights_BHWS.flatten().tolist() == pytest.approx([1 / 16, 2 / 8, 5 / 16, 0.0])
    assert look.context_BWD.flatten().tolist() == pytest.approx([0.5 + 5, 2 + 5])


@pytest.mark.parametrize(("bias", "weights"), [(False, [1 / 2, 2 / 3, 5 / 6]), (True, [1 / 4, 2 / 5, 5 / 8])])
def test_another_normaliser(bias: bool, weights: list[float]) -> None:
    """σ(ln x) = x / (x + 1), with the bias of three positions x / (x + 3)."""
    look = looked(single(bias=bias))
    assert look.weights_BHWS.flatten().tolist() == pytest.approx([*weights, 0.0])


def test_hard_attention_looks_at_the_heaviest() -> None:
    look = looked(single(HardChoice(0.0)).eval())
    assert look.weights_BHWS.flatten().tolist() == [0.0, 0.0, 1.0, 0.0]
    assert look.context_BWD.flatten().tolist() == [16.0, 16.0] and look.draws is None


def test_hard_attention_draws_in_training() -> None:
    """As often as the weights say; log P of what was drawn, and the entropy of the weights."""
    torch.manual_seed(0)
    attention, times = single(HardChoice(0.0)).train(), 2000
    look = looked(attention, torch.ones(1, times, 1))
    assert look.draws is not None
    count = look.weights_BHWS.sum((0, 1, 2))
    assert (count / times - torch.tensor([1, 2, 5, 0]) / 8).abs().max() < 5 * (0.25 / times) ** 0.5
    probability = (look.weights_BHWS[0, 0] * torch.tensor([1.0, 2.0, 5.0, 0.0]) / 8).sum(1)
    torch.testing.assert_close(look.draws.log_p[0].exp(), probability)
    entropy = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))
    torch.testing.assert_close(look.draws.entropy, torch.full((1, times), entropy))
    torch.testing.assert_close(look.context_BWD[0], look.weights_BHWS[0, 0] @ VALUES[0, 0])


def test_a_share_of_expected_contexts() -> None:
    look = looked(single(HardChoice(1.0)).train())
    assert look.draws is not None and look.draws.log_p.item() == 0.0
    assert look.context_BWD.flatten().tolist() == pytest.approx([11.0, 12.0])


def test_a_shared_matrix_sums_like_its_values() -> None:
    """Through two steps, gradients of query and values too."""
    attention, place, totals = single().double(), Place(ONE, torch.tensor([0])), []
    query, values = ONE.double().requires_grad_(), VALUES.double().requires_grad_()
    for summed in (values, SharedMatrix(values)):
        first = attention.look(query, place, KEYS.double(), summed, MASK_BS).context_BWD.mean(-1, keepdim=True)
        second = attention.look(first.tanh(), place, KEYS.double(), summed, MASK_BS).context_BWD
        totals.append((second.sum().item(), *torch.autograd.grad(second.sum(), (query, values))))
    assert totals[0][0] == pytest.approx(totals[1][0])
    torch.testing.assert_close(totals[0][1:], totals[1][1:])


@pytest.mark.parametrize(("normaliser", "weights"), [(Softmax(), [1 / 4, 3 / 4]), (Sigmoid(bias=True), [1 / 3, 3 / 5])])
def test_a_score_that_knows_few_positions_gives_the_others_nothing(
    normaliser: Normaliser, weights: list[float]
) -> None:
    """Nor do they count for the bias of a sigmoid: x / (x + 2)."""
    attention = SourceAttention(LocationScore(2), Global(), normaliser, None, HeadSizes(1, 2, 1))
    query, keys = torch.tensor([[[math.log(1.0), math.log(3.0)]]]), KEYS[..., :0]
    look = attention.look(query, Place(query, torch.tensor([0])), keys, VALUES, MASK_BS)
    assert look.weights_BHWS.flatten().tolist() == pytest.approx([*weights, 0.0, 0.0])


def test_several_heads_look_each_with_its_own_part() -> None:
    """Against a head at a time, each with its rows of the two projections."""
    torch.manual_seed(3)
    attention = SourceAttention(DotScore(0.5), Predictive(2, 5), Softmax(), None, HeadSizes(3, 6, 12)).double()
    annotations, query = torch.randn(1, 4, 6, dtype=torch.float64), torch.randn(1, 2, 12, dtype=torch.float64)
    place = Place(torch.randn(1, 2, 5, dtype=torch.float64), torch.tensor([0]))
    keys, values = attention.prepare(annotations)
    look = attention.look(query, place, keys, values, MASK_BS)
    assert attention.columns == 12 and keys.shape == (1, 3, 4, 4) and values.shape == (1, 3, 4, 2)
    window = attention.extent.window(place, MASK_BS)
    assert isinstance(attention.key, nn.Linear) and isinstance(attention.value, nn.Linear)
    for head in range(3):
        own, part = slice(4 * head, 4 * head + 4), slice(2 * head, 2 * head + 2)
        own_keys = annotations[0] @ attention.key.weight[own].T + attention.key.bias[own]
        own_values = annotations[0] @ attention.value.weight[part].T + attention.value.bias[part]
        energies = 0.5 * query[0, :, own] @ own_keys.T
        weights = energies.masked_fill(~window.allowed_BWS[0], -torch.inf).softmax(1)
        assert window.factor_BWS is not None
        weights = weights * window.factor_BWS[0]
        torch.testing.assert_close(look.weights_BHWS[0, head], weights)
        torch.testing.assert_close(look.context_BWD[0, :, part], weights @ own_values)


@pytest.mark.parametrize(("heads", "columns"), [(1, 7), (2, 14)])
def test_columns_of_the_projected_query(heads: int, columns: int) -> None:
    """What the score wants, for each head."""
    attention = SourceAttention(AdditiveScore(6, 7), Global(), Softmax(), None, HeadSizes(heads, 6, 12))
    assert attention.columns == columns


@pytest.mark.parametrize("normaliser", [Softmax(), Sparse(2.0), Sparse(1.5)])
def test_weights_are_float32_under_autocast(normaliser: Normaliser) -> None:
    """They sum to one as float32 does, not as 8 bits do; keys and values are kept as products read them."""
    torch.manual_seed(1)
    attention = SourceAttention(DotScore(1.0), Global(), normaliser, None, HeadSizes(1, 4, 4))
    mask_BS, query_BWQ = torch.ones(3, 7, dtype=torch.bool), torch.randn(3, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        keys, values = attention.prepare(torch.randn(3, 7, 4))
        look = attention.look(query_BWQ, Place(query_BWQ, torch.zeros(1)), keys, values, mask_BS)
    assert keys.dtype == values.dtype == torch.bfloat16 and look.weights_BHWS.dtype == torch.float32
    torch.testing.assert_close(look.weights_BHWS.sum(3), torch.ones(3, 1, 2), atol=1e-6, rtol=0)
