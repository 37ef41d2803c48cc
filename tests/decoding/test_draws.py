"""The uniform numbers are those of SplitMix64 in whole numbers of Python, a function of what they are drawn for."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import few

from nmtkit.decoding.draws import keys, uniforms

GAMMA, WHOLE = 0x9E3779B97F4A7C15, 2**64
CPU = torch.device("cpu")


def splitmix(state: int) -> int:
    """What SplitMix64 gives in a state, after its published program."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % WHOLE
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % WHOLE
    return state ^ (state >> 31)


def test_the_plain_program_gives_the_published_numbers() -> None:
    """The first three of seed 1234567, as many libraries quote them."""
    numbers = [splitmix((1234567 + step * GAMMA) % WHOLE) for step in (1, 2, 3)]
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@few
@given(
    seed=st.integers(0, 2**32 - 1),
    lines=st.lists(st.integers(1, 2**40), min_size=1, max_size=3),
    samples=st.lists(st.integers(0, 10**6), min_size=1, max_size=3),
    step=st.integers(1, 10_000),
)
def test_every_number_is_that_of_the_plain_program(seed: int, lines: list[int], samples: list[int], step: int) -> None:
    found = uniforms(keys(seed, lines, samples, CPU), step)
    for row, line in zip(found.tolist(), lines, strict=True):
        for value, sample in zip(row, samples, strict=True):
            key = splitmix(
                (splitmix((splitmix((seed + GAMMA) % WHOLE) + line * GAMMA) % WHOLE) + sample * GAMMA) % WHOLE
            )
            assert value == (splitmix((key + step * GAMMA) % WHOLE) >> 11) * 2.0**-53


def test_neighbours_have_nothing_in_common() -> None:
    """Means of 0.5, variances of 1/12 and no correlation between neighbouring lines, samples and steps."""
    key_SW = keys(5, range(1, 201), range(200), CPU)
    first, second = uniforms(key_SW, 1) - 0.5, uniforms(key_SW, 2) - 0.5
    assert abs(first.mean()) < 5 / 12**0.5 / 200 and abs(first.var() - 1 / 12) < 0.002
    for left, right in ((first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])):
        assert abs((left * right).mean() * 12) < 5 / 200
    assert key_SW.unique().numel() == 40_000
