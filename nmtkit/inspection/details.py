"""All that can be told about a few sentences: pieces, what the model looked at, and the beam where it lost y*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmtkit.blame.records import Record
from nmtkit.inspection.traces import Step, prefixes
from nmtkit.inspection.tracing import observe
from nmtkit.specials import EOS

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Attended, Translator

Map = tuple[tuple[tuple[float, ...], ...], ...]
"""Attention, layer by layer: the weight of every source piece (EOS the last) for every target piece."""

AROUND = 1
"""Steps shown before and after the one at which the beam lost y*."""


@dataclass(frozen=True)
class Detail:
    """A sentence from inside.

    Attributes:
        number: of the record.
        source: pieces as the model reads them, the end of sentence the last.
        output, reference: pieces of ŷ and y*, likewise; none of a y* that was not scored.
        output_map, reference_map: what the model looked at for either.
        steps: of the beam, around the one at which y* was lost; a candidate's parent is a rank of the step before.
        prefixes: of each candidate of these steps the pieces.
    """

    number: int
    source: tuple[str, ...]
    output: tuple[str, ...]
    reference: tuple[str, ...]
    output_map: Map
    reference_map: Map
    steps: tuple[Step, ...]
    prefixes: tuple[tuple[tuple[str, ...], ...], ...]


def explain(translator: Translator, records: Sequence[Record], settings: SearchSettings) -> list[Detail]:
    """One detail for each record, by another search of these sentences and a forced pass over ŷ and y*."""
    lines = [record.source for record in records]
    _, seen = observe(translator, lines, [record.reference.tokens for record in records], settings, None)
    own = translator.attention(lines, [record.output.tokens for record in records], settings)
    scored = [record for record in records if record.reference.log_probs]
    maps = translator.attention(
        [record.source for record in scored], [record.reference.tokens for record in scored], settings
    )
    known = {record.number: _frozen(one) for record, one in zip(scored, maps, strict=True)}
    source, target = translator.tokenizer.source, translator.tokenizer.target
    details = []
    for record, (steps, path), for_output in zip(records, seen, own, strict=True):
        pieces = source.pieces(translator.encode_source(record.source, settings)[:-1])
        lost = len(path.steps) if path else 0
        first, last = max(0, lost - 1 - AROUND), lost + AROUND
        details.append(
            Detail(
                number=record.number,
                source=(*pieces, *target.pieces([EOS])),
                output=tuple(target.pieces(record.output.tokens)),
                reference=tuple(target.pieces(record.reference.tokens if record.number in known else ())),
                output_map=_frozen(for_output),
                reference_map=known.get(record.number, ()),
                steps=steps[first:last],
                prefixes=tuple(tuple(one) for one in prefixes(steps)[first:last]),
            )
        )
    return details


def _frozen(attended: Attended) -> Map:
    """The mean of the heads."""
    return tuple(tuple(tuple(row) for row in layer.mean(0).tolist()) for layer in attended.cross)
