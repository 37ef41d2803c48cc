"""Temperature and cuts against lists and loops; draws against the inverse of the cumulative distribution."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.sample_toys import cuts, plain
from support.search_toys import many

from nmtkit.decoding import cut as module
from nmtkit.decoding.cut import Cut
from nmtkit.specials import PAD


@many
@given(seed=st.integers(0, 10**6), cut=cuts, size=st.integers(1, 12), spread=st.sampled_from([0.3, 1.0, 5.0]))
def test_every_cut_is_the_plain_one(seed: int, cut: Cut, size: int, spread: float) -> None:
    logits = torch.randn(3, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    log_probs = (spread * logits).log_softmax(1)
    weights = cut.weights(log_probs)
    for row, expected in zip((weights / weights.sum(1, keepdim=True)).tolist(), log_probs.tolist(), strict=True):
        assert row == pytest.approx(plain(expected, cut), abs=1e-9)


@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.999])
def test_a_wide_nucleus_is_the_sorted_one(top_p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the likely ones are not enough, for some distributions or for all."""
    monkeypatch.setattr(module, "LIKELY", 3)
    scale = torch.tensor([[0.1], [1.0], [4.0]], dtype=torch.float64)
    log_probs = (
        scale * torch.randn(3, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ).log_softmax(1)
    weights = Cut(top_p=top_p).weights(log_probs)
    for row, values in zip((weights / weights.sum(1, keepdim=True)).tolist(), log_probs.tolist(), strict=True):
        assert row == pytest.approx(plain(values, Cut(top_p=top_p)), abs=1e-9)


def test_by_hand() -> None:
    probs = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)

    def kept(cut: Cut) -> list[int]:
        return cut.weights(probs.log()).nonzero()[:, 1].tolist()

    assert kept(Cut(top_k=2)) == [1, 3] and kept(Cut(top_k=1)) == [1] and kept(Cut(top_k=99)) == [0, 1, 2, 3]
    assert kept(Cut(top_p=0.4)) == [1] and kept(Cut(top_p=0.41)) == [1, 3] and kept(Cut(top_p=1.0)) == [0, 1, 2, 3]
    assert kept(Cut(epsilon=0.2)) == [1, 2, 3] and kept(Cut(epsilon=0.9)) == [1]
    assert kept(Cut(top_k=3, top_p=0.95, epsilon=0.25)) == [1, 3]
    assert Cut(temperature=0.5).weights(probs.log())[0].tolist() == pytest.approx(
        [value**2 / 0.3 for value in (0.1, 0.4, 0.2, 0.3)]
    )


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    """Ids in their order: 0.1 to 0.5 is the second, and so on, to the very ends."""
    probs = torch.tensor([0.0, 0.1, 0.4, 0.0, 0.5, 0.0], dtype=torch.float64).expand(9, -1)
    uniform = torch.tensor([0, 0.0999, 0.1001, 0.4999, 0.5001, 0.9, 1 - 2.0**-53, 0.3, 0.7], dtype=torch.float64)

    def drawn(cut: Cut, log_probs: torch.Tensor, *banned: torch.Tensor) -> list[int]:
        return cut.draw(log_probs, banned, uniform)[0].tolist()

    assert drawn(Cut(), probs.log()) == [1, 1, 2, 2, 4, 4, 4, 2, 4]
    ban = torch.tensor([[PAD], [1], [2], [2], [4], [4], [4], [2], [4]])
    assert drawn(Cut(), probs.log(), ban) == [1, 2, 1, 4, 2, 2, 2, 4, 2]
    log_q = Cut().draw(probs.log(), (ban,), uniform)[1].exp()
    assert log_q.tolist() == pytest.approx([0.1, 4 / 9, 1 / 6, 5 / 6, 0.8, 0.8, 0.8, 5 / 6, 0.8])
    everything = torch.arange(1, 6).expand(9, -1)
    assert drawn(Cut(top_k=2), probs.log(), everything) == [-1] * 9
    assert drawn(Cut(), torch.full((9, 6), math.nan)) == [-1] * 9


@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 1e-300])
def test_the_coldest_draws_are_the_best_tokens(temperature: float) -> None:
    """Of two that are equally probable each half of the time, in float32 as in float64."""
    for dtype in (torch.float32, torch.float64):
        log_probs = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.4, 0.1, 0.4, 0.1]], dtype=dtype).log() - 50
        weights = Cut(temperature=temperature).weights(log_probs)
        assert weights.tolist() == [[0, 1, 0, 0], [0.5, 0, 0.5, 0]]
        assert Cut(temperature=temperature).weights(torch.full((1, 3), -math.inf)).isnan().all()


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"epsilon": -0.1}, {"epsilon": 2.0}]
)
def test_impossible_cuts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Cut(**wrong)  # type: ignore[arg-type]
