"""What a beam search looked at, against the record of a beam of lists and loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.search_toys import ALPHAS, many, plain_beam, score, seeds, shapes, spreads, tables
from support.searches import beam_search
from support.toys import SUPPORT, TableModel

from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.search import Query
from nmtkit.decoding.trace import Ending, Fate, Follower, Recorder, Step
from nmtkit.decoding.watching import Both
from nmtkit.specials import EOS, UNK


def follower_of(references: Sequence[Sequence[int] | None], limits: Sequence[int]) -> Follower:
    pairs = zip(references, limits, strict=True)
    return Follower([Query(limit, reference=None if own is None else tuple(own)) for own, limit in pairs])


def prefixes(steps: list[Step]) -> list[list[tuple[int, ...]]]:
    """The tokens of every candidate, read back over the parents."""
    found: list[list[tuple[int, ...]]] = []
    for step in steps:
        before = [(), *found[-1]] if found else [()]
        found.append([(*before[candidate.parent], candidate.token) for candidate in step.candidates])
    return found


@many
@given(
    seed=seeds,
    shape=shapes,
    spread=spreads,
    beam=st.integers(1, 5),
    alpha=st.sampled_from(ALPHAS),
    more=st.integers(0, 8),
    free_eos=st.booleans(),
    forbid_unk=st.booleans(),
)
def test_the_candidates_of_every_step(
    seed: int,
    shape: tuple[int, int],
    spread: float,
    beam: int,
    alpha: float,
    more: int,
    free_eos: bool,
    forbid_unk: bool,
) -> None:
    model, limits = tables(seed, shape, spread)
    rules = Rules(free_eos=free_eos, forbid_unk=forbid_unk)
    recorder = Recorder(len(limits), beam + more, Objective(alpha))
    options = {"beam": beam, "objective": Objective(alpha), "rules": rules}
    watched = beam_search(model, model.memory(), limits, **options, watcher=recorder)
    assert watched == beam_search(model, model.memory(), limits, **options)
    for sentence, limit in enumerate(limits):
        steps: list = []
        plain_beam(model, sentence, limit, beam, alpha, rules=rules, steps=steps)
        found = recorder.steps[sentence]
        assert 1 <= len(found) <= len(steps)
        for number, (step, tokens, (expected, finished, living)) in enumerate(
            zip(found, prefixes(found), steps, strict=False), start=1
        ):
            seen = expected[: max(beam + more, 2 * beam if free_eos else beam)]
            assert step.length == number and tokens == [one for _, one in seen]
            assert step.prefixes == (len(steps[number - 2][2]) if number > 1 else 1)
            for candidate, (total, prefix), rank in zip(step.candidates, seen, range(1, 99), strict=False):
                assert candidate.rank == rank
                assert candidate.total == pytest.approx(total, abs=1e-9)
                assert candidate.log_p == pytest.approx(model.log_probs(sentence, prefix[:-1])[prefix[-1]], abs=1e-9)
                assert candidate.score == pytest.approx(score(total, number, alpha, "power"), abs=1e-9)
                fate = Fate.FINISHED if prefix in finished else Fate.KEPT if prefix in living else Fate.PRUNED
                assert candidate.fate == fate


@many
@given(seed=seeds, shape=shapes, spread=spreads, beam=st.integers(1, 5), alpha=st.sampled_from(ALPHAS), data=st.data())
def test_where_a_reference_is_lost(
    seed: int, shape: tuple[int, int], spread: float, beam: int, alpha: float, data: st.DataObject
) -> None:
    """Step, rank and margin of the loss; or finished, stopped, too long."""
    model, limits = tables(seed, shape, spread)
    symbols = [UNK, *range(EOS + 1, shape[0] + 2)]
    references = [
        (*data.draw(st.lists(st.sampled_from(symbols), max_size=shape[1])), EOS) if sentence % 4 else None
        for sentence in range(len(limits))
    ]
    recorder, follower = Recorder(len(limits), 0, Objective(alpha)), follower_of(references, limits)
    options = {"beam": beam, "objective": Objective(alpha)}
    beam_search(model, model.memory(), limits, **options, watcher=Both(recorder, follower))
    for sentence, (reference, limit) in enumerate(zip(references, limits, strict=True)):
        path = follower.path(sentence)
        if reference is None:
            assert path is None
            continue
        assert path is not None
        steps: list = []
        plain_beam(model, sentence, limit, beam, alpha, steps=steps)
        made = len(recorder.steps[sentence])  # the stop rule has its own test
        for number, (expected, finished, living) in enumerate(steps[:made], start=1):
            prefix = reference[:number]
            if number == limit and prefix[-1] != EOS:
                assert (path.ending, len(path.steps)) == (Ending.TOO_LONG, number - 1)
                break
            total = next(total for total, one in expected if one == prefix)
            taken = [total for total, one in expected if one in finished | living]
            step = path.steps[number - 1]
            assert step.rank == 1 + sum(other > total for other, _ in expected)
            assert step.total == pytest.approx(total, abs=1e-9)
            assert step.margin == pytest.approx(total - min(taken), abs=1e-9)
            if prefix in living and number < made:
                continue
            ending = Ending.STOPPED if prefix in living else Ending.FINISHED if prefix in finished else Ending.PRUNED
            assert (path.ending, len(path.steps)) == (ending, number)
            assert (step.margin < 0) == (ending == Ending.PRUNED)
            break


def holes(seed: int, shape: tuple[int, int], share: float) -> tuple[TableModel, list[int]]:
    """Random tables in which a share of all continuations has no probability, often all that follow a prefix."""
    model, limits = tables(seed, shape, 1.0)
    chance = torch.rand(model.table.shape, generator=torch.Generator().manual_seed(seed)) < share
    chance[:, 0] = False  # something can begin
    return TableModel(model.table.masked_fill(chance, -torch.inf)[..., SUPPORT:]), limits


@many
@given(
    seed=seeds,
    shape=shapes,
    share=st.sampled_from([0.3, 0.6, 0.9]),
    beam=st.integers(1, 4),
    alpha=st.sampled_from(ALPHAS),
    free_eos=st.booleans(),
    forbid_unk=st.booleans(),
    data=st.data(),
)
def test_where_a_reference_is_lost_among_dead_ends_and_under_rules(
    seed: int,
    shape: tuple[int, int],
    share: float,
    beam: int,
    alpha: float,
    free_eos: bool,
    forbid_unk: bool,
    data: st.DataObject,
) -> None:
    """A piece without probability is pruned, or the search stops where nothing else has any; a piece that a rule
    forbids is forbidden if it was good enough; what ends beyond the first B is not, though free EOS looks at 2B."""
    model, limits = holes(seed, shape, share)
    rules = Rules(free_eos=free_eos, forbid_unk=forbid_unk)
    symbols = [UNK, *range(EOS + 1, shape[0] + 2)]
    references = [(*data.draw(st.lists(st.sampled_from(symbols), max_size=shape[1])), EOS) for _ in limits]
    recorder, follower = Recorder(len(limits), 0, Objective(alpha)), follower_of(references, limits)
    options = {"beam": beam, "objective": Objective(alpha), "rules": rules}
    beam_search(model, model.memory(), limits, **options, watcher=Both(recorder, follower))
    for sentence, (reference, limit) in enumerate(zip(references, limits, strict=True)):
        steps: list = []
        plain_beam(model, sentence, limit, beam, alpha, rules=rules, steps=steps)
        made = len(recorder.steps[sentence])
        expected = planted_path(model, sentence, reference, limit, beam, rules, steps[:made])
        path = follower.path(sentence)
        assert path is not None and (path.ending, len(path.steps)) == expected


def planted_path(
    model: TableModel, sentence: int, reference: tuple[int, ...], limit: int, beam: int, rules: Rules, steps: list
) -> tuple[Ending, int]:
    """The ending and the number of steps that had the reference, from the plain record."""
    total = 0.0
    for number, (candidates, finished, living) in enumerate(steps, start=1):
        prefix = reference[:number]
        if number == limit and prefix[-1] != EOS:
            return Ending.TOO_LONG, number - 1
        total += model.log_probs(sentence, prefix[:-1])[prefix[-1]]
        if prefix in finished:
            return Ending.FINISHED, number
        if prefix in living:
            continue
        if total == -math.inf and not finished | living:
            return Ending.STOPPED, number - 1
        forbidden = rules.forbid_unk and prefix[-1] == UNK and number < limit
        needed = candidates[:beam] if prefix[-1] == EOS else [one for one in candidates if one[1] in finished | living]
        worse = any(other < total for other, _ in needed[-1:]) or not needed
        return Ending.FORBIDDEN if forbidden and worse and total > -math.inf else Ending.PRUNED, number
    return Ending.STOPPED, len(steps)


def test_a_dead_end_stops_the_search() -> None:
    """After "a" nothing has any probability: y* = "a b" was alive, and nothing could follow it or anything else."""
    a, b = 4, 5
    model = TableModel.written([{(): {a: 0.6, EOS: 0.4}}], symbols=4)
    model.table[0, 1:] = -math.inf
    follower = follower_of([(a, b, EOS)], [4])
    (found,) = beam_search(model, model.memory(), [4], beam=2, objective=Objective(0.0), watcher=follower)
    assert [one.tokens for one in found] == [(EOS,)]
    path = follower.path(0)
    assert path is not None and (path.ending, len(path.steps)) == (Ending.STOPPED, 1)


def test_what_ends_beyond_the_beam_is_pruned_under_free_eos() -> None:
    """Of step 2 at beam 2: "b" ends 0.54, "a x" 0.2, "a" ends 0.12, "a y" 0.08. "a x" and "a y" live on, and "a", which
    stands before the last of them, is not among the two that may end."""
    a, b, x, y = range(4, 8)
    table = {(): {a: 0.4, b: 0.6}, (a,): {EOS: 0.3, x: 0.5, y: 0.2}, (b,): {EOS: 0.9, x: 0.1}}
    model = TableModel.written([table], symbols=6)
    follower, rules = follower_of([(a, EOS)], [4]), Rules(free_eos=True)
    beam_search(model, model.memory(), [4], beam=2, objective=Objective(1.0), rules=rules, watcher=follower)
    path = follower.path(0)
    assert path is not None and path.ending == Ending.PRUNED and path.steps[1].rank == 3
    assert path.steps[1].margin == pytest.approx(math.log(0.12 / 0.2))


def test_greedy_search_leaves_the_reference_where_another_word_is_likelier() -> None:
    """The lecture's example: "Jane is visiting" is likelier as a whole, "Jane is going" at the third word."""
    jane, is_, visiting, going, africa = range(4, 9)
    model = TableModel.written(
        [
            {
                (): {jane: 1.0},
                (jane,): {is_: 1.0},
                (jane, is_): {visiting: 0.4, going: 0.6},
                (jane, is_, visiting): {africa: 1.0},
                (jane, is_, going): {africa: 0.5, EOS: 0.5},
            }
        ],
        symbols=9,
    )
    reference = (jane, is_, visiting, africa, EOS)
    for beam, expected in ((1, Ending.PRUNED), (2, Ending.FINISHED)):
        follower = follower_of([reference], [10])
        beam_search(model, model.memory(), [10], beam=beam, objective=Objective(0.0), watcher=follower)
        path = follower.path(0)
        assert path is not None and path.ending == expected
    follower = follower_of([reference], [10])
    beam_search(model, model.memory(), [10], beam=1, objective=Objective(0.0), watcher=follower)
    path = follower.path(0)
    assert path is not None and len(path.steps) == 3 and path.steps[2].rank == 2
    assert path.steps[2].margin == pytest.approx(torch.tensor(0.4 / 0.6).log().item(), abs=1e-6)
