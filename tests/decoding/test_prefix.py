"""Forced prefixes against enumeration: what begins with the prefix, and nothing else, ranked by J of the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import ALPHAS, Ranked, assert_same, few, ranked_by_rest, spreads
from support.searches import encoded
from support.toys import TableModel, brute_force

from nmtkit.decoding.beam import Beam, ByLength, Sweep
from nmtkit.decoding.depth_first import DepthFirst
from nmtkit.decoding.exact import Exact
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import PENALTIES, Objective
from nmtkit.decoding.proof import Effort
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.sample import Sample
from nmtkit.decoding.search import Query
from nmtkit.decoding.trace import Ending, Traced
from nmtkit.specials import EOS, UNK

SYMBOLS, DEPTH = 4, 4
WIDE = SYMBOLS**3
"""No length up to 4 has more living prefixes and ends."""
prefixes = st.lists(st.lists(st.sampled_from([UNK, 4, 5]), max_size=2).map(tuple), min_size=1, max_size=4)
extras = st.lists(st.integers(1, 3), min_size=4, max_size=4)
endings = st.lists(st.booleans(), min_size=4, max_size=4)
STARTS = frozenset({UNK, 5})


def asked(given_prefixes: list[tuple[int, ...]], extra: list[int], ended: Sequence[bool] = ()) -> list[Query]:
    """The limits leave room for the prefix, EOS and up to two tokens more, where `ended` one of `STARTS`."""
    lengths = [(prefix, len(prefix) + more) for prefix, more in zip(given_prefixes, extra, strict=False)]
    starts = [STARTS if place < len(ended) and ended[place] else None for place in range(len(lengths))]
    return [
        Query(most, prefix=prefix, word_starts=some if prefix else None)
        for (prefix, most), some in zip(lengths, starts, strict=True)
    ]


def truth(model: TableModel, sentence: int, query: Query, alpha: float, penalty: str = "power") -> Ranked:
    """All outputs that begin with the prefix, and go on as the query allows, by J of what follows the prefix."""
    memory = model.memory().select(torch.tensor([sentence]))
    begun, outputs = len(query.prefix), []
    for tokens, total in brute_force(model, memory, query.limit):
        follows = query.word_starts is None or not {EOS, *query.word_starts}.isdisjoint(tokens[begun : begun + 1])
        if tokens[:begun] == query.prefix and follows and total > -math.inf:
            outputs.append((tokens, total))
    return ranked_by_rest(model, sentence, outputs, begun, alpha, penalty)


def table(seed: int, sentences: int, spread: float = 1.0) -> TableModel:
    return TableModel.random(seed, sentences=sentences, symbols=SYMBOLS, depth=DEPTH, spread=spread)


@few
@given(
    seed=st.integers(0, 10**6),
    chosen=prefixes,
    extra=extras,
    ended=endings,
    spread=spreads,
    alpha=st.sampled_from(ALPHAS),
    penalty=st.sampled_from(PENALTIES),
)
def test_a_wide_beam_ranks_all_that_begins_with_the_prefix(
    seed: int,
    chosen: list[tuple[int, ...]],
    extra: list[int],
    ended: list[bool],
    spread: float,
    alpha: float,
    penalty: str,
) -> None:
    """In batches of sentences with and without prefixes; the other beam searches and forced scores agree."""
    model, queries = table(seed, len(chosen), spread), asked(chosen, extra, ended)
    objective = Objective(alpha, penalty)
    beam = Beam(WIDE, objective, n_best=4)
    found = beam.find(model, encoded(model.memory()), queries)
    first = replace(beam, n_best=1).find(model, encoded(model.memory()), queries)
    swept = Sweep((WIDE,), (objective,), 4).find(model, encoded(model.memory()), queries)
    lists = ByLength(beam).find(model, encoded(model.memory()), queries)
    for sentence, query in enumerate(queries):
        everything = truth(model, sentence, query, alpha, penalty)
        assert_same(found[sentence] or [], everything[:4])
        assert_same(first[sentence] or [], everything[:1])
        scores = Forced(objective).find(
            model,
            encoded(model.memory().select(torch.tensor([sentence]))),
            [replace(query, targets=tuple(one[0] for one in everything))],
        )
        assert_same(scores[0], everything)
        own = swept[sentence]
        assert own is not None
        assert_same(own.hypotheses[WIDE, objective], everything[:4])
        assert {one.tokens for length in lists[sentence] or [] for one in length} == {one[0] for one in everything}


@few
@given(
    seed=st.integers(0, 10**6),
    chosen=prefixes,
    extra=extras,
    ended=endings,
    spread=spreads,
    alpha=st.sampled_from(ALPHAS),
    rows=st.integers(1, 9),
    children=st.integers(1, 6),
    start=st.booleans(),
)
def test_exact_search_proves_the_best_that_begins_with_the_prefix(
    seed: int,
    chosen: list[tuple[int, ...]],
    extra: list[int],
    ended: list[bool],
    spread: float,
    alpha: float,
    rows: int,
    children: int,
    start: bool,
) -> None:
    """From the beam, from an incumbent that lacks the prefix, which counts for nothing, and from nothing."""
    model, queries, objective = table(seed, len(chosen), spread), asked(chosen, extra, ended), Objective(alpha)
    effort = Effort(tolerance=0.0, rows=rows, children=children)
    if start:
        known = [replace(query, targets=((EOS,), (*query.prefix, 4, EOS))) for query in queries]
        found = Exact(Beam(1, objective), effort).find(model, encoded(model.memory()), known)
        proofs = [(one.best, one.proved) for one in found if one]
    else:
        ran = DepthFirst(model, model.memory(), queries, objective, (), effort).run()
        proofs = [(one.best, one.proved) for one in ran]
    for sentence, (query, (best, proved)) in enumerate(zip(queries, proofs, strict=True)):
        assert best is not None and proved
        assert_same([best], truth(model, sentence, query, alpha)[:1])


@few
@given(seed=st.integers(0, 10**6), chosen=prefixes, budget=st.integers(1, 12), alpha=st.sampled_from(ALPHAS))
def test_a_gap_holds_under_a_prefix(seed: int, chosen: list[tuple[int, ...]], budget: int, alpha: float) -> None:
    model, queries = table(seed, len(chosen)), asked(chosen, [3, 1, 3, 2])
    search = Exact(Beam(1, Objective(alpha)), Effort(budget, tolerance=0.0))
    for sentence, one in enumerate(search.find(model, encoded(model.memory()), queries)):
        best = truth(model, sentence, queries[sentence], alpha)[0][2]
        assert one is not None and one.best.score <= best + 1e-9 <= one.best.score + one.gap + 2e-9
        assert one.proved == (one.gap == 0.0)


@few
@given(seed=st.integers(0, 10**6), chosen=prefixes, alpha=st.sampled_from(ALPHAS), size=st.integers(2, 3))
def test_no_rule_bans_what_is_forced(seed: int, chosen: list[tuple[int, ...]], alpha: float, size: int) -> None:
    """UNK and repetitions in a prefix stay, at their real cost; what follows keeps to the rules."""
    model, rules = table(seed, len(chosen)), Rules(forbid_unk=True, no_repeat_ngram=size)
    queries = [Query(len(prefix) + 2, min(2, len(prefix) + 2), prefix=prefix) for prefix in chosen]
    found = Beam(WIDE, Objective(alpha), 50, rules).find(model, encoded(model.memory()), queries)
    proofs = DepthFirst(model, model.memory(), queries, Objective(alpha), (UNK,), Effort(tolerance=0.0)).run()
    for sentence, query in enumerate(queries):
        begun = len(query.prefix)
        allowed = [
            one
            for one in truth(model, sentence, query, alpha)
            if len(one[0]) >= query.minimum and UNK not in one[0][begun:]
        ]
        fresh = [one for one in allowed if not breaks(one[0], begun, size)]
        assert_same(found[sentence] or [], fresh)
        proof = proofs[sentence]
        assert proof.proved and proof.best is not None
        assert_same([proof.best], allowed[:1])


def breaks(tokens: tuple[int, ...], begun: int, size: int) -> bool:
    """Whether a token after the first `begun` completes a sequence that stood before."""
    ends = range(max(begun + 1, size), len(tokens) + 1)
    return any(tokens[end - size : end] in [tokens[i : i + size] for i in range(end - size)] for end in ends)


def test_patience_and_free_eos_keep_the_prefix() -> None:
    model = table(3, 2)
    for rules in (Rules(patience=1.0), Rules(free_eos=True)):
        search = Beam(3, Objective(0.7), 3, rules)
        for own in search.find(model, encoded(model.memory()), [Query(5, prefix=(4, 5)), Query(5, prefix=(5,))]):
            assert own
        first, second = search.find(model, encoded(model.memory()), [Query(5, prefix=(4, 5)), Query(5)])
        assert first and second and all(one.tokens[:2] == (4, 5) for one in first)
        (alone,) = search.find(model, encoded(model.memory().select(torch.tensor([1]))), [Query(5)])
        assert second == alone  # a neighbour with a prefix changes nothing


def test_a_reference_without_the_prefix_is_lost_where_it_leaves_it() -> None:
    model = table(5, 3)
    references = [(4, 5, EOS), (4, 4, EOS), (4, 5, 5, EOS)]
    queries = [Query(4, prefix=(4, 5), reference=reference) for reference in references]
    seen = Traced(Beam(WIDE, Objective(0.7), WIDE), 3).find(model, encoded(model.memory()), queries)
    paths = [own.path for own in seen if own]
    assert [path.ending for path in paths if path] == [Ending.FINISHED, Ending.OTHER_PREFIX, Ending.FINISHED]
    assert [len(path.steps) for path in paths if path] == [3, 2, 4]
    for own in seen:
        assert own is not None
        given_steps = [candidate for step in own.steps[:2] for candidate in step.candidates]
        assert [candidate.token for candidate in given_steps] == [4, 5]
        assert [candidate.score for candidate in given_steps] == [0.0, 0.0]
        cost = own.hypotheses[0].log_probs
        for candidate in own.steps[2].candidates:
            assert candidate.score == pytest.approx(candidate.total - cost[0] - cost[1])


def test_j_is_that_of_the_rest_by_hand() -> None:
    """P(a) = 0.01 is forced; then b 0.5 and its end 0.8, or the end at once, 0.5. J of the rest at α = 1 prefers the
    longer by ln(0.4) / 2 = −0.458 against ln 0.5 = −0.693; the total stays that of the whole."""
    written = {(): {4: 0.01, EOS: 0.99}, (4,): {5: 0.5, EOS: 0.5}, (4, 5): {EOS: 0.8, 4: 0.2}}
    model = TableModel.written([written], symbols=4)
    (own,) = Beam(4, Objective(1.0), 2).find(model, encoded(model.memory()), [Query(3, prefix=(4,))])
    assert own is not None
    best, second = own
    assert best.tokens == (4, 5, EOS) and best.score == pytest.approx(math.log(0.5 * 0.8) / 2)
    assert second.tokens == (4, EOS) and second.score == pytest.approx(math.log(0.5))
    assert best.total == pytest.approx(math.log(0.01 * 0.5 * 0.8))
    assert best.log_probs == pytest.approx([math.log(value) for value in (0.01, 0.5, 0.8)])


def test_an_unlikely_prefix_does_not_pay_for_padding() -> None:
    """P(a) = 0.001, then the end 0.6 or b 0.4 and its end 0.4: J of the whole at α = 1 prefers the longer output,
    −8.741 / 3 against −7.419 / 2; J of the rest the shorter, −0.511 against −1.833 / 2."""
    written = {(): {4: 0.001, EOS: 0.999}, (4,): {5: 0.4, EOS: 0.6}, (4, 5): {EOS: 0.4, 4: 0.6}}
    model, query = TableModel.written([written], symbols=4), Query(3, prefix=(4,))
    memory = encoded(model.memory())
    (own,) = Beam(4, Objective(1.0)).find(model, memory, [query])
    (exact,) = Exact(Beam(1, Objective(1.0))).find(model, memory, [query])
    assert own is not None and exact is not None
    assert own[0].tokens == exact.best.tokens == (4, EOS) and exact.proved
    assert math.log(0.001 * 0.4 * 0.4) / 3 > math.log(0.001 * 0.6) / 2


def test_an_incumbent_without_the_prefix_is_none() -> None:
    model = table(9, 1)
    best = Hypothesis((EOS,), -1e-9, -1e-9)
    queries = [Query(4, prefix=(5,), incumbents=(best,))]
    (proof,) = DepthFirst(model, model.memory(), queries, Objective(0.0), (), Effort(tolerance=0.0)).run()
    assert proof.best is not None and proof.best.tokens[0] == 5


def test_a_limit_must_hold_the_prefix_and_the_end() -> None:
    with pytest.raises(AssertionError):
        Query(2, prefix=(4, 5))


@few
@given(
    seed=st.integers(0, 10**6),
    chosen=prefixes,
    extra=extras,
    ended=endings,
    spread=spreads,
    alpha=st.sampled_from(ALPHAS),
    rows=st.integers(1, 9),
)
def test_samples_go_on_as_the_query_allows_at_the_j_of_the_rest(
    seed: int,
    chosen: list[tuple[int, ...]],
    extra: list[int],
    ended: list[bool],
    spread: float,
    alpha: float,
    rows: int,
) -> None:
    """However many rows are dense at one time."""
    model, queries = table(seed, len(chosen), spread), asked(chosen, extra, ended)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nmtkit.decoding.sample.ROWS", rows)
        found = Sample(16, Objective(alpha), seed=seed).find(model, encoded(model.memory()), queries)
    for sentence, query in enumerate(queries):
        possible = {tokens: facts for tokens, *facts in truth(model, sentence, query, alpha)}
        assert len(found[sentence] or []) == 16
        for sample in found[sentence] or []:
            assert [sample.total, sample.score] == pytest.approx(possible[sample.tokens], abs=1e-9)
