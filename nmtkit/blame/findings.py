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
    """The output differs from all references."""
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
        kind: which sentences count as errors.
        numbers: numbers of these sentences, ascending.
        shares: one for each verdict of `BLAMED`. Each is a share of all errors of the row, including those whose
            reference is unreachable, so the three sum to one.
    """

    kind: Errors
    numbers: tuple[int, ...]
    shares: tuple[Share, ...]

    @property
    def errors(self) -> int:
        """How many errors the row has."""
        return len(self.numbers)

    def of(self, verdict: Verdict) -> Share:
        """The share of one verdict."""
        return next(share for share in self.shares if share.verdict == verdict)


@dataclass(frozen=True)
class Bounds:
    """What is known of a share where some cases are open: counts, and the sampling interval around both.

    Attributes:
        least, most: the count without the open cases and with all of them; equal where no case is open.
        of: number of all cases.
        low, high: lower end of the 95 % Wilson interval of `least`, upper end of the interval of `most`.
    """

    least: int
    most: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Proofs:
    """What exact search says about the sentences that it was given.

    The sentences that are proved are the easy ones, not a random sample. So shares are bounded over all sentences that
    were searched, and for the proved sentences alone there are only counts.

    Attributes:
        asked: sentences that were searched exactly.
        proved: sentences whose global best is known.
        errors: outputs that are not the text of the global best: at least those for which something better was found,
            at most all that are not proved the best.
        proved_errors: search errors among the proved sentences.
        empty: sentences whose global best is the empty translation, EOS alone: at least those where this is proved, at
            most those where nothing better is known (exact search tries EOS first).
        gain: how much the mean J of all sentences could rise at most, at any width.
        length_ratio: target pieces of the global bests over those of the references, among the proved sentences.
        steps: model steps in all.
        other_pieces: proved sentences whose output is the text of the global best in other pieces.
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
    """How many verdicts another exponent changes between beam and model, with the same outputs and references.

    Under the other exponent, the reference that judges and its pieces are chosen again.
    """

    alpha: float
    to_beam: int
    to_model: int


@dataclass(frozen=True)
class Frequency:
    """The pieces of the references that the training text has between `least` and `most` times.

    Attributes:
        least, most: occurrences in the training text; None: no upper limit.
        pieces: number of such pieces in the references that judge.
        loss: their mean −log P in nats.
        turned: how many of them are the place where the output of a `model` verdict turned away.
    """

    least: int
    most: int | None
    pieces: int
    loss: float
    turned: int


@dataclass(frozen=True)
class Fit:
    """How well the model predicts its training text, and how well the analysed text.

    Attributes:
        pairs: pairs of the training text that were scored.
        train_loss, loss: mean −log P of a target piece of the training text and of the references, in nats.
        share: the part of `loss` that is absent on the training text: 1 − train_loss / loss.
        low, high: 95 % percentile interval of `share`, by the bootstrap over sentences.
        best_update, last_update: updates behind the weights in use, and behind the newest weights of the folder; 0: not
            known.
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
class Changed:
    """Errors of a row whose output float32 would not have chosen: count, share of the row, and its 95 % interval."""

    kind: Errors
    count: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Precision:
    """What the precision of an engine changed: outputs that nmtkit's own search in float32 would not have chosen.

    Attributes:
        outputs: number of all outputs.
        changed: outputs of another text than float32's.
        lower, higher: of these, those whose J is lower or higher than float32's by more than the tolerance.
        loss: mean J of float32's outputs less that of the engine's, over all outputs.
        rows: the errors that are such outputs, for each row.
        made, spared: outputs that are errors where float32's is none, and the other way round.
        beam, cleared: `beam` verdicts, and of these those where float32's search reaches J(y*).
    """

    outputs: int
    changed: int
    lower: int
    higher: int
    loss: float
    rows: tuple[Changed, ...]
    made: int
    spared: int
    beam: int
    cleared: int


@dataclass(frozen=True)
class Provenance:
    """Everything that is needed to repeat an analysis.

    Attributes:
        nmtkit: version.
        model: hash of the model folder; for an ensemble, the hashes of its members joined by "+".
        length_penalty: "power" or "gnmt".
        length_limit: the rule in words; every record holds its own limit.
        patience, free_eos, forbid_unk: rules of the search.
        tolerance: J(y*) must exceed J(ŷ) by more than this for the verdict `beam`; nats in all where α = 0, nats a
            piece where α = 1.
        sentence_metric, sentence_threshold: outputs with a worse score are the second row's errors.
        sacrebleu: version of the package that computed the sentence scores.
        widths: beams that were tried for the sentences with a `beam` verdict.
        exact_steps, exact_seconds, exact_sample: budget for a sentence, and number of sentences searched exactly (None:
            all); all None where there was no exact search.
        sources_sha256, references_sha256: hashes of the lines, each with a line feed after it.
        listed: numbers of the sentences that a person judged wrong.
        rescoring_difference: the largest |forced − search| seen among the outputs, in nats of the total; 0 before the
            search.
        scores_file: where the sentence scores were read from; None where a metric computed them.
        other_settings: settings of the search, in words, that differ from their defaults and have no field here.
        prefixes_sha256: hash of the lines of forced prefixes; None where there were none.
        engine: the engine that made the outputs, its version and precision; None: nmtkit's own search.
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
    other_settings: tuple[str, ...] | None = field(default=None, metadata=SILENT)
    prefixes_sha256: str | None = field(default=None, metadata=SILENT)
    engine: str | None = field(default=None, metadata=SILENT)

    @property
    def scale(self) -> Scale:
        """What the sentence scores mean."""
        return self.scores_file.scale if self.scores_file else METRICS[self.sentence_metric]


@dataclass(frozen=True)
class Report:
    """The error analysis of a text.

    Its records are counted in `rows`: all errors; those with a bad sentence score; and, if a person judged the
    sentences, those that the person listed."""

    records: tuple[Record, ...]
    rows: tuple[Row, ...]
    provenance: Provenance
    proofs: Proofs | None = None
    flips: tuple[Flip, ...] = ()
    fit: Fit | None = None
    precision: Precision | None = None

    @property
    def deciding(self) -> Row:
        """The row that advice and examples rest on: the strictest one that has an error.

        Nearly every output differs from its reference, often as a mere paraphrase. The judgement of a person says most;
        a bad sentence score comes next.
        """
        return next((row for row in reversed(self.rows) if row.errors), self.rows[0])
