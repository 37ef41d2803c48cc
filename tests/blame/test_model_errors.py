"""Where the model lost the reference, by hand and against the table of a toy model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blame_toys import GREEDY_IS_BEATEN, SMALL, ask, record, toy

from nmtkit.blame.model_errors import BUCKETS, Turn, buckets, diverge, flips, turns
from nmtkit.blame.records import Candidate, Divergence, Verdict
from nmtkit.decoding.objective import Objective
from nmtkit.specials import EOS


def test_the_first_difference() -> None:
    """b against bb with a beam of 2: b, then the end (0.6) instead of another b (0.4), which ends for certain."""
    (one,) = ask(toy(GREEDY_IS_BEATEN), "bb", beam=2).records
    assert one.divergence == Divergence(2, "b", "</s>", pytest.approx(math.log(0.6 / 0.4)), pytest.approx(0.0))
    (same,) = ask(toy(GREEDY_IS_BEATEN), "b", beam=2).records
    assert same.divergence is None and same.source_pieces == 1
    (first,) = ask(toy(GREEDY_IS_BEATEN), "b", beam=1).records
    expected = Divergence(1, "b", "a", pytest.approx(math.log(0.55 / 0.45)), pytest.approx(math.log(0.28 / 0.6)))
    assert first.divergence == expected


tokens = st.lists(st.integers(4, 6), max_size=5)


@given(tokens, tokens)
def test_deficit_and_rest_add_up_to_the_difference(own: list[int], known: list[int]) -> None:
    def candidate(ids: list[int]) -> Candidate:
        # log P depends on the prefix alone, as it does in a model
        log_probs = tuple(-0.1 - (hash(tuple(ids[: place + 1])) % 97) / 10 for place in range(len(ids)))
        return Candidate("", sum(log_probs), len(ids), 0.0, tokens=tuple(ids), log_probs=log_probs)

    output, reference = candidate([*own, EOS]), candidate([*known, EOS])
    found = diverge(output, reference, lambda ids: [str(one) for one in ids])
    if own == known:
        assert found is None
        return
    assert found is not None
    assert found.deficit + found.rest == pytest.approx(output.total - reference.total, abs=1e-9)
    assert output.tokens[: found.step - 1] == reference.tokens[: found.step - 1]
    assert (found.output_piece, found.piece) == (
        str(output.tokens[found.step - 1]),
        str(reference.tokens[found.step - 1]),
    )
    assert found.piece != found.output_piece


def test_verdicts_asked_again_under_other_exponents() -> None:
    """ŷ: −2 with 2 pieces; y*: −3 with 6. J: α 0 −2 and −3, 0.5 −1.41 and −1.22, 0.7 −1.23 and −0.86, 1 −1 and −0.5."""
    made = replace(
        record(1, "model"),
        output=Candidate("x", -2.0, 2, -2.0),
        references=(Candidate("y", -3.0, 6, -3.0),),
        judge=0,
    )
    powers = [Objective(alpha) for alpha in (0.0, 0.5, 0.7, 1.0)]
    found = {flip.alpha: (flip.to_beam, flip.to_model) for flip in flips([made], powers, 1e-4)}
    assert found == {0.0: (0, 0), 0.5: (1, 0), 0.7: (1, 0), 1.0: (1, 0)}
    turned = replace(made, verdict=Verdict.BEAM)
    again = {flip.alpha: (flip.to_beam, flip.to_model) for flip in flips([turned], powers, 1e-4)}
    assert again == {0.0: (0, 1), 0.5: (0, 0), 0.7: (0, 0), 1.0: (0, 0)}
    # GNMT: ((5 + 2) / 6)^1 = 1.167 and ((5 + 6) / 6)^1 = 1.833: −1.71 and −1.64
    (gnmt,) = flips([made], [Objective(1.0, "gnmt")], 1e-4)
    assert (gnmt.to_beam, gnmt.to_model) == (1, 0)
    equal = flips([replace(made, verdict=Verdict.EQUAL)], powers, 0.0)
    assert all(not flip.to_beam and not flip.to_model for flip in equal)


def test_a_report_asks_again_under_the_usual_exponents_but_its_own() -> None:
    """Empty (0.5) or aa (0.3645, three pieces): the longer one wins where length counts."""
    table = {(): {EOS: 0.5, 4: 0.45, 5: 0.05}, (4,): {4: 0.9, EOS: 0.1}, (4, 4): {EOS: 0.9, 4: 0.1}}
    report = ask(toy(table), "aa", beam=1, length_alpha=0.0)
    assert [(flip.alpha, flip.to_beam) for flip in report.flips] == [(0.5, 1), (0.7, 1), (1.0, 1)]


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(list(Verdict))), min_size=1, max_size=60))
def test_buckets_hold_every_sentence_once_and_no_length_twice(pairs: list[tuple[int, Verdict]]) -> None:
    records = [
        replace(record(number, "model"), source_pieces=length, verdict=verdict, sentence_score=float(length))
        for number, (length, verdict) in enumerate(pairs, start=1)
    ]
    found = buckets(records)
    assert 1 <= len(found) <= BUCKETS and sum(one.sentences for one in found) == len(pairs)
    assert all(left.last < right.first for left, right in zip(found, found[1:], strict=False))
    for one in found:
        inside = [(length, verdict) for length, verdict in pairs if one.first <= length <= one.last]
        counts = [sum(verdict == kind for _, verdict in inside) for kind in Verdict]
        assert [one.equal, one.beam, one.model, one.unreachable] == counts and one.sentences == len(inside)
        assert one.score == pytest.approx(sum(length for length, _ in inside) / len(inside))


def test_pieces_at_which_it_turns_most_often() -> None:
    def lost(number: int, verdict: str, piece: str, deficit: float) -> object:
        return replace(record(number, verdict), divergence=Divergence(1, piece, "x", deficit, 0.0))

    records = [
        lost(1, "model", "b", 1.0),
        lost(2, "model", "a", 3.0),
        lost(3, "model", "b", 5.0),
        lost(4, "model", "c", 4.0),
        lost(5, "beam", "a", 9.0),
        record(6, "model"),
    ]
    assert turns(records, 2) == [Turn("b", 2, 3.0), Turn("c", 1, 4.0)]  # type: ignore[arg-type]
    assert turns(SMALL.records, 5) == []
