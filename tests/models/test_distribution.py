"""The distribution over the vocabulary that searches and losses speak of."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.models.distribution import BLOCK, FIRST, ProjectedLogProbs


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
