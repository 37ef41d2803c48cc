"""The sentence scores of many texts against each of many others, with the n-grams of each text counted once.

An n-gram that occurs c times in a text makes c features: its first occurrence, its second, and so on. Two texts share
as many features as sacreBLEU counts matches, the lower of the two counts for each n-gram. So the matches of all pairs
are a product of two matrices of zeros and ones, exact in float32.

Shape key: O outputs, R references, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = Counter[Hashable]
Matrix = NDArray[np.float64]
BLOCK = 1 << 22
"""Most entries of a matrix of features at one time."""


def chrf(scorer: Any, outputs: Sequence[str], references: Sequence[str]) -> Matrix:
    """chrF or chrF++ of every output against every reference, (O, R), as sacreBLEU computes it without smoothing."""
    sides = _counted(outputs, references, lambda text: _info(scorer, text)["ref_ngrams"][0])
    precision = np.zeros((len(outputs), len(references)))
    recall, orders, factor = np.zeros_like(precision), np.zeros_like(precision), scorer.beta**2
    for of_outputs, of_references in zip(*(zip(*side, strict=True) for side in sides), strict=True):
        total_O1 = np.array([[counts.total()] for counts in of_outputs], dtype=np.float64)
        total_1R = np.array([[counts.total() for counts in of_references]], dtype=np.float64)
        both, match = (total_O1 > 0) & (total_1R > 0), matches(of_outputs, of_references)
        precision += np.divide(match, total_O1, out=np.zeros_like(match), where=both)
        recall += np.divide(match, total_1R, out=np.zeros_like(match), where=both)
        orders += both
    precision, recall = (side / np.maximum(orders, 1) for side in (precision, recall))
    possible = precision + recall > 0
    score = np.zeros_like(precision)
    np.divide((1 + factor) * precision * recall, factor * precision + recall, out=score, where=possible)
    return 100 * score


def bleu(scorer: Any, outputs: Sequence[str], references: Sequence[str]) -> Matrix:
    """The statistics of BLEU of every output against every reference, (O, R, 2 + 2 · orders)."""
    orders = range(1, scorer.max_ngram_order + 1)
    ours, theirs = _counted(outputs, references, lambda text: _by_order(_info(scorer, text)["ref_ngrams"], orders))
    total_ON, total_RN = (
        np.array([[counts.total() for counts in text] for text in side]).reshape(len(side), -1)
        for side in (ours, theirs)
    )
    shape = len(outputs), len(references)
    columns = [np.broadcast_to(total_ON[:, :1], shape), np.broadcast_to(total_RN[:, 0], shape)]
    columns += [matches(*pair) for pair in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)]
    columns += [np.broadcast_to(total_ON[:, place, None], shape) for place in range(len(orders))]
    return np.stack(columns, axis=2)


def matches(outputs: Sequence[Counts], references: Sequence[Counts]) -> Matrix:
    """The number of n-grams that each output shares with each reference, (O, R)."""
    known: dict[tuple[Hashable, int], int] = {}
    (row_E, column_E), (row_G, column_G) = (_entries(side, known) for side in (outputs, references))
    features = len(known)
    often_F, there_F = (np.bincount(column, minlength=features) for column in (column_E, column_G))
    found = np.zeros((len(outputs), len(references)))
    lone_F = (often_F == 1) & (there_F == 1)  # of one pair of texts
    owner_F, partner_F = np.zeros(features, np.int64), np.zeros(features, np.int64)
    owner_F[column_E], partner_F[column_G] = row_E, row_G
    np.add.at(found, (owner_F[lone_F], partner_F[lone_F]), 1)
    number_F = np.where((often_F > 0) & (there_F > 0) & ~lone_F, 0, -1)
    number_F[number_F == 0] = np.arange(int((number_F == 0).sum()))
    width = max(1, BLOCK // max(len(outputs), len(references)))
    for start in range(0, int(number_F.max(initial=-1)) + 1, width):
        ours, theirs = (
            _dense(row, number_F[column] - start, len(side), width)
            for row, column, side in ((row_E, column_E, outputs), (row_G, column_G, references))
        )
        found += ours @ theirs.T
    return found


def _info(scorer: Any, text: str) -> dict[str, Any]:
    """What sacreBLEU counts in a reference."""
    info: dict[str, Any] = scorer._extract_reference_info([scorer._preprocess_segment(text)])
    return info


def _counted(
    outputs: Sequence[str], references: Sequence[str], count: Callable[[str], Sequence[Counts]]
) -> tuple[list[Sequence[Counts]], list[Sequence[Counts]]]:
    """The n-grams of each output and of each reference; each text is counted once."""
    known = {text: count(text) for text in {*outputs, *references}}
    return [known[text] for text in outputs], [known[text] for text in references]


def _by_order(counts: Counter[tuple[str, ...]], orders: Iterable[int]) -> list[Counts]:
    return [Counter({gram: number for gram, number in counts.items() if len(gram) == order}) for order in orders]


def _entries(
    texts: Sequence[Counts], known: dict[tuple[Hashable, int], int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The features of texts as pairs of a text and a feature, whose numbers are kept in `known`."""
    rows, columns = [], []
    for row, counts in enumerate(texts):
        own = [
            known.setdefault((gram, place), len(known)) for gram, number in counts.items() for place in range(number)
        ]
        columns += own
        rows += [row] * len(own)
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)


def _dense(row_E: NDArray[np.int64], place_E: NDArray[np.int64], rows: int, width: int) -> NDArray[np.float32]:
    """Ones at the places from 0 to below `width`."""
    inside = (place_E >= 0) & (place_E < width)
    dense = np.zeros((rows, min(width, int(place_E.max(initial=0)) + 1)), dtype=np.float32)
    dense[row_E[inside], place_E[inside]] = 1
    return dense
