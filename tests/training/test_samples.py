"""Sample translations: always the same lines, spread over the text, none blank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.training_toys import corpus

from nmtkit.training.samples import sample, samples
from nmtkit.training.validation import DevSet


@pytest.mark.parametrize(
    ("count", "numbers"),
    [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 2, 3]), (6, [1, 3, 5]), (600, [100, 300, 500])],
)
def test_samples_are_the_middles_of_thirds(count: int, numbers: list[int]) -> None:
    lines = [f"line {number}" for number in range(count)]
    assert sample(lines, lines) == numbers


LINES = st.lists(st.tuples(st.sampled_from(["", " ", "\t", "a", "b c"]), st.sampled_from(["", "\u3000", "x"])))


@given(pairs=LINES, most=st.integers(1, 5))
def test_blank_lines_do_not_count(pairs: list[tuple[str, str]], most: int) -> None:
    sources, references = [source for source, _ in pairs], [reference for _, reference in pairs]
    numbers = sample(sources, references, most)
    filled = [number for number, pair in enumerate(pairs) if all(map(str.strip, pair))]
    assert numbers == sorted(set(numbers)) and set(numbers) <= set(filled)
    assert len(numbers) == min(most, len(filled))
    if len(filled) >= most:
        for part, number in enumerate(numbers):
            place = filled.index(number)
            assert part * len(filled) // most <= place < -(-(part + 1) * len(filled) // most), "one from each part"


def test_source_reference_and_output_stand_in_columns() -> None:
    dev = DevSet(["", "ein Hund", "eine Katze"], ["a", "a dog", "a cat"], corpus(3))
    assert [*samples(dev, ["zero", "one", ""])] == [
        "  line 2       ein Hund",
        "    reference  a dog",
        "    output     one",
        "  line 3       eine Katze",
        "    reference  a cat",
        "    output     (empty)",
    ]
