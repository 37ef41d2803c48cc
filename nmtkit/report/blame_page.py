"""The report of an error analysis as one self-contained page: shares, curves, and every sentence to look into.

The page stays below `MOST_BYTES`. Each sentence has a line; where not all have room, the most telling ones go first.
Full detail is added for the most telling sentences that were explained, as far as there is room. The most telling
sentences are the errors of the row that the advice rests on, verdicts in turn, with the widest difference in J first;
the others follow in the order of the text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from nmtkit.blame.findings import Report
from nmtkit.blame.records import Candidate, Obstacle, Record, Verdict
from nmtkit.blame.sweep import Sweep
from nmtkit.evaluation.metric import Scale
from nmtkit.report.blame import all_in_turn
from nmtkit.report.blame_summary import summary
from nmtkit.report.rows import worse
from nmtkit.report.trace_page import embedded
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.inspection.details import Detail, Map

MOST_BYTES = 19_000_000
"""The most bytes of the page without its template."""
LINES_BYTES = 12_000_000
"""The most of these bytes that the lines of the sentences may take."""
DETAILS = 200
"""Sentences that are explained in full by default; in a shorter text, all are."""
CANDIDATES = 20
"""Candidates that are shown of each step of the beam."""
LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
"""Levels of an attention weight, a character each, from 0 to the highest weight of both maps of a layer."""


def page(report: Report, sweep: Sweep | None, details: Sequence[Detail]) -> str:
    """The page's HTML; it needs no network."""
    lines, used = _fitting(
        {record.number: _line(record, report.provenance.scale) for record in all_in_turn(report)}, LINES_BYTES
    )
    records, facts = {record.number: record for record in report.records}, report.provenance
    explained = {detail.number: _detail(detail, records[detail.number]) for detail in details if detail.number in lines}
    inside, _ = _fitting(explained, MOST_BYTES - used)
    data = {
        "sentences": len(report.records),
        "metric": facts.scale.title,
        "decimals": facts.scale.decimals,
        "worse": worse(facts.scale, facts.sentence_threshold),
        "lines": [lines[number] for number in sorted(lines)],
        "details": inside,
    }
    template = resources.files("nmtkit.report").joinpath("blame.html").read_text("utf-8")
    before, rest = template.split(SUMMARY)
    between, after = rest.split(MARK)
    return "".join([before, *summary(report, sweep), between, embedded(data), after])


SUMMARY, MARK = "<!--SUMMARY-->", "/*REPORT*/null"


def _fitting(parts: dict[int, Any], most: int) -> tuple[dict[int, Any], int]:
    """The first parts that have room together, and the bytes that they take."""
    kept, used = {}, 0
    for number, part in parts.items():
        size = len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")) + 16
        if used + size > most:
            break
        kept[number], used = part, used + size
    return kept, used


def _line(record: Record, scale: Scale) -> dict[str, Any]:
    """The line of a sentence in the table, and what opens below it."""
    line = {
        "n": record.number,
        "v": record.verdict.value,
        "s": round(record.sentence_score, scale.decimals),
        "b": int(record.below),
        "l": int(record.listed),
        "p": record.source_pieces,
        "x": record.source,
        "y": _numbers(record.output),
        "r": _numbers(record.reference),
        "j": record.judge + 1,
        "of": len(record.references),
        "lost": _lost(record),
        "at": record.parting.step if record.parting and record.parting.ending == "pruned" else None,
    }
    if record.divergence is not None:
        line["turn"] = record.divergence.step
    if record.certificate is not None:
        best = record.certificate
        proved = "pieces" if best.other_pieces else "best"
        state = "better" if best.error else proved if best.proved else "open"
        line["c"] = [state, int(best.proved), _rounded(best.gap), best.steps, best.proved_limit, *_numbers(best.best)]
    return line


def _numbers(candidate: Candidate) -> list[Any]:
    return [candidate.text, _rounded(candidate.total, 2), candidate.length, _rounded(candidate.score)]


def _rounded(value: float, digits: int = 4) -> float | None:
    """The value, rounded; None where it is infinite, which JSON does not know."""
    return round(value, digits) if math.isfinite(value) else None


def _lost(record: Record) -> str:
    """Where the beam lost the reference, in a sentence."""
    place = record.parting
    if place is None:
        return ""
    if place.ending == "pruned":
        sentence = (
            f"The beam lost the reference at step {place.step}: rank {place.rank:,}, {_short(-place.margin)} nats below"
        )
        sentence += " the last one taken."
    else:
        sentence = {
            "stopped": f"The reference was still alive at step {place.step} when the search stopped.",
            "finished": "The reference is among the finished translations, but not the best of them.",
            "too long": f"The reference is longer than the limit of {counted(record.limit, 'piece')}.",
            "forbidden": f"A rule of the search forbids the reference at step {place.step}.",
            "other prefix": f"The reference leaves the forced beginning at step {place.step}.",
        }[place.ending]
    if record.verdict == Verdict.BEAM:
        sentence += (
            f" A beam of {place.width} reaches its J."
            if place.width
            else " No wider beam that was tried reaches its J."
        )
    if record.verdict == Verdict.UNREACHABLE:
        other = record.reference.obstacle == Obstacle.OTHER_PREFIX
        if not other:
            sentence += f" It is {record.reference.obstacle}."
        elif place.ending != "other prefix":
            sentence += " It does not begin with the prefix."
    return sentence


def _short(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "∞"


def _detail(detail: Detail, record: Record) -> dict[str, Any]:
    pairs = zip_longest(detail.output_map, detail.reference_map, fillvalue=())  # a reference may have no map
    highest = [max((weight for layer in pair for row in layer for weight in row), default=0.0) or 1.0 for pair in pairs]
    return {
        "source": detail.source,
        "highest": [float(f"{weight:.4g}") for weight in highest],
        "output": [detail.output, _map(detail.output_map, highest), _logs(record.output)],
        "reference": [
            detail.reference,
            _map(detail.reference_map, highest[: len(detail.reference_map)]),
            _logs(record.reference),
        ],
        "steps": [
            [
                step.length,
                [
                    [
                        " ".join(prefix[-8:]),
                        candidate.rank,
                        _rounded(candidate.total, 3),
                        candidate.fate[0],
                        int(candidate.reference),
                    ]
                    for candidate, prefix in list(zip(step.candidates, prefixes, strict=True))[:CANDIDATES]
                ],
            ]
            for step, prefixes in zip(detail.steps, detail.prefixes, strict=True)
        ],
    }


def _logs(candidate: Candidate) -> list[float | None]:
    return [_rounded(log_p) for log_p in candidate.log_probs]


def _map(layers: Map, highest: Sequence[float]) -> list[str]:
    """The weights of each layer as a text, row by row, in levels from 0 to the highest weight of the layer."""
    top = len(LEVELS) - 1
    return [
        "".join(LEVELS[round(top * weight / most)] for row in layer for weight in row)
        for layer, most in zip(layers, highest, strict=True)
    ]
