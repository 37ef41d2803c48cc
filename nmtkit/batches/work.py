"""Work on a source in batches of like length: results in the order of the sentences, what fails alone by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from nmtkit.batches.batch import group
from nmtkit.batches.source import Source
from nmtkit.memory import ran_out

Result = TypeVar("Result")


class Listener(Protocol):
    """Hears how the sentences fare."""

    def done(self, results: Sequence[Any]) -> None:
        """Some more sentences are done: what came of them, in no order."""

    def failed(self, line: int, error: Exception) -> None:
        """The sentence of this number could not be done; the others go on."""


def in_batches(
    source: Source,
    indices: Sequence[int],
    tokens: int,
    work: Callable[[list[int]], Sequence[Result | None]],
    listener: Listener | None = None,
) -> list[Result | None]:
    """Do some work on sentences of a source, in batches of like length; a result for each of the source (None: none).

    A batch for which memory does not suffice is halved until the sentences that need too much stand alone. Any other
    error ends the work.

    Args:
        indices: of the sentences.
        tokens: most padded source positions of a batch.
        work: given the indices of some sentences returns a result for each, None for one that failed.
        listener: hears how the sentences fare; those that fail have no result (None). None: the error is raised.
    """
    lengths = source.lengths
    order = sorted(indices, key=lambda index: lengths[index])
    results: list[Result | None] = [None] * len(lengths)
    batches = group([1] * len(lengths), lengths, order, tokens)[::-1]
    while batches:
        chosen = batches.pop()
        try:
            found = work(chosen)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if half := len(chosen) // 2:
                batches += [chosen[half:], chosen[:half]]
            else:
                fail(listener, source.first + chosen[0], error)
            continue
        if listener is not None:
            listener.done([result for result in found if result is not None])
        for index, result in zip(chosen, found, strict=True):
            results[index] = result
            if result is None:
                number = source.first + index
                reason = "the model gives no finite probability; it is damaged, train it again"
                fail(listener, number, ValueError(f"line {number}: {reason}"))
    return results


def fail(listener: Listener | None, number: int, error: Exception) -> None:
    """Tell the listener that a sentence could not be done; without one the error is raised."""
    if listener is None:
        raise error
    listener.failed(number, error)
