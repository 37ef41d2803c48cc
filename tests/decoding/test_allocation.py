"""The places of a beam that is divided, against lists and loops."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import many

from nmtkit.decoding.allocation import allocate

NONE = -torch.inf
candidates = st.lists(st.tuples(st.integers(-9, 0), st.integers(0, 4)), min_size=1, max_size=20)


def plain(totals: list[float], banks: list[int], keep: int) -> list[int]:
    """The places go round the banks, the furthest first."""
    queues = [
        sorted((place for place in range(len(totals)) if banks[place] == bank), key=lambda place: -totals[place])
        for bank in sorted(set(banks), reverse=True)
    ]
    chosen: list[int] = []
    while len(chosen) < keep and any(queues):
        for queue in queues:
            chosen += [queue.pop(0)] if queue and len(chosen) < keep else []
    return sorted(chosen, key=lambda place: -totals[place])


@many
@given(sentences=st.lists(candidates, min_size=1, max_size=3), keep=st.integers(1, 12))
def test_places_go_round_the_banks(sentences: list[list[tuple[int, int]]], keep: int) -> None:
    """In batches, where sentences with fewer candidates are padded; totals that are equal do not play a part."""
    longest = max(map(len, sentences))
    total_AM, bank_AM = (
        torch.full((len(sentences), longest), NONE),
        torch.zeros(len(sentences), longest, dtype=torch.int64),
    )
    for row, own in enumerate(sentences):
        for place, (total, bank) in enumerate(own):
            total_AM[row, place], bank_AM[row, place] = total - place / 100, bank
    chosen_AC = allocate(total_AM.double(), bank_AM, keep)
    for row, own in enumerate(sentences):
        expected = plain(total_AM[row, : len(own)].tolist(), bank_AM[row, : len(own)].tolist(), keep)
        chosen = chosen_AC[row].tolist()
        assert chosen[: len(expected)] == expected
        assert all(total_AM[row, place] == NONE for place in chosen[len(expected) :])


def test_the_bank_that_is_furthest_has_a_place_in_the_narrowest_beam() -> None:
    total_AM, bank_AM = torch.tensor([[-1.0, -50.0, NONE]]), torch.tensor([[0, 2, 3]])
    assert allocate(total_AM, bank_AM, 1).tolist() == [[1]]
    assert allocate(total_AM, bank_AM, 2).tolist() == [[0, 1]]
