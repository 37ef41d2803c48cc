"""Work in batches: every sentence once, halved where memory runs out, and a bug is a bug."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.batches.work import in_batches


class Ears:
    def __init__(self) -> None:
        self.results: list[Any] = []
        self.failures: dict[int, str] = {}

    def done(self, results: Sequence[Any]) -> None:
        self.results += results

    def failed(self, line: int, error: Exception) -> None:
        self.failures[line] = str(error)


def source(lengths: list[int]) -> Any:
    return SimpleNamespace(lengths=lengths, first=11)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 40), st.data())
def test_everyone_is_worked_on_once_within_the_budget(lengths: list[int], tokens: int, data: st.DataObject) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, len(lengths) - 1)))) if lengths else []
    batches: list[list[int]] = []

    def work(indices: list[int]) -> list[int]:
        batches.append(indices)
        return [100 + index for index in indices]

    found = in_batches(source(lengths), chosen, tokens, work)
    assert found == [100 + index if index in chosen else None for index in range(len(lengths))]
    assert sorted(index for batch in batches for index in batch) == chosen
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens for batch in batches)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
@settings(deadline=None)
@given(bad=st.sets(st.integers(0, 9), min_size=1))
def test_only_those_that_need_too_much_fail(error: Exception, bad: set[int]) -> None:
    def work(indices: list[int]) -> list[int]:
        if bad & set(indices):
            raise error
        return indices

    ears = Ears()
    found = in_batches(source([3] * 10), range(10), 99, work, ears)
    assert found == [None if index in bad else index for index in range(10)]
    assert ears.failures == {11 + index: str(error) for index in bad}
    assert sorted(ears.results) == sorted(set(range(10)) - bad)
    with pytest.raises(type(error)):
        in_batches(source([3] * 10), range(10), 99, work)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("no"), IndexError()]
)
def test_any_other_error_ends_the_work_at_once(error: Exception) -> None:
    """A bug must not look like a long line."""
    calls = []

    def work(indices: list[int]) -> list[int]:
        calls.append(indices)
        raise error

    with pytest.raises(type(error)):
        in_batches(source([3] * 10), range(10), 99, work, Ears())
    assert len(calls) == 1


def test_a_sentence_without_a_result_is_named() -> None:
    ears = Ears()
    found = in_batches(source([1, 2, 3]), range(3), 99, lambda indices: [i if i != 1 else None for i in indices], ears)
    assert found == [0, None, 2] and sorted(ears.results) == [0, 2]
    assert ears.failures == {12: "line 12: the model gives no finite probability; it is damaged, train it again"}
    with pytest.raises(ValueError, match="^line 12: the model gives no finite probability"):
        in_batches(source([1, 2, 3]), range(3), 99, lambda indices: [i if i != 1 else None for i in indices])
