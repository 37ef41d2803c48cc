"""Sources: what the model reads of lines and of vectors, against lists and loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training_toys import parallel, tokenizer

from nmtkit.batches.source import Lines, Vectors
from nmtkit.features import Described
from nmtkit.specials import EOS

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=9), max_size=6)


@settings(deadline=None)
@given(texts, st.integers(1, 9), st.data())
def test_lines(lines: list[str], most: int, data: st.DataObject) -> None:
    subwords, told = tokenizer().source, dict[int, int]()
    source = Lines(lines, subwords, most, 11, told.__setitem__)
    pieces = [subwords.encode(line) for line in lines]
    assert source.units == [min(len(own), most) for own in pieces]
    assert source.lengths == [units + 1 for units in source.units] and source.first == 11
    assert told == {11 + index: len(own) for index, own in enumerate(pieces) if len(own) > most}
    for index, line in enumerate(lines):
        assert source.show(index) == line and source.blank(index) == (not line.strip())
        assert source.names(index) == (*subwords.pieces(pieces[index][:most]), "</s>")
    if lines:
        chosen = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=4))
        ids, mask = source.batch(chosen)
        for row, inside, index in zip(ids.tolist(), mask.tolist(), chosen, strict=True):
            own = [*pieces[index][:most], EOS]
            assert row[: len(own)] == own and inside == [place < len(own) for place in range(len(row))]


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 3), st.integers(1, 4))
def test_vectors(lengths: list[int], width: int, most: int) -> None:
    """A blank one is a single vector of zeros; there is no end of sentence."""
    matrices = [np.full((length, width), index + 1, dtype=np.float32) for index, length in enumerate(lengths)]
    lines, told = [Described.of(matrix, "a") for matrix in matrices], dict[int, int]()
    source = Vectors(lines, width, most, 5, told.__setitem__)
    assert source.units == [min(length, most) for length in lengths]
    assert source.lengths == [max(1, units) for units in source.units]
    assert told == {5 + index: length for index, length in enumerate(lengths) if length > most}
    assert [source.blank(index) for index in range(len(lengths))] == [length == 0 for length in lengths]
    for index, matrix in enumerate(matrices):
        vectors, mask = source.batch([index])
        assert vectors.dtype == torch.float32 and mask.all()
        expected = matrix[:most] if len(matrix) else np.zeros((1, width))
        assert np.array_equal(vectors[0].numpy(), expected)
        assert source.show(index) == lines[index] and len(source.names(index)) == source.lengths[index]


def test_vectors_of_another_width_and_text_are_refused(tmp_path: Path) -> None:
    wide = Described.of(np.zeros((2, 3), dtype=np.float32), "a")
    with pytest.raises(ValueError, match="^line 7: 3 features per position, but the model reads 4"):
        Vectors([wide], 4, 9, 7)
    with pytest.raises(ValueError, match="^line 8: this model reads vectors, but this is text"):
        Vectors([wide, "text"], 3, 9, 7)
    with pytest.raises(ValueError, match="^line 8: this model reads text, but these are vectors"):
        Lines([*parallel(1, seed=1)[0], wide], tokenizer().source, 9, 7)
