"""A search is a value: whatever finds something is one, and a batch is encoded once, and not before it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from support.toys import TableModel

from nmtkit.decoding.beam import Beam, ByLength, Sweep
from nmtkit.decoding.exact import Exact
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.sample import Sample
from nmtkit.decoding.search import Encoded, Joined, Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.decoding.trace import Traced
from nmtkit.specials import EOS

BEAM = Beam(2, Objective(0.7))
SEARCHES: dict[str, Any] = {
    "beam": BEAM,
    "by length": ByLength(BEAM),
    "sweep": Sweep((1, 3), (Objective(0.0), Objective(1.0))),
    "exact": Exact(BEAM),
    "forced": Forced(Objective(0.7)),
    "traced": Traced(BEAM, 4),
    "sample": Sample(3, Objective(0.7)),
}


class Counting(TableModel):
    """Counts how often it encodes."""

    encoded = 0

    def encode(self, source: torch.Tensor, mask_BS: torch.Tensor) -> Any:
        self.encoded += 1
        return super().encode(source, mask_BS)


def model(sentences: int = 3) -> Counting:
    table = TableModel.random(4, sentences=sentences, symbols=4, depth=4).table[..., 2:]
    return Counting(table)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_batch_is_encoded_once_whatever_the_search(name: str) -> None:
    toy = model()
    queries = [Query(4, targets=((4, EOS), (EOS,)), reference=(4, EOS), index=index) for index in range(3)]
    batch = Encoded(toy, *toy.sources())
    assert toy.encoded == 0
    found = SEARCHES[name].find(toy, batch, queries)
    assert len(found) == 3 and None not in found and toy.encoded == 1
    SEARCHES[name].find(toy, batch, queries)
    assert toy.encoded == 1


def test_a_search_of_searches_needs_no_permission() -> None:
    """Anything with `find` is a search: here the longer of the two best outputs."""

    class Longer:
        def find(self, stepper: Any, batch: Any, queries: Sequence[Query]) -> list[Any]:
            found = Beam(4, Objective(0.7), n_best=2).find(stepper, batch, queries)
            return [max(hypotheses or [], key=lambda hypothesis: hypothesis.length) for hypotheses in found]

    toy = model()
    found = Longer().find(toy, Encoded(toy, *toy.sources()), [Query(4) for _ in range(3)])
    both = Beam(4, Objective(0.7), n_best=2).find(toy, Encoded(toy, *toy.sources()), [Query(4) for _ in range(3)])
    assert [one.length for one in found] == [max(hypothesis.length for hypothesis in own or []) for own in both]


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "forced"])
def test_nothing_finite_is_no_result(name: str) -> None:
    """A damaged model gives none; the sentence beside it has one."""
    toy = model(2)
    toy.table[1] = float("nan")
    found = SEARCHES[name].find(toy, Encoded(toy, *toy.sources()), [Query(3), Query(3)])
    assert found[0] is not None and found[1] is None


def test_the_settings_make_the_beam() -> None:
    settings = SearchSettings(beam=7, length_alpha=0.3, n_best=4, patience=2.0, free_eos=True, length_penalty="gnmt")
    beam = Beam.of(settings)
    assert (beam.width, beam.n_best, beam.objective) == (7, 4, Objective(0.3, "gnmt"))
    assert beam.rules == Rules(patience=2.0, free_eos=True)


def test_exact_search_refuses_what_has_no_bound() -> None:
    class Unbounded(Objective):
        @property
        def bounded(self) -> bool:
            return False

    with pytest.raises(ValueError, match="no bound"):
        Exact(Beam(2, Unbounded(0.7)))
    with pytest.raises(ValueError, match="no_repeat_ngram"):
        Exact(Beam(2, Objective(), rules=Rules(no_repeat_ngram=2)))
    with pytest.raises(ValueError, match="patience"):
        ByLength(Beam(2, Objective(), rules=Rules(patience=1.0)))


def test_joined_lists_follow_one_another_and_encode_once() -> None:
    toy, queries = model(), [Query(4, line=line) for line in (1, 2, 3)]
    batch, parts = Encoded(toy, *toy.sources()), (Beam(4, Objective(), 2), Sample(3, Objective()))
    found = Joined(parts).find(toy, batch, queries)
    lists = [part.find(toy, batch, queries) for part in parts]
    assert found == [[best or [], drawn or []] for best, drawn in zip(*lists, strict=True)] and toy.encoded == 1
