"""Lines to translate or score: in batches of like length, results in their order, what fails alone by itself.

Shape key: B sentences, S source positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from nmtkit.batches.batch import group
from nmtkit.models.interface import Model
from nmtkit.specials import PAD


class Listener(Protocol):
    """Hears how the lines fare."""

    def done(self, results: Sequence[Any]) -> None:
        """Some more lines are done: what came of them, in no order."""

    def failed(self, line: int, error: Exception) -> None:
        """The line of this number could not be done; the others go on."""


@dataclass(frozen=True)
class Sources:
    """Lines as a model reads them.

    Attributes:
        ids: of each line, EOS last.
        lengths: fewest and most target pieces of each line, EOS counted.
        first_line: number of the first.
    """

    ids: list[list[int]]
    lengths: list[tuple[int, int]]
    first_line: int = 1

    def minimums(self, chosen: Sequence[int]) -> list[int]:
        """The fewest target pieces of some lines."""
        return [self.lengths[index][0] for index in chosen]

    def limits(self, chosen: Sequence[int]) -> list[int]:
        """The most target pieces of some lines."""
        return [self.lengths[index][1] for index in chosen]


@torch.no_grad()
def in_batches(
    model: Model,
    sources: Sources,
    tokens: int,
    work: Callable[[list[int], Any], list[Any]],
    listener: Listener | None = None,
    sizes: Sequence[int] | None = None,
) -> list[Any]:
    """Encode the sources in batches of like length and give each batch's indices and memory to `work`.

    A batch that fails is halved until the lines that fail stand alone; those have no result (None).

    Args:
        tokens: most padded source pieces of a batch.
        work: returns a result for each index.
        listener: hears how the lines fare; None: the error of a line that fails is raised.
        sizes: of the work for each line, where it fills the memory more than its source does.
    """
    lengths = [len(source) for source in sources.ids]
    sizes = sizes or [1] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], sizes[index]))
    results: list[Any] = [None] * len(lengths)
    batches = group(sizes, lengths, order, tokens)[::-1]
    while batches:
        chosen = batches.pop()
        try:
            found = work(chosen, _encode(model, [sources.ids[index] for index in chosen]))
        except (ValueError, RuntimeError, MemoryError) as error:
            half = len(chosen) // 2
            if half:
                batches += [chosen[half:], chosen[:half]]
            elif listener is None:
                raise
            else:
                listener.failed(sources.first_line + chosen[0], error)
            continue
        if listener is not None:
            listener.done(found)
        for index, result in zip(chosen, found, strict=True):
            results[index] = result
    return results


def _encode(model: Model, sources: list[list[int]]) -> Any:
    longest = max(map(len, sources))
    source_BS = torch.tensor([[*ids, *[PAD] * (longest - len(ids))] for ids in sources], device=model.device)
    return model.encode(source_BS, source_BS != PAD)
