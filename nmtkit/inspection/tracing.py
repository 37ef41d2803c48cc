"""Search and note what the beam looked at, with a given translation followed through the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit import __version__
from nmtkit.blame.records import Candidate as BlameCandidate
from nmtkit.blame.references import written
from nmtkit.blame.rule import Reference as Human
from nmtkit.console import warn
from nmtkit.decoding.beam import Beam
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.search import Encoded, Query
from nmtkit.decoding.trace import ReferencePath, Seen, Traced
from nmtkit.decoding.trace import Step as SeenStep
from nmtkit.inspection.traces import Candidate, Header, Reference, Scored, Step, Trace
from nmtkit.memory import ran_out
from nmtkit.models.interface import Memory, State, Stepper

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.batches.work import Listener
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator


def header(translator: Translator, settings: SearchSettings) -> Header:
    """The header of a trace file."""
    vocabulary = translator.tokenizer.target.size - 2  # PAD and BOS cannot be produced
    facts = (settings.beam, settings.length_alpha, settings.length_penalty, vocabulary)
    return Header(__version__, translator.folder_hash, *facts)


@dataclass(frozen=True)
class Observed:
    """What was noted of the search for a sentence, and the score of its reference, if it has one."""

    seen: Seen
    reference: Hypothesis | None


@dataclass(frozen=True)
class Observation:
    """A search made of two: a traced search, and a forced pass over the target of a query, if it has one."""

    traced: Traced

    @classmethod
    def of(cls, settings: SearchSettings) -> Observation:
        """An observation that notes the 2B best candidates of every step, at least ten."""
        return cls(Traced(Beam.of(settings), max(2 * settings.beam, 10)))

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[Observed | None]:
        """Every sentence is encoded once."""
        seen = self.traced.find(stepper, batch, queries)
        try:
            scores = Forced(self.traced.beam.objective).find(stepper, batch, queries)
        except (RuntimeError, MemoryError) as error:
            if len(queries) > 1 or not ran_out(error):
                raise
            scores = [[]]  # a reference that does not fit into memory is left out
        return [
            None if result is None else Observed(result, next(iter(own), None))
            for result, own in zip(seen, scores, strict=True)
        ]


def trace(
    translator: Translator,
    lines: Sequence[str],
    settings: SearchSettings,
    references: Sequence[str] | None = None,
    first_line: int = 1,
    listener: Listener | None = None,
) -> list[tuple[list[Translation], Trace]]:
    """The translations of each line, as `Translator.search` gives them, and what the beam looked at on its way.

    For every step, the 2B best candidates are noted, at least ten, and every prefix of the reference.

    Args:
        references: a known translation of each line, to be followed. A blank reference of a line that is not blank is
            ignored; one that is longer than any translation is not followed, with a warning.
        listener: is told how the search goes on; a line that fails has no translation and no steps.
    """
    source = translator.read(lines, settings, first_line)
    queries = followed(translator, source, translator.queries(source, settings), references, settings)
    observations = translator.find(Observation.of(settings), source, settings, queries, listener=listener)
    return traces(translator, source, queries, observations, references)


def followed(
    translator: Translator,
    source: Source,
    queries: Sequence[Query],
    references: Sequence[str] | None,
    settings: SearchSettings,
) -> list[Query]:
    """The queries of the sentences, with the ids of the references that are followed."""
    if references is None:
        return list(queries)
    ids = [
        _ids(translator, text, source, query.index, settings) for query, text in zip(queries, references, strict=True)
    ]
    return [
        replace(query, reference=tokens, targets=(tokens,) if tokens else ())
        for query, tokens in zip(queries, ids, strict=True)
    ]


def _ids(
    translator: Translator, text: str, source: Source, index: int, settings: SearchSettings
) -> tuple[int, ...] | None:
    """The ids of a reference; None where it cannot be followed."""
    if not text.strip() and not source.blank(index):
        return None
    tokens = translator.encode_target(text)
    if excess := translator.excess(tokens, settings):
        warn(f"line {source.first + index}: the reference is not followed: {excess}")
        return None
    return tokens


def traces(
    translator: Translator,
    source: Source,
    queries: Sequence[Query],
    observations: Sequence[Observed | None],
    references: Sequence[str] | None,
) -> list[tuple[list[Translation], Trace]]:
    """The translations and the trace of each sentence, in texts and pieces."""
    results = []
    for query, observed in zip(queries, observations, strict=True):
        index = query.index
        translations = [translator.text(hypothesis) for hypothesis in observed.seen.hypotheses] if observed else []
        steps = _steps(translator, observed.seen.steps, query.reference or ()) if observed else ()
        reference = None
        if observed and references and observed.reference and observed.seen.path:
            reference = _reference(translator, observed.reference, references[index], observed.seen.path)
            text = references[index]
            human = Human[BlameCandidate](text, written(translator, text, observed.reference.tokens), ())
            same = any(human.same_text(translation.text) for translation in translations)
            if same and reference.ending != "finished":
                reference = replace(reference, ending="same text")
        outputs = tuple(_scored(translator, translation, translation.text) for translation in translations)
        facts = (source.show(index), source.names(index)[:-1], query.limit, steps, outputs, reference)
        results.append((translations, Trace(source.first + index, *facts)))
    return results


def _steps(translator: Translator, steps: Sequence[SeenStep], reference: Sequence[int]) -> tuple[Step, ...]:
    """The steps with pieces instead of tokens, and the prefixes of the reference marked."""
    named, on_way = [], 0  # rank of the reference's prefix in the step before; −1: it was not noted
    for step in steps:
        wanted = reference[step.length - 1] if step.length <= len(reference) else None
        before, on_way = on_way, -1
        candidates = []
        pieces = translator.tokenizer.target.pieces([candidate.token for candidate in step.candidates])
        for candidate, piece in zip(step.candidates, pieces, strict=True):
            marked = candidate.parent == before and candidate.token == wanted
            on_way = candidate.rank if marked else on_way
            scores = (candidate.log_p, candidate.total, candidate.score)
            facts = (candidate.rank, candidate.parent, piece, *scores, candidate.fate.value, marked)
            candidates.append(Candidate(*facts))
        named.append(Step(step.length, step.prefixes, tuple(candidates)))
    return tuple(named)


def _scored(translator: Translator, hypothesis: Hypothesis, text: str) -> Scored:
    pieces = tuple(translator.tokenizer.target.pieces(hypothesis.tokens))
    return Scored(text, pieces, hypothesis.log_probs, hypothesis.total, hypothesis.score)


def _reference(translator: Translator, forced: Hypothesis, text: str, path: ReferencePath) -> Reference:
    ranks, margins = ([getattr(step, name) for step in path.steps] for name in ("rank", "margin"))
    return Reference(_scored(translator, forced, text), tuple(ranks), tuple(margins), path.ending.value)
