"""What the search missed: which width would have found y*, and what exact search proves."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.findings import Bounds, Proofs
from nmtkit.blame.records import Certificate, Record, Verdict
from nmtkit.blame.references import scored
from nmtkit.blame.rule import Rule, blank_as_empty, same_text
from nmtkit.evaluation.significance import wilson

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

WIDTHS = (2, 5, 10, 20, 50)
"""Beams that are tried, as far as they are wider than the beam that missed y*."""


@dataclass(frozen=True)
class Budget:
    """How much work exact search may do.

    Attributes:
        steps: model steps for a sentence.
        seconds: seconds for a sentence, on average over a batch; None: only the steps count.
        sample: number of sentences to search, drawn at random by `seed`; None: all.
    """

    steps: int = 10_000
    seconds: float | None = None
    sample: int | None = None
    seed: int = 1

    def numbers(self, sentences: int) -> list[int]:
        """Indices of the sentences to search, ascending."""
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
    """The records; where the beam missed y*, with the smallest width tried whose result reaches J(y*).

    A wider beam need not find what a narrower one found, so every width is run.

    Args:
        sources: sources of the whole text, in which the records are numbered from 1.
    """
    from nmtkit.decoding.beam import Beam  # which loads torch

    widened, rule = list(records), Rule(settings.objective, tolerance)
    for width in sorted(width for width in widths if width > settings.beam):
        left = [index for index, record in enumerate(widened) if record.verdict == Verdict.BEAM and not _width(record)]
        lines = [sources[widened[index].number - 1] for index in left]
        own, prefixes = replace(settings, beam=width, n_best=1), [widened[index].prefix for index in left]
        source = translator.read(lines, own)
        queries = translator.queries(source, own, prefixes)
        wider = translator.texts(translator.find(Beam.of(own), source, own, queries))
        for index, query, (best, *_) in zip(left, queries, wider, strict=True):
            parting, output = widened[index].parting, scored(best.text, best, query)
            if parting is not None and not rule.higher(widened[index].reference, output):
                widened[index] = replace(widened[index], parting=replace(parting, width=width))
    return widened


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
    """The records with certificates of exact search, which starts from the better of output and references.

    A record that already has a certificate keeps it, and is judged again.

    Args:
        sources: sources of the whole text, in which the records are numbered from 1.
        progress: called with the number of sentences done, and for how many the best is proved.
        keep: called with all records after every `WINDOW` sentences that were certified.
    """
    rule, asked = Rule(settings.objective, tolerance), budget.numbers(len(records))
    judged = [_judged(record, record.certificate, rule) if record.certificate else record for record in records]
    for start in range(0, len(asked), WINDOW):
        window = asked[start : start + WINDOW]
        if any(judged[index].certificate is None for index in window):
            certified = _certificates(translator, sources, [judged[index] for index in window], settings, budget)
            for index, certificate in zip(window, certified, strict=True):
                judged[index] = _judged(judged[index], certificate, rule)
            keep(judged)
        done = [proof for index in asked[: start + len(window)] if (proof := judged[index].certificate)]
        progress(len(done), sum(proof.proved for proof in done))
    return judged


def _judged(record: Record, certificate: Certificate, rule: Rule) -> Record:
    """The record with its certificate: whether the search missed another text, or the best pieces of its own."""
    higher, same = rule.higher(certificate.best, record.output), same_text(certificate.best.text, record.output.text)
    return replace(record, certificate=replace(certificate, error=higher and not same, other_pieces=higher and same))


def _certificates(
    translator: Translator,
    sources: Sequence[str],
    records: Sequence[Record],
    settings: SearchSettings,
    budget: Budget,
) -> list[Certificate]:
    """A certificate for each record, not yet judged."""
    from nmtkit.decoding.beam import Beam  # which load torch
    from nmtkit.decoding.exact import Exact
    from nmtkit.decoding.hypothesis import scored as forced
    from nmtkit.decoding.proof import Effort

    source = translator.read([sources[record.number - 1] for record in records], settings)
    queries, prefixes = [], [record.prefix for record in records]
    for query, record in zip(translator.queries(source, settings, prefixes), records, strict=True):
        targets = [translator.encode_target(reference.text) for reference in record.references]
        if record.twin:  # the search from which the exact one starts found another
            targets.append(record.output.tokens)
        fitting = tuple(target for target in targets if translator.holds(target, settings))
        queries.append(replace(query, targets=fitting))
    search = Exact(Beam.of(settings), Effort(budget.steps, budget.seconds))
    certificates = []
    for query, result in zip(queries, translator.find(search, source, settings, queries), strict=True):
        assert result is not None
        best = forced(result.best.tokens, result.best.log_probs, settings.objective, query.prefix)
        candidate = scored(translator.decode_target(best.tokens), best, query)
        certificates.append(Certificate(candidate, False, result.proved, result.gap, result.steps, result.proved_limit))
    return certificates


WINDOW = 25
"""Sentences that are certified between two reports of progress; after each window the records are kept."""


def count_proofs(records: Sequence[Record]) -> Proofs | None:
    """Count what the certificates say; None where there are no certificates."""
    pairs = [(record, record.certificate) for record in records if record.certificate is not None]
    if not pairs:
        return None
    proved = [(record, certificate) for record, certificate in pairs if certificate.proved]
    pieces = sum(record.reference.length for record, _ in proved)
    missed = sum(certificate.error for _, certificate in pairs)
    undecided = sum(not certificate.error and not certificate.proved for _, certificate in pairs)
    empty = sum(not blank_as_empty(certificate.best.text) for _, certificate in proved)
    # Exact search tries the empty translation, the end of sentence alone, in its first step if there is no prefix.
    may_be = sum(
        not blank_as_empty(certificate.best.text) or not (certificate.steps or record.prefix)
        for record, certificate in pairs
        if not certificate.proved
    )
    gains = (max(0.0, proof.best.score + proof.gap - record.output.score) for record, proof in pairs)
    return Proofs(
        asked=len(pairs),
        proved=len(proved),
        errors=_bounds(missed, missed + undecided, len(pairs)),
        proved_errors=sum(certificate.error for _, certificate in proved),
        empty=_bounds(empty, empty + may_be, len(pairs)),
        gain=sum(gains) / len(pairs),
        length_ratio=sum(certificate.best.length for _, certificate in proved) / pieces if pieces else 0.0,
        steps=sum(certificate.steps for _, certificate in pairs),
        other_pieces=sum(certificate.other_pieces for _, certificate in proved),
    )


def _bounds(least: int, most: int, of: int) -> Bounds:
    return Bounds(least, most, of, wilson(least, of)[0], wilson(most, of)[1])
