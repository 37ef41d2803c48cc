"""References as the model scores them: in several segmentations, by one forced pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmtkit.blame.records import Candidate, Obstacle, Rest
from nmtkit.blame.rule import Reference
from nmtkit.decoding.hypothesis import begun
from nmtkit.specials import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.search import Query
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

Known = Reference[Candidate]


@dataclass(frozen=True)
class Given:
    """A reference before it is scored.

    Attributes:
        text: as given; empty if it is blank.
        written: the text that its standard pieces spell; the text as given where one of them is UNK, which spells no
            text.
        targets: the ids of each segmentation that is short enough to be scored, the standard one first.
        overlong: the ids of the standard segmentation, where it is too long to be scored.
    """

    text: str
    written: str
    targets: tuple[tuple[int, ...], ...]
    overlong: tuple[int, ...] = ()

    def scored(self, scores: Sequence[Hypothesis], query: Query) -> Known:
        """The reference with the scores of its targets; log P is −∞ where it was not scored.

        Args:
            query: says what a search could return.
        """
        forms = [scored(self.text, score, query, _obstacle(score, query)) for score in scores]
        if self.overlong:
            tokens = self.overlong
            forms = [Candidate(self.text, -math.inf, len(tokens), -math.inf, Obstacle.TOO_LONG, tokens)]
        return Reference(self.text, self.written, tuple(forms))


def given(translator: Translator, text: str, settings: SearchSettings, segmentations: int = 1) -> Given:
    """A reference in its standard segmentation and in up to `segmentations` − 1 others that spell the same text."""
    standard = translator.encode_target(text)
    spelled = written(translator, text, standard)
    if not translator.holds(standard, settings):
        return Given(text, spelled, (), standard)
    if segmentations == 1:
        return Given(text, spelled, (standard,))
    others = [(*ids, EOS) for ids in translator.tokenizer.target.segmentations(text, segmentations)]
    joined = translator.decode_target(standard)
    same = [ids for ids in others if translator.holds(ids, settings) and translator.decode_target(ids) == joined]
    return Given(text, spelled, tuple(dict.fromkeys([standard, *same]))[:segmentations])


def written(translator: Translator, text: str, tokens: Sequence[int]) -> str:
    """The text that its standard pieces spell; the text itself where one of them is UNK, which spells no text."""
    return text if UNK in tokens else translator.decode_target(tokens)


def targets(references: Sequence[Given]) -> tuple[tuple[int, ...], ...]:
    """The targets of all references of a sentence, one after the other."""
    return tuple(target for reference in references for target in reference.targets)


def known(references: Sequence[Given], scores: Sequence[Hypothesis], query: Query) -> list[Known]:
    """The references of a sentence with the scores of their `targets`; the query says what a search could return."""
    remaining = iter(scores)
    return [reference.scored([next(remaining) for _ in reference.targets], query) for reference in references]


def scored(text: str, forced: Hypothesis, query: Query, obstacle: Obstacle = Obstacle.NONE) -> Candidate:
    """A translation with the score that a forced pass, or a search, gave it under a query."""
    facts = (forced.total, forced.length, forced.score, obstacle, forced.tokens, forced.log_probs)
    return Candidate(text, *facts, rest=_rest(forced, query.prefix))


def _rest(forced: Hypothesis, prefix: tuple[int, ...]) -> Rest | None:
    """What follows the prefix; None where there is none, or the translation begins otherwise."""
    start = begun(forced.tokens, prefix)
    return Rest(sum(forced.log_probs[start:]), forced.length - start) if start else None


def _obstacle(forced: Hypothesis, query: Query) -> Obstacle:
    """Why no search could return these pieces."""
    if {PAD, BOS, UNK} & set(forced.tokens) or not math.isfinite(forced.total):
        return Obstacle.NOT_PRODUCIBLE
    if not query.begins(forced.tokens):
        return Obstacle.OTHER_PREFIX
    return Obstacle.TOO_LONG if forced.length > query.limit else Obstacle.NONE
