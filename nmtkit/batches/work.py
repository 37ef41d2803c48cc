"""Work on a source in batches of similar length: results stay in order, and a sentence that fails fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from nmtkit.batches.batch import group
from nmtkit.batches.source import Source
from nmtkit.memory import ran_out

Result = TypeVar("Result")

DAMAGED = "the model gives no finite probability; it is damaged, train it again"


class Listener(Protocol):
    """Is told of the sentences that are done and of those that failed."""

    def done(self, results: Sequence[Any]) -> None:
        """More sentences are done; their results, in no particular order."""

    def failed(self, line: int, error: Exception) -> None:
        """The sentence of this number failed; the others go on."""


def in_batches(
    source: Source,
    indices: Sequence[int],
    tokens: int,
    work: Callable[[list[int]], Sequence[Result | None]],
    listener: Listener | None = None,
    nothing: str = DAMAGED,
) -> list[Result | None]:
    """Work on sentences of a source in batches of similar length; a result for each sentence of the source, or None.

    A batch that needs too much memory is halved until the sentences that need too much stand alone. Any other
    error ends the work.

    Args:
        indices: the sentences to work on.
        tokens: most padded source positions of a batch.
        work: takes the indices of a batch; returns a result for each, None for one that failed.
        listener: is told how the sentences fare; those that fail have the result None. None: an error is raised.
        nothing: the reason to give for a sentence without a result.
    """
    lengths = source.lengths
    order = sorted(indices, key=lambda index: lengths[index])
    results: list[Result | None] = [None] * len(lengths)
    batches = group([1] * len(lengths), lengths, order, tokens)[::-1]
    while batches:
        chosen = batches.pop()
        try:
            own = work(chosen)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if half := len(chosen) // 2:
                batches += [chosen[half:], chosen[:half]]
            else:
                fail(listener, source.first + chosen[0], error)
            continue
        if listener is not None:
            listener.done([result for result in own if result is not None])
        for index, result in zip(chosen, own, strict=True):
            results[index] = result
            if result is None:
                number = source.first + index
                fail(listener, number, ValueError(f"line {number}: {nothing}"))
    return results


def fail(listener: Listener | None, number: int, error: Exception) -> None:
    """Tell the listener that a sentence failed; without a listener, raise the error."""
    if listener is None:
        raise error
    listener.failed(number, error)
