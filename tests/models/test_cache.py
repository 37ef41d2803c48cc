"""The cache is a value: whatever is done with others, none ever changes."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from torch import Tensor

from nmtkit.models.cache import Cache

LAYERS, HEADS, CHANNELS = 2, 2, 3

Oracle = tuple[int, list[Tensor]]
"""Rows, and the pairs of each position, (N, L, 2, H, C): a plain list that is copied on every change."""


def appended(cache: Cache, pair_NL2HC: Tensor) -> Cache:
    cache = cache.grown()
    for layer in range(LAYERS):
        cache.write(layer, pair_NL2HC[:, layer])
    return cache


def seen(cache: Cache, layer: int, recent: int | None = None) -> tuple[Tensor, Tensor]:
    """What a layer sees: its last pair written once more, which changes nothing."""
    last = cache._buffer.pairs[:, layer, :, :, cache.length - 1].clone()
    return cache.write(layer, last, recent)


def assert_holds(cache: Cache, oracle: Oracle) -> None:
    rows, pairs = oracle
    assert (cache.size(), cache.length) == (rows, len(pairs))
    for layer in range(LAYERS if pairs else 0):
        for recent in (None, 1, 2, 100):
            visible = pairs[-(recent or 0) :]
            for side, tensor in enumerate(seen(cache, layer, recent)):
                assert torch.equal(tensor, torch.stack([pair[:, layer, side] for pair in visible], dim=2))


class CacheMachine(RuleBasedStateMachine):
    """Any cache made so far may be appended to, selected from or branched, in any order; none may ever change."""

    caches = Bundle("caches")

    def __init__(self) -> None:
        super().__init__()
        self.everything: list[tuple[Cache, Oracle]] = []
        self.generator = torch.Generator().manual_seed(0)

    def _new(self, cache: Cache, oracle: Oracle) -> int:
        self.everything.append((cache, oracle))
        for one, expected in self.everything:
            assert_holds(one, expected)
        return len(self.everything) - 1

    def _append(self, index: int) -> tuple[Cache, Oracle]:
        cache, (rows, pairs) = self.everything[index]
        pair = torch.randn(rows, LAYERS, 2, HEADS, CHANNELS, generator=self.generator)
        return appended(cache, pair), (rows, [*pairs, pair])

    @initialize(target=caches, rows=st.integers(1, 3))
    def empty(self, rows: int) -> int:
        return self._new(Cache.empty(rows, LAYERS, HEADS, CHANNELS, torch.empty(0)), (rows, []))

    @rule(target=caches, index=caches)
    def append(self, index: int) -> int:
        return self._new(*self._append(index))

    @rule(target=caches, index=caches, times=st.integers(2, 2 * Cache.SPARE + 1))
    def append_many(self, index: int, times: int) -> int:
        for _ in range(times):
            self.everything.append(self._append(index))
            index = len(self.everything) - 1
        return self._new(*self.everything.pop())

    @rule(target=caches, index=caches, data=st.data())
    def select(self, index: int, data: st.DataObject) -> int:
        cache, (rows, pairs) = self.everything[index]
        picked = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=4)))
        return self._new(cache.select(picked), (len(picked), [pair[picked] for pair in pairs]))

    @rule(index=caches)
    def branch(self, index: int) -> None:
        """Two children of one parent, then a child of the first."""
        for _ in range(2):
            self._new(*self._append(index))
        self._new(*self._append(len(self.everything) - 2))


CacheMachine.TestCase.settings = settings(
    database=None, derandomize=True, deadline=None, max_examples=40, stateful_step_count=14
)
test_cache_is_a_value = CacheMachine.TestCase


def test_greedy_appending_does_not_copy() -> None:
    """Appending to the newest cache writes in place until the spare positions are used up."""
    cache = Cache.empty(2, LAYERS, HEADS, CHANNELS, torch.empty(0))
    places = []
    for _ in range(2 * Cache.SPARE):
        cache = appended(cache, torch.ones(2, LAYERS, 2, HEADS, CHANNELS))
        places.append(seen(cache, 0)[0].data_ptr())
    assert len(set(places)) == 2


def test_cache_takes_precision_from_its_model() -> None:
    cache = Cache.empty(1, 1, 1, 1, torch.empty(0, dtype=torch.float64)).grown()
    assert cache.write(0, torch.ones(1, 2, 1, 1))[0].dtype == torch.float64
