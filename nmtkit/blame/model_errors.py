"""Where the model lost y*: the first token that differs, the verdict under another α, short and long sources."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from nmtkit.blame.findings import Flip
from nmtkit.blame.records import Candidate, Divergence, Form, Record, Verdict
from nmtkit.blame.rule import Reference, Rule

if TYPE_CHECKING:
    from nmtkit.decoding.objective import Objective

Known = Candidate | Form
ALPHAS = (0.0, 0.5, 0.7, 1.0)
"""Length exponents under which the verdicts are repeated."""
BUCKETS = 4
"""Parts of the text by source length, of about equal size."""


def diverge(output: Candidate, reference: Candidate, pieces: Callable[[list[int]], list[str]]) -> Divergence | None:
    """The first token at which two translations differ; both end in EOS, so neither is the beginning of the other.

    None where they do not differ, and where the reference was not scored.

    Args:
        pieces: turns token ids into pieces.
    """
    pairs = zip(output.tokens, reference.tokens, strict=False)
    place = next((place for place, (own, known) in enumerate(pairs) if own != known), None)
    if place is None or not reference.log_probs:
        return None
    behind = sum(output.log_probs[place + 1 :]) - sum(reference.log_probs[place + 1 :])
    deficit = output.log_probs[place] - reference.log_probs[place]
    known, own = pieces([reference.tokens[place], output.tokens[place]])
    return Divergence(place + 1, known, own, deficit, behind)


def flips(records: Sequence[Record], objectives: Sequence[Objective], tolerance: float) -> list[Flip]:
    """How many `beam` and `model` verdicts change under each of the objectives; the other verdicts cannot change."""
    judged = [record for record in records if record.verdict in (Verdict.BEAM, Verdict.MODEL)]
    flipped = []
    for objective in objectives:
        rule = Rule(objective, tolerance)
        again = Counter((record.verdict, _verdict(record, rule)) for record in judged)
        turned = again[Verdict.MODEL, Verdict.BEAM], again[Verdict.BEAM, Verdict.MODEL]
        flipped.append(Flip(objective.alpha, *turned))
    return flipped


def _verdict(record: Record, rule: Rule) -> Verdict:
    references = [
        Reference[Known](reference.text, reference.text, (reference, *reference.others))
        for reference in record.references
    ]
    return rule.judge(record.source, record.output.text, record.output, references).verdict


@dataclass(frozen=True)
class Bucket:
    """The sentences of similar source length: first and last length in pieces, and the number of each verdict."""

    first: int
    last: int
    sentences: int
    equal: int
    beam: int
    model: int
    unreachable: int
    score: float


def buckets(records: Sequence[Record]) -> list[Bucket]:
    """The text in about `BUCKETS` parts by source length; sentences of one length stay together.

    `score` is the mean sentence score of the outputs.
    """
    ordered = sorted(records, key=lambda record: record.source_pieces)
    parts: list[list[Record]] = []
    done = 0
    for _, same in groupby(ordered, key=lambda record: record.source_pieces):
        if done * BUCKETS >= len(parts) * len(ordered):
            parts.append([])
        parts[-1] += same
        done = sum(map(len, parts))
    return [_bucket(part) for part in parts]


def _bucket(part: Sequence[Record]) -> Bucket:
    counts = Counter(record.verdict for record in part)
    return Bucket(
        part[0].source_pieces,
        part[-1].source_pieces,
        len(part),
        counts[Verdict.EQUAL],
        counts[Verdict.BEAM],
        counts[Verdict.MODEL],
        counts[Verdict.UNREACHABLE],
        statistics.mean(record.sentence_score for record in part),
    )


@dataclass(frozen=True)
class Turn:
    """A piece of the references at which the model turned away: how often, and its median deficit in nats."""

    piece: str
    count: int
    deficit: float


def turns(records: Sequence[Record], most: int) -> list[Turn]:
    """The `most` pieces of y* at which `model` verdicts diverge most often; a larger deficit decides between equals."""
    deficits: dict[str, list[float]] = {}
    for record in records:
        if record.verdict == Verdict.MODEL and record.divergence is not None:
            deficits.setdefault(record.divergence.piece, []).append(record.divergence.deficit)
    all_turns = [Turn(piece, len(values), statistics.median(values)) for piece, values in deficits.items()]
    return sorted(all_turns, key=lambda turn: (-turn.count, -turn.deficit))[:most]
