"""Normalisers and extents against NumPy, over energies of any size; masked positions get exactly nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recurrent_reference import normalise, numpy, window
from torch import Tensor

from nmtkit.models.focus import Global, Monotonic, Normaliser, Place, Predictive, Sigmoid, Softmax, Sparse

NORMALISERS: dict[str, tuple[Normaliser, tuple[str, bool]]] = {
    "softmax": (Softmax(), ("softmax", False)),
    "sparsemax": (Sparse(2.0), ("sparsemax", False)),
    "entmax": (Sparse(1.5), ("entmax", False)),
    "sigmoid": (Sigmoid(bias=False), ("sigmoid", False)),
    "sigmoid-bias": (Sigmoid(bias=True), ("sigmoid", True)),
}
EACH = pytest.mark.parametrize("name", list(NORMALISERS))

LENGTHS = (5, 1, 3, 2)
MASK_BS = torch.tensor([[place < length for place in range(6)] for length in LENGTHS])


@st.composite
def rows(draw: Any) -> tuple[list[float], list[bool]]:
    """Energies, near each other or far apart, and which are allowed: at least one."""
    size = draw(st.integers(1, 7))
    spread = draw(st.sampled_from([0.1, 1.0, 3.0, 30.0, 1e4]))
    values = draw(st.lists(st.floats(-1.0, 1.0, width=32), min_size=size, max_size=size))
    allowed = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    allowed[draw(st.integers(0, size - 1))] = True
    return [spread * value for value in values], allowed


@EACH
@settings(max_examples=80, deadline=None)
@given(row=rows(), far=st.sampled_from([-1e30, -1e4, 0.0, 1e4, 1e30, -np.inf]))
def test_normaliser_is_that_of_numpy(name: str, row: tuple[list[float], list[bool]], far: float) -> None:
    """Whatever energies masked positions have; gradients are finite, and none of them is theirs."""
    normaliser, (formula, bias) = NORMALISERS[name]
    allowed = torch.tensor(row[1])
    energies = torch.tensor(row[0], dtype=torch.float64).masked_fill(~allowed, far).requires_grad_(True)
    found = normaliser.normalise(energies, allowed)
    expected = normalise(formula, np.array(row[0]), np.array(row[1]), bias)
    assert numpy(found) == pytest.approx(expected, abs=1e-9)
    assert not found[~allowed].any() and (found >= 0).all()
    if normaliser.sums_to_one:
        assert found.sum().item() == pytest.approx(1.0, abs=1e-9)
        if sum(row[1]) == 1:
            assert found[allowed].item() == pytest.approx(1.0, abs=1e-12)
    (found * torch.arange(1.0, len(found) + 1)).sum().backward()
    assert energies.grad is not None and energies.grad.isfinite().all() and not energies.grad[~allowed].any()


@EACH
@settings(max_examples=40, deadline=None)
@given(row=rows())
def test_float32_holds_large_energies(name: str, row: tuple[list[float], list[bool]]) -> None:
    normaliser, (formula, bias) = NORMALISERS[name]
    energies, allowed = torch.tensor(row[0]).requires_grad_(True), torch.tensor(row[1])
    found = normaliser.normalise(energies, allowed)
    expected = normalise(formula, numpy(energies), np.array(row[1]), bias)
    assert numpy(found) == pytest.approx(expected, abs=2e-3 if np.abs(row[0]).max() > 100 else 1e-5)
    found.sum().backward()
    assert energies.grad is not None and energies.grad.isfinite().all()


@EACH
def test_gradients_are_those_of_differences(name: str) -> None:
    """Of many rows at once, some positions masked, some too low to get any weight."""
    normaliser, _ = NORMALISERS[name]
    generator = torch.Generator().manual_seed(3)
    energies = (2 * torch.randn(4, 3, 6, dtype=torch.float64, generator=generator)).requires_grad_(True)
    allowed = MASK_BS.unsqueeze(1).expand_as(energies)
    assert torch.autograd.gradcheck(lambda given: normaliser.normalise(given, allowed), (energies,))


def test_which_sum_to_one() -> None:
    assert {name: made.sums_to_one for name, (made, _) in NORMALISERS.items()} == {
        "softmax": True, "sparsemax": True, "entmax": True, "sigmoid": False, "sigmoid-bias": False
    }  # fmt: skip


def test_by_hand() -> None:
    """Two positions 0.5 apart: sparsemax (0.75, 0.25); three alike: thirds, or σ(0), or σ(−log 3) = 1/4."""
    allowed, energies = torch.tensor([True, True, False]), torch.tensor([1.5, 1.0, 9.0])
    assert Sparse(2.0).normalise(energies, allowed).tolist() == [0.75, 0.25, 0.0]
    alike, everywhere = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    for name, expected in (("softmax", 1 / 3), ("entmax", 1 / 3), ("sigmoid", 0.5), ("sigmoid-bias", 0.25)):
        found = NORMALISERS[name][0].normalise(alike, everywhere).tolist()
        assert found == pytest.approx([expected] * 3, abs=1e-6)


def test_the_sigmoids_context_grows_with_the_source_without_the_bias_only() -> None:
    sums = {
        name: [NORMALISERS[name][0].normalise(torch.zeros(S), torch.ones(S).bool()).sum().item() for S in (1, 9, 99)]
        for name in ("sigmoid", "sigmoid-bias")
    }
    assert sums["sigmoid"] == pytest.approx([0.5, 4.5, 49.5])
    assert sums["sigmoid-bias"] == pytest.approx([0.5, 0.9, 0.99])


def test_a_bias_counts_the_positions_that_may_be_looked_at() -> None:
    """Not the padded length, nor those outside a window."""
    allowed = torch.tensor([[True, True, True, False, False], [False, True, False, False, False]])
    found = Sigmoid(bias=True).normalise(torch.zeros(2, 5), allowed)
    assert found.tolist() == [pytest.approx([0.25, 0.25, 0.25, 0, 0]), pytest.approx([0, 0.5, 0, 0, 0])]


# --- extents ----------------------------------------------------------------------------------------------------------


def random_place(queries: int, units: int = 4, seed: int = 0) -> Place:
    generator = torch.Generator().manual_seed(seed)
    states = 2 * torch.randn(len(LENGTHS), queries, units, dtype=torch.float64, generator=generator)
    return Place(states, torch.arange(queries))


def assert_window(extent: Any, name: str, reach: int, place: Place, weights: dict[str, np.ndarray]) -> None:
    window_ = extent.window(place, MASK_BS)
    allowed, factors = window_.allowed_BWS, window_.factor_BWS
    queries = place.state_BWU.shape[1]
    allowed = allowed.expand(len(LENGTHS), queries, MASK_BS.shape[1])
    positions = place.position.expand(queries).tolist()
    for b, w in np.ndindex(len(LENGTHS), queries):
        expected, weighed = window(name, reach, positions[w], LENGTHS[b], numpy(place.state_BWU[b, w]), weights)
        assert allowed[b, w, : LENGTHS[b]].tolist() == expected.tolist(), (b, w)
        assert expected.any(), "never empty"
        assert not allowed[b, w, LENGTHS[b] :].any()
        if factors is not None:
            assert numpy(factors[b, w, : LENGTHS[b]]) == pytest.approx(weighed, abs=1e-12)
    assert (factors is None) == (name != "local-p")


def test_global() -> None:
    assert_window(Global(), "global", 0, random_place(3), {})


@pytest.mark.parametrize("reach", [1, 2, 3, 7])
def test_local_m(reach: int) -> None:
    """Also for target words beyond the source: its last word stands for them, not the last of the padding."""
    assert_window(Monotonic(reach), "local-m", reach, random_place(12), {})
    one = Place(random_place(3).state_BWU, torch.tensor([2]))  # one position for all queries of a step
    assert_window(Monotonic(reach), "local-m", reach, one, {})


def test_local_m_by_hand() -> None:
    allowed = Monotonic(1).window(random_place(9), MASK_BS).allowed_BWS
    of_longest, of_third = ([row.nonzero().flatten().tolist() for row in allowed[b]] for b in (0, 2))
    assert of_longest == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], *[[3, 4]] * 5]
    assert of_third == [[0, 1], [0, 1, 2], *[[1, 2]] * 7]


def predictive(reach: int, seed: int, spread: float = 1.0) -> tuple[Predictive, dict[str, np.ndarray]]:
    torch.manual_seed(seed)
    extent = Predictive(reach, 4).double()
    with torch.no_grad():
        for parameter in extent.parameters():
            parameter.copy_(spread * torch.randn_like(parameter))
    return extent, {name: numpy(values) for name, values in extent.state_dict().items()}


@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_local_p(reach: int, spread: float) -> None:
    """Centre and factors for the true length; with a large spread the centres lie at both ends, or behind the last."""
    for seed in range(3):
        extent, weights = predictive(reach, seed, spread)
        assert_window(extent, "local-p", reach, random_place(7, seed=seed), weights)


def test_local_p_by_hand() -> None:
    """σ(0) = 1/2 of four positions is 2: factors exp(−d² · 2 / D²), 1 at the centre and e⁻² at the edge."""
    extent = Predictive(2, 4).double()
    mask = torch.tensor([[True] * 4 + [False] * 3])
    found = extent.window(Place(torch.zeros(1, 1, 4).double(), torch.tensor([0])), mask)
    assert found.allowed_BWS.tolist() == [[[True] * 4 + [False] * 3]] and found.factor_BWS is not None
    assert found.factor_BWS[0, 0, :4].tolist() == pytest.approx(np.exp([-2.0, -0.5, 0.0, -0.5]).tolist())


def test_local_p_is_learned() -> None:
    """The centre gets a gradient through the factors: towards the position that should weigh more."""
    extent, _ = predictive(2, 0)
    place = random_place(1)

    def centre() -> Tensor:
        return extent.vector(torch.tanh(extent.inner(place.state_BWU))).sigmoid().detach()[0]

    before = centre()
    factors = extent.window(place, MASK_BS).factor_BWS
    assert factors is not None
    (-factors[0, 0, 4]).backward()
    with torch.no_grad():
        for parameter in extent.parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all()
            parameter.sub_(0.1 * parameter.grad / parameter.grad.norm())
    assert centre() > before


def test_a_predicted_position_is_float32_under_autocast() -> None:
    """8 bits would move a window at position 40 by up to a fifth of a position, and its edge over a word."""
    torch.manual_seed(3)
    extent, mask_BS = Predictive(3, units=4), torch.ones(5, 60, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        state_BWU = torch.randn(5, 2, 4)
        energy_BW = extent.vector(torch.tanh(extent.inner(state_BWU))).squeeze(2)
        window = extent.window(Place(state_BWU, torch.zeros(1)), mask_BS)
    assert energy_BW.dtype == torch.bfloat16
    centre_BW1 = 60 * energy_BW.double().sigmoid().unsqueeze(2)
    distance = torch.arange(60) - centre_BW1
    assert window.factor_BWS is not None and window.factor_BWS.dtype == torch.float32
    torch.testing.assert_close(window.factor_BWS.double(), torch.exp(-2 * (distance / 3) ** 2), atol=1e-5, rtol=0)
