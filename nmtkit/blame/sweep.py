"""What each setting of the search would bring: beams and length exponents, measured on one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nmtkit.blame.question import TOLERANCE
from nmtkit.blame.records import Verdict
from nmtkit.blame.rule import blank_as_empty
from nmtkit.evaluation.bootstrap import CHANCE, RESAMPLES
from nmtkit.evaluation.metrics import Score, evaluate, sentence_scores
from nmtkit.evaluation.significance import paired_bootstrap
from nmtkit.words import plural

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator


@dataclass(frozen=True)
class Setting:
    """One beam and exponent, measured.

    Attributes:
        bleu, chrf: of all outputs, with 95 % percentile intervals.
        different: outputs whose text is no reference: verdicts that are not `equal`.
        beam_errors: of these, the `beam` verdicts.
        length_ratio: target pieces of the outputs against those of the references that judge.
        seconds: a sentence, of a search that serves all exponents of the sweep, without the encoder.
        p_value: of "its BLEU is that of the present setting", two-sided, paired, corrected for the choice among all
            settings of the sweep; None for the present one.
    """

    beam: int
    alpha: float
    bleu: Score
    chrf: Score
    different: int
    beam_errors: int
    length_ratio: float
    seconds: float
    p_value: float | None = None

    @property
    def decided(self) -> bool:
        """Whether its BLEU differs from that of the present setting beyond chance."""
        return self.p_value is not None and self.p_value < CHANCE


@dataclass(frozen=True)
class Sweep:
    """All settings, in the order beam by beam.

    Attributes:
        current: index of the setting that the report is about.
        best: index of the one with the highest BLEU; of equals the present one, then the narrowest beam.
        oracle: chrF of the best of each n-best list of the best setting, n being its beam: all that reranking could
            bring.
    """

    settings: tuple[Setting, ...]
    sentences: int
    current: int
    best: int
    oracle: float

    @property
    def several_beams(self) -> bool:
        """Whether other beams than the present one were measured."""
        return len({one.beam for one in self.settings}) > 1

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
    tolerance: float = TOLERANCE,
    reference_segmentations: int = 1,
    resamples: int = RESAMPLES,
) -> Sweep:
    """Measure every beam with every exponent; that of `settings` is among them in any case.

    Args:
        references: one or more sets, each with a line for every source.
        tolerance, reference_segmentations: of the verdicts, as `blame` takes them.
        resamples: of the bootstrap.
    """
    from nmtkit.blame.setting_verdicts import SettingVerdicts  # which loads torch

    beams, alphas = sorted({*beams, settings.beam}), sorted({*alphas, settings.length_alpha})
    texts = [[blank_as_empty(line) for line in lines] for lines in references]
    settings = replace(settings, n_best=1)
    judge = SettingVerdicts(translator, settings, beams, alphas, tolerance, reference_segmentations)
    judged = judge.all(sources, list(zip(*texts, strict=True)))
    outputs = {place: [one.text for one in row] for place, row in judged.items()}
    places = list(judged)
    current = places.index((settings.beam, settings.length_alpha))
    p_values = compared(list(outputs.values()), current, texts, resamples)
    measured = []
    for ((beam, alpha), row), p_value in zip(judged.items(), p_values, strict=True):
        verdicts = [one.verdict for one in row]
        wrong, missed = sum(one != Verdict.EQUAL for one in verdicts), verdicts.count(Verdict.BEAM)
        bleu, chrf = evaluate(outputs[beam, alpha], texts, resamples=resamples)
        ratio = sum(one.length for one in row) / sum(one.reference_length for one in row)
        time = sum(one.seconds for one in row) / len(sources)
        measured.append(Setting(beam, alpha, bleu, chrf, wrong, missed, ratio, time, p_value))
    best = highest(measured, current)
    beam, alpha = places[best]
    lists = translator.search(sources, replace(settings, beam=beam, length_alpha=alpha, n_best=beam))
    return Sweep(tuple(measured), len(sources), current, best, _oracle(lists, texts))


def compared(
    outputs: Sequence[Sequence[str]], current: int, references: Sequence[Sequence[str]], resamples: int = RESAMPLES
) -> list[float | None]:
    """The p-value of each text's BLEU against that of `current`, corrected for their number; None for that one."""
    others = [*outputs[:current], *outputs[current + 1 :]]
    found: list[float | None] = [
        one.p_value for one in paired_bootstrap("bleu", outputs[current], others, references, resamples)
    ]
    return [*found[:current], None, *found[current:]]


def highest(settings: Sequence[Setting], current: int) -> int:
    """The index of the setting with the highest BLEU; of equals the current one, then the one with the least beam."""
    places = range(len(settings))
    return min(places, key=lambda one: (-settings[one].bleu.value, one != current, settings[one].beam))


def _oracle(lists: Sequence[Sequence[Translation]], texts: Sequence[Sequence[str]]) -> float:
    """Corpus chrF of the translation with the highest sentence chrF of each list."""
    flat = [one.text for best in lists for one in best]
    rows = [[line for best, line in zip(lists, lines, strict=True) for _ in best] for lines in texts]
    scores = iter(sentence_scores("chrf", flat, rows))
    chosen = [max(best, key=lambda one: next(scores)).text for best in lists]
    return evaluate(chosen, texts, resamples=2)[1].value


def advice(made: Sweep) -> list[str]:
    """What the sweep says, in plain words, each sentence with its figures."""
    best = made.settings[made.best]
    sentences = [_choice(made)]
    same = [one for one in made.settings if one.alpha == best.alpha]
    enough = next(one for one in same if one.bleu.value >= best.bleu.value - 0.1)
    if enough.beam < same[-1].beam:
        sentences.append(
            f"Beyond beam {enough.beam} BLEU does not rise by more than 0.1 at α {best.alpha:g}, while beam "
            f"{same[-1].beam} takes {same[-1].seconds / max(enough.seconds, 1e-9):.1f} times as long."
        )
    sentences.append(
        f"Reranking the {best.beam} best could bring chrF to {made.oracle:.1f} at the most (now {best.chrf.value:.1f})."
    )
    return sentences


def _choice(made: Sweep) -> str:
    """Which setting to use, and whether chance may decide it."""
    best, current = made.settings[made.best], made.settings[made.current]
    others = [one for one in made.settings if one is not current]
    now = f"beam {current.beam}, α {current.alpha:g}, BLEU {current.bleu.value:.1f}"
    if not others:
        return f"Only the present setting was measured ({now})."
    corrected = f"corrected for the choice among {len(made.settings)}"
    if best is not current:
        other = f"beam {best.beam}, α {best.alpha:g}"
        use = f"Use {other}:" if best.decided else f"Keep the present setting, undecided whether {other} is better:"
        return (
            f"{use} BLEU {best.bleu.value:.1f} against {current.bleu.value:.1f} with beam {current.beam}, α "
            f"{current.alpha:g} (p = {best.p_value:.3f}, {corrected})."
        )
    none = plural(len(others), "the other does not have", f"none of the other {len(others)} has")
    keep = f"Keep the present setting ({now}): {none} a higher BLEU."
    worse = [f"beam {one.beam}, α {one.alpha:g} (BLEU {one.bleu.value:.1f})" for one in others if one.decided]
    if not worse:
        least = min(one.p_value for one in others if one.p_value is not None)
        return f"{keep} Undecided whether any is worse (lowest p = {least:.3f}, {corrected})."
    rest = "" if len(worse) == len(others) else f"; undecided for the other {len(others) - len(worse)}"
    return f"{keep} Worse beyond chance (p < {CHANCE}, {corrected}): {', '.join(worse)}{rest}."
