"""Everything about a few sentences: pieces, what the model looked at, and the beam around the step that lost y*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.records import Record
from nmtkit.inspection.traces import Step, Trace, prefixes

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.search import Query
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.inspection.attended import Attended
    from nmtkit.inspection.tracing import Observed
    from nmtkit.translator import Translator

Map = tuple[tuple[tuple[float, ...], ...], ...]
"""Attention by layer: the weight of every source piece (EOS last) for every target piece."""

AROUND = 1
"""Steps shown before and after the one at which the beam lost y*."""


@dataclass(frozen=True)
class Detail:
    """What happened inside the model and the search for one sentence.

    Attributes:
        number: number of the record.
        source: source pieces as the model reads them, the end of sentence last.
        output, reference: pieces of ŷ and y*, the end of sentence last; `reference` is empty where y* was not scored.
        output_map, reference_map: what the model looked at for ŷ and for y*.
        steps: steps of the beam around the one that lost y*; the parent of a candidate is its rank in the step before.
        prefixes: the pieces of each candidate of these steps.
    """

    number: int
    source: tuple[str, ...]
    output: tuple[str, ...]
    reference: tuple[str, ...]
    output_map: Map
    reference_map: Map
    steps: tuple[Step, ...]
    prefixes: tuple[tuple[tuple[str, ...], ...], ...]


def explain(
    translator: Translator, sources: Sequence[str], records: Sequence[Record], settings: SearchSettings
) -> list[Detail]:
    """The detail of each record: these sentences are searched again, with forced passes over ŷ and y*.

    Args:
        sources: sources of the whole text, in which the records are numbered from 1.
    """
    from nmtkit.inspection.tracing import Observation, traces  # which loads torch

    source = translator.read([sources[record.number - 1] for record in records], settings)
    prefixes = [record.prefix for record in records]
    queries = [
        replace(query, reference=record.reference.tokens)
        for query, record in zip(translator.queries(source, settings, prefixes), records, strict=True)
    ]
    observations = translator.find(Observation.of(settings), source, settings, queries)
    traced = traces(translator, source, queries, observations, None)
    return [
        _detail(translator, source, query, record, trace, observed, settings)
        for query, record, (_, trace), observed in zip(queries, records, traced, observations, strict=True)
    ]


def _detail(
    translator: Translator,
    source: Source,
    query: Query,
    record: Record,
    trace: Trace,
    observed: Observed | None,
    settings: SearchSettings,
) -> Detail:
    from nmtkit.inspection.attended import attended  # which loads torch

    known = record.reference.tokens if record.reference.log_probs else ()
    targets = [record.output.tokens, *([known] if known else [])]
    maps = [_frozen(attended(translator, source, query.index, target, settings)) for target in targets]
    pieces = translator.tokenizer.target.pieces
    lost = len(observed.seen.path.steps) if observed and observed.seen.path else 0
    around = slice(max(0, lost - 1 - AROUND), lost + AROUND)
    return Detail(
        number=record.number,
        source=source.names(query.index),
        output=tuple(pieces(record.output.tokens)),
        reference=tuple(pieces(known)),
        output_map=maps[0],
        reference_map=maps[1] if known else (),
        steps=trace.steps[around],
        prefixes=tuple(tuple(candidates) for candidates in prefixes(trace.steps)[around]),
    )


def _frozen(attended: Attended) -> Map:
    """The attention to the source, averaged over heads."""
    return tuple(tuple(tuple(row) for row in layer.mean(0).tolist()) for layer in attended.cross)
