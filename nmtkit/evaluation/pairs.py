"""The sentence scores of many texts against each of many others, with the n-grams of each text counted once.

An n-gram that occurs c times in a text makes c features: its first occurrence, its second, and so on. Two texts share
as many features as sacreBLEU counts matches, the lower of the two counts for each n-gram. So the matches of all pairs
are a product of two matrices of zeros and ones, exact in float32.

Shape key: O outputs, R references, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = Counter[Hashable]
Matrix = NDArray[np.float64]
ROWS = 256
"""Number of outputs that are scored against all references at one time."""
BLOCK = 1 << 22
"""Most entries of a matrix of features at one time."""


def chrf(scorer: Any, outputs: Sequence[str], references: Sequence[str]) -> Iterator[Matrix]:
    """chrF or chrF++ of some outputs after others against every reference, (O, R) each, as sacreBLEU computes it
    without smoothing."""
    for blocks in _counted(outputs, references, lambda text: _info(scorer, text)["ref_ngrams"][0]):
        yield _chrf(blocks, scorer.beta**2)


def bleu(scorer: Any, outputs: Sequence[str], references: Sequence[str]) -> Iterator[Matrix]:
    """The statistics of BLEU of some outputs after others against every reference, (O, R, 2 + 2 · orders) each."""
    orders = range(1, scorer.max_ngram_order + 1)
    for blocks in _counted(outputs, references, lambda text: _by_order(_info(scorer, text)["ref_ngrams"], orders)):
        total_O1, total_R = blocks[0].total_O1, blocks[0].total_R
        shape = len(total_O1), len(total_R)
        columns = [np.broadcast_to(total_O1, shape), np.broadcast_to(total_R, shape)]
        columns += [block.match_OR for block in blocks]
        columns += [np.broadcast_to(block.total_O1, shape) for block in blocks]
        yield np.stack(columns, axis=2)


@dataclass(frozen=True)
class Block:
    """The n-grams of one order: how many each output has, each reference has, and both share."""

    total_O1: Matrix
    total_R: Matrix
    match_OR: Matrix


class Index:
    """The n-grams of one order in all references, made into features once."""

    def __init__(self, references: Sequence[Counts]) -> None:
        self.feature: dict[tuple[Hashable, int], int] = {}
        self.total_R = _totals(references)
        self.entries = _entries(references, lambda feature: self.feature.setdefault(feature, len(self.feature)))

    def block(self, outputs: Sequence[Counts]) -> Block:
        """Some outputs beside all references."""
        return Block(_totals(outputs)[:, None], self.total_R, self.matches(outputs))

    def matches(self, outputs: Sequence[Counts]) -> Matrix:
        """The number of n-grams that each output shares with each reference, (O, R)."""
        (row_E, column_E), (row_G, column_G) = _entries(outputs, self.feature.get), self.entries
        features = len(self.feature)
        often_F, there_F = (np.bincount(column, minlength=features) for column in (column_E, column_G))
        found = np.zeros((len(outputs), len(self.total_R)))
        lone_F = (often_F == 1) & (there_F == 1)  # of one pair of texts
        owner_F, partner_F = np.zeros(features, np.int64), np.zeros(features, np.int64)
        owner_F[column_E], partner_F[column_G] = row_E, row_G
        np.add.at(found, (owner_F[lone_F], partner_F[lone_F]), 1)
        shared_F = (often_F > 0) & ~lone_F
        number_F = np.where(shared_F, shared_F.cumsum() - 1, -1)
        width = max(1, BLOCK // max(found.shape))
        for start in range(0, int(number_F.max(initial=-1)) + 1, width):
            ours, theirs = (
                _dense(row, number_F[column] - start, rows, width)
                for row, column, rows in ((row_E, column_E, len(found)), (row_G, column_G, found.shape[1]))
            )
            found += ours @ theirs.T
        return found


def _chrf(blocks: Sequence[Block], factor: float) -> Matrix:
    """chrF from the n-grams of each order; `factor` is β²."""
    precision = np.zeros_like(blocks[0].match_OR)
    recall, orders, score = np.zeros_like(precision), np.zeros_like(precision), np.zeros_like(precision)
    for block in blocks:
        both = (block.total_O1 > 0) & (block.total_R > 0)
        precision += np.divide(block.match_OR, block.total_O1, out=np.zeros_like(precision), where=both)
        recall += np.divide(block.match_OR, block.total_R, out=np.zeros_like(precision), where=both)
        orders += both
    precision, recall = (side / np.maximum(orders, 1) for side in (precision, recall))
    possible = precision + recall > 0
    np.divide((1 + factor) * precision * recall, factor * precision + recall, out=score, where=possible)
    return 100 * score


def _info(scorer: Any, text: str) -> dict[str, Any]:
    """What sacreBLEU counts in a reference."""
    info: dict[str, Any] = scorer._extract_reference_info([scorer._preprocess_segment(text)])
    return info


def _counted(
    outputs: Sequence[str], references: Sequence[str], count: Callable[[str], Sequence[Counts]]
) -> Iterator[list[Block]]:
    """A block for each order, for some outputs after others; each text is counted once."""
    known = {text: count(text) for text in {*outputs, *references}}
    indices = [Index(counts) for counts in zip(*(known[text] for text in references), strict=True)]
    for start in range(0, len(outputs), ROWS):
        ours = zip(*(known[text] for text in outputs[start : start + ROWS]), strict=True)
        yield [index.block(counts) for index, counts in zip(indices, ours, strict=True)]


def _totals(texts: Sequence[Counts]) -> Matrix:
    """The number of n-grams of each text."""
    return np.array([counts.total() for counts in texts], dtype=np.float64)


def _by_order(counts: Counter[tuple[str, ...]], orders: Iterable[int]) -> list[Counts]:
    return [Counter({gram: number for gram, number in counts.items() if len(gram) == order}) for order in orders]


def _entries(
    texts: Sequence[Counts], number: Callable[[tuple[Hashable, int]], int | None]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The features of texts that have a number, as pairs of a text and this number."""
    rows, columns = [], []
    for row, counts in enumerate(texts):
        numbers = (number((gram, place)) for gram, often in counts.items() for place in range(often))
        own = [feature for feature in numbers if feature is not None]
        columns += own
        rows += [row] * len(own)
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)


def _dense(row_E: NDArray[np.int64], place_E: NDArray[np.int64], rows: int, width: int) -> NDArray[np.float32]:
    """Ones at the places from 0 to below `width`."""
    inside = (place_E >= 0) & (place_E < width)
    dense = np.zeros((rows, min(width, int(place_E.max(initial=0)) + 1)), dtype=np.float32)
    dense[row_E[inside], place_E[inside]] = 1
    return dense
