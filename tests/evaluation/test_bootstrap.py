"""The bootstrap against loops: sacreBLEU over the drawn sentences, and the step-down test as its papers write it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from support.metric_toys import SACREBLEUS

from nmtkit.evaluation import bootstrap, metrics
from nmtkit.evaluation.bootstrap import Counted, Interval, changed, p_values, resampled

TEXTS = st.lists(st.tuples(*[st.text("ab .", max_size=12)] * 4), min_size=1, max_size=7)


@settings(deadline=None, max_examples=40)
@given(lines=TEXTS, seed=st.integers(0, 2**32), cells=st.integers(1, 40))
def test_resamples_are_corpora_of_the_drawn_sentences(lines: list[tuple[str, ...]], seed: int, cells: int) -> None:
    """Of any text, two references, all metrics; and however many rows are drawn at a time."""
    first, second, *references = (list(column) for column in zip(*lines, strict=True))
    scored = [(metrics.BLEU, second), *((metric, first) for metric in metrics.METRICS.values())]
    counted = [Counted.of(metric, outputs, references) for metric, outputs in scored]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "CELLS", cells)
        found = resampled(counted, 5, np.random.default_rng(seed))
    draws = np.random.default_rng(seed).choice(len(lines), size=(5, len(lines)), replace=True)
    for drawn, row in zip([range(len(lines)), *draws], found, strict=True):
        texts = [[lines[index] for index in drawn] for lines in references]
        wanted = [
            SACREBLEUS[metric.name]().corpus_score([outputs[i] for i in drawn], texts).score
            for metric, outputs in scored
        ]
        assert row.tolist() == pytest.approx(wanted, abs=1e-9)


def test_memory_does_not_grow_with_sentences_times_resamples() -> None:
    """All draws at once would be 8 bytes for each of 40 million."""
    text = Counted(np.ones((100_000, 2)), lambda sums: sums[:, 0] / sums[:, 1])
    tracemalloc.start()
    assert resampled([text], 400, np.random.default_rng(1)).tolist() == [[1.0]] * 401
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6


def test_a_part_counts_its_sentences_alone() -> None:
    outputs, reference = ["a b c d", "x", "a b c e"], ["a b c d", "y", "a b c d"]
    text = Counted.of(metrics.BLEU, outputs, [reference])
    (whole, *_), *_ = resampled([text.only(np.array([False, True, True]))], 2, np.random.default_rng(0))
    assert whole == BLEU(force=True).corpus_score(outputs[1:], [reference[1:]]).score
    other = Counted.of(metrics.BLEU, ["a b c d", "z", "a b e c"], [reference])
    assert changed(text.table, text.table) == 0 and changed(text.table, other.table) == 1, "x and z are both wrong"


def test_the_percentile_interval() -> None:
    values = np.array([3.0, *range(41)], dtype=np.float64)
    assert Interval.of(values) == Interval(3.0, 1.0, 39.0)


def stepped_down(differences: np.ndarray, sentences: int) -> list[float]:
    """Romano and Wolf (2005) in loops: the rival with the largest |t| against the largest of all that are left.

    Of Student's t with n - 1 degrees of freedom the variance is (n - 1) / (n - 3); that of resamples is (n - 1) / n.
    """
    observed, drawn = differences[0], differences[1:]
    stretch = ((sentences - 1) / (sentences - 3) / ((sentences - 1) / sentences)) ** 0.5
    spread = [np.sqrt(((drawn[:, j] - observed[j]) ** 2).mean()) for j in range(len(observed))]
    t = [abs(observed[j]) / spread[j] for j in range(len(observed))]
    left, found, least = list(range(len(observed))), [0.0] * len(observed), 0.0
    while left:
        first = max(left, key=lambda j: t[j])
        reached = sum(max(stretch * abs(row[j] - observed[j]) / spread[j] for j in left) >= t[first] for row in drawn)
        least = max(least, (1 + reached) / (1 + len(drawn)))
        found[first] = least
        left.remove(first)
    return found


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), rivals=st.integers(1, 6), sentences=st.integers(4, 200))
def test_p_values_against_the_papers(seed: int, rivals: int, sentences: int) -> None:
    generator = np.random.default_rng(seed)
    observed = generator.normal(size=rivals) * generator.uniform(0, 3)
    drawn = observed + generator.normal(size=(50, rivals)) @ generator.normal(size=(rivals, rivals))
    differences = np.vstack([observed, drawn])
    found = p_values(differences, sentences, [99] * rivals)
    assert found == pytest.approx(stepped_down(differences, sentences))
    for column, p in enumerate(found):
        (alone,) = p_values(differences[:, [column]], sentences, [99])
        away = np.abs(drawn[:, column] - observed[column]) * (sentences / (sentences - 3)) ** 0.5
        far = away >= abs(observed[column]) - 1e-9
        assert alone == pytest.approx((1 + far.sum()) / 51) and alone <= p + 1e-12
        assert p_values(-differences, sentences, [99] * rivals)[column] == p


def test_what_never_differs_is_no_rival() -> None:
    """Equal texts have p = 1 and make no other's p larger, whatever rounding does to them."""
    differences = np.array([[2.0, 0.0, 1e-14], *[[2 + step, 0.0, -1e-14] for step in (-1.0, 1.0, -2.5, 0.5)]])
    assert p_values(differences, 10**6, [9, 0, 9]) == [pytest.approx(2 / 5), 1.0, 1.0]


@pytest.mark.parametrize(("sentences", "least"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.25), (6, 2 / 64), (20, 1 / 10)])
def test_no_p_value_is_below_what_a_fair_coin_has(sentences: int, least: float) -> None:
    """As many heads or as many tails; of twenty the resamples are the coarser of the two."""
    always = np.full((10, 1), 5.0)
    assert p_values(always, 99, [sentences]) == [pytest.approx(max(least, 1 / 10))]
    assert p_values(always, 3, [sentences]) == [1.0]
