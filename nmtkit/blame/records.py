"""The facts of a sentence in an error analysis: its output, its references, the verdict, and what led to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nmtkit.blame.plain import known_as


class Verdict(StrEnum):
    """What a wrong output is blamed on (Ng's error analysis)."""

    EQUAL = "equal"
    BEAM = "beam"
    MODEL = "model"
    UNREACHABLE = "unreachable"


BLAMED = (Verdict.BEAM, Verdict.MODEL, Verdict.UNREACHABLE)
"""The verdicts on errors, in the order of every table."""


class Obstacle(StrEnum):
    """Why the search could never have returned a reference."""

    NONE = ""
    TOO_LONG = "too long"
    NOT_PRODUCIBLE = "not producible"


@dataclass(frozen=True)
class Form:
    """A reference in other pieces: Σ log P in nats, pieces with EOS, and their ids; a search could return it."""

    total: float
    length: int
    tokens: tuple[int, ...]

    @property
    def obstacle(self) -> Obstacle:
        """None."""
        return Obstacle.NONE


@dataclass(frozen=True)
class Candidate:
    """A translation of one sentence under the model.

    Attributes:
        text: as given (a reference) or as the tokenizer joins it (an output).
        total: Σ log P in nats of the forced pass; −∞ for what the model cannot produce, and for a reference that is
            longer than any translation and so was not scored.
        length: |y| in target pieces, EOS counted.
        score: J = total / length^α.
        obstacle: why it is outside the search space; none for an output.
        tokens: ids, EOS last.
        log_probs: log P of each in nats; none of a reference that was not scored.
        others: of a reference, the other pieces tried that another exponent could prefer.
    """

    text: str
    total: float
    length: int
    score: float
    obstacle: Obstacle = Obstacle.NONE
    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    others: tuple[Form, ...] = ()


@dataclass(frozen=True)
class Parting:
    """Where the search and y* parted.

    Attributes:
        ending: pruned, stopped (the search stopped while the prefix was alive), finished (y* was among the hypotheses),
            too long, or forbidden.
        step: tokens of the prefix at that moment.
        rank: of the prefix among all candidates of the step, from 1; 0 where it was never looked at.
        margin: its Σ log P less that of the last candidate taken, in nats.
        width: for a `beam` verdict the smallest width tried whose result reaches J(y*), found by running it; None if
            none did, or for another verdict.
    """

    ending: str
    step: int
    rank: int
    margin: float
    width: int | None = None


@dataclass(frozen=True)
class Divergence:
    """Where the model turned from y* to ŷ: the first token that differs, after the same prefix.

    Attributes:
        step: its position, from 1.
        piece, output_piece: that of y* and that of ŷ.
        deficit: log P of the output's less log P of y*'s, in nats.
        rest: Σ log P behind it, of ŷ less of y*: what the deficit grew or shrank by.
    """

    step: int
    piece: str
    output_piece: str
    deficit: float
    rest: float


@dataclass(frozen=True)
class Certificate:
    """What an exact search found for a sentence.

    Attributes:
        best: the translation with the highest J that anything found, by the forced pass.
        error: it is another text than the output, and its J is higher by more than the tolerance: a search error
            (Stahlberg and Byrne 2019).
        proved: no translation within the limit has a higher J than `best`.
        gap: how much higher one could still be; 0 if proved, and only then.
        steps: model steps taken.
        proved_limit: nothing of at most so many pieces has a higher J.
        other_pieces: it is the text of the output in other pieces, whose J is higher by more than the tolerance: the
            search missed the pieces, not the text.
    """

    best: Candidate
    error: bool
    proved: bool
    gap: float
    steps: int
    proved_limit: int
    other_pieces: bool = False


@dataclass(frozen=True)
class Record:
    """One sentence.

    Attributes:
        number: from 1.
        output: ŷ.
        references: all of them, in the order of the reference sets, each under its best segmentation tried.
        judge: index of the reference that judged, y*.
        limit: most target pieces of a translation, EOS counted.
        sentence_score: of the output's text against all references.
        below: whether it is an error of the second row (an error whose sentence score is worse than the threshold).
        listed: whether a person listed the sentence as wrong.
        parting: where the search lost y*; None where the output is y*.
        divergence: where the model turned from y* to ŷ; None where they are the same tokens, or y* was not scored.
        rescoring: |forced − beam| of the output's Σ log P, in nats.
        other_pieces: ŷ is not in the pieces that the tokenizer makes of its text.
        source_pieces: of the source, as the model reads it, its end not counted.
        certificate: of an exact search; None where there was none.
    """

    number: int
    source: str
    output: Candidate
    references: tuple[Candidate, ...]
    judge: int
    limit: int
    verdict: Verdict
    sentence_score: float
    below: bool
    listed: bool
    rescoring: float = 0.0
    other_pieces: bool = False
    parting: Parting | None = field(default=None, metadata=known_as("loss"))
    divergence: Divergence | None = None
    source_pieces: int = 0
    certificate: Certificate | None = None

    @property
    def reference(self) -> Candidate:
        """The reference that judged, y*."""
        return self.references[self.judge]
