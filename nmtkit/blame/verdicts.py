"""Search, score and judge: the verdict on each output, and where the search lost the reference.

The references are scored first, because the one that judges is followed through the search. A forced pass then scores
what the search found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.model_errors import diverge
from nmtkit.blame.question import Question
from nmtkit.blame.records import Candidate, Form, Parting, Record, Twin, Verdict
from nmtkit.blame.references import Given, Known, given, known, scored, targets
from nmtkit.blame.rule import Rule, preferable
from nmtkit.decoding.beam import Beam
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.search import Encoded, Query, Search
from nmtkit.decoding.trace import ReferencePath, Seen, Traced
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

PARITY = 1e-4
"""The largest difference in log P and in J between a forced pass and the search, in nats, however long the output.

Both add their float32 log P in float64. The log P of a piece may differ by a few 1e-6 nats, since matrix products of
different shapes round differently. On real text the sums differ by up to 2e-5 in outputs of 100 pieces and by up to
6e-5 in outputs of 1,500."""
LONG = 1000
"""In outputs of more pieces, rounding alone may exceed `PARITY`, where a model repeats one piece again and again."""


@dataclass(frozen=True)
class Tried:
    """What decides the verdict on a sentence.

    Attributes:
        references: forced scores of all targets of the query.
        seen: what nmtkit's own search found, and how far it went along the reference that judges.
        own: its best output, scored by a forced pass.
        forced: the output that is judged, scored by a forced pass: the engine's if there is one, otherwise `own`.
        found: the output of the engine with its own scores; None without an engine.
    """

    references: list[Hypothesis]
    seen: Seen
    own: Hypothesis
    forced: Hypothesis
    found: Hypothesis | None = None


@dataclass(frozen=True)
class Trial:
    """A search made of three: score the references, search while following the one that judges, score the output.

    Attributes:
        beam: the search whose best output is judged.
        follow: gives the ids of the reference that judges for the index of a sentence and the scores of its targets.
        engine: the search whose best output is judged instead; `beam` then is the same search in float32.
    """

    beam: Beam
    follow: Callable[[int, Sequence[Hypothesis]], tuple[int, ...]]
    engine: Search[list[Hypothesis]] | None = None

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Tried | None]:
        """Every sentence is encoded once."""
        forced = Forced(self.beam.objective)
        references = forced.find(stepper, batch, queries)
        pairs = zip(queries, references, strict=True)
        followed = [replace(query, reference=self.follow(query.index, scores)) for query, scores in pairs]
        seen = Traced(self.beam).find(stepper, batch, followed)
        own = [result.hypotheses if result else None for result in seen]
        found = self.engine.find(stepper, batch, queries) if self.engine else own
        outputs = [
            replace(query, targets=_different(first[0].tokens, second[0].tokens) if first and second else ())
            for query, first, second in zip(queries, own, found, strict=True)
        ]
        rescored = forced.find(stepper, batch, outputs)
        return [
            Tried(scores, result, both[0], both[-1], hypotheses[0] if self.engine else None)
            if result and hypotheses
            else None
            for scores, result, hypotheses, both in zip(references, seen, found, rescored, strict=True)
        ]


def _different(*outputs: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(dict.fromkeys(outputs))


def judge(
    translator: Translator,
    sources: Sequence[str],
    texts: Sequence[tuple[str, ...]],
    settings: SearchSettings,
    question: Question,
    first: int = 1,
    engine: Search[list[Hypothesis]] | None = None,
) -> list[Record]:
    """The record of each source.

    Args:
        texts: the references of each source, blank ones empty.
        first: number of the first sentence.
        engine: gives the outputs; None: the beam search of the settings.

    Raises:
        ValueError: where the forced pass gives an output another score than the search did.
    """
    source = translator.read(sources, settings, first)
    references = [[given(translator, text, settings, question.segmentations) for text in row] for row in texts]
    prefixes = question.prefixes_from(first, len(sources))
    queries = [
        replace(query, targets=targets(row))
        for query, row in zip(translator.queries(source, settings, prefixes), references, strict=True)
    ]
    bench = _Bench(translator, question, Rule(settings.objective, question.tolerance), source, queries, references)
    trial = Trial(replace(Beam.of(settings), n_best=1), bench.follow, engine)
    tried = translator.find(trial, source, settings, queries)
    outputs = [translator.decode_target(result.forced.tokens) if result else "" for result in tried]
    scores = question.threshold.metric.sentence_scores(outputs, list(zip(*texts, strict=True)), sources, first)
    return [
        bench.record(index, result, output, score)
        for index, (result, output, score) in enumerate(zip(tried, outputs, scores, strict=True))
        if result
    ]


@dataclass(frozen=True)
class _Bench:
    """Everything that the verdicts on a window of sentences rest on."""

    translator: Translator
    question: Question
    rule: Rule
    source: Source
    queries: Sequence[Query]
    references: Sequence[Sequence[Given]]

    def known(self, index: int, scores: Sequence[Hypothesis]) -> list[Known]:
        """The references of a sentence, scored."""
        return known(self.references[index], scores, self.queries[index])

    def follow(self, index: int, scores: Sequence[Hypothesis]) -> tuple[int, ...]:
        """The ids of the reference that judges, in its best segmentation."""
        references = self.known(index, scores)
        return self.rule.best(references[self.rule.judging(self.source.show(index), references)].forms).tokens

    def record(self, index: int, tried: Tried, text: str, score: float) -> Record:
        """The record of a sentence: the verdict and what it rests on.

        Args:
            text: text of the output.
            score: sentence score of the output against all references.
        """
        number, source, references = self.source.first + index, self.source, self.known(index, tried.references)
        _check_parity(tried.own, tried.seen.hypotheses[0], number)
        assert tried.seen.path is not None
        output = scored(text, tried.forced, self.queries[index])
        judgement = self.rule.judge(source.show(index), text, output, references)
        wrong = judgement.verdict != Verdict.EQUAL
        pieces = self.translator.tokenizer.target.pieces
        return Record(
            number=number,
            source=source.show(index),
            output=output,
            references=tuple(_kept(self.rule, reference) for reference in references),
            judge=judgement.judge,
            limit=self.queries[index].limit,
            verdict=judgement.verdict,
            sentence_score=score,
            below=wrong and self.question.threshold.misses(score),
            listed=number in self.question.listed,
            rescoring=abs(tried.forced.total - (tried.found or tried.seen.hypotheses[0]).total),
            other_pieces=output.tokens != self.translator.encode_target(text),
            parting=_parting(tried.seen.path) if wrong else None,
            divergence=diverge(output, judgement.form, pieces) if wrong else None,
            source_pieces=source.units[index],
            prefix=self.question.prefix(number),
            twin=self._twin(index, tried, references),
        )

    def _twin(self, index: int, tried: Tried, references: Sequence[Known]) -> Twin | None:
        """What nmtkit's own search in float32 returned, if it is not the output."""
        if tried.own.tokens == tried.forced.tokens:
            return None
        output = scored(self.translator.decode_target(tried.own.tokens), tried.own, self.queries[index])
        return Twin(output, self.rule.judge(self.source.show(index), output.text, output, references).verdict)


