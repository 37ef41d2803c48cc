"""The beam under its rules against one of lists and loops: slots, stopping, minimum length, bans, penalties."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import ALPHAS, assert_same, few, many, plain_beam, seeds, shapes, tables
from support.searches import beam_by_length, beam_search, beam_sweep
from support.toys import TableModel

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.specials import EOS


@many
@given(
    seed=seeds,
    shape=shapes,
    beam=st.integers(1, 6),
    alpha=st.sampled_from(ALPHAS),
    penalty=st.sampled_from(["power", "gnmt"]),
    patience=st.sampled_from([None, 0.5, 1.0, 2.0]),
    free_eos=st.booleans(),
    forbid_unk=st.booleans(),
    no_repeat_ngram=st.integers(0, 3),
    data=st.data(),
)
def test_every_rule_is_that_of_the_plain_beam(
    seed: int,
    shape: tuple[int, int],
    beam: int,
    alpha: float,
    penalty: str,
    patience: float | None,
    free_eos: bool,
    forbid_unk: bool,
    no_repeat_ngram: int,
    data: st.DataObject,
) -> None:
    model, limits = tables(seed, shape, 1.0)
    rules = Rules(patience, free_eos, forbid_unk, no_repeat_ngram)
    minimums = [data.draw(st.integers(1, limit)) for limit in limits]
    n_best = data.draw(st.integers(1, beam))
    found = beam_search(
        model,
        model.memory(),
        limits,
        beam=beam,
        objective=Objective(alpha, penalty),
        n_best=n_best,
        minimums=minimums,
        rules=rules,
    )
    for sentence, (limit, minimum) in enumerate(zip(limits, minimums, strict=True)):
        expected = plain_beam(model, sentence, limit, beam, alpha, penalty=penalty, minimum=minimum, rules=rules)
        assert_same(found[sentence], expected[:n_best])


@few
@given(seed=seeds, shape=shapes, beam=st.integers(1, 6), alpha=st.sampled_from(ALPHAS), free_eos=st.booleans())
def test_the_best_of_each_length_and_then_the_best(
    seed: int, shape: tuple[int, int], beam: int, alpha: float, free_eos: bool
) -> None:
    """The lectures' view is what a run to the limit finishes, and its best by J is what the search returns."""
    model, limits = tables(seed, shape, 1.0)
    objective, rules = Objective(alpha), Rules(free_eos=free_eos)
    lists = beam_by_length(model, model.memory(), limits, beam=beam, objective=objective, rules=rules)
    best = beam_search(model, model.memory(), limits, beam=beam, objective=objective, rules=rules)
    for sentence, (limit, by_length) in enumerate(zip(limits, lists, strict=True)):
        expected = plain_beam(model, sentence, limit, beam, alpha, rules=rules)
        assert len(by_length) == limit
        for length, ones in enumerate(by_length, start=1):
            assert len(ones) <= beam
            assert_same(ones, [one for one in expected if len(one[0]) == length])
        everything = [one for ones in by_length for one in ones]
        assert max(everything, key=lambda one: one.score).tokens == best[sentence][0].tokens


@few
@given(seed=seeds, shape=shapes, beam=st.integers(1, 6), alpha=st.sampled_from(ALPHAS))
def test_log_probs_of_the_tokens(seed: int, shape: tuple[int, int], beam: int, alpha: float) -> None:
    model, limits = tables(seed, shape, 1.0)
    for sentence, found in enumerate(
        beam_search(model, model.memory(), limits, beam=beam, objective=Objective(alpha), n_best=beam)
    ):
        for one in found:
            expected = [model.log_probs(sentence, one.tokens[:t])[one.tokens[t]] for t in range(one.length)]
            assert list(one.log_probs) == pytest.approx(expected, abs=1e-12)
            assert math.fsum(one.log_probs) == pytest.approx(one.total, abs=1e-9)


def test_patience_misses_what_the_sound_rule_waits_for() -> None:
    """P(EOS) = 0.6 first; the longer output has J = ½ log 0.4 > log 0.6 under α = 1: only the sound rule sees it."""
    model = TableModel.written([{(): {EOS: 0.6, 4: 0.4}, (4,): {EOS: 1.0}}], symbols=4)
    objective = Objective(1.0)
    assert math.log(0.4) / 2 > math.log(0.6)

    def first(**rules: Any) -> tuple[int, ...]:
        options: dict[str, Any] = {"beam": 2, "objective": objective, "rules": Rules(**rules)}
        return beam_search(model, model.memory(), [5], **options)[0][0].tokens

    assert first() == (4, EOS)
    assert first(patience=0.5) == (EOS,)
    assert first(patience=1.0) == (4, EOS)


@few
@given(seed=seeds, shape=shapes, beam=st.integers(1, 6), patience=st.sampled_from([1e-308, 1e-46, 1e-9]))
def test_any_patience_waits_for_one_hypothesis(seed: int, shape: tuple[int, int], beam: int, patience: float) -> None:
    """As that of 1 / beam does, which ends the search with the first."""
    model, limits = tables(seed, shape, 2.0)

    def found(rules: Rules) -> list[list[Hypothesis]]:
        return beam_search(model, model.memory(), limits, beam=beam, objective=Objective(), rules=rules)

    assert all(found(Rules(patience=patience)))
    assert found(Rules(patience=patience)) == found(Rules(patience=1 / beam))


def test_eos_without_a_slot_of_its_own() -> None:
    """Width 2, EOS among the first two: with a slot it leaves one prefix alive, without it two, and the second wins.

    J(5 EOS) = ½ log 0.31 = −0.586, J(4 4 EOS) = ⅓ log 0.136 = −0.665, J(EOS) = log 0.35 = −1.05.
    """
    table = {
        (): {EOS: 0.35, 4: 0.34, 5: 0.31},
        (4,): {4: 0.4, 5: 0.3, EOS: 0.3},
        (5,): {EOS: 1.0},
    }
    model = TableModel.written([table], symbols=4)
    options: dict[str, Any] = {"beam": 2, "objective": Objective(1.0)}
    with_slot = beam_search(model, model.memory(), [4], **options)[0][0]
    without = beam_search(model, model.memory(), [4], rules=Rules(free_eos=True), **options)[0][0]
    assert with_slot.tokens == (4, 4, EOS) and without.tokens == (5, EOS)
    assert without.total == pytest.approx(math.log(0.31))


@pytest.mark.parametrize("wrong", [{"patience": 0.0}, {"patience": math.nan}, {"no_repeat_ngram": -1}])
def test_impossible_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rules(**wrong)


@few
@given(seed=seeds, shape=shapes, beam=st.integers(1, 5), n_best=st.integers(1, 3), free_eos=st.booleans())
def test_one_search_serves_every_objective(
    seed: int, shape: tuple[int, int], beam: int, n_best: int, free_eos: bool
) -> None:
    """To the hypothesis: what a lone search under each of them finds."""
    model, limits = tables(seed, shape, 2.0)
    objectives = [Objective(alpha, penalty) for alpha in ALPHAS for penalty in ("power", "gnmt")]
    options: dict[str, Any] = {"beam": beam, "n_best": n_best, "rules": Rules(free_eos=free_eos)}
    together = beam_sweep(model, model.memory(), limits, objectives=objectives, **options)
    for objective, found in zip(objectives, together, strict=True):
        assert found == beam_search(model, model.memory(), limits, objective=objective, **options)
