"""For tests of searches: each search as one call, on a memory or on a translator's lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from nmtkit.decoding.beam import Beam, ByLength, Sweep
from nmtkit.decoding.exact import Certified, Exact
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.proof import Effort, Proof
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.search import Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.decoding.watching import Watcher
from nmtkit.translator import Translator

PLAIN = Rules()


def encoded(memory: Any) -> Any:
    """A batch whose memory is there already."""
    return SimpleNamespace(memory=memory)


def queries(limits: Sequence[int], minimums: Sequence[int] | None = None) -> list[Query]:
    return [Query(limit, minimum) for limit, minimum in zip(limits, minimums or [1] * len(limits), strict=True)]


def beam_search(
    model: Any,
    memory: Any,
    limits: Sequence[int],
    *,
    beam: int,
    objective: Objective,
    n_best: int = 1,
    minimums: Sequence[int] | None = None,
    rules: Rules = PLAIN,
    watcher: Watcher | None = None,
) -> list[list[Hypothesis]]:
    search = Beam(beam, objective, n_best, rules)
    found = search.watched(model, encoded(memory), queries(limits, minimums), watcher)
    return [hypotheses or [] for hypotheses in found]


def beam_sweep(
    model: Any,
    memory: Any,
    limits: Sequence[int],
    *,
    beam: int,
    objectives: Sequence[Objective],
    n_best: int = 1,
    minimums: Sequence[int] | None = None,
    rules: Rules = PLAIN,
) -> list[list[list[Hypothesis]]]:
    """By objective, then by sentence."""
    search = Sweep((beam,), tuple(objectives), n_best, rules)
    found = search.find(model, encoded(memory), queries(limits, minimums))
    return [[swept.hypotheses[beam, one] if swept else [] for swept in found] for one in objectives]


def beam_by_length(
    model: Any,
    memory: Any,
    limits: Sequence[int],
    *,
    beam: int,
    objective: Objective,
    minimums: Sequence[int] | None = None,
    rules: Rules = PLAIN,
) -> list[list[list[Hypothesis]]]:
    """Of every sentence a list for each length up to its limit, those that nothing has too."""
    search = ByLength(Beam(beam, objective, 1, rules))
    lists: list[list[list[Hypothesis]]] = []
    for limit, found in zip(limits, search.find(model, encoded(memory), queries(limits, minimums)), strict=True):
        known = {ones[0].length: ones for ones in found or []}
        lists.append([known.pop(length, []) for length in range(1, limit + 1)])
        assert not known
    return lists


def exact_search(
    model: Any,
    memory: Any,
    limits: Sequence[int],
    *,
    objective: Objective,
    minimums: Sequence[int] | None = None,
    forbid_unk: bool = False,
    incumbents: Sequence[Sequence[Hypothesis]] | None = None,
    budget_steps: int = 10_000,
    budget_seconds: float | None = None,
    **effort: Any,
) -> list[Proof]:
    """Depth-first search alone, from the incumbents; all seconds are for all sentences together."""
    asked = [
        Query(query.limit, query.minimum, incumbents=tuple(known))
        for query, known in zip(queries(limits, minimums), incumbents or [()] * len(limits), strict=True)
    ]
    seconds = None if budget_seconds is None else budget_seconds / max(1, len(limits))
    search = Exact(Beam(1, objective, 1, Rules(forbid_unk=forbid_unk)), Effort(budget_steps, seconds, **effort))
    return search.prove(model, memory, asked)


def score_tokens(
    translator: Translator,
    lines: Sequence[str],
    targets: Sequence[Sequence[Sequence[int]]],
    settings: SearchSettings,
    first_line: int | None = None,
    listener: Any = None,
) -> list[list[Hypothesis]]:
    return translator.score(translator.read(lines, settings, first_line), targets, settings, listener=listener)


def score_texts(
    translator: Translator, lines: Sequence[str], texts: Sequence[str], settings: SearchSettings
) -> list[Hypothesis]:
    """One text a line."""
    scores = score_tokens(translator, lines, [[translator.encode_target(text)] for text in texts], settings)
    return [score for (score,) in scores]


def limits(translator: Translator, lines: Sequence[str], settings: SearchSettings) -> list[int]:
    return [query.limit for query in translator.queries(translator.read(lines, settings), settings)]


def search_by_length(
    translator: Translator, lines: Sequence[str], settings: SearchSettings
) -> list[list[list[Hypothesis]]]:
    source = translator.read(lines, settings)
    return [lists or [] for lists in translator.find(ByLength(Beam.of(settings)), source, settings)]


def sweep(
    translator: Translator,
    lines: Sequence[str],
    settings: SearchSettings,
    beams: Sequence[int],
    alphas: Sequence[float],
) -> tuple[dict[tuple[int, float], list[list[Hypothesis]]], dict[int, float]]:
    """What every beam and exponent finds, and the seconds of each beam."""
    objectives = {alpha: replace(settings, length_alpha=alpha).objective for alpha in alphas}
    search = Sweep(tuple(beams), tuple(objectives.values()), settings.n_best, settings.rules)
    found = translator.find(search, translator.read(lines, settings), settings)
    lists = {
        (beam, alpha): [swept.hypotheses[beam, objectives[alpha]][:beam] for swept in found if swept]
        for beam in beams
        for alpha in alphas
    }
    return lists, {beam: sum(swept.seconds[beam] for swept in found if swept) for beam in beams}


def search_exactly(
    translator: Translator,
    lines: Sequence[str],
    settings: SearchSettings,
    *,
    budget_steps: int = 10_000,
    budget_seconds: float | None = None,
    references: Sequence[Sequence[str]] = (),
    listener: Any = None,
    search: Any = Exact,
    **effort: Any,
) -> list[Certified | None]:
    """References that are too long to be scored do nothing."""
    source = translator.read(lines, settings, 1)
    queries = translator.queries(source, settings)
    for texts in references:
        ids = [translator.encode_target(text) for text in texts]
        queries = [
            replace(query, targets=(*query.targets, *([tokens] if translator.holds(tokens, settings) else [])))
            for query, tokens in zip(queries, ids, strict=True)
        ]
    exact = search(Beam.of(settings), Effort(budget_steps, budget_seconds, **effort))
    return translator.find(exact, source, settings, queries, listener=listener)
