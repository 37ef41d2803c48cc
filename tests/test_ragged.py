"""Sequences in one flat tensor: each comes back, and rows are padded as a loop would do it."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.ragged import Ragged, shifted
from nmtkit.specials import BOS, PAD

ids = st.lists(st.integers(0, 2**31 - 1), max_size=5)


@settings(deadline=None)
@given(st.lists(ids, max_size=8))
def test_every_sequence_comes_back(sequences: list[list[int]]) -> None:
    ragged = Ragged.of_ids(sequences)
    assert len(ragged) == len(sequences) and ragged.lengths == [len(sequence) for sequence in sequences]
    assert [ragged[i].tolist() for i in range(len(sequences))] == sequences


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(4, 99), min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_rows_are_padded_behind(sequences: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=6))
    rows, mask = Ragged.of_ids(sequences).rows(chosen)
    longest = max(len(sequences[index]) for index in chosen)
    assert rows.dtype == torch.int64 and mask.dtype == torch.bool
    assert rows.tolist() == [sequences[i] + [PAD] * (longest - len(sequences[i])) for i in chosen]
    assert mask.tolist() == [[place < len(sequences[i]) for place in range(longest)] for i in chosen]


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 3))
def test_vectors_are_padded_with_zeros(lengths: list[int], width: int) -> None:
    matrices = [torch.randn(length, width) for length in lengths]
    rows, mask = Ragged.of(torch.cat(matrices).numpy(), lengths).rows(range(len(lengths)))
    assert rows.shape == (len(lengths), max(lengths), width)
    for row, inside, matrix in zip(rows, mask, matrices, strict=True):
        assert torch.equal(row[: len(matrix)], matrix) and not row[len(matrix) :].any()
        assert int(inside.sum()) == len(matrix) and bool(inside[: len(matrix)].all())


def test_shifted_by_hand() -> None:
    assert shifted(torch.tensor([[7, 8, 3], [3, PAD, PAD]])).tolist() == [[BOS, 7, 8], [BOS, 3, PAD]]
