"""The distribution over the vocabulary that searches and losses speak of."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.models.distribution import BLOCK, FIRST, ProjectedLogProbs
from nmtkit.models.fused.switch import plain


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 5),
    size=st.one_of(st.integers(1, 12), st.integers(2 * BLOCK, 12 * BLOCK + 1), st.just(20 * BLOCK)),
    k=st.integers(1, 12),
    spread=st.sampled_from([0.1, 3.0, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_the_best_are_those_of_the_whole_distribution(rows: int, size: int, k: int, spread: float, seed: int) -> None:
    """Against a sort of the float64 log-softmax, whether the vocabulary is looked at in blocks or not."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 3, 8, generator=generator)
    weight = spread * torch.randn(size + FIRST, 8, generator=generator)
    values, ids = ProjectedLogProbs(hidden, weight).top(k)
    expected = (hidden.double() @ weight[FIRST:].double().T).log_softmax(-1)
    best = expected.sort(dim=-1, descending=True).values[..., :k]
    assert values.shape == ids.shape == (rows, 3, min(k, size))
    torch.testing.assert_close(values.double(), best, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(expected.gather(-1, ids - FIRST), best, atol=2e-4, rtol=1e-4)
    assert all(len(set(row)) == len(row) for row in ids.flatten(0, 1).tolist())


@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 3, 7 * BLOCK - 1, 7 * BLOCK, 7 * BLOCK + 4])
def test_the_best_may_stand_anywhere(place: int) -> None:
    """In any block, at its ends, and in what is left over behind the last."""
    weight = torch.zeros(7 * BLOCK + 5 + FIRST, 1)
    weight[place + FIRST] = 1.0
    values, ids = ProjectedLogProbs(torch.ones(200, 1), weight).top(2)
    assert ids[:, 0].tolist() == [place + FIRST] * 200
    total = torch.e + 7 * BLOCK + 4
    torch.testing.assert_close(values[:, 0].exp(), torch.full((200,), torch.e / total))
    torch.testing.assert_close(values[:, 1].exp(), torch.full((200,), 1 / total))


def test_the_hidden_states_are_not_used_up() -> None:
    log_probs = ProjectedLogProbs(torch.randn(3, 4), torch.randn(500, 4))
    first = log_probs.top(3)
    assert torch.equal(log_probs.top(3)[0], first[0]) and torch.equal(log_probs.top(3)[1], first[1])
    torch.testing.assert_close(log_probs.dense().topk(3).values, first[0])


def test_parts_are_the_rows_of_the_whole() -> None:
    log_probs = ProjectedLogProbs(torch.randn(7, 2, 4), torch.randn(50, 4))
    parts = list(log_probs.split(3))
    assert [part.dense().shape for part in parts] == [(3, 2, 50), (3, 2, 50), (1, 2, 50)]
    torch.testing.assert_close(torch.cat([part.dense() for part in parts]), log_probs.dense())


# --- by hand ----------------------------------------------------------------------------------------------------------

LOG = [[math.log(1), math.log(2), math.log(5)], [math.log(6), math.log(1), math.log(1)]]
"""The logits of two states: P = 1/8, 2/8, 5/8 and 6/8, 1/8, 1/8 of the ids 2, 3 and 4."""


def two() -> ProjectedLogProbs:
    """Output embeddings that are the logits, and states that pick one of them; rows 0 and 1 would change everything."""
    weight = torch.tensor([[9.0, 9.0], [9.0, 9.0], *map(list, zip(*LOG, strict=True))], dtype=torch.float64)
    return ProjectedLogProbs(torch.eye(2, dtype=torch.float64).unsqueeze(0), weight)


@pytest.mark.parametrize("formula", [False, True])
def test_top_by_hand(formula: bool) -> None:
    with plain() if formula else contextlib.nullcontext():
        values, ids = two().top(2)
        everything, all_ids = two().top(7)
    assert ids[0, 0].tolist() == [4, 3] and ids[0, 1, 0].item() == 2
    assert values[0].exp().tolist() == [pytest.approx([5 / 8, 2 / 8]), pytest.approx([6 / 8, 1 / 8])]
    assert everything.shape == all_ids.shape == (1, 2, 3) and all_ids[0, 0].tolist() == [4, 3, 2]


def test_dense_by_hand() -> None:
    dense = two().dense()
    assert dense[..., :2].tolist() == [[[-math.inf] * 2] * 2]
    assert dense[0, :, 2:].exp().tolist() == [
        pytest.approx([1 / 8, 2 / 8, 5 / 8]),
        pytest.approx([6 / 8, 1 / 8, 1 / 8]),
    ]


def test_at_by_hand() -> None:
    """PAD costs nothing, BOS is impossible."""
    assert two().at(torch.tensor([[3, 2]])).exp().tolist() == [pytest.approx([2 / 8, 6 / 8])]
    assert two().at(torch.tensor([[0, 4]])).tolist() == [[0.0, pytest.approx(-math.log(8))]]
    assert two().at(torch.tensor([[1, 0]])).tolist() == [[-math.inf, 0.0]]


def test_at_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows at a time, the last chunk short, PAD among them."""
    hidden, weight = torch.randn(4, 5, 6), torch.randn(9, 6)
    ids = torch.randint(2, 9, (4, 5))
    ids[1, 2:] = 0
    expected = ProjectedLogProbs(hidden, weight).dense().gather(2, ids.unsqueeze(2)).squeeze(2).masked_fill(ids == 0, 0)
    monkeypatch.setattr(ProjectedLogProbs, "CHUNK", 3)
    torch.testing.assert_close(ProjectedLogProbs(hidden, weight).at(ids), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_by_hand(smoothing: float) -> None:
    """Of id 3 in the first place; the second is padding."""
    gold, mean = math.log(8 / 2), (math.log(8) + math.log(8 / 2) + math.log(8 / 5)) / 3
    loss = two().loss(torch.tensor([[3, 0]]), smoothing)
    assert loss.item() == pytest.approx((1 - smoothing) * gold + smoothing * mean)


def test_rows_of_pad_and_bos_and_padding_get_no_gradient() -> None:
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(6, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.tensor([[4, 5, 3], [3, 0, 0]])
    loss = ProjectedLogProbs(hidden, weight).loss(target, 0.1)
    picked = torch.stack([hidden[0, 0], hidden[0, 1], hidden[0, 2], hidden[1, 0]])
    expected = torch.nn.functional.cross_entropy(
        picked @ weight[2:].T, torch.tensor([2, 3, 1, 1]), label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert hidden.grad is not None and weight.grad is not None
    assert not hidden.grad[1, 1:].any() and not weight.grad[:2].any()
    assert (hidden.grad[0].abs().sum(-1) > 0).all() and (weight.grad[2:].abs().sum(-1) > 0).all()
