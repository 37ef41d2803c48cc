"""Exact search against brute force: `proved` is never wrong, and what is not proved never lies above the gap."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import ALPHAS, many, spreads
from support.searches import beam_search, exact_search
from support.toys import TableModel, brute_force, ranked

from nmtkit.decoding.frontier import Level, Nodes
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.proof import TOLERANCE
from nmtkit.specials import EOS, UNK


def truth(model: TableModel, limits: list[int], alpha: float) -> list[tuple[tuple[int, ...], float, float]]:
    """The global best of each sentence of the table."""
    memory = model.memory()
    rows = [memory.select(torch.tensor([sentence])) for sentence in range(len(limits))]
    return [ranked(brute_force(model, row, limit), alpha)[0] for row, limit in zip(rows, limits, strict=True)]


@many
@given(
    seed=st.integers(0, 10**6),
    spread=spreads,
    symbols=st.integers(2, 5),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    alpha=st.sampled_from(ALPHAS),
    rows=st.integers(1, 20),
    children=st.integers(1, 6),
    start=st.booleans(),
)
def test_the_global_best(
    seed: int, spread: float, symbols: int, limits: list[int], alpha: float, rows: int, children: int, start: bool
) -> None:
    model = TableModel.random(seed, sentences=len(limits), symbols=symbols, depth=4, spread=spread)
    objective, memory = Objective(alpha), model.memory()
    found = beam_search(model, memory, limits, beam=1, objective=objective)
    certificates = exact_search(
        model,
        memory,
        limits,
        objective=objective,
        incumbents=found if start else None,
        tolerance=0.0,
        rows=rows,
        children=children,
    )
    for certificate, (tokens, total, score), limit in zip(
        certificates, truth(model, limits, alpha), limits, strict=True
    ):
        assert certificate.proved and certificate.gap == 0.0 and certificate.limit == limit
        assert certificate.best is not None
        assert certificate.best.tokens == tokens
        assert certificate.best.total == pytest.approx(total, abs=1e-9)
        assert certificate.best.score == pytest.approx(score, abs=1e-9)


@many
@given(
    seed=st.integers(0, 10**6),
    spread=spreads,
    budget=st.integers(1, 60),
    alpha=st.sampled_from(ALPHAS),
    rows=st.integers(1, 9),
    start=st.booleans(),
)
def test_a_spent_budget_leaves_a_gap_that_holds(
    seed: int, spread: float, budget: int, alpha: float, rows: int, start: bool
) -> None:
    """And nothing up to the limit that was proved is better than the best."""
    limits = [6, 3, 5]
    model = TableModel.random(seed, sentences=3, symbols=3, depth=5, spread=spread)
    objective = Objective(alpha)
    certificates = exact_search(
        model,
        model.memory(),
        limits,
        objective=objective,
        budget_steps=budget,
        tolerance=0.0,
        rows=rows,
        incumbents=beam_search(model, model.memory(), limits, beam=1, objective=objective) if start else None,
    )
    for sentence, (certificate, (_, _, score)) in enumerate(
        zip(certificates, truth(model, limits, alpha), strict=True)
    ):
        assert certificate.steps <= budget
        assert certificate.best is not None  # the empty translation costs one step
        assert certificate.best.score <= score + 1e-9
        assert score <= certificate.best.score + certificate.gap + 1e-9
        assert certificate.proved == (certificate.gap == 0.0) == (certificate.proved_limit == certificate.limit)
        if certificate.proved:
            assert certificate.best.score == pytest.approx(score, abs=1e-9)
        if certificate.proved_limit:
            nearby = truth(model, [min(certificate.proved_limit, limit) for limit in limits], alpha)[sentence]
            assert certificate.best.score >= nearby[2] - 1e-9


@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)).map(sorted), min_size=1, max_size=3),
    alpha=st.sampled_from(ALPHAS),
    penalty=st.sampled_from(["power", "gnmt"]),
    forbid_unk=st.booleans(),
)
def test_the_best_of_what_is_allowed(
    seed: int, lengths: list[list[int]], alpha: float, penalty: str, forbid_unk: bool
) -> None:
    """Minimum lengths, no UNK and the other length penalty; everything else left out of the enumeration by hand."""
    model = TableModel.random(seed, sentences=len(lengths), symbols=4, depth=4)
    memory = model.memory()
    certificates = exact_search(
        model,
        memory,
        [most for _, most in lengths],
        minimums=[fewest for fewest, _ in lengths],
        forbid_unk=forbid_unk,
        objective=Objective(alpha, penalty),
        tolerance=0.0,
    )
    for sentence, (fewest, most) in enumerate(lengths):
        outputs = brute_force(model, memory.select(torch.tensor([sentence])), most)
        allowed = [
            (total / (len(tokens) if penalty == "power" else (5 + len(tokens)) / 6) ** alpha, tokens)
            for tokens, total in outputs
            if len(tokens) >= fewest and not (forbid_unk and UNK in tokens)
        ]
        certificate = certificates[sentence]
        assert certificate.proved and certificate.best is not None
        assert (certificate.best.tokens, certificate.best.score) == (max(allowed)[1], pytest.approx(max(allowed)[0]))


@pytest.mark.parametrize("children", [1, 2, 3, 100])
def test_equal_children_are_all_made(children: int) -> None:
    """Four equal words at every step; only one path ends: whatever the order of equals, it is found."""
    words = [4, 5, 6, 7]
    for path in [(4, 4), (5, 7), (7, 7), (6, 4)]:
        table = {(): dict.fromkeys(words, 0.25)}
        for first in words:
            table[first,] = dict.fromkeys(words, 0.25)
            for second in words:
                table[first, second] = {EOS: 1.0} if (first, second) == path else {4: 1.0}
                table[first, second, 4] = {4: 1.0}
        model = TableModel.written([table], symbols=6)
        (certificate,) = exact_search(
            model, model.memory(), [3], objective=Objective(0.0), children=children, tolerance=0.0
        )
        assert certificate.best is not None and certificate.best.tokens == (*path, EOS) and certificate.proved


def test_no_time_leaves_everything_open() -> None:
    model = TableModel.random(1, sentences=2, symbols=4, depth=3)
    incumbents: list[list[Hypothesis]] = [[Hypothesis((EOS,), -5.0, -5.0)], []]
    first, second = exact_search(
        model, model.memory(), [4, 4], objective=Objective(0.0), incumbents=incumbents, budget_seconds=1e-12
    )
    assert (first.best, first.proved, first.gap, first.steps) == (incumbents[0][0], False, 5.0 + TOLERANCE, 0)
    assert (second.best, second.proved, second.gap, second.steps) == (None, False, math.inf, 0)


@many
@given(
    seed=st.integers(0, 10**6),
    spread=spreads,
    budget=st.integers(1, 60),
    alpha=st.sampled_from(ALPHAS),
    tolerance=st.sampled_from([1e-4, 0.1, 2.0]),
)
def test_a_gap_of_nothing_is_a_proof(seed: int, spread: float, budget: int, alpha: float, tolerance: float) -> None:
    """Whatever rounding the tolerance allows for; and the gap still holds."""
    limits = [6, 3, 5]
    model = TableModel.random(seed, sentences=3, symbols=3, depth=5, spread=spread)
    options = {"objective": Objective(alpha), "budget_steps": budget, "tolerance": tolerance}
    certificates = exact_search(model, model.memory(), limits, **options)
    for one, (_, _, score) in zip(certificates, truth(model, limits, alpha), strict=True):
        assert one.best is not None and one.best.score <= score + 1e-9 <= one.best.score + one.gap + 2e-9
        assert one.gap == 0.0 if one.proved else one.gap >= tolerance


def test_what_is_open_within_the_tolerance_is_no_proof() -> None:
    """The empty translation (log 0.5) is known; "a" (log 0.5 too) is left open by a budget of one step."""
    model = TableModel.written([{(): {4: 0.5, EOS: 0.5}}], symbols=3)
    (one,) = exact_search(model, model.memory(), [3], objective=Objective(0.0), budget_steps=1)
    assert not one.proved and one.proved_limit == 0 and one.gap == pytest.approx(TOLERANCE)
    assert f"{one.gap:.6f}" == "0.000100"
    (two,) = exact_search(model, model.memory(), [3], objective=Objective(0.0), budget_steps=9)
    assert two.proved and two.gap == 0.0


def test_an_incumbent_that_is_the_best_leaves_little_to_do() -> None:
    """The better the start, the fewer steps; and an incumbent beyond the limit counts for nothing."""
    model = TableModel.random(7, sentences=1, symbols=5, depth=5)
    objective = Objective(0.0)
    tokens, total, score = truth(model, [6], 0.0)[0]
    (alone,) = exact_search(model, model.memory(), [6], objective=objective, rows=1)
    (helped,) = exact_search(
        model, model.memory(), [6], objective=objective, rows=1, incumbents=[[Hypothesis(tokens, total, score)]]
    )
    assert alone.best == helped.best and helped.proved and helped.steps <= alone.steps
    beyond = Hypothesis((2,) * 6 + (EOS,), -1e-9, -1e-9)
    (unmoved,) = exact_search(model, model.memory(), [6], objective=objective, rows=1, incumbents=[[beyond]])
    assert unmoved == alone


def test_steps_are_prefixes_read() -> None:
    """Nothing can be pruned before the first hypothesis ends, so a certain path costs its length."""
    model = TableModel.written([{(): {4: 1.0}, (4,): {5: 1.0}, (4, 5): {EOS: 1.0}}], symbols=4)
    (certificate,) = exact_search(model, model.memory(), [9], objective=Objective(0.7))
    assert certificate.best is not None and certificate.best.tokens == (4, 5, EOS)
    assert (certificate.steps, certificate.proved) == (3, True)


def test_a_narrow_win_is_not_given_up() -> None:
    """P(EOS) = 0.49 and P(4 5 EOS) = 0.51 · 0.98 = 0.4998: nothing but the true bound keeps the prefix alive."""
    model = TableModel.written([{(): {EOS: 0.49, 4: 0.51}, (4,): {EOS: 0.02, 5: 0.98}, (4, 5): {EOS: 1.0}}], symbols=4)
    start = Hypothesis((EOS,), math.log(0.49), math.log(0.49))
    (certificate,) = exact_search(
        model, model.memory(), [4], objective=Objective(0.0), incumbents=[[start]], tolerance=0.0
    )
    assert certificate.best is not None and certificate.best.tokens == (4, 5, EOS)
    assert certificate.best.total == pytest.approx(math.log(0.4998)) and certificate.proved


def test_what_a_stage_cut_off_counts_for_the_gap() -> None:
    """With one step only the limit of the first stage is proved, and the better, longer output is no further than the
    gap: by hand, the empty translation has J = ln 0.1, the other ln 0.9 / 5^0.7."""
    path = (4, 5, 4, 5)
    table: dict[tuple[int, ...], dict[int, float]] = {(): {4: 0.9, EOS: 0.1}}
    table |= {path[:length]: {(*path, EOS)[length]: 1.0} for length in range(1, 5)}
    model, objective = TableModel.written([table], symbols=4), Objective(0.7)
    empty = Hypothesis((EOS,), math.log(0.1), math.log(0.1))
    (short,) = exact_search(
        model, model.memory(), [5], objective=objective, incumbents=[[empty]], budget_steps=1, tolerance=0.0
    )
    assert (short.best, short.proved, short.proved_limit, short.steps) == (empty, False, 1, 1)
    best = math.log(0.9) / 5**0.7
    assert short.gap >= best - math.log(0.1) - 1e-12
    (full,) = exact_search(model, model.memory(), [5], objective=objective, incumbents=[[empty]], tolerance=0.0)
    assert full.best is not None and full.best.score == pytest.approx(best) and full.proved_limit == 5


@pytest.mark.parametrize("staged", [True, False])
def test_stages_change_what_is_known_not_what_is_true(staged: bool) -> None:
    model = TableModel.random(5, sentences=4, symbols=4, depth=5)
    limits, objective = [6, 2, 5, 6], Objective(0.7)
    beams = beam_search(model, model.memory(), limits, beam=1, objective=objective)
    found = exact_search(
        model, model.memory(), limits, objective=objective, incumbents=beams, tolerance=0.0, staged=staged
    )
    assert [one.best.tokens for one in found if one.best] == [tokens for tokens, _, _ in truth(model, limits, 0.7)]
    assert [one.proved_limit for one in found] == limits


@pytest.mark.parametrize(("rows", "children"), [(1, 1), (4, 2), (8, 3), (64, 8)])
def test_the_frontier_stays_small(rows: int, children: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of flat distributions over 200 words nearly everything could win; yet no step makes more than rows · children, or
    than the children of a single node."""
    sizes: list[int] = []

    class Watched(Level):
        def __init__(self, nodes: Nodes, state: object) -> None:
            sizes.append(len(nodes))
            super().__init__(nodes, state)

    monkeypatch.setattr("nmtkit.decoding.frontier.Level", Watched)
    model = TableModel.random(2, sentences=2, symbols=200, depth=2, spread=0.01)
    means = {"rows": rows, "children": children, "staged": False}
    exact_search(model, model.memory(), [3, 3], objective=Objective(1.0), budget_steps=3000, **means)
    assert len(sizes) > 9 and max(sizes) <= max(rows * children, 200)
