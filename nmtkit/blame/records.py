"""The facts of an error analysis: one record a sentence, the rows that count them, and how they were obtained."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nmtkit.blame.plain import SILENT
from nmtkit.evaluation.metric import Scale, ScoresFile
from nmtkit.evaluation.metrics import METRICS


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
        loss: where the search lost y*; None where the output is y*.
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
    loss: Parting | None = None
    divergence: Divergence | None = None
    source_pieces: int = 0
    certificate: Certificate | None = None

    @property
    def reference(self) -> Candidate:
        """The reference that judged, y*."""
        return self.references[self.judge]


@dataclass(frozen=True)
class Share:
    """How many errors of a row have a verdict: the count, the share of all errors of the row, and its 95 % interval."""

    verdict: Verdict
    count: int
    share: float
    low: float
    high: float


class Errors(StrEnum):
    """Which sentences count as errors."""

    DIFFERENT = "different"
    """The output is no reference."""
    WORSE = "worse"
    """Of these, the sentence score is worse than the threshold."""
    LISTED = "listed"
    """Of these, a person judged it wrong."""
    MISSED = "missed"
    """The search missed what the model prefers."""


@dataclass(frozen=True)
class Row:
    """One answer to "which sentences count as errors", and who is to blame for them.

    Attributes:
        kind: which errors.
        numbers: of the sentences, ascending.
        shares: one for each verdict of `BLAMED`. The denominator of all three is every error of the row, those whose
            reference is unreachable included, so they sum to one.
    """

    kind: Errors
    numbers: tuple[int, ...]
    shares: tuple[Share, ...]

    @property
    def errors(self) -> int:
        """How many."""
        return len(self.numbers)

    def of(self, verdict: Verdict) -> Share:
        """The share of one verdict."""
        return next(share for share in self.shares if share.verdict == verdict)


@dataclass(frozen=True)
class Bounds:
    """What is known of a share where some cases are open: counts, and the sampling interval around both.

    Attributes:
        least, most: without the open cases and with all of them; equal where none is open.
        of: how many cases in all.
        low, high: low end of the 95 % Wilson interval of `least`, high end of that of `most`.
    """

    least: int
    most: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Proofs:
    """What exact search says about the sentences it was asked about.

    Which sentences are proved is no accident: they are the easy ones. So shares are bounded over all that were asked,
    and the proved alone are only counted.

    Attributes:
        asked: how many.
        proved: those whose global best is known.
        errors: outputs that are not the text of the global best; at least those for which something better was found,
            at most those that are not proved the best.
        proved_errors: of the proved alone.
        empty: sentences whose global best is the empty translation, EOS alone; at least those proved so, and at most
            those for which nothing better is known, since exact search tries it first.
        gain: by how much the mean J of all could rise at most, at any width.
        length_ratio: of the proved alone, target pieces of the global bests against those of the references.
        steps: model steps in all.
        other_pieces: of the proved, those whose output is the text of the global best in other pieces.
    """

    asked: int
    proved: int
    errors: Bounds
    proved_errors: int
    empty: Bounds
    gain: float
    length_ratio: float
    steps: int
    other_pieces: int = 0


@dataclass(frozen=True)
class Flip:
    """How many verdicts, beam or model, another exponent turns round, with the same outputs and references.

    The reference that judges, and its pieces, are chosen anew.
    """

    alpha: float
    to_beam: int
    to_model: int


@dataclass(frozen=True)
class Frequency:
    """The pieces of the references that the training text has so often.

    Attributes:
        least, most: how often; None: no upper limit.
        pieces: of the judging references.
        loss: their mean −log P in nats.
        turned: at how many of them a `model` verdict's output turned away.
    """

    least: int
    most: int | None
    pieces: int
    loss: float
    turned: int


@dataclass(frozen=True)
class Fit:
    """How well the model knows its training text, and how well this one.

    Attributes:
        pairs: of the training text that were scored.
        train_loss, loss: mean −log P of a target piece of the training text and of the references, in nats.
        share: of `loss`, the part that the training text does not have: 1 − train_loss / loss.
        low, high: its 95 % percentile interval, by the bootstrap over sentences.
        best_update, last_update: updates behind the weights in use, and behind the newest of the folder; 0: not known.
        frequencies: pieces by how often the training text has them, the rarest first.
    """

    pairs: int
    train_loss: float
    loss: float
    share: float
    low: float
    high: float
    best_update: int
    last_update: int
    frequencies: tuple[Frequency, ...]


@dataclass(frozen=True)
class Provenance:
    """All that is needed to repeat an analysis.

    Attributes:
        nmtkit: version.
        model: hash of the model folder; of an ensemble, those of its members joined by "+".
        length_penalty: "power" or "gnmt".
        length_limit: the rule in words; every record holds its own limit.
        patience, free_eos, forbid_unk: rules of the search.
        tolerance: J(y*) must exceed J(ŷ) by more than this for the verdict `beam`; nats in all where α = 0, nats a
            piece where α = 1.
        sentence_metric, sentence_threshold: outputs with a worse score are the second row's errors.
        sacrebleu: version of the package that computed the sentence scores.
        widths: tried for the sentences with a `beam` verdict.
        exact_steps, exact_seconds, exact_sample: the budget of a sentence, and how many were asked (None: all); None
            where there was no exact search.
        sources_sha256, references_sha256: of the lines, each with a line feed after it.
        listed: numbers of the sentences that a person judged wrong.
        rescoring_difference: the largest |forced − beam| seen among the outputs, in nats of the total; 0 before the
            search.
        scores_file: where the sentence scores were read from; None where a metric computed them.
    """

    nmtkit: str
    model: str
    beam: int
    length_alpha: float
    length_penalty: str
    length_limit: str
    patience: float | None
    free_eos: bool
    forbid_unk: bool
    max_source: int
    tolerance: float
    reference_segmentations: int
    sentence_metric: str
    sentence_threshold: float
    sacrebleu: str
    widths: tuple[int, ...]
    exact_steps: int | None
    exact_seconds: float | None
    exact_sample: int | None
    sources_sha256: str
    references_sha256: tuple[str, ...]
    listed: tuple[int, ...] = ()
    rescoring_difference: float = 0.0
    scores_file: ScoresFile | None = field(default=None, metadata=SILENT)

    @property
    def scale(self) -> Scale:
        """Of the sentence scores."""
        return self.scores_file.scale if self.scores_file else METRICS[self.sentence_metric]


@dataclass(frozen=True)
class Report:
    """The error analysis of a text: records first, counted in `rows` (all errors; those with a bad sentence score;
    if a person judged, those listed)."""

    records: tuple[Record, ...]
    rows: tuple[Row, ...]
    provenance: Provenance
    proofs: Proofs | None = None
    flips: tuple[Flip, ...] = ()
    fit: Fit | None = None

    @property
    def deciding(self) -> Row:
        """The row that advice and examples rest on: the strictest that has any error.

        Nearly every output differs from its reference, often as a mere paraphrase; what a person judged wrong says
        most, what a sentence score finds wrong comes next.
        """
        return next((row for row in reversed(self.rows) if row.errors), self.rows[0])
