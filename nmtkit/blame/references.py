"""The references as the model scores them: in all pieces tried, by one forced pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nmtkit.blame.records import Candidate, Obstacle
from nmtkit.blame.rule import Reference
from nmtkit.specials import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

Known = Reference[Candidate]


def score_references(
    translator: Translator,
    sources: Sequence[str],
    texts: Sequence[Sequence[str]],
    limits: Sequence[int],
    settings: SearchSettings,
    segmentations: int,
) -> list[list[Known]]:
    """All references of each source. One that is longer than any translation is not scored; its log P is −∞.

    Args:
        texts: the references of each source, blank ones empty.
        limits: the most target pieces of a translation of each source.
        segmentations: pieces tried for each reference, those that the tokenizer makes of it among them.
    """
    choices = [[_segmentations(translator, text, settings, segmentations) for text in row] for row in texts]
    targets = [[tokens for ways in row for tokens in ways if translator.holds(tokens, settings)] for row in choices]
    rows = []
    for index, scores in enumerate(translator.score_tokens(sources, targets, settings)):
        remaining = iter(scores)
        row = []
        for text, ways in zip(texts[index], choices[index], strict=True):
            forms = tuple(_form(translator, text, tokens, remaining, limits[index], settings) for tokens in ways)
            row.append(Reference(text, written(translator, text, ways[0]), forms))
        rows.append(row)
    return rows


def written(translator: Translator, text: str, tokens: Sequence[int]) -> str:
    """A text as its standard pieces spell it; the text itself where one of them is UNK, which spells none."""
    return text if UNK in tokens else translator.decode_target(tokens)


def scored(text: str, forced: Hypothesis, obstacle: Obstacle = Obstacle.NONE) -> Candidate:
    """A translation with the score of a forced pass."""
    facts = (forced.total, forced.length, forced.score, obstacle, forced.tokens, forced.log_probs)
    return Candidate(text, *facts)


def _segmentations(translator: Translator, text: str, settings: SearchSettings, number: int) -> list[tuple[int, ...]]:
    """The standard segmentation of a text, EOS last, and up to `number` − 1 others of the same text."""
    standard = translator.encode_target(text)
    if number == 1 or not translator.holds(standard, settings):
        return [standard]
    joined = translator.decode_target(standard)
    others = [(*ids, EOS) for ids in translator.tokenizer.target.segmentations(text, number)]
    same = [one for one in others if translator.holds(one, settings) and translator.decode_target(one) == joined]
    return list(dict.fromkeys([standard, *same]))[:number]


def _form(
    translator: Translator,
    text: str,
    tokens: tuple[int, ...],
    scores: Iterator[Hypothesis],
    limit: int,
    settings: SearchSettings,
) -> Candidate:
    """A reference under one segmentation; its score is the next one, if it was scored."""
    if not translator.holds(tokens, settings):
        return Candidate(text, -math.inf, len(tokens), -math.inf, Obstacle.TOO_LONG, tokens)
    forced = next(scores)
    if {PAD, BOS, UNK} & set(tokens) or not math.isfinite(forced.total):
        return scored(text, forced, Obstacle.NOT_PRODUCIBLE)
    return scored(text, forced, Obstacle.TOO_LONG if forced.length > limit else Obstacle.NONE)
