"""The facts of a sentence in an error analysis: its output, its references, the verdict, and what led to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nmtkit.blame.plain import SILENT, known_as


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
    OTHER_PREFIX = "other prefix"


@dataclass(frozen=True)
class Rest:
    """What follows a forced prefix, of which J is: Σ log P in nats, and number of pieces with EOS."""

    total: float
    length: int


@dataclass(frozen=True)
class Form:
    """A reference in other pieces that a search could return: Σ log P in nats, number of pieces with EOS, and ids; and
    what of it follows the forced prefix, None where there is none."""

    total: float
    length: int
    tokens: tuple[int, ...]
    rest: Rest | None = field(default=None, metadata=SILENT)

    @property
    def obstacle(self) -> Obstacle:
        """A form is always reachable."""
        return Obstacle.NONE


@dataclass(frozen=True)
class Candidate:
    """A translation of one sentence under the model.

    Attributes:
        text: a reference as given, an output as the tokenizer joins it.
        total: Σ log P in nats by the forced pass; −∞ where the model cannot produce the translation, and where a
            reference is longer than any translation and so was not scored.
        length: |y| in target pieces, EOS counted.
        score: J = total / length^α, that of the rest where there is one.
        obstacle: why it is outside the search space; `NONE` for an output.
        tokens: ids, EOS last.
        log_probs: log P of each token in nats; empty for a reference that was not scored.
        others: the other segmentations of a reference that another exponent could prefer.
        rest: what follows the forced prefix; None where none was forced, and where it does not begin with it.
    """

    text: str
    total: float
    length: int
    score: float
    obstacle: Obstacle = Obstacle.NONE
    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    others: tuple[Form, ...] = ()
    rest: Rest | None = field(default=None, metadata=SILENT)


@dataclass(frozen=True)
class Parting:
    """Where the search and y* parted.

    Attributes:
        ending: pruned, stopped (the search stopped while the prefix was alive), finished (y* was among the hypotheses),
            too long, forbidden by a rule of the search, or other prefix: forbidden by the beginning that is forced.
        step: tokens of the prefix at that moment.
        rank: rank of the prefix among all candidates of the step, from 1; 0 where no step was made.
        margin: Σ log P of the prefix less that of the last candidate taken, in nats.
        width: for a `beam` verdict, the smallest width tried whose result reaches J(y*), found by running it; None
            where no width did, and for other verdicts.
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
        step: position of the token, from 1.
        piece, output_piece: the piece of y* and the piece of ŷ there.
        deficit: log P of the output's piece less log P of the piece of y*, in nats.
        rest: Σ log P of all later pieces of ŷ less that of y*: by how much the deficit grew or shrank.
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
        best: the translation with the highest J that any search found, scored by the forced pass.
        error: whether `best` is another text than the output, with a J that is higher by more than the tolerance: a
            search error (Stahlberg and Byrne 2019).
        proved: whether no translation within the limit has a higher J than `best`.
        gap: how much higher the J of another translation could still be; 0 if proved, and only then.
        steps: model steps taken.
        proved_limit: no translation of at most this many pieces has a higher J.
        other_pieces: whether `best` is the text of the output in other pieces, with a J that is higher by more than the
            tolerance: the search missed the pieces, not the text.
    """

    best: Candidate
    error: bool
    proved: bool
    gap: float
    steps: int
    proved_limit: int
    other_pieces: bool = False


@dataclass(frozen=True)
class Twin:
    """What nmtkit's own search in float32 returned, under the settings of the engine that made the output.

    Attributes:
        output: its output, in other pieces than that of the engine.
        verdict: the verdict that it would have.
    """

    output: Candidate
    verdict: Verdict


@dataclass(frozen=True)
class Record:
    """Everything that the analysis knows about one sentence.

    Attributes:
        number: number of the sentence, from 1.
        output: ŷ.
        references: all references in the order of the reference sets, each in its best segmentation.
        judge: index of the reference that judged, y*.
        limit: the most target pieces of a translation, EOS counted.
        sentence_score: score of the output's text against all references.
        below: whether the output is an error of the second row: its sentence score is worse than the threshold.
        listed: whether a person listed the sentence as wrong.
        parting: where the search lost y*; None where the output is y*. It is always nmtkit's own search.
        divergence: where the model turned from y* to ŷ; None where both are the same tokens, or y* was not scored.
        rescoring: |forced − search| of the output's Σ log P, in nats: rounding, or the precision of an engine.
        other_pieces: whether ŷ has other pieces than the tokenizer makes of its text.
        source_pieces: number of source pieces that the model reads, the end of sentence not counted.
        certificate: what exact search found; None where there was no exact search.
        prefix: text that every output was forced to begin with, as given.
        twin: what float32 chose instead; None where that is ŷ, or no other engine searched.
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
    prefix: str = field(default="", metadata=SILENT)
    twin: Twin | None = field(default=None, metadata=SILENT)

    @property
    def reference(self) -> Candidate:
        """The reference that judged, y*."""
        return self.references[self.judge]
