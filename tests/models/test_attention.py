"""Attention against NumPy transcriptions of the papers' formulas in float64."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from nmtkit.models.attention import MultiHeadAttention, masked_softmax

Array = npt.NDArray[np.float64]
M = TypeVar("M", bound=nn.Module)

MASK_BS = torch.tensor([[True, True, True, True], [True, False, False, False], [True, True, True, False]])


def numpy(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def softmax(energies: Array) -> Array:
    exps = np.exp(energies - energies.max())
    return np.asarray(exps / exps.sum())


def shaken(module: M) -> M:
    """In float64, with random numbers in every parameter, biases too."""
    torch.manual_seed(7)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return module


def test_masked_softmax() -> None:
    torch.manual_seed(0)
    energies = 3 * torch.randn(3, 2, 4, dtype=torch.float64)
    found = masked_softmax(energies, MASK_BS)
    assert not found[~MASK_BS.unsqueeze(1).expand_as(found)].any()  # exactly zero
    for b, length in enumerate((4, 1, 3)):
        for w in range(2):
            expected = softmax(numpy(energies[b, w, :length]))
            assert numpy(found[b, w, :length]) == pytest.approx(expected, abs=1e-14)


def test_masked_energies_do_not_matter_however_large() -> None:
    energies = torch.zeros(1, 1, 3)
    energies[0, 0, 2] = 1e30
    mask = torch.tensor([[True, True, False]])
    assert masked_softmax(energies, mask).tolist() == [[[0.5, 0.5, 0.0]]]


@pytest.mark.parametrize(("width", "heads"), [(6, 1), (6, 2), (6, 6), (9, 3)])
def test_multi_head_attention(width: int, heads: int) -> None:
    """softmax(q kᵀ / √C) of every head, and the mixed values through the output projection."""
    attention = shaken(MultiHeadAttention(width, heads, 0.0))
    source, target = torch.randn(3, 4, width, dtype=torch.float64), torch.randn(3, 5, width, dtype=torch.float64)
    keys, values = attention.prepare(source)
    mask = MASK_BS[:, None, None]
    queries = attention.query(target)
    weights, vectors = attention.weights(queries, keys, mask), attention.attend(queries, keys, values, mask)
    assert weights.shape == (3, heads, 5, 4) and vectors.shape == target.shape

    query_weight, both_weight = np.split(numpy(attention.input.weight), [width])
    query_bias, both_bias = np.split(numpy(attention.input.bias), [width])
    size = width // heads
    for b, length in enumerate((4, 1, 3)):
        query = numpy(target[b]) @ query_weight.T + query_bias
        both = numpy(source[b, :length]) @ both_weight.T + both_bias
        mixed = np.zeros((5, width))
        for h in range(heads):
            channels = slice(h * size, (h + 1) * size)
            key, value = both[:, :width][:, channels], both[:, width:][:, channels]
            for t in range(5):
                expected = softmax(key @ query[t, channels] / np.sqrt(size))
                assert numpy(weights[b, h, t, :length]) == pytest.approx(expected, abs=1e-12)
                mixed[t, channels] = expected @ value
        output = mixed @ numpy(attention.output.weight).T + numpy(attention.output.bias)
        assert numpy(vectors[b]) == pytest.approx(output, abs=1e-12)
    assert not weights[~mask.expand_as(weights)].any()  # exactly zero


def test_causal_attention_looks_back_only() -> None:
    """`causal` and the written-out triangular mask are the same, and the weights ahead are exactly zero."""
    attention = shaken(MultiHeadAttention(6, 2, 0.0))
    vectors = torch.randn(2, 5, 6, dtype=torch.float64)
    queries, keys, values = attention.project(vectors)
    assert torch.allclose(queries, attention.query(vectors), atol=1e-12, rtol=0)
    for found, alone in zip((keys, values), attention.prepare(vectors), strict=True):
        torch.testing.assert_close(found, alone, atol=1e-12, rtol=0)
    triangle = torch.ones(5, 5, dtype=torch.bool).tril()
    causal = attention.attend(queries, keys, values, causal=True)
    torch.testing.assert_close(causal, attention.attend(queries, keys, values, mask=triangle), atol=1e-12, rtol=0)
    weights = attention.weights(queries, keys, triangle)
    assert not weights[..., ~triangle].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 5, dtype=torch.float64), atol=1e-12, rtol=0)
    mixed = (weights @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(causal, attention.output(mixed), atol=1e-12, rtol=0)


def test_a_single_source_position_gets_all_the_weight() -> None:
    attention = shaken(MultiHeadAttention(4, 2, 0.0))
    source = torch.randn(1, 1, 4, dtype=torch.float64)
    keys, _ = attention.prepare(source)
    queries = attention.query(torch.randn(1, 3, 4, dtype=torch.float64))
    weights = attention.weights(queries, keys, torch.ones(1, 1, 1, 1).bool())
    assert torch.equal(weights, torch.ones(1, 2, 3, 1, dtype=torch.float64))


def test_dropout_of_attention_weights() -> None:
    """In training it changes what is attended to and is right on average; in evaluation it is off."""
    attention = shaken(MultiHeadAttention(4, 2, 0.5))
    source, target = torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(1, 2, 4, dtype=torch.float64)
    queries, (keys, values) = attention.query(target), attention.prepare(source)
    attention.eval()
    still = attention.attend(queries, keys, values)
    assert torch.equal(still, attention.attend(queries, keys, values))
    attention.train()
    many = torch.stack([attention.attend(queries, keys, values) for _ in range(1500)])
    assert many.std(0).max() > 0.1
    assert (many.mean(0) - still).abs().max() < 6 * (many.std(0) / 1500**0.5).max()
