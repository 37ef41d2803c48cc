"""Read a report that blame-analysis --json wrote, and count its records again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

from nmtkit.blame.findings import Provenance, Report
from nmtkit.blame.plain import from_plain
from nmtkit.blame.records import Record
from nmtkit.blame.rows import count
from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.evaluation.metrics import METRICS, USUAL
from nmtkit.evaluation.scoring import Score
from nmtkit.files import read_lines
from nmtkit.words import counted

MOST = 120
"""Characters of an error message that are shown; the message may quote the whole file."""


def read_report(path: str | PathLike[str]) -> tuple[Report, Sweep | None]:
    """The records with their provenance and rows, and the sweep if there was one; unknown keys are ignored.

    The rows are counted from the records. Proofs, flips and advice are not read: they follow from the records, or do
    not matter for a comparison.

    Raises:
        ValueError: naming the file, where it does not exist or is not such a report.
    """
    text = "\n".join(read_lines(path))
    try:
        value = json.loads(text, parse_constant=_refuse)
        return _report(value), _sweep(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a report that blame-analysis --json writes ({str(error)[:MOST]}); run blame-analysis with "
            "--json FILE, by this version, and give that file"
        ) from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number in JSON")


def _report(value: Any) -> Report:
    if not isinstance(value, Mapping):
        raise ValueError("it is not a table")
    if missing := [key for key in ("provenance", "rows", "records") if key not in value]:
        raise ValueError(f"{missing[0]!r} is missing")
    facts, rows = from_plain(Provenance, value["provenance"]), value["rows"]
    records = from_plain(tuple[Record, ...], value["records"])
    if not isinstance(rows, list) or len(rows) not in (2, 3):
        raise ValueError("'rows' must be two or three")
    if facts.sentence_metric not in METRICS and facts.scores_file is None:
        raise ValueError(f"sentence metric {facts.sentence_metric!r}")
    if not records:
        raise ValueError("it has no records")
    for number, record in enumerate(records, start=1):
        if record.number != number:
            raise ValueError(f"record {number} says it is {record.number}")
        if len(record.references) != len(facts.references_sha256) or not 0 <= record.judge < len(record.references):
            has = counted(len(record.references), "reference")
            raise ValueError(f"record {number} has {has}, of which {record.judge} judges")
    return Report(records, count(records, judged=len(rows) == 3), facts)


def _sweep(value: Mapping[str, Any]) -> Sweep | None:
    """The sweep of a report; None where it has none."""
    if value.get("sweep") is None:
        return None
    facts = value["sweep"]
    if not isinstance(facts, Mapping):
        raise ValueError(f"{facts!r} is not a table")
    if not isinstance(facts.get("settings"), list):
        raise ValueError("'settings' is missing, or no list")
    sweep = from_plain(Sweep, facts, settings=tuple(map(_setting, facts["settings"])))
    if not all(0 <= index < len(sweep.settings) for index in (sweep.current, sweep.best)):
        size = counted(len(sweep.settings), "setting")
        raise ValueError(f"a sweep of {size} has no setting number {max(sweep.current, sweep.best)}")
    return sweep


def _setting(value: Any) -> Setting:
    """A setting of a sweep; its scores are found under the names of their metrics."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a table")
    if missing := [metric.name for metric in USUAL if metric.name not in value]:
        raise ValueError(f"{missing[0]!r} is missing")
    scores = [from_plain(Score, value[name], metric=metric) for name, metric in METRICS.items() if name in value]
    return from_plain(Setting, value, scores=tuple(scores))
