"""The decision with minimum Bayes risk against all pairs, scored one by one with sacreBLEU."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmtkit.evaluation import minimum_risk
from nmtkit.evaluation.metrics import CHRF as FAST
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.minimum_risk import decide, expected_utilities

SCORERS = {"bleu": BLEU(effective_order=True), "chrf": CHRF(), "chrf++": CHRF(word_order=2), "ter": TER()}
sentences = st.lists(st.sampled_from(["Ein", "Mann", "geht", "die", "Hunde", "gehen", "heim."]), max_size=6).map(
    " ".join
)


@settings(deadline=None, max_examples=80, derandomize=True, database=None)
@given(texts=st.lists(sentences, min_size=1, max_size=9), name=st.sampled_from(sorted(METRICS)))
def test_it_is_the_best_mean_over_all_pairs(texts: list[str], name: str) -> None:
    """Duplicates count as often as they stand there; of equals the earliest is chosen; TER is better when it is low."""
    means = [sum(SCORERS[name].sentence_score(text, [other]).score for other in texts) / len(texts) for text in texts]
    assert expected_utilities(texts, METRICS[name]) == pytest.approx(means, abs=1e-9)
    best = min(means) if name == "ter" else max(means)
    decision = decide(texts, METRICS[name])
    assert decision.index == next(place for place, mean in enumerate(means) if abs(mean - best) < 2e-9)
    assert decision.utility == pytest.approx(best, abs=1e-9)


def test_by_hand() -> None:
    """Three of five agree with the second text, then only three of eight."""
    texts = ["ganz anders", "ein Mann geht", "ein Mann geht", "ein Mann geht", "ganz anders"]
    assert decide(texts, FAST).index == 1
    assert decide([*texts, *["ganz anders"] * 3], FAST).index == 0
    assert decide(["", ""], FAST) == minimum_risk.Decision(0, 0.0)


def test_many_texts_are_scored_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"ein Mann geht {number % 11} mal {number}" for number in range(40)]
    whole = expected_utilities(texts, FAST)
    monkeypatch.setattr(minimum_risk, "ROWS", 7)
    assert expected_utilities(texts, FAST) == pytest.approx(whole, abs=1e-12)
