"""Constraints against enumeration: of all outputs those whose text keeps them, ranked by J, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.phrase_toys import SYMBOLS, constrained, keeps, stands_in, text_of
from support.search_toys import ALPHAS, Ranked, assert_same, few, ranked_by_rest, spreads
from support.searches import encoded
from support.toys import TableModel, brute_force

from nmtkit.decoding.beam import Beam, ByLength, Sweep
from nmtkit.decoding.choices import Choices
from nmtkit.decoding.constraints import Constraints
from nmtkit.decoding.exact import Exact
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.proof import Effort
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.sample import Sample
from nmtkit.decoding.search import Query
from nmtkit.decoding.trace import Traced
from nmtkit.specials import EOS, PAD, UNK

DEPTH, WIDE = 4, 7**3
"""No length up to 4 has more living prefixes and ends."""
words = st.sampled_from(["a", "b", "ab", "bb", "a b", "b a", "ab a", ",", "b,", "b b"])
forbids = st.lists(words, max_size=2, unique=True)
wishes = st.lists(
    st.lists(st.sampled_from(["a", "b", "ab", "a b", "b,"]), max_size=2, unique=True), min_size=2, max_size=3
)
limits = st.lists(st.integers(1, DEPTH), min_size=3, max_size=3)
starts = st.lists(st.lists(st.integers(4, 8), max_size=1).map(tuple), min_size=3, max_size=3)


def table(seed: int, sentences: int, spread: float = 1.0) -> TableModel:
    return TableModel.random(seed, sentences=sentences, symbols=SYMBOLS, depth=DEPTH - 1, spread=spread)


def truth(
    model: TableModel, sentence: int, query: Query, forbidden: list[str], wanted: list[str], alpha: float
) -> Ranked:
    """All outputs that keep the constraints, by J of what follows the prefix."""
    outputs = brute_force(model, model.memory().select(torch.tensor([sentence])), query.limit)
    outputs = [one for one in outputs if one[0][: len(query.prefix)] == query.prefix and len(one[0]) >= query.minimum]
    outputs = [one for one in outputs if keeps(one[0], forbidden, wanted)]
    return ranked_by_rest(model, sentence, outputs, len(query.prefix), alpha)


def asked(
    forbidden: list[str], wanted: list[list[str]], chosen: list[int], begin: list[tuple[int, ...]]
) -> list[Query]:
    """Queries without contradictions: no term contains what is forbidden, and no prefix does."""
    for own in wanted:
        own[:] = [term for term in own if not any(stands_in(phrase, term) for phrase in forbidden)]
    begin = [() if any(stands_in(phrase, text_of(ids)) for phrase in forbidden) else ids for ids in begin]
    queries = []
    for place, (limit, prefix) in enumerate(zip(chosen, begin, strict=True)):
        most = max(limit, len(prefix) + 1)
        queries.append(Query(most, min(most, 1 + place), prefix=prefix))
    return constrained(queries[: len(wanted)], forbidden, wanted)


@few
@given(
    seed=st.integers(0, 10**6),
    forbidden=forbids,
    wanted=wishes,
    chosen=limits,
    begin=starts,
    spread=spreads,
    alpha=st.sampled_from(ALPHAS),
)
def test_wide_beams_and_exact_search_rank_what_keeps_the_constraints(
    seed: int,
    forbidden: list[str],
    wanted: list[list[str]],
    chosen: list[int],
    begin: list[tuple[int, ...]],
    spread: float,
    alpha: float,
) -> None:
    """In batches of sentences with other terms, some of which have no output that keeps them."""
    queries, objective = asked(forbidden, wanted, chosen, begin), Objective(alpha)
    model = table(seed, len(queries), spread)
    beam = Beam(WIDE, objective, n_best=4)
    found = beam.find(model, encoded(model.memory()), queries)
    swept = Sweep((WIDE,), (objective,), 4).find(model, encoded(model.memory()), queries)
    lists = ByLength(beam).find(model, encoded(model.memory()), queries)
    effort = Effort(tolerance=0.0, rows=1 + seed % 9, children=1 + seed % 5)
    known = [replace(query, targets=((*query.prefix, EOS),)) for query in queries]  # may break the constraints
    certified = Exact(Beam(1 + seed % 3, objective), effort).find(model, encoded(model.memory()), known)
    proofs = Exact(beam, effort).prove(model, model.memory(), queries)
    for sentence, query in enumerate(queries):
        everything = truth(model, sentence, query, forbidden, wanted[sentence], alpha)
        assert_same(found[sentence] or [], everything[:4])
        own = swept[sentence]
        assert_same(own.hypotheses[WIDE, objective] if own else [], everything[:4])
        assert {one.tokens for length in lists[sentence] or [] for one in length} == {one[0] for one in everything}
        proof, certificate = proofs[sentence], certified[sentence]
        assert proof.proved and (proof.best is None) == (not everything)
        assert_same([proof.best] if proof.best else [], everything[:1])
        if certificate is not None:  # the beam of the certificate is narrow
            assert certificate.proved
            assert_same([certificate.best], everything[:1])


@few
@given(seed=st.integers(0, 10**6), wanted=wishes, spread=spreads, beam=st.integers(1, 4), patient=st.booleans())
def test_narrow_beams_have_all_terms(
    seed: int, wanted: list[list[str]], spread: float, beam: int, patient: bool
) -> None:
    """The limit holds the pieces of the terms and the end, not more than one piece more."""
    queries = constrained([Query(9)] * len(wanted), [], wanted)
    queries = [replace(query, limit=sum(len(term.tokens) for term in query.terms) + 1 + seed % 2) for query in queries]
    model = table(seed, len(queries), spread)
    rules = Rules(patience=1.0 if patient else None)
    found = Beam(beam, Objective(0.7), n_best=beam, rules=rules).find(model, encoded(model.memory()), queries)
    for own, hypotheses in zip(wanted, found, strict=True):
        assert hypotheses and len({one.tokens for one in hypotheses}) == len(hypotheses)
        assert all(keeps(one.tokens, [], own) for one in hypotheses)


@few
@given(
    seed=st.integers(0, 10**6), forbidden=forbids, wanted=wishes, chosen=limits, begin=starts, beam=st.integers(1, 4)
)
def test_whatever_is_found_keeps_the_constraints_at_its_real_cost(
    seed: int,
    forbidden: list[str],
    wanted: list[list[str]],
    chosen: list[int],
    begin: list[tuple[int, ...]],
    beam: int,
) -> None:
    """By narrow beams, whose results do not depend on the batch, and by samples."""
    queries = asked(forbidden, wanted, chosen, begin)
    model = table(seed, len(queries))
    search = Beam(beam, Objective(0.7), n_best=beam)
    found = search.find(model, encoded(model.memory()), queries)
    drawn = Sample(5, Objective(0.7), seed=seed).find(
        model, encoded(model.memory()), [replace(query, terms=()) for query in queries]
    )
    for sentence, query in enumerate(queries):
        alone = search.find(model, encoded(model.memory().select(torch.tensor([sentence]))), [query])
        assert alone == [found[sentence]]
        outputs = dict(brute_force(model, model.memory().select(torch.tensor([sentence])), query.limit))
        assert len({one.tokens for one in found[sentence] or []}) == len(found[sentence] or [])
        for one in found[sentence] or []:
            assert keeps(one.tokens, forbidden, wanted[sentence])
        samples: list[Hypothesis] = drawn[sentence] or []
        assert all(keeps(one.tokens, forbidden, []) for one in samples)
        for one in [*(found[sentence] or []), *samples]:
            assert one.tokens[: len(query.prefix)] == query.prefix and len(one.tokens) >= query.minimum
            assert one.total == pytest.approx(outputs[one.tokens], abs=1e-9)
            assert sum(one.log_probs) == pytest.approx(one.total, abs=1e-9)


@few
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 4), free_eos=st.booleans())
def test_sentences_without_constraints_are_searched_as_ever(seed: int, beam: int, free_eos: bool) -> None:
    """Beside others with terms, and with a phrase that no output has."""
    model = table(seed, 2)
    search = Beam(beam, Objective(0.7), n_best=beam, rules=Rules(free_eos=free_eos))
    plain = search.find(model, encoded(model.memory()), [Query(4)] * 2)
    assert search.find(model, encoded(model.memory()), constrained([Query(4)] * 2, ["xyz"], [[], []])) == plain
    if not free_eos:
        mixed = search.find(model, encoded(model.memory()), constrained([Query(4)] * 2, ["xyz"], [["a"], []]))
        assert mixed[1] == plain[1]


def test_a_term_that_goes_on_is_not_met_and_one_piece_can_serve_two_terms() -> None:
    """ " a" then "b" is the word "ab": it meets neither "a" nor, before it, "b a"."""
    following = {(): {6: 1.0}, (6,): {4: 1.0}, (6, 4): {5: 0.9, EOS: 0.1}}
    model = TableModel.written([following], symbols=SYMBOLS)
    (found,) = Beam(3, Objective(0.0)).find(model, encoded(model.memory()), constrained([Query(4)], [], [["b a", "a"]]))
    assert found and [one.tokens for one in found] == [(6, 4, EOS)]
    (found,) = Beam(3, Objective(0.0)).find(model, encoded(model.memory()), constrained([Query(4)], ["ab"], [[]]))
    assert found and [text_of(one.tokens) for one in found] == ["b a"]


def test_another_segmentation_of_a_term_serves_as_well() -> None:
    """ "ab" as a first piece of an output, though its own pieces are " a" and "b"."""
    model = TableModel.written([{(): {7: 1.0}}], symbols=SYMBOLS)
    (query,) = constrained([Query(3)], [], [["ab"]])
    assert query.terms[0].tokens == (4, 5)
    (found,) = Beam(1, Objective(0.0)).find(model, encoded(model.memory()), [query])
    assert found and found[0].tokens == (7, EOS)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_what_is_offered_beside_the_most_probable_tokens(k: int) -> None:
    """The next piece of every term and EOS, each once; nothing that a rule bans, nothing where a token is forced."""
    queries = constrained([Query(9)], [], [["a", "ab", "b b", "b"]])
    constraints = Constraints.of(queries, torch.device("cpu"))
    assert constraints is not None
    dense_NV = torch.tensor([[-torch.inf, -torch.inf, -1.0, -7.0, -6.0, -2.0, -5.0, -3.0, -4.0]])

    def may_follow(banned: tuple[int, ...] = (), forced: int = PAD) -> list[tuple[int, float]]:
        ids = tuple(torch.tensor([[token]]) for token in banned)
        value_NK, id_NK = constraints.top(Choices(ids, torch.tensor([forced])), dense_NV, k)
        rows = zip(id_NK[0].tolist(), value_NK[0].tolist(), strict=True)
        return sorted((token, value) for token, value in rows if value > -torch.inf)

    likely = [UNK, 5, 7, 8, 6, 4][:k]
    assert [token for token, _ in may_follow()] == sorted({*likely, 4, 6})
    assert all(value == dense_NV[0, token] for token, value in may_follow())
    assert 4 not in dict(may_follow(banned=(4,))) and 6 in dict(may_follow(banned=(4,)))
    assert may_follow(forced=8) == [(8, -4.0)]
    for token in (6, 6, 4, 5, 4):  # "b b ab a"
        constraints.read(torch.tensor([token]))
    assert [token for token, _ in may_follow()] == sorted({*likely, EOS})
    assert EOS not in dict(may_follow(banned=(EOS,)))


def test_what_no_search_has() -> None:
    model, queries = table(1, 1), constrained([Query(4)], [], [["a"]])
    with pytest.raises(ValueError, match="^samples are drawn without a beam, which terms need: leave the terms out$"):
        Sample(2, Objective(0.7)).find(model, encoded(model.memory()), queries)
    with pytest.raises(ValueError, match="^a trace shows the best candidates, but terms make the beam keep others"):
        Traced(Beam(2, Objective(0.7))).find(model, encoded(model.memory()), queries)
