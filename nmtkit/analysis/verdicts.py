"""Search, score and judge: the verdict on each output, and where the search lost the reference.

References come first, for the best of them is followed through the search; a forced pass then scores what was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nmtkit.analysis.model_errors import diverge
from nmtkit.analysis.question import Question, blank_as_empty
from nmtkit.analysis.records import Candidate, Loss, Obstacle, Record, Verdict
from nmtkit.decoding.beam import Watcher
from nmtkit.decoding.trace import Follower, ReferencePath
from nmtkit.evaluation.metrics import sentence_scores
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator

PARITY = 1e-4
"""The most by which a forced pass may miss log P and J of the search, in nats, …"""
PARITY_PER_TOKEN = 1e-5
"""… or, for outputs of more than ten pieces, this many nats a piece: the rounding that float32 is allowed."""


def judge(
    translator: Translator,
    sources: Sequence[str],
    texts: Sequence[tuple[str, ...]],
    settings: SearchSettings,
    question: Question,
    first: int = 1,
) -> list[Record]:
    """A record of each source.

    Args:
        texts: the references of each source, blank ones empty.
        first: number of the first sentence.

    Raises:
        ValueError: where the forced score of an output is not the one that the search gave it, and for a reference
            that the model cannot hold.
    """
    limits = translator.limits(sources, settings)
    references = _references(translator, sources, texts, limits, settings, question, first)
    judges = [_judging(source, row) for source, row in zip(sources, references, strict=True)]
    followed = [row[index].tokens for row, index in zip(references, judges, strict=True)]
    found, paths = _search(translator, sources, followed, settings, first)
    forced = translator.score_tokens(sources, [[output.tokens] for output in found], settings)
    scores = sentence_scores(question.metric, [output.text for output in found], list(zip(*texts, strict=True)))
    pieces, records = translator.tokenizer.target.pieces, []
    for index, output in enumerate(found):
        (own,), number = forced[index], first + index
        _check_parity(own, output, number)
        candidate = _known(output.text, own)
        same = _equal(translator, sources[index], output.text, references[index])
        verdict = Verdict.EQUAL if same is not None else _verdict(candidate, references[index][judges[index]], question)
        reference = judges[index] if same is None else same
        record = Record(
            number=number,
            source=sources[index],
            output=candidate,
            references=references[index],
            judge=reference,
            limit=limits[index],
            verdict=verdict,
            sentence_score=scores[index],
            below=verdict != Verdict.EQUAL and scores[index] < question.threshold,
            listed=number in question.listed,
            rescoring=abs(own.total - output.total),
            other_pieces=output.tokens != translator.encode_target(output.text),
            loss=_loss(paths[index]) if same is None else None,
            divergence=diverge(candidate, references[index][reference], pieces) if same is None else None,
            source_pieces=len(translator.encode_source(sources[index], settings)) - 1,
        )
        records.append(record)
    return records


def _search(
    translator: Translator,
    sources: Sequence[str],
    followed: Sequence[tuple[int, ...]],
    settings: SearchSettings,
    first: int,
) -> tuple[list[Translation], list[ReferencePath]]:
    """What the search finds, and how far it went along a given translation of each source."""
    followers: dict[int, tuple[Follower, int]] = {}

    def watch(chosen: list[int], limits: list[int]) -> Watcher:
        follower = Follower([followed[index] for index in chosen], limits)
        followers.update({index: (follower, row) for row, index in enumerate(chosen)})
        return follower

    found = translator.search(sources, replace(settings, n_best=1), first, watch=watch)
    paths = []
    for index in range(len(sources)):
        follower, row = followers[index]
        path = follower.path(row)
        assert path is not None
        paths.append(path)
    return [translations[0] for translations in found], paths


def _loss(path: ReferencePath) -> Loss:
    last = path.steps[-1] if path.steps else None
    return Loss(path.ending.value, len(path.steps), last.rank if last else 0, last.margin if last else 0.0)


def _references(
    translator: Translator,
    sources: Sequence[str],
    texts: Sequence[tuple[str, ...]],
    limits: Sequence[int],
    settings: SearchSettings,
    question: Question,
    first: int,
) -> list[tuple[Candidate, ...]]:
    """All references of each source under their best segmentation, by one forced pass."""
    choices = [[_segmentations(translator, text, question.segmentations) for text in row] for row in texts]
    targets = [[tokens for segmentations in row for tokens in segmentations] for row in choices]
    for number, row in enumerate(targets, first):
        if not all(map(translator.holds, row)):
            raise ValueError(
                f"sentence {number}: a reference of {counted(max(map(len, row)), 'piece')} is longer than the model "
                f"can hold (max_positions = {translator.model.longest}, end of sentence counted): leave the sentence "
                "out"
            )
    rows = []
    for index, scores in enumerate(translator.score_tokens(sources, targets, settings)):
        remaining = iter(scores)
        rows.append(
            tuple(
                _best([_candidate(text, next(remaining), limits[index]) for _ in segmentations])
                for text, segmentations in zip(texts[index], choices[index], strict=True)
            )
        )
    return rows


def _segmentations(translator: Translator, text: str, number: int) -> list[tuple[int, ...]]:
    """The standard segmentation of a text, EOS last, and up to `number` − 1 others of the same text."""
    standard = translator.encode_target(text)
    if number == 1:
        return [standard]
    joined = translator.decode_target(standard)
    others = [(*ids, EOS) for ids in translator.tokenizer.target.nbest(text, number)]
    same = [tokens for tokens in others if translator.holds(tokens) and translator.decode_target(tokens) == joined]
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


def _counted(source: str, references: Sequence[Candidate]) -> list[int]:
    """Which references count: where a source is not blank, not the blank ones of several."""
    everything = range(len(references))
    return [index for index in everything if references[index].text or not source.strip()] or list(everything)


def _judging(source: str, references: Sequence[Candidate]) -> int:
    """The reference with the highest J among those that are reachable; the first of equals."""
    best = _best([references[index] for index in _counted(source, references)])
    return next(index for index, one in enumerate(references) if one is best)


def _equal(translator: Translator, source: str, output: str, references: Sequence[Candidate]) -> int | None:
    """The first reference whose text the output is."""
    counted = _counted(source, references)
    return next((index for index in counted if _same_text(translator, output, references[index].text)), None)


def _verdict(output: Candidate, reference: Candidate, question: Question) -> Verdict:
    """On an output that is no reference."""
    if reference.obstacle:
        return Verdict.UNREACHABLE
    return Verdict.BEAM if reference.score > output.score + question.tolerance else Verdict.MODEL


def _same_text(translator: Translator, output: str, reference: str) -> bool:
    """Whether the output is the reference, or what a tokenizer that loses something makes of it."""
    if blank_as_empty(output) == reference:
        return True
    tokens = translator.encode_target(reference)
    return UNK not in tokens and output == translator.decode_target(tokens)
