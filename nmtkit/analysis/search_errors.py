"""What the search missed: which width would have found y*, and what exact search proves."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.analysis.records import Bounds, Candidate, Certificate, Proofs, Record, Verdict
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
    records: Sequence[Record],
    settings: SearchSettings,
    tolerance: float,
    widths: Sequence[int] = WIDTHS,
) -> list[Record]:
    """The records with the smallest width tried whose result reaches J(y*), for those whose beam missed it.

    A wider beam does not contain what a narrower one found, so every width is run.
    """
    found = list(records)
    for width in sorted(width for width in widths if width > settings.beam):
        left = [index for index, record in enumerate(found) if record.verdict == Verdict.BEAM and not _width(record)]
        lines = [found[index].source for index in left]
        wider = translator.search(lines, replace(settings, beam=width, n_best=1), None)
        for index, (output, *_) in zip(left, wider, strict=True):
            loss = found[index].loss
            if loss is not None and output.score >= found[index].reference.score - tolerance:
                found[index] = replace(found[index], loss=replace(loss, width=width))
    return found


def _width(record: Record) -> int | None:
    return record.loss.width if record.loss else None


def certify(
    translator: Translator,
    records: Sequence[Record],
    settings: SearchSettings,
    tolerance: float,
    budget: Budget,
    progress: Callable[[int, int], None] = lambda done, proved: None,
    keep: Callable[[Sequence[Record]], None] = lambda records: None,
) -> list[Record]:
    """The records with certificates of exact search, begun from the better of output and references.

    Those that have one already keep it.

    Args:
        progress: is told how many sentences are done, and of how many the best is proved.
        keep: is given all records after every `WINDOW` that were certified.
    """
    found, asked = list(records), budget.numbers(len(records))
    for start in range(0, len(asked), WINDOW):
        window = asked[start : start + WINDOW]
        if any(found[index].certificate is None for index in window):
            certified = _certificates(translator, [found[index] for index in window], settings, tolerance, budget)
            for index, certificate in zip(window, certified, strict=True):
                found[index] = replace(found[index], certificate=certificate)
            keep(found)
        done = [one for index in asked[: start + len(window)] if (one := found[index].certificate)]
        progress(len(done), sum(one.proved for one in done))
    return found


def _certificates(
    translator: Translator, records: Sequence[Record], settings: SearchSettings, tolerance: float, budget: Budget
) -> list[Certificate]:
    """One for each record."""
    known = zip(*([one.text for one in record.references] for record in records), strict=True)
    certified = translator.search_exactly(
        [record.source for record in records],
        settings,
        budget_steps=budget.steps,
        budget_seconds=budget.seconds,
        references=list(known),
        first_line=None,
    )
    made = []
    for record, one in zip(records, certified, strict=True):
        assert one is not None
        best, total = one.best, sum(one.best.log_probs)
        j = settings.objective.final(total, best.length)
        candidate = Candidate(best.text, total, best.length, j, tokens=best.tokens, log_probs=best.log_probs)
        error = j > record.output.score + tolerance
        made.append(Certificate(candidate, error, one.proved, one.gap, one.steps, one.proved_limit))
    return made


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
    empty = sum(one.best.length == 1 for _, one in proved)
    may_be = sum(one.best.length == 1 or not one.steps for _, one in pairs if not one.proved)  # tried in the first step
    return Proofs(
        asked=len(pairs),
        proved=len(proved),
        errors=_bounds(found, found + left, len(pairs)),
        proved_errors=sum(one.error for _, one in proved),
        empty=_bounds(empty, empty + may_be, len(pairs)),
        gain=sum(max(0.0, one.best.score + one.gap - record.output.score) for record, one in pairs) / len(pairs),
        length_ratio=sum(one.best.length for _, one in proved) / pieces if pieces else 0.0,
        steps=sum(one.steps for _, one in pairs),
    )


def _bounds(least: int, most: int, of: int) -> Bounds:
    return Bounds(least, most, of, wilson(least, of)[0], wilson(most, of)[1])