def _parting(path: ReferencePath) -> Parting:
    last = path.steps[-1] if path.steps else None
    return Parting(path.ending.value, len(path.steps), last.rank if last else 0, last.margin if last else 0.0)


def _kept(rule: Rule, reference: Known) -> Candidate:
    """A reference in its best segmentation, with the others that another exponent could prefer."""
    best = rule.best(reference.forms)
    others = [form for form in preferable(reference.forms) if form.tokens != best.tokens]
    return replace(best, others=tuple(Form(form.total, form.length, form.tokens, form.rest) for form in others))


def _check_parity(forced: Hypothesis, output: Hypothesis, number: int) -> None:
    """Refuse to judge where the search and the forced pass disagree about the probabilities. Raises ValueError."""
    if abs(forced.total - output.total) <= PARITY and abs(forced.score - output.score) <= PARITY:
        return
    long = f"choose a smaller max_length than {counted(forced.length, 'piece')}, over which rounding adds up, and "
    raise ValueError(
        f"sentence {number}: the search gave its output log P = {output.total:.6f} and J = {output.score:.6f}, but "
        f"forced scoring gives log P = {forced.total:.6f} and J = {forced.score:.6f}; nobody can be blamed while they "
        f"disagree, so {long if forced.length > LONG else ''}run in float32 on the CPU"
    )
