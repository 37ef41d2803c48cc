"""Records of one hash stay together, in memory and on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmtkit.preflight.partitions import Partitions, as_numbers, digests


@pytest.mark.parametrize(("in_memory", "parts"), [(10**6, 1), (100, 256)])
def test_all_records_of_a_key_are_in_one_part_and_sorted(in_memory: int, parts: int, tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    partitions = Partitions(tmp_path, in_memory)
    expected = set()
    for first in range(0, 6000, 40):
        keys, others = (chance.integers(0, 900, 40) for _ in range(2))
        hashes = [as_numbers(digests([str(number).encode() for number in numbers])) for numbers in (keys, others)]
        partitions.add(*hashes, np.arange(first, first + 40))
        rows = zip(*(of.tolist() for of in hashes), range(first, first + 40), strict=True)
        expected |= {(*key, *other, number) for key, other, number in rows}
    assert any(tmp_path.iterdir()) == (parts > 1)
    seen: set[tuple[int, ...]] = set()
    keys_seen: set[tuple[int, ...]] = set()
    count = 0
    for records in partitions:
        rows = [(*key, *other, number) for key, other, number in records.tolist()]
        assert rows == sorted(rows)
        of_part = {row[:2] for row in rows}
        assert not of_part & keys_seen
        keys_seen |= of_part
        seen |= {*rows}
        count += 1
    assert seen == expected and (count == 1) == (parts == 1)
    assert not any(tmp_path.iterdir())


def test_hashes_are_of_128_bits_and_of_the_whole_line() -> None:
    hashes = digests([b"a", b"a", b"b", b"x" * 10_000 + b"1", b"x" * 10_000 + b"2"])
    assert {len(value) for value in hashes} == {16} and len({*hashes}) == 4
    assert as_numbers(hashes).shape == (5, 2)
