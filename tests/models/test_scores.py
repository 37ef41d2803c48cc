"""Scores against their formulas in NumPy, one query and one annotation at a time; one head and several."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
import torch
from support.recurrent_reference import energies, numpy, softmax
from torch import Tensor, nn

from nmtkit.models.build import build
from nmtkit.models.focus import Place
from nmtkit.models.options import RecurrentOptions
from nmtkit.models.options.recurrent import SCORES
from nmtkit.models.scores import AdditiveScore, ContentScore, DotScore, GeneralScore, LocationScore, Score, UniformScore

M = TypeVar("M", bound=nn.Module)
LENGTHS = (4, 1, 3)
MASK_BS = torch.tensor([[place < length for place in range(4)] for length in LENGTHS])

DIRECT: dict[str, tuple[str, Score, int]] = {
    "additive": ("additive", AdditiveScore(key_width=5, width=3), 3),
    "dot": ("dot", DotScore(1.0), 5),
    "scaled-dot": ("scaled-dot", DotScore(5**-0.5), 5),
    "general": ("general", GeneralScore(key_width=5, query_width=3), 3),
    "cosine": ("cosine", ContentScore(4.0), 5),
    "bare-cosine": ("cosine", ContentScore(None), 5),
    "location": ("location", LocationScore(6), 6),
    "location-beyond": ("location", LocationScore(3), 3),
    "uniform": ("uniform", UniformScore(), 5),
}
"""Name of the formula, the score for annotations of width 5, and the width of its queries."""


def shaken(module: M) -> M:
    """In float64, with random numbers in every parameter, biases too."""
    torch.manual_seed(7)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return module


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: numpy(values) for name, values in module.state_dict().items()}


@pytest.mark.parametrize("name", list(DIRECT))
def test_score(name: str) -> None:
    """Also with any leading dimensions, of which heads are one."""
    formula, score, width = DIRECT[name]
    score = shaken(score)
    annotations = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    queries = torch.randn(2, 3, 6, width, dtype=torch.float64)
    found = score.score(queries, score.prepare(annotations))
    assert found.shape == (2, 3, 6, 4)
    for place in np.ndindex(2, 3, 6):
        expected = energies(formula, numpy(queries[place]), numpy(annotations[place[:2]]), weights_of(score))
        assert numpy(found[place]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("name", "columns"), [("additive", 3), ("location", 6), ("dot", None), ("uniform", None)])
def test_columns_of_a_projected_query(name: str, columns: int | None) -> None:
    assert DIRECT[name][1].columns == columns


def test_the_strength_of_a_cosine_starts_as_told_and_is_learned() -> None:
    score = ContentScore(4.0).double()
    query, keys = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[6.0, 8.0], [-1.0, 0.0], [4.0, -3.0]]).double()
    found = score.score(query, score.prepare(keys))
    assert found.tolist() == [pytest.approx([4.0, -2.4, 0.0], abs=1e-6)]
    found.sum().backward()
    assert score.log_strength is not None and score.log_strength.grad.item() == pytest.approx(1.6, abs=1e-6)
    assert not list(ContentScore(None).parameters())


def test_scores_that_read_no_annotation_keep_no_keys() -> None:
    for name in ("location", "uniform"):
        score = DIRECT[name][1]
        assert not score.reads_keys and score.prepare(torch.randn(2, 4, 5)).shape == (2, 4, 0)
    assert all(DIRECT[name][1].reads_keys for name in ("additive", "dot", "general", "cosine"))


CASES = [
    (score, heads, strength, positions)
    for score in SCORES
    for heads in (1, 2, 3)
    for strength in ((4.0, 0.0) if score == "cosine" else (4.0,))
    for positions in ((3, 9) if score == "location" else (9,))
    if not (score == "uniform" and heads > 1)
]


@pytest.mark.parametrize(("score", "heads", "strength", "positions"), CASES)
def test_attention_of_a_model(score: str, heads: int, strength: float, positions: int) -> None:
    """As the options build it: weights and contexts of every head, keys and values its own where there are several."""
    options = RecurrentOptions(
        units=6,
        encoder_units=3,
        attention=12,
        score=score,
        heads=heads,
        strength=strength,
        **({"max_positions": positions} if score == "location" else {}),
    )
    attention = shaken(build(options, source_size=5, target_size=5).decoder.attention)
    annotations, states = (torch.randn(3, count, 6, dtype=torch.float64) for count in (4, 5))
    columns = {"additive": 12, "location": heads * positions}.get(score, 12 if heads > 1 else 0)
    assert attention.columns == columns
    queries = torch.randn(3, 5, columns, dtype=torch.float64) if columns else states
    keys, values = attention.prepare(annotations)
    assert keys.shape[:3] == values.shape[:3] == (3, heads, 4) and values.shape[3] == 6 // heads
    place = Place(states, torch.arange(5))
    look = attention.look(queries, place, keys, values, MASK_BS)
    assert look.weights_BHWS.shape == (3, heads, 5, 4) and look.context_BWD.shape == (3, 5, 6)
    assert look.draws is None

    def of_head(vector: Tensor, linear: nn.Linear | None, head: int) -> np.ndarray:
        whole = numpy(vector) if linear is None else numpy(linear.weight) @ numpy(vector) + numpy(linear.bias)
        return np.split(whole, heads)[head]

    for b, w in np.ndindex(3, 5):
        known = min(LENGTHS[b], positions) if score == "location" else LENGTHS[b]
        contexts = []
        for head in range(heads):
            own_keys = np.stack([of_head(one, attention.key, head) for one in annotations[b, :known]])
            own_values = np.stack([of_head(one, attention.value, head) for one in annotations[b, :known]])
            query = np.split(numpy(queries[b, w]), heads)[head]
            expected = softmax(energies(score, query, own_keys, weights_of(attention.score)))
            assert numpy(look.weights_BHWS[b, head, w, :known]) == pytest.approx(expected, abs=1e-12)
            assert not look.weights_BHWS[b, head, w, known:].any()
            contexts.append(expected @ own_values)
        assert numpy(look.context_BWD[b, w]) == pytest.approx(np.concatenate(contexts), abs=1e-12)
