"""What each setting of the search would bring: beams and length exponents, measured on one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.question import TOLERANCE
from nmtkit.blame.records import Verdict
from nmtkit.blame.rule import blank_as_empty
from nmtkit.evaluation.bootstrap import CHANCE, RESAMPLES
from nmtkit.evaluation.metric import Metric
from nmtkit.evaluation.metrics import OF_SENTENCES, USUAL
from nmtkit.evaluation.scoring import Score, evaluate
from nmtkit.evaluation.significance import paired_bootstrap

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator


@dataclass(frozen=True)
class Setting:
    """One beam and exponent, measured.

    Attributes:
        scores: corpus scores with 95 % percentile intervals; the first one decides.
        different: number of outputs that differ from their references: verdicts that are not `equal`.
        beam_errors: how many of these have the verdict `beam`.
        length_ratio: target pieces of the outputs over those of the references that judge.
        seconds: seconds a sentence of a search that serves all exponents of the sweep, without the encoder.
        p_value: for "no difference from the present setting" in the deciding score; two-sided, paired, corrected for
            the choice among all settings of the sweep; None for the present setting.
    """

    beam: int
    alpha: float
    scores: tuple[Score, ...]
    different: int
    beam_errors: int
    length_ratio: float
    seconds: float
    p_value: float | None = None

    @property
    def deciding(self) -> Score:
        """The score by which settings are compared."""
        return self.scores[0]

    @property
    def decided(self) -> bool:
        """Whether its deciding score differs from that of the present setting beyond chance."""
        return self.p_value is not None and self.p_value < CHANCE


@dataclass(frozen=True)
class Sweep:
    """All settings, beam by beam.

    Attributes:
        current: index of the setting that the report is about.
        best: index of the setting with the best deciding score; between equals the present one goes first, then the
            narrowest beam.
        oracle: the most that reranking could bring: the score of the best translations of each n-best list of the best
            setting, where n is its beam; by the metric of sentences.
    """

    settings: tuple[Setting, ...]
    sentences: int
    current: int
    best: int
    oracle: float

    @property
    def several_beams(self) -> bool:
        """Whether other beams than the present one were measured."""
        return len({setting.beam for setting in self.settings}) > 1

    @property
    def chosen(self) -> Setting:
        """The setting to use: the best, if it is better than the current beyond chance."""
        best = self.settings[self.best]
        return best if best.decided else self.settings[self.current]


def sweep(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: SearchSettings,
    beams: Sequence[int],
    alphas: Sequence[float],
    *,
    metrics: Sequence[Metric] = USUAL,
    tolerance: float = TOLERANCE,
    reference_segmentations: int = 1,
    prefixes: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Sweep:
    """Measure every beam with every exponent; the beam and the exponent of `settings` are always among them.

    Args:
        references: one or more sets, each with a line for every source.
        metrics: the usual metrics first; the very first one decides.
        tolerance, reference_segmentations, prefixes: as in `blame`.
        resamples: resamples of the bootstrap.
    """
    from nmtkit.blame.setting_verdicts import SettingVerdicts  # which loads torch

    beams, alphas = sorted({*beams, settings.beam}), sorted({*alphas, settings.length_alpha})
    texts = [[blank_as_empty(line) for line in lines] for lines in references]
    settings = replace(settings, n_best=1)
    judge = SettingVerdicts(translator, settings, beams, alphas, tolerance, reference_segmentations)
    judged = judge.all(sources, list(zip(*texts, strict=True)), prefixes)
    outputs = {place: [output.text for output in row] for place, row in judged.items()}
    places = list(judged)
    current = places.index((settings.beam, settings.length_alpha))
    p_values = compared(metrics[0], list(outputs.values()), current, texts, resamples)
    measured = []
    for ((beam, alpha), row), p_value in zip(judged.items(), p_values, strict=True):
        verdicts = [output.verdict for output in row]
        wrong, missed = sum(verdict != Verdict.EQUAL for verdict in verdicts), verdicts.count(Verdict.BEAM)
        scores = tuple(evaluate(outputs[beam, alpha], texts, metrics, sources=sources, resamples=resamples))
        ratio = sum(output.length for output in row) / sum(output.reference_length for output in row)
        time = sum(output.seconds for output in row) / len(sources)
        measured.append(Setting(beam, alpha, scores, wrong, missed, ratio, time, p_value))
    best = best_of(measured, current)
    beam, alpha = places[best]
    widest = replace(settings, beam=beam, length_alpha=alpha, n_best=beam)
    lists = translator.search(sources, widest, prefixes=prefixes)
    return Sweep(tuple(measured), len(sources), current, best, _oracle(lists, texts, OF_SENTENCES))


def compared(
    metric: Metric,
    outputs: Sequence[Sequence[str]],
    current: int,
    references: Sequence[Sequence[str]],
    resamples: int = RESAMPLES,
) -> list[float | None]:
    """The p-value of each text against the text `current`, corrected for their number; None for `current` itself."""
    others = [*outputs[:current], *outputs[current + 1 :]]
    p_values: list[float | None] = [
        comparison.p_value for comparison in paired_bootstrap(metric, outputs[current], others, references, resamples)
    ]
    return [*p_values[:current], None, *p_values[current:]]


def best_of(settings: Sequence[Setting], current: int) -> int:
    """The index of the setting with the best deciding score; between equals, the current one, then the narrowest."""

    def rank(index: int) -> tuple[float, bool, int]:
        score = settings[index].deciding
        return -score.metric.direction.gain(score.value, 0.0), index != current, settings[index].beam

    return min(range(len(settings)), key=rank)


def _oracle(lists: Sequence[Sequence[Translation]], texts: Sequence[Sequence[str]], metric: Metric) -> float:
    """The corpus score of the translation with the best sentence score of each list."""
    flat = [translation.text for best in lists for translation in best]
    rows = [[line for best, line in zip(lists, lines, strict=True) for _ in best] for lines in texts]
    gains = iter([metric.direction.gain(score, 0.0) for score in metric.sentence_scores(flat, rows)])
    chosen = [max(best, key=lambda translation: next(gains)).text for best in lists]
    return metric.corpus_score(chosen, texts)
