"""What the search missed: which width would have found y*, and what exact search proves."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.findings import Bounds, Proofs
from nmtkit.blame.records import Candidate, Certificate, Record, Verdict
from nmtkit.blame.rule import Rule, blank_as_empty, same_text
from nmtkit.evaluation.significance import wilson

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

WIDTHS = (2, 5, 10, 20, 50)
"""Beams that are tried, those wider than the one that missed y*."""


@dataclass(frozen=True)
class Budget:
    """Of exact search.

    Attributes:
        steps: model steps for a sentence.
        seconds: for a sentence, on average over a batch; None: only the steps count.
        sample: sentences asked, drawn at random by `seed`; None: all.
    """

    steps: int = 10_000
    seconds: float | None = None
    sample: int | None = None
    seed: int = 1

    def numbers(self, sentences: int) -> list[int]:
        """Indices of the sentences asked, ascending."""
        if self.sample is None or self.sample >= sentences:
            return list(range(sentences))
        return sorted(random.Random(self.seed).sample(range(sentences), self.sample))


def widen(
    translator: Translator,
    sources: Sequence[str],
    records: Sequence[Record],
    settings: SearchSettings,
    tolerance: float,
    widths: Sequence[int] = WIDTHS,
) -> list[Record]:
    """The records with the smallest width tried whose result reaches J(y*), for those whose beam missed it.

    A wider beam does not contain what a narrower one found, so every width is run.

    Args:
        sources: of the whole text, in which the records are numbered from 1.
    """
    found, rule = list(records), Rule(settings.objective, tolerance)
    for width in sorted(width for width in widths if width > settings.beam):
        left = [index for index, record in enumerate(found) if record.verdict == Verdict.BEAM and not _width(record)]
        lines = [sources[found[index].number - 1] for index in left]
        wider = translator.search(lines, replace(settings, beam=width, n_best=1), None)
        for index, (output, *_) in zip(left, wider, strict=True):
            parting = found[index].parting
            if parting is not None and not rule.higher(found[index].reference, output):
                found[index] = replace(found[index], parting=replace(parting, width=width))
    return found


def _width(record: Record) -> int | None:
    return record.parting.width if record.parting else None


def certify(
    translator: Translator,
    sources: Sequence[str],
    records: Sequence[Record],
    settings: SearchSettings,
    tolerance: float,
    budget: Budget,
    progress: Callable[[int, int], None] = lambda done, proved: None,
    keep: Callable[[Sequence[Record]], None] = lambda records: None,
) -> list[Record]:
    """The records with certificates of exact search, begun from the better of output and references.

    Those that have one already keep it, and are judged anew.

    Args:
        sources: of the whole text, in which the records are numbered from 1.
        progress: is told how many sentences are done, and of how many the best is proved.
        keep: is given all records after every `WINDOW` that were certified.
    """
    rule, asked = Rule(settings.objective, tolerance), budget.numbers(len(records))
    found = [_judged(record, record.certificate, rule) if record.certificate else record for record in records]
    for start in range(0, len(asked), WINDOW):
        window = asked[start : start + WINDOW]
        if any(found[index].certificate is None for index in window):
            certified = _certificates(translator, sources, [found[index] for index in window], settings, budget)
            for index, certificate in zip(window, certified, strict=True):
                found[index] = _judged(found[index], certificate, rule)
            keep(found)
        done = [one for index in asked[: start + len(window)] if (one := found[index].certificate)]
        progress(len(done), sum(one.proved for one in done))
    return found


def _judged(record: Record, one: Certificate, rule: Rule) -> Record:
    """The record with its certificate: whether the search missed another text, or the best pieces of its own."""
    higher, same = rule.higher(one.best, record.output), same_text(one.best.text, record.output.text)
    return replace(record, certificate=replace(one, error=higher and not same, other_pieces=higher and same))


def _certificates(
    translator: Translator,
    sources: Sequence[str],
    records: Sequence[Record],
    settings: SearchSettings,
    budget: Budget,
) -> list[Certificate]:
    """One for each record, not yet judged."""
    from nmtkit.decoding.beam import Beam  # which load torch
    from nmtkit.decoding.exact import Exact
    from nmtkit.decoding.proof import Effort

    source = translator.read([sources[record.number - 1] for record in records], settings)
    queries = []
    for query, record in zip(translator.queries(source, settings), records, strict=True):
        targets = [translator.encode_target(reference.text) for reference in record.references]
        fitting = tuple(target for target in targets if translator.holds(target, settings))
        queries.append(replace(query, targets=fitting))
    search = Exact(Beam.of(settings), Effort(budget.steps, budget.seconds))
    certificates = []
    for found in translator.find(search, source, settings, queries):
        assert found is not None
        best, total = found.best, sum(found.best.log_probs)
        j, text = settings.objective.final(total, best.length), translator.decode_target(best.tokens)
        candidate = Candidate(text, total, best.length, j, tokens=best.tokens, log_probs=best.log_probs)
        certificates.append(Certificate(candidate, False, found.proved, found.gap, found.steps, found.proved_limit))
    return certificates


WINDOW = 25
"""Sentences certified between two words of progress, and before they are kept."""


def count_proofs(records: Sequence[Record]) -> Proofs | None:
    """The certificates counted; None where there are none."""
    pairs = [(record, record.certificate) for record in records if record.certificate is not None]
    if not pairs:
        return None
    proved = [(record, one) for record, one in pairs if one.proved]
    pieces = sum(record.reference.length for record, _ in proved)
    found, left = sum(one.error for _, one in pairs), sum(not one.error and not one.proved for _, one in pairs)
    empty = sum(not blank_as_empty(one.best.text) for _, one in proved)
    unknown = [one for _, one in pairs if not one.proved]  # the end of sentence alone is tried in the first step
    may_be = sum(not blank_as_empty(one.best.text) or not one.steps for one in unknown)
    return Proofs(
        asked=len(pairs),
        proved=len(proved),
        errors=_bounds(found, found + left, len(pairs)),
        proved_errors=sum(one.error for _, one in proved),
        empty=_bounds(empty, empty + may_be, len(pairs)),
        gain=sum(max(0.0, one.best.score + one.gap - record.output.score) for record, one in pairs) / len(pairs),
        length_ratio=sum(one.best.length for _, one in proved) / pieces if pieces else 0.0,
        steps=sum(one.steps for _, one in pairs),
        other_pieces=sum(one.other_pieces for _, one in proved),
    )


def _bounds(least: int, most: int, of: int) -> Bounds:
    return Bounds(least, most, of, wilson(least, of)[0], wilson(most, of)[1])
