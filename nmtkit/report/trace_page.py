"""A beam search as one self-contained page: sentences to choose, steps side by side, the reference marked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from nmtkit.inspection.traces import Header, Reference, Scored, Step, Trace
from nmtkit.report.trace import lost, step_title

MARK = "/*TRACES*/null"


def page(header: Header, traces: Sequence[Trace]) -> str:
    """The page's HTML; it needs no network."""
    data = {
        "settings": f"beam {header.beam}, α {header.length_alpha:g} ({header.length_penalty}), nmtkit {header.nmtkit}",
        "sentences": [_sentence(header, trace) for trace in traces],
    }
    template = resources.files("nmtkit.report").joinpath("trace.html").read_text("utf-8")
    assert template.count(MARK) == 1
    return template.replace(MARK, embedded(data))


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _sentence(header: Header, trace: Trace) -> dict[str, Any]:
    return {
        "line": trace.line,
        "source": trace.source,
        "outputs": [_scored(output) for output in trace.outputs],
        "reference": trace.reference and _reference(trace.reference, header, trace.limit),
        "steps": [_step(step, header) for step in trace.steps],
    }


def _step(step: Step, header: Header) -> dict[str, Any]:
    return {
        "title": step_title(step, header),
        "candidates": [
            [
                candidate.parent,
                candidate.piece,
                round(candidate.log_p, 4),
                round(candidate.total, 4),
                round(candidate.score, 4),
                candidate.fate[0],
                int(candidate.reference),
            ]
            for candidate in step.candidates
        ],
    }


def _scored(scored: Scored) -> dict[str, Any]:
    return {
        "text": scored.text,
        "total": round(scored.total, 4),
        "score": round(scored.score, 4),
        "length": len(scored.pieces),
    }


def _reference(reference: Reference, header: Header, limit: int) -> dict[str, Any]:
    step = len(reference.ranks)
    missing = None
    if reference.ending == "pruned":
        total = sum(reference.scored.log_probs[:step])
        missing = [
            reference.scored.pieces[step - 1],
            round(total, 4),
            reference.ranks[-1],
            round(reference.margins[-1], 4),
        ]
    return {**_scored(reference.scored), "lost": lost(reference, header, limit), "step": step, "missing": missing}
