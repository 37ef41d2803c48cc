"""The facts of a text in an error analysis: the rows that count its records, what was proved, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nmtkit.blame.plain import SILENT
from nmtkit.blame.records import Record, Verdict
from nmtkit.evaluation.metric import Scale, ScoresFile
from nmtkit.evaluation.metrics import METRICS


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
