"""Repeated pairs are counted by hashes as sets of texts would count them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.batches.hashes import duplicates, pair_hashes, shared

texts = st.lists(st.tuples(st.sampled_from(["a", "b", "a b", ""]), st.sampled_from(["a", "b", "\ud800", "b\u2028"])))


@given(texts, st.integers(1, 5))
def test_duplicates(pairs: list[tuple[str, str]], part: int) -> None:
    hashes = pair_hashes(pairs)
    assert len(hashes) == len(pairs) and hashes.dtype == np.uint64
    assert duplicates(hashes, part) == duplicates(hashes) == len(pairs) - len(set(pairs))


@given(st.lists(texts, max_size=3), texts)
def test_shared(columns: list[list[tuple[str, str]]], own: list[tuple[str, str]]) -> None:
    known = {pair for column in columns for pair in column}
    assert shared([*map(pair_hashes, columns)], pair_hashes(own)) == sum(pair in known for pair in own)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_any_hashes(column: list[int], own: list[int]) -> None:
    own += column[:2]
    hashes = np.array(column * 2, np.uint64)
    assert duplicates(hashes, 3) == 2 * len(column) - len({*column})
    assert shared([hashes], np.array(own, np.uint64)) == sum(value in column for value in own)
