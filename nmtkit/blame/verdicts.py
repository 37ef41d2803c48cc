"""Search, score and judge: the verdict on each output, and where the search lost the reference.

References come first, for the one that judges is followed through the search; a forced pass then scores what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nmtkit.blame.model_errors import diverge
from nmtkit.blame.question import Question
from nmtkit.blame.records import Candidate, Form, Parting, Record, Verdict
from nmtkit.blame.references import Known, score_references, scored
from nmtkit.blame.rule import Rule, preferable
from nmtkit.decoding.beam import Watcher
from nmtkit.decoding.trace import Follower, ReferencePath
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator

PARITY = 1e-4
"""The most by which a forced pass may miss log P and J of the search, in nats, however long the output.

Both add their float32 log P in float64, and each piece of one may differ from that of the other by a few 1e-6 nats,
since products of other shapes round differently. On real text the sums differ by up to 2e-5 in outputs of 100 pieces
and by up to 6e-5 in outputs of 1,500."""
LONG = 1000
"""Pieces from which on rounding alone may pass that, where a model repeats one piece again and again."""


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
        ValueError: where the forced score of an output is not the one that the search gave it.
    """
    limits, rule = translator.limits(sources, settings), Rule(settings.objective, question.tolerance)
    references = score_references(translator, sources, texts, limits, settings, question.segmentations)
    judges = [rule.judging(source, row) for source, row in zip(sources, references, strict=True)]
    followed = [rule.best(row[index].forms).tokens for row, index in zip(references, judges, strict=True)]
    found, paths = _search(translator, sources, followed, settings, first)
    forced = translator.score_tokens(sources, [[output.tokens] for output in found], settings)
    metric, outputs = question.threshold.metric, [output.text for output in found]
    scores = metric.sentence_scores(outputs, list(zip(*texts, strict=True)), sources, first)
    pieces, records = translator.tokenizer.target.pieces, []
    for index, output in enumerate(found):
        (own,), number = forced[index], first + index
        _check_parity(own, output, number)
        candidate = scored(output.text, own)
        judgement = rule.judge(sources[index], output.text, candidate, references[index])
        verdict, wrong = judgement.verdict, judgement.verdict != Verdict.EQUAL
        record = Record(
            number=number,
            source=sources[index],
            output=candidate,
            references=tuple(_kept(rule, one) for one in references[index]),
            judge=judgement.judge,
            limit=limits[index],
            verdict=verdict,
            sentence_score=scores[index],
            below=wrong and question.threshold.misses(scores[index]),
            listed=number in question.listed,
            rescoring=abs(own.total - output.total),
            other_pieces=output.tokens != translator.encode_target(output.text),
            parting=_parting(paths[index]) if wrong else None,
            divergence=diverge(candidate, judgement.form, pieces) if wrong else None,
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


def _parting(path: ReferencePath) -> Parting:
    last = path.steps[-1] if path.steps else None
    return Parting(path.ending.value, len(path.steps), last.rank if last else 0, last.margin if last else 0.0)


def _kept(rule: Rule, reference: Known) -> Candidate:
    """A reference in its best pieces, with the others that another exponent could prefer."""
    best = rule.best(reference.forms)
    others = [one for one in preferable(reference.forms) if one.tokens != best.tokens]
    return replace(best, others=tuple(Form(one.total, one.length, one.tokens) for one in others))


def _check_parity(forced: Hypothesis, output: Translation, number: int) -> None:
    """Refuse to judge where the search and the forced pass do not speak of the same probabilities."""
    if abs(forced.total - output.total) <= PARITY and abs(forced.score - output.score) <= PARITY:
        return
    long = f"choose a smaller max_length than {counted(forced.length, 'piece')}, over which rounding adds up, and "
    raise ValueError(
        f"sentence {number}: the search gave its output log P = {output.total:.6f} and J = {output.score:.6f}, but "
        f"forced scoring gives log P = {forced.total:.6f} and J = {forced.score:.6f}; nobody can be blamed while they "
        f"disagree, so {long if forced.length > LONG else ''}run in float32 on the CPU"
    )
