"""The decision with minimum Bayes risk against all pairs, scored one by one with sacreBLEU."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmtkit.evaluation import pairs
from nmtkit.evaluation.metrics import CHRF as FAST
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.minimum_risk import Decision, decide, expected_utilities, posterior

SCORERS = {"bleu": BLEU(effective_order=True), "chrf": CHRF(), "chrf++": CHRF(word_order=2), "ter": TER()}
sentences = st.lists(st.sampled_from(["Ein", "Mann", "geht", "die", "Hunde", "gehen", "heim."]), max_size=6).map(
    " ".join
)
few = settings(deadline=None, max_examples=80, derandomize=True, database=None)


def agreement(name: str, text: str, other: str) -> float:
    if not text and not other:
        return 0 if name == "ter" else 100
    return SCORERS[name].sentence_score(text, [other]).score


@few
@given(
    candidates=st.lists(sentences, min_size=1, max_size=9),
    references=st.lists(st.tuples(sentences, st.integers(1, 9)), min_size=1, max_size=9),
    weighted=st.booleans(),
    own=st.booleans(),
    name=st.sampled_from(sorted(METRICS)),
)
def test_it_is_the_best_mean_over_all_pairs(
    candidates: list[str], references: list[tuple[str, int]], weighted: bool, own: bool, name: str
) -> None:
    """Weights of equal references add up; of equals the earliest is chosen; TER is better when it is low."""
    if own:
        candidates = [text for text, _ in references]
    parts = [part if weighted else 1 for _, part in references]
    weights = [part / sum(parts) for part in parts] if weighted else None
    means = [
        sum(part * agreement(name, text, other) for part, (other, _) in zip(parts, references, strict=True))
        / sum(parts)
        for text in candidates
    ]
    asked = (candidates, [text for text, _ in references], METRICS[name], weights)
    assert expected_utilities(*asked) == pytest.approx(means, abs=1e-9)
    best = min(means) if name == "ter" else max(means)
    decision = decide(*asked)
    assert decision.index == next(place for place, mean in enumerate(means) if abs(mean - best) < 2e-9)
    assert decision.utility == pytest.approx(best, abs=1e-9)


def test_by_hand() -> None:
    """Three of five agree with the second text, then only three of eight."""
    texts = ["ganz anders", "ein Mann geht", "ein Mann geht", "ein Mann geht", "ganz anders"]
    assert decide(texts, texts, FAST).index == 1
    assert decide(texts, [*texts, *["ganz anders"] * 3], FAST).index == 0
    candidates = ["ein Mann geht", "ganz anders"]
    assert decide(candidates, texts[:2], METRICS["bleu"], [0.4, 0.6]) == Decision(0, pytest.approx(60))


def test_a_likelier_segmentation_and_others_of_one_text_add_up() -> None:
    """P = 0.3, 0.2 and 0.2: the text of the last two has more weight than the best one."""
    texts = ["ganz anders", "ein Mann geht", "ein Mann geht"]
    decision = decide(texts, texts, METRICS["bleu"], posterior([math.log(0.3), math.log(0.2), math.log(0.2)]))
    assert decision == Decision(1, pytest.approx(100 * 4 / 7))


@few
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(-5000, 0))
def test_a_posterior_is_the_share_of_the_probabilities(parts: list[int], shift: int) -> None:
    """Far below what exp can hold, too."""
    shares = [float(Fraction(part, sum(parts))) for part in parts]
    assert posterior([math.log(part) + shift for part in parts]) == pytest.approx(shares, rel=1e-9)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_blank_texts_agree_perfectly(name: str) -> None:
    """Two of three samples are blank, and the third has nothing in common with them."""
    texts = ["Ein Mann", "", " "]
    assert decide(texts, texts, METRICS[name]).index == 1


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_many_texts_are_scored_in_portions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"ein Mann geht {number % 11} mal {number}" for number in range(40)]
    whole = expected_utilities(texts, texts[5:], METRICS[name])
    monkeypatch.setattr(pairs, "ROWS", 7)
    assert expected_utilities(texts, texts[5:], METRICS[name]) == pytest.approx(whole, abs=1e-12)
