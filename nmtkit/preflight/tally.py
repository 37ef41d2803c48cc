"""How often each kind of finding occurs, and the first pairs of each."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nmtkit.preflight.findings import Example, Finding, Kind
from nmtkit.preflight.repeats import Numbers


class Tally:
    """Counts findings; `examples` pairs of each kind are kept."""

    def __init__(self, kinds: Iterable[Kind], examples: int) -> None:
        self._kinds = tuple(kinds)
        self._most = examples
        self._pairs: Counter[Kind] = Counter()
        self._sides: dict[Kind, tuple[int, int]] = {}
        self._units: Counter[Kind] = Counter()
        self._examples: dict[Kind, list[Example]] = {}

    def pairs(self, kind: Kind, numbers: Numbers, others: Any = None) -> None:
        """Pairs in which the kind was found, as numbers from 0, each once.

        Args:
            others: the numbers of the pairs that they repeat.
        """
        self._pairs[kind] += len(numbers)
        if not len(numbers) or not self._most:
            return
        order = np.argsort(numbers, kind="stable")[: self._most]
        found = [
            Example(int(numbers[place]) + 1, None if others is None else int(others[place]) + 1) for place in order
        ]
        known = self._examples.get(kind, [])
        self._examples[kind] = heapq.nsmallest(self._most, [*known, *found], key=lambda example: example.line)

    def sides(self, kind: Kind, source: Numbers, target: Numbers) -> Numbers:
        """Pairs in whose source and in whose target the kind was found; returns the pairs, each once."""
        both = np.union1d(source, target)
        self.pairs(kind, both)
        known = self._sides.get(kind, (0, 0))
        self._sides[kind] = (known[0] + len(source), known[1] + len(target))
        return both

    def units(self, kind: Kind, number: int) -> None:
        """Single occurrences of what was found."""
        self._units[kind] += number

    def frequent(self, kind: Kind, numbers: Numbers, times: Numbers, first: Numbers) -> None:
        """Pairs with a line that is frequent; how often each such line occurs, and where first."""
        self._pairs[kind] += len(numbers)
        found = [Example(int(line) + 1, times=int(often)) for often, line in zip(times, first, strict=True)]
        known = self._examples.get(kind, [])
        self._examples[kind] = heapq.nsmallest(
            self._most, [*known, *found], key=lambda example: (-(example.times or 0), example.line)
        )

    def lines(self) -> set[int]:
        """The line numbers of all examples."""
        return {example.line for examples in self._examples.values() for example in examples}

    def findings(self, texts: tuple[Mapping[int, str], Mapping[int, str]], longest: int) -> tuple[Finding, ...]:
        """All findings, with `longest` characters of the texts of examples, given by line number."""
        sources, targets = texts
        findings = []
        for kind in self._kinds:
            examples = tuple(
                replace(
                    example,
                    source=sources.get(example.line, "")[:longest],
                    target=targets.get(example.line, "")[:longest],
                )
                for example in self._examples.get(kind, [])
            )
            source, target = self._sides.get(kind, (None, None))
            findings.append(Finding(kind, self._pairs[kind], source, target, self._units.get(kind), examples))
        return tuple(findings)
