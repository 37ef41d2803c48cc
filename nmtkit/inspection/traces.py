"""The trace of a beam search, sentence by sentence, and the file in which traces are kept.

A trace file is JSON Lines: a header (`Header`), then one `Trace` a line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmtkit.files import read_lines

FORMAT = 1
"""Version of the file format; other versions are refused."""


@dataclass(frozen=True)
class Header:
    """How the traced search was done.

    Attributes:
        nmtkit: version.
        model: hash of the model folder.
        vocabulary: number of pieces that can follow a prefix, the end of sentence among them.
    """

    nmtkit: str
    model: str
    beam: int
    length_alpha: float
    length_penalty: str
    vocabulary: int
    format: int = FORMAT


@dataclass(frozen=True)
class Candidate:
    """A prefix that continues one of the step before by a piece.

    Attributes:
        rank: rank among all candidates of the step, from 1.
        parent: rank of the prefix that it continues; 0 in the first step.
        piece: the new piece.
        log_p: log P of the new piece in nats.
        total: Σ log P of the prefix.
        score: J of the prefix as if it ended here.
        fate: kept, finished or pruned.
        reference: whether it is a prefix of the reference.
    """

    rank: int
    parent: int
    piece: str
    log_p: float
    total: float
    score: float
    fate: str
    reference: bool = False


@dataclass(frozen=True)
class Step:
    """The best candidates of one length, best first; `prefixes` is the number of prefixes that were continued."""

    length: int
    prefixes: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Scored:
    """A whole translation: text, pieces (EOS last), log P of each in nats, their sum, and J."""

    text: str
    pieces: tuple[str, ...]
    log_probs: tuple[float, ...]
    total: float
    score: float


@dataclass(frozen=True)
class Reference:
    """A human translation and how far the beam went along it.

    Attributes:
        scored: the translation, scored by a forced pass.
        ranks, margins: for each step up to the one that lost it, its rank among all candidates, and its Σ log P less
            that of the last candidate that was kept or finished.
        ending: finished; pruned, forbidden or other prefix (at step `len(ranks)`); stopped; too long; or "same text":
            an output is the reference in other pieces.
    """

    scored: Scored
    ranks: tuple[int, ...]
    margins: tuple[float, ...]
    ending: str


@dataclass(frozen=True)
class Trace:
    """The search for one sentence.

    Attributes:
        line: number of the sentence, from 1.
        limit: the most pieces of a translation, EOS counted.
        outputs: what the search returned, best first; empty where it failed.
    """

    line: int
    source: str
    source_pieces: tuple[str, ...]
    limit: int
    steps: tuple[Step, ...]
    outputs: tuple[Scored, ...]
    reference: Reference | None


def prefixes(steps: Sequence[Step]) -> list[list[tuple[str, ...]]]:
    """The pieces of every candidate of each step, read back through its parents."""
    by_step: list[list[tuple[str, ...]]] = []
    for step in steps:
        before = [(), *by_step[-1]] if by_step else [()]
        by_step.append([(*before[candidate.parent], candidate.piece) for candidate in step.candidates])
    return by_step


def to_line(value: Header | Trace) -> str:
    """One line of a trace file, its line feed included."""
    return json.dumps(asdict(value), ensure_ascii=False) + "\n"


def read_traces(path: str | Path) -> tuple[Header, list[Trace]]:
    """Read a trace file; ValueError names the file and the line that is not a trace."""
    header: Header | None = None
    traces = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(line)
            if header is not None:
                traces.append(_trace(record))
            elif record["format"] != FORMAT:
                raise ValueError(f"{path}: format {record['format']} is not the one this nmtkit reads ({FORMAT})")
            else:
                header = Header(**record)
                assert type(header.vocabulary) is int and type(header.beam) is int
        except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError, AssertionError):
            raise ValueError(f"{path}, line {number}: not a trace; nmtkit translate --trace writes traces") from None
    if header is None:
        raise ValueError(f"{path}: is empty; nmtkit translate --trace writes traces")
    return header, traces


def _trace(record: dict[str, Any]) -> Trace:
    reference = record["reference"]
    return Trace(
        record["line"],
        record["source"],
        tuple(record["source_pieces"]),
        record["limit"],
        tuple(
            Step(step["length"], step["prefixes"], tuple(Candidate(**candidate) for candidate in step["candidates"]))
            for step in record["steps"]
        ),
        tuple(_scored(output) for output in record["outputs"]),
        reference
        and Reference(
            _scored(reference["scored"]), tuple(reference["ranks"]), tuple(reference["margins"]), reference["ending"]
        ),
    )


def _scored(record: dict[str, Any]) -> Scored:
    return Scored(record["text"], tuple(record["pieces"]), tuple(record["log_probs"]), record["total"], record["score"])
