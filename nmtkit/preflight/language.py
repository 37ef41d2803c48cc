"""Which language a line is in: a profile of letter trigrams that is learned from both sides of the text itself.

The score of a line is its log likelihood ratio, source language to target language, of a naive Bayes classifier of
character trigrams (Cavnar and Trenkle 1994 rank them instead).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nmtkit.preflight.characters import Codes, letters
from nmtkit.preflight.reading import Block, Rows, Side

LEARNED = 100_000
"""The most pairs that the profile is learned from, the first of the text."""
BUCKETS = 1 << 16
PRIOR = 10.0
"""Occurrences of every trigram on both sides that are added to those in the text, so that a few lines teach little."""
NATS, NATS_A_LETTER = 12.0, 0.35
"""What a line must score for the other language, in all and for each letter, to be taken for it."""


class Profile:
    """The trigrams of both languages."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Learns from the blocks, `LEARNED` pairs at most."""
        counts = np.full((2, BUCKETS), PRIOR)
        pairs = 0
        for block in blocks:
            for of_side, side in zip(counts, (block.source, block.target), strict=True):
                if len(side):
                    trigrams, heard = _trigrams(side.codes)
                    of_side += np.bincount(trigrams[heard], minlength=BUCKETS)
            pairs += block.pairs
            if pairs >= LEARNED:
                break
        shares = np.log(counts / counts.sum(axis=1, keepdims=True))
        self._weights: npt.NDArray[np.float32] = (shares[0] - shares[1]).astype(np.float32)

    def foreign(self, block: Block) -> tuple[Rows, Rows]:
        """The rows whose source is in the target's language, and those whose target is in the source's."""
        if not len(block.source):
            nothing = np.array([], dtype=np.intp)
            return nothing, nothing
        return self._like(block.source, -1), self._like(block.target, 1)

    def _like(self, side: Side, sign: int) -> Rows:
        """The rows that are in the source's language (sign 1) or in the target's (−1)."""
        trigrams, heard = _trigrams(side.codes)
        scores = sign * np.add.reduceat(np.where(heard, self._weights[trigrams], 0), side.starts)
        sizes = np.add.reduceat(heard.astype(np.int32), side.starts)
        return np.flatnonzero((scores >= NATS) & (scores >= NATS_A_LETTER * sizes))


def _trigrams(codes: Codes) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The number of the trigram around each character, and whether that character is a letter."""
    small = letters()[codes].astype(np.uint32)
    before, after = np.empty_like(small), np.empty_like(small)
    before[0] = after[-1] = 0
    before[1:], after[:-1] = small[:-1], small[1:]
    mixed = before * np.uint32(0x9E3779B1) + small * np.uint32(0x85EBCA77) + after * np.uint32(0xC2B2AE3D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    return mixed >> np.uint32(16), small > 0
