"""Error analysis after Ng: for every wrong translation, is the search or the model at fault?

With the objective J that the search maximises, the reference y* and the output ŷ, both scored by one forced pass:

    equal         ŷ and y* are the same text                                   no error
    beam          J(y*) > J(ŷ) + tolerance                                     the search missed what the model prefers
    model         J(y*) ≤ J(ŷ) + tolerance                                     the model prefers the worse translation
    unreachable   y* is longer than the limit, or the model cannot produce it  neither

The tolerance is absolute, on the difference of the two J and on nothing else. What is the same text: the output's text
is the reference, or is what the tokenizer makes of the reference; segmentation plays no part. `equal` is decided first,
so a text that the search did return is never unreachable. A piece that cannot be produced is one with probability zero
or UNK, which stands for no certain text. Texts of nothing but white space count as the empty translation, |y| = 1, and
are judged like any other; so a blank source, whose limit is 1, is `equal` or `unreachable`. Where a source that is not
blank has several references and some are blank, these are left out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import sacrebleu

from nmtkit import __version__, console
from nmtkit.analysis.model_errors import ALPHAS, diverge, flips
from nmtkit.analysis.question import (
    DEFAULT_THRESHOLD,
    TOLERANCE,
    Question,
    blank_as_empty,
    check,
    warn_about_blanks,
    warn_about_listed,
)
from nmtkit.analysis.records import Candidate, Obstacle, Provenance, Record, Report, Verdict
from nmtkit.analysis.rows import count
from nmtkit.analysis.search_errors import WIDTHS, Budget, certify, count_proofs, locate, widen
from nmtkit.evaluation.metrics import sentence_scores
from nmtkit.specials import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator

PARITY = 1e-4
"""The most by which a forced pass may miss log P and J of the search, in nats, …"""
PARITY_PER_TOKEN = 1e-5
"""… or, for outputs of more than ten pieces, this many nats a piece: the rounding that float32 is allowed."""


def blame(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    *,
    tolerance: float = TOLERANCE,
    errors: Collection[int] | None = None,
    threshold: tuple[str, float] | None = None,
    reference_segmentations: int = 1,
    exact: Budget | None = None,
    warn: Callable[[str], None] = console.warn,
    progress: Callable[[int, int], None] = lambda done, proved: None,
) -> Report:
    """Translate the sources and blame the search or the model for every output that is none of its references.

    Of several references the one with the highest J judges, among those that are reachable; all are recorded.

    Args:
        references: one or more reference sets, each with a line for every source.
        settings: of the search; `n_best` is not used.
        errors: numbers (from 1) of the sentences that a person judged wrong: they are counted in a row of their own.
        threshold: (metric, value) of a sentence score, below which an output is an error of the second row; chrF 60
            if not given.
        reference_segmentations: J of a reference is that of the best of so many, its standard one among them.
        exact: budget of an exact search that certifies the outputs; None: no certificates.
        warn: is told what is odd about the texts.
        progress: is told how many sentences exact search has done, and of how many it proved the best.

    Raises:
        ValueError: for texts that do not belong together, impossible arguments, and where the forced score of an
            output is not the one that the search gave it, so that no verdict could be trusted.
    """
    metric, value = threshold or DEFAULT_THRESHOLD
    question = Question(tolerance, frozenset(errors or ()), metric, value, reference_segmentations)
    check(sources, references, question)
    check_settings(settings)
    settings = replace(settings, n_best=1)
    texts = [tuple(blank_as_empty(text) for text in row) for row in zip(*references, strict=True)]
    warn_about_blanks(sources, texts, warn)
    found = [translations[0] for translations in translator.search(sources, settings)]
    limits = translator.limits(sources, settings)
    outputs, candidates = _score(translator, sources, found, texts, limits, settings, question)
    sentence = sentence_scores(metric, [output.text for output in outputs], list(zip(*texts, strict=True)))
    records, pieces = [], translator.tokenizer.target.pieces
    for index, output in enumerate(outputs):
        judge, verdict = _judge(translator, sources[index], output, candidates[index], tolerance)
        record = Record(
            number=index + 1,
            source=sources[index],
            output=output,
            references=candidates[index],
            judge=judge,
            limit=limits[index],
            verdict=verdict,
            sentence_score=sentence[index],
            below=verdict != Verdict.EQUAL and sentence[index] < value,
            listed=index + 1 in question.listed,
            divergence=diverge(output, candidates[index][judge], pieces) if verdict != Verdict.EQUAL else None,
            source_pieces=min(len(translator.tokenizer.source.encode(sources[index])), settings.max_source),
        )
        records.append(record)
    warn_about_listed(records, warn)
    records = widen(translator, locate(translator, records, settings), settings, tolerance)
    if exact:
        records = certify(translator, records, settings, tolerance, exact, progress)
    rows = count(records, metric, value, judged=errors is not None)
    difference = max(abs(forced.total - beam.total) for forced, beam in zip(outputs, found, strict=True))
    provenance = _provenance(translator, sources, references, settings, question, difference, exact)
    others = [replace(settings, length_alpha=alpha).objective for alpha in ALPHAS if alpha != settings.length_alpha]
    turned = tuple(flips(records, others, tolerance))
    return Report(tuple(records), rows, provenance, count_proofs(records), turned)


def _score(
    translator: Translator,
    sources: Sequence[str],
    found: Sequence[Translation],
    texts: Sequence[tuple[str, ...]],
    limits: Sequence[int],
    settings: SearchSettings,
    question: Question,
) -> tuple[list[Candidate], list[tuple[Candidate, ...]]]:
    """One forced pass over what the search found and all references of each source."""
    choices = [[_segmentations(translator, text, question.segmentations) for text in row] for row in texts]
    targets = [
        [output.tokens, *(tokens for segmentations in row for tokens in segmentations)]
        for output, row in zip(found, choices, strict=True)
    ]
    outputs, candidates = [], []
    for index, scores in enumerate(translator.score_tokens(sources, targets, settings)):
        remaining = iter(scores)
        own = next(remaining)
        _check_parity(own, found[index], index + 1)
        outputs.append(_known(found[index].text, own))
        candidates.append(
            tuple(
                _best([_candidate(text, next(remaining), limits[index]) for _ in segmentations])
                for text, segmentations in zip(texts[index], choices[index], strict=True)
            )
        )
    return outputs, candidates


def check_settings(settings: SearchSettings) -> None:
    """Refuse what forbids the output some translations but not the reference."""
    for name in ("min_length", "min_length_ratio", "no_repeat_ngram"):
        if getattr(settings, name):
            raise ValueError(f"{name} = {getattr(settings, name)} bans outputs, not references: leave it out")


def _segmentations(translator: Translator, text: str, number: int) -> list[tuple[int, ...]]:
    """The standard segmentation of a text, EOS last, and up to `number` − 1 others of the same text."""
    standard = translator.encode_target(text)
    if number == 1:
        return [standard]
    joined = translator.decode_target(standard)
    others = [(*ids, EOS) for ids in translator.tokenizer.target.nbest(text, number)]
    same = [tokens for tokens in others if translator.decode_target(tokens) == joined]
    return list(dict.fromkeys([standard, *same]))[:number]


def _candidate(text: str, forced: Hypothesis, limit: int) -> Candidate:
    """A reference under one segmentation."""
    obstacle = Obstacle.NONE
    if {PAD, BOS, UNK} & set(forced.tokens) or not math.isfinite(forced.total):
        obstacle = Obstacle.NOT_PRODUCIBLE
    elif forced.length > limit:
        obstacle = Obstacle.TOO_LONG
    return replace(_known(text, forced), obstacle=obstacle)


def _known(text: str, forced: Hypothesis) -> Candidate:
    return Candidate(text, forced.total, forced.length, forced.score, tokens=forced.tokens, log_probs=forced.log_probs)


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """The highest J among those that are reachable, or among all if none is; the first of equals."""
    return max(candidates, key=lambda candidate: (not candidate.obstacle, candidate.score))


def _check_parity(forced: Hypothesis, output: Translation, number: int) -> None:
    """Refuse to judge where the search and the forced pass do not speak of the same probabilities."""
    allowed = max(PARITY, PARITY_PER_TOKEN * forced.length)
    if abs(forced.total - output.total) <= allowed and abs(forced.score - output.score) <= allowed:
        return
    raise ValueError(
        f"sentence {number}: the search gave its output log P = {output.total:.6f} and J = {output.score:.6f}, but "
        f"forced scoring gives log P = {forced.total:.6f} and J = {forced.score:.6f}; nobody can be blamed while they "
        "disagree, so run in float32 on the CPU"
    )


def _judge(
    translator: Translator, source: str, output: Candidate, references: tuple[Candidate, ...], tolerance: float
) -> tuple[int, Verdict]:
    """Which reference judges, and the verdict."""
    everything = range(len(references))
    counted = [index for index in everything if references[index].text or not source.strip()] or list(everything)
    for index in counted:
        if _same_text(translator, output.text, references[index].text):
            return index, Verdict.EQUAL
    best = _best([references[index] for index in counted])
    judge = next(index for index in counted if references[index] is best)
    if best.obstacle:
        return judge, Verdict.UNREACHABLE
    return judge, Verdict.BEAM if best.score > output.score + tolerance else Verdict.MODEL


def _same_text(translator: Translator, output: str, reference: str) -> bool:
    """Whether the output is the reference, or what a tokenizer that loses something makes of it."""
    if blank_as_empty(output) == reference:
        return True
    tokens = translator.encode_target(reference)
    return UNK not in tokens and output == translator.decode_target(tokens)


def _provenance(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    question: Question,
    difference: float,
    exact: Budget | None,
) -> Provenance:
    return Provenance(
        nmtkit=__version__,
        model=translator.folder_hash,
        beam=settings.beam,
        length_alpha=settings.length_alpha,
        length_penalty=settings.length_penalty,
        length_limit=settings.limit_in_words,
        patience=settings.patience,
        free_eos=settings.free_eos,
        forbid_unk=settings.forbid_unk,
        max_source=settings.max_source,
        tolerance=question.tolerance,
        rescoring_difference=difference,
        reference_segmentations=question.segmentations,
        sentence_metric=question.metric,
        sentence_threshold=question.threshold,
        sacrebleu=sacrebleu.__version__,
        widths=tuple(width for width in WIDTHS if width > settings.beam),
        exact_steps=exact.steps if exact else None,
        exact_seconds=exact.seconds if exact else None,
        exact_sample=exact.sample if exact else None,
        sources_sha256=_sha256(sources),
        references_sha256=tuple(_sha256(lines) for lines in references),
    )


def _sha256(lines: Sequence[str]) -> str:
    """Of the lines as a file with a line feed after each."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")).hexdigest()
