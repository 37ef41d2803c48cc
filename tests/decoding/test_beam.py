"""Beam search against enumeration and against a second beam search of lists and loops, over thousands of tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import ALPHAS, assert_same, few, many, plain_beam, seeds, shapes, spreads, tables
from support.searches import beam_search
from support.toys import TableModel, TableState, brute_force, ranked
from torch import Tensor

from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.models.distribution import LogProbs
from nmtkit.specials import EOS, UNK


def search(model: TableModel, limits: list[int], **settings: Any) -> list[list[Hypothesis]]:
    objective = Objective(settings.pop("alpha", 0.7))
    return beam_search(model, model.memory(), limits, objective=objective, **settings)


@many
@given(seed=seeds, shape=st.sampled_from([(2, 5), (3, 5), (4, 4)]), spread=spreads, alpha=st.sampled_from(ALPHAS))
def test_wide_beam_is_brute_force(seed: int, shape: tuple[int, int], spread: float, alpha: float) -> None:
    """With a slot for every candidate of a length the whole ranking is that of all outputs, not the first only."""
    model, limits = tables(seed, shape, spread)
    wide = shape[0] ** shape[1]
    found = search(model, limits, beam=wide, n_best=3, alpha=alpha)
    for sentence, limit in enumerate(limits):
        memory = model.memory().select(torch.tensor([sentence]))
        assert_same(found[sentence], ranked(brute_force(model, memory, limit), alpha)[:3])


@many
@given(seed=seeds, shape=shapes, spread=spreads, beam=st.integers(1, 8), alpha=st.sampled_from(ALPHAS), data=st.data())
def test_same_n_best_lists_as_the_plain_beam(
    seed: int, shape: tuple[int, int], spread: float, beam: int, alpha: float, data: st.DataObject
) -> None:
    """The stop rule never misses what a run to the limit finds, for any n; sentences leave at different steps."""
    model, limits = tables(seed, shape, spread)
    n_best = data.draw(st.integers(1, beam))
    found = search(model, limits, beam=beam, n_best=n_best, alpha=alpha)
    for sentence, limit in enumerate(limits):
        assert_same(found[sentence], plain_beam(model, sentence, limit, beam, alpha)[:n_best])


@many
@given(seed=seeds, shape=shapes, spread=spreads, alpha=st.sampled_from(ALPHAS))
def test_beam_of_one_is_greedy(seed: int, shape: tuple[int, int], spread: float, alpha: float) -> None:
    model, limits = tables(seed, shape, spread)
    found = search(model, limits, beam=1, alpha=alpha)
    for sentence, limit in enumerate(limits):
        prefix: list[int] = []
        total = 0.0
        while not prefix or prefix[-1] != EOS:
            log_probs = model.log_probs(sentence, prefix)
            token = EOS if len(prefix) + 1 == limit else max(range(len(log_probs)), key=log_probs.__getitem__)
            total += log_probs[token]
            prefix.append(token)
        assert_same(found[sentence], [(tuple(prefix), total, total / len(prefix) ** alpha)])


@few
@given(seed=seeds, shape=shapes, beam=st.integers(1, 8), alpha=st.sampled_from(ALPHAS))
def test_batch_is_one_by_one_and_first_is_the_same_for_every_n(
    seed: int, shape: tuple[int, int], beam: int, alpha: float
) -> None:
    model, limits = tables(seed, shape, 1.0)
    batch = search(model, limits, beam=beam, n_best=beam, alpha=alpha)
    for n_best in {1, (beam + 1) // 2}:
        assert search(model, limits, beam=beam, n_best=n_best, alpha=alpha) == [one[:n_best] for one in batch]
    for sentence, limit in enumerate(limits):
        memory = model.memory().select(torch.tensor([sentence]))
        alone = beam_search(model, memory, [limit], beam=beam, objective=Objective(alpha), n_best=beam)
        assert alone == [batch[sentence]]


@many
@given(seed=seeds, shape=shapes, beam=st.integers(1, 8), alpha=st.sampled_from(ALPHAS))
def test_scores_are_forced_scores(seed: int, shape: tuple[int, int], beam: int, alpha: float) -> None:
    """What the search says of an output is what forcing that output says; every output ends in its only EOS."""
    model, limits = tables(seed, shape, 1.0)
    for sentence, found in enumerate(search(model, limits, beam=beam, n_best=beam, alpha=alpha)):
        assert found and len({one.tokens for one in found}) == len(found)
        memory = model.memory().select(torch.tensor([sentence]))
        forced = forced_log_probs(model, memory, [one.tokens for one in found])
        for one, log_probs in zip(found, forced, strict=True):
            assert one.tokens.index(EOS) == len(one.tokens) - 1 < limits[sentence]
            assert one.total == pytest.approx(math.fsum(log_probs), abs=1e-9)
            assert one.score == pytest.approx(math.fsum(log_probs) / len(one.tokens) ** alpha, abs=1e-9)


def test_greedy_is_beaten() -> None:
    """P(going) > P(visiting), yet the whole with visiting is likelier: 0.6 · 0.4 = 0.24 < 0.4 · 0.9 = 0.36."""
    going, visiting, one, other = 4, 5, 6, 7
    sentence = {
        (): {going: 0.6, visiting: 0.4},
        (going,): {one: 0.4, other: 0.35, EOS: 0.25},
        (visiting,): {one: 0.9, EOS: 0.1},
    }
    model = TableModel.written([sentence], symbols=6)
    for alpha in ALPHAS:
        (greedy,), (wide,) = (search(model, [5], beam=beam, alpha=alpha)[0] for beam in (1, 2))
        assert (greedy.tokens, greedy.total) == ((going, one, EOS), pytest.approx(math.log(0.24)))
        assert (wide.tokens, wide.total) == ((visiting, one, EOS), pytest.approx(math.log(0.36)))


def test_a_finished_output_keeps_no_slot() -> None:
    """Width 2. Step 1 keeps EOS and a; EOS leaves, so step 2 has two slots again and keeps a·b and a·c.

    Had EOS kept its slot, a·c would be lost, which ends in the best output of all: J = ln(0.4 · 0.35) / 3 = −0.655,
    against ln 0.5 = −0.693 of EOS alone and ln(0.4 · 0.4 · 0.3) / 4 = −0.759 of a·b·a.
    """
    a, b, c = 4, 5, 6
    sentence = {
        (): {EOS: 0.5, a: 0.4, b: 0.1},
        (a,): {b: 0.4, c: 0.35, EOS: 0.25},
        (a, b): {a: 0.3, b: 0.25, c: 0.25, EOS: 0.2},
        (a, c): {EOS: 1.0},
    }
    model = TableModel.written([sentence], symbols=5)
    first, second = search(model, [4], beam=2, n_best=2, alpha=1.0)[0]
    assert (first.tokens, first.score) == ((a, c, EOS), pytest.approx(math.log(0.14) / 3))
    assert (second.tokens, second.score) == ((EOS,), pytest.approx(math.log(0.5)))


def test_at_the_limit_only_eos_at_its_real_cost() -> None:
    """EOS is the worst symbol everywhere; the limit forces it and its log-probability is counted in full."""
    sentence = {(4,) * length: {4: 0.9, UNK: 0.09, EOS: 0.01} for length in range(4)}
    model = TableModel.written([sentence] * 4, symbols=3)
    found = search(model, [1, 2, 3, 4], beam=1, alpha=0.0)
    for limit, (one,) in enumerate(found, start=1):
        assert one.tokens == (4,) * (limit - 1) + (EOS,)
        assert one.total == pytest.approx((limit - 1) * math.log(0.9) + math.log(0.01), abs=1e-12)


def test_limit_one_is_eos_alone() -> None:
    model = TableModel.random(5, sentences=3, symbols=4, depth=2)
    for beam in (1, 4, 9):
        for sentence, found in enumerate(search(model, [1, 1, 1], beam=beam, n_best=beam)):
            assert [one.tokens for one in found] == [(EOS,)]
            assert found[0].total == found[0].score == pytest.approx(model.log_probs(sentence, ())[EOS])


def test_support_smaller_than_the_beam() -> None:
    """Two symbols, limit 3: three outputs exist, and a beam of 50 returns exactly those."""
    model = TableModel.random(1, sentences=2, symbols=2, depth=3)
    for sentence, found in enumerate(search(model, [3, 3], beam=50, n_best=50)):
        expected = ranked(brute_force(model, model.memory().select(torch.tensor([sentence])), 3), 0.7)
        assert len(expected) == 3
        assert_same(found, expected)


def test_impossible_outputs_are_not_returned() -> None:
    """Probability zero is no candidate: only two outputs exist although the beam has room for ten."""
    model = TableModel.written([{(): {4: 0.5, EOS: 0.5}, (4,): {EOS: 1.0}}], symbols=4)
    found = search(model, [5], beam=10, n_best=10, alpha=1.0)[0]
    assert [one.tokens for one in found] == [(4, EOS), (EOS,)]
    assert all(math.isfinite(one.total) and math.isfinite(one.score) for one in found)


class Watched(TableModel):
    """Notes for each step how many sentences and hypotheses it was asked about."""

    seen: list[tuple[int, int]]

    def step(self, token_N: Tensor, state: TableState, memory: Any) -> tuple[LogProbs, TableState]:
        self.seen.append((memory.size(), token_N.shape[0]))
        return super().step(token_N, state, memory)


def test_sentences_leave_when_nothing_can_beat_what_is_finished() -> None:
    """Sentence 0 ends at once, sentence 1 after three steps; with α = 0 nothing alive can come back."""
    ends: dict[tuple[int, ...], dict[int, float]] = {(): {EOS: 0.98, 4: 0.02}}
    goes_on = {(): {4: 0.97, EOS: 0.03}, (4,): {4: 0.97, EOS: 0.03}, (4, 4): {EOS: 0.97, 4: 0.03}}
    model = Watched(TableModel.written([ends, goes_on], symbols=3).table[..., 2:])
    model.seen = []
    found = search(model, [30, 30], beam=2, alpha=0.0)
    assert [one[0].tokens for one in found] == [(EOS,), (4, 4, EOS)]
    assert model.seen == [(2, 2), (1, 2), (1, 2)]


def test_a_better_longer_output_is_waited_for() -> None:
    """α = 1: the certain continuation of a worse prefix overtakes EOS alone, but only from four tokens on.

    ln 0.7 = −0.357 against ln 0.3 / T = −0.602, −0.401, −0.301, …: a bound that looks fewer than three tokens ahead
    stops at once and misses it.
    """
    sentence = {(): {EOS: 0.7, 4: 0.3}, **{(4,) * length: {4: 1.0} for length in range(1, 7)}}
    for limit in range(2, 8):
        forced_end = {(4,) * (limit - 1): {EOS: 1.0}}
        model = TableModel.written([{**sentence, **forced_end}], symbols=3)
        (best,) = search(model, [limit], beam=2, alpha=1.0)[0]
        expected = ((EOS,), math.log(0.7)) if limit < 4 else ((4,) * (limit - 1) + (EOS,), math.log(0.3) / limit)
        assert (best.tokens, best.score) == (expected[0], pytest.approx(expected[1]))


def test_the_model_is_asked_no_further_than_the_limit() -> None:
    model = Watched(TableModel.random(2, sentences=3, symbols=3, depth=5, spread=0.1).table[..., 2:])
    model.seen = []
    search(model, [2, 5, 3], beam=3, n_best=3, alpha=1.0)
    assert [sentences for sentences, _ in model.seen] == [3, 3, 2, 1, 1]


@pytest.mark.parametrize(
    ("limits", "minimums", "n_best"),
    [([3], [1], 1), ([3, 3], [1, 1], 0), ([3, 0], [1, 1], 1), ([3, 3], [1, 4], 1), ([3, 3], [0, 1], 1)],
)
def test_broken_calls_are_refused(limits: list[int], minimums: list[int], n_best: int) -> None:
    model = TableModel.random(0, sentences=2, symbols=3, depth=3)
    with pytest.raises(AssertionError):
        search(model, limits, beam=2, minimums=minimums, n_best=n_best)
