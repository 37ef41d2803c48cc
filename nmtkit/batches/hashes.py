"""Pairs of lines as 64-bit hashes, by which repeated pairs are counted without their texts (BLAKE2b, RFC 7693).

Among 200 million different pairs two have the same hash with a probability of 0.1 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
PART = 1 << 24
"""Number of hashes that are sorted at a time."""
CHUNK = 1 << 20
"""Number of hashes that are looked at at a time."""
LOW = np.uint64((1 << 20) - 1)


def pair_hashes(pairs: Iterable[tuple[str, str]]) -> Hashes:
    """A hash of each pair of lines."""
    digests = (blake2b(f"{x}\n{y}".encode("utf-8", "surrogatepass"), digest_size=8).digest() for x, y in pairs)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def duplicates(hashes: Hashes, part: int = PART) -> int:
    """The number of hashes that repeat an earlier one; of many, `part` are sorted at a time."""
    bits = max(1, (len(hashes) // part).bit_length())  # parts by the first bits, of which all repetitions share them
    different = 0
    for number in range(1 << bits):
        own = [chunk[chunk >> np.uint64(64 - bits) == number] for chunk in _chunks(hashes)]
        together = np.concatenate([np.zeros(0, np.uint64), *own])
        together.sort()
        different += len(together) - int((together[1:] == together[:-1]).sum())
    return len(hashes) - different


def shared(columns: Iterable[Hashes], own: Hashes) -> int:
    """The number of `own` hashes that stand in one of the columns."""
    known = np.unique(own)
    likely = np.zeros(int(LOW) + 1, dtype=bool)
    likely[known & LOW] = True
    seen = np.zeros(len(known), dtype=bool)
    for chunk in (chunk for column in columns for chunk in _chunks(column)):
        candidates = chunk[likely[chunk & LOW]]
        if len(known):
            places = np.minimum(np.searchsorted(known, candidates), len(known) - 1)
            seen[places[known[places] == candidates]] = True
    return int(np.isin(own, known[seen]).sum())


def _chunks(hashes: Hashes) -> Iterable[Hashes]:
    return (np.asarray(hashes[begin : begin + CHUNK]) for begin in range(0, len(hashes), CHUNK))
