"""The verdicts on the outputs of every setting of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.question import WINDOW
from nmtkit.blame.records import Verdict
from nmtkit.blame.references import given, known, scored, targets
from nmtkit.blame.rule import Rule
from nmtkit.decoding.beam import Sweep, Swept
from nmtkit.decoding.forced import Forced
from nmtkit.decoding.search import Encoded, Query
from nmtkit.models.interface import Memory, State, Stepper

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator


@dataclass(frozen=True)
class Judged:
    """An output of one setting: its text, its target pieces, the verdict, the target pieces of the reference that
    judges, and the seconds that the search took."""

    text: str
    length: int
    verdict: Verdict
    reference_length: int
    seconds: float


@dataclass(frozen=True)
class _Scored:
    """What the search found for a sentence under every setting.

    Attributes:
        references: forced scores of all targets of the query.
        swept: the best hypothesis of each setting.
        forced: the forced scores of these hypotheses, by their ids.
    """

    references: list[Hypothesis]
    swept: Swept
    forced: Mapping[tuple[int, ...], Hypothesis]


@dataclass(frozen=True)
class _ScoredSweep:
    """A search made of three: score the references, search under all settings, and score what was found."""

    sweep: Sweep

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[_Scored | None]:
        """Every sentence is encoded once."""
        forced = Forced(self.sweep.objectives[0])
        references = forced.find(stepper, batch, queries)
        swept = self.sweep.find(stepper, batch, queries)
        outputs = [
            replace(query, targets=tuple({best[0].tokens for best in result.hypotheses.values()}) if result else ())
            for query, result in zip(queries, swept, strict=True)
        ]
        rescored = [{score.tokens: score for score in scores} for scores in forced.find(stepper, batch, outputs)]
        return [
            None if result is None else _Scored(scores, result, own)
            for scores, result, own in zip(references, swept, rescored, strict=True)
        ]


@dataclass(frozen=True)
class SettingVerdicts:
    """Searches under every setting and judges what was found.

    The forced passes go over the same windows as those of an analysis, so that both rest on the same numbers.
    """

    translator: Translator
    settings: SearchSettings
    beams: Sequence[int]
    alphas: Sequence[float]
    tolerance: float
    segmentations: int

    def all(
        self, sources: Sequence[str], rows: Sequence[tuple[str, ...]], prefixes: Sequence[str] | None = None
    ) -> dict[tuple[int, float], list[Judged]]:
        """The judged output of each source for every beam and exponent.

        Args:
            rows: the references of each source.
            prefixes: what the outputs for each source must begin with.
        """
        judged: dict[tuple[int, float], list[Judged]] = {
            (beam, alpha): [] for beam in self.beams for alpha in self.alphas
        }
        for start in range(0, len(sources), WINDOW):
            part = slice(start, start + WINDOW)
            begun = None if prefixes is None else prefixes[part]
            for place, row in self._window(sources[part], rows[part], begun).items():
                judged[place] += row
        return judged

    def _window(
        self, sources: Sequence[str], rows: Sequence[tuple[str, ...]], prefixes: Sequence[str] | None
    ) -> dict[tuple[int, float], list[Judged]]:
        translator, settings = self.translator, self.settings
        objectives = {alpha: replace(settings, length_alpha=alpha).objective for alpha in self.alphas}
        source = translator.read(sources, settings)
        references = [[given(translator, text, settings, self.segmentations) for text in row] for row in rows]
        queries = [
            replace(query, targets=targets(row))
            for query, row in zip(translator.queries(source, settings, prefixes), references, strict=True)
        ]
        search = Sweep(tuple(self.beams), tuple(objectives.values()), 1, settings.rules)
        judged: dict[tuple[int, float], list[Judged]] = {}
        results = translator.find(_ScoredSweep(search), source, settings, queries)
        for query, row, result in zip(queries, references, results, strict=True):
            assert result is not None
            scores = known(row, result.references, query)
            for beam in self.beams:
                for alpha, objective in objectives.items():
                    best = result.swept.hypotheses[beam, objective][0]
                    text = translator.decode_target(best.tokens)
                    output = scored(text, result.forced[best.tokens], query)
                    rule, seconds = Rule(objective, self.tolerance), result.swept.seconds[beam]
                    judgement = rule.judge(source.show(query.index), text, output, scores)
                    own = Judged(text, best.length, judgement.verdict, judgement.form.length, seconds)
                    judged.setdefault((beam, alpha), []).append(own)
        return judged
