"""A sweep over settings of the search, against lone analyses and sacreBLEU itself."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from support.blame_toys import SIDES, SYMBOLS, ask
from support.sweep_toys import scores
from support.toys import TableModel

from nmtkit.blame.records import Verdict
from nmtkit.blame.sweep import Setting, Sweep, best_of, compared, sweep
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation import metrics
from nmtkit.evaluation.metric import Metric
from nmtkit.evaluation.scoring import Score
from nmtkit.evaluation.significance import paired_bootstrap
from nmtkit.translator import Translator

SENTENCES = 40
BEAMS, ALPHAS = (1, 3), (0.0, 1.0)


@pytest.fixture(scope="module")
def measured() -> tuple[Translator, list[str], list[str], SearchSettings, Sweep]:
    chance = random.Random(8)
    model = TableModel.random(8, sentences=SENTENCES + 1, symbols=SYMBOLS, depth=4)
    references = ["".join(chance.choices("ab", k=chance.randrange(1, 6))) for _ in range(SENTENCES)]
    sources = [str(number) for number in range(1, SENTENCES + 1)]
    settings = SearchSettings(beam=2, length_alpha=0.5, max_length=4)
    translator = Translator(model, SIDES)
    return (
        translator,
        sources,
        references,
        settings,
        sweep(translator, sources, [references], settings, BEAMS, ALPHAS, resamples=20),
    )


def test_every_setting_is_what_a_lone_analysis_finds(
    measured: tuple[Translator, list[str], list[str], SearchSettings, Sweep],
) -> None:
    """That of the report is among them; scores are sacreBLEU's, verdicts those of the rule, the ratio by hand."""
    translator, _, references, _, made = measured
    places = [(one.beam, one.alpha) for one in made.settings]
    assert places == [(beam, alpha) for beam in (1, 2, 3) for alpha in (0.0, 0.5, 1.0)]
    assert made.sentences == SENTENCES and places[made.current] == (2, 0.5)
    for one in made.settings:
        report = ask(
            translator, *references, beam=one.beam, length_alpha=one.alpha, max_length=4, warn=lambda text: None
        )
        outputs = [record.output.text for record in report.records]
        assert one.deciding.value == pytest.approx(BLEU(force=True).corpus_score(outputs, [references]).score, abs=1e-9)
        assert one.scores[1].value == pytest.approx(CHRF().corpus_score(outputs, [references]).score, abs=1e-9)
        assert one.different == sum(output != line for output, line in zip(outputs, references, strict=True))
        assert one.beam_errors == sum(record.verdict == Verdict.BEAM for record in report.records)
        lengths = [(record.output.length, record.reference.length) for record in report.records]
        assert one.length_ratio == pytest.approx(sum(a for a, _ in lengths) / sum(b for _, b in lengths))
        assert one.seconds > 0
    assert len({one.beam_errors for one in made.settings}) > 1


def test_the_best_and_the_oracle(
    measured: tuple[Translator, list[str], list[str], SearchSettings, Sweep],
) -> None:
    translator, sources, references, settings, made = measured
    best = made.settings[made.best]
    assert best.deciding.value == max(one.deciding.value for one in made.settings)
    chosen = replace(settings, beam=best.beam, length_alpha=best.alpha)
    lists = translator.search(sources, replace(chosen, n_best=best.beam))
    metric = CHRF()
    top = [
        max((one.text for one in ranked), key=lambda text: metric.sentence_score(text, [line]).score)
        for ranked, line in zip(lists, references, strict=True)
    ]
    assert made.oracle == pytest.approx(CHRF().corpus_score(top, [references]).score, abs=1e-9)
    assert made.oracle >= best.scores[1].value


def test_every_setting_has_its_own_p_value(
    measured: tuple[Translator, list[str], list[str], SearchSettings, Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for the outputs of lone searches in the order of the settings, against the present one's."""
    translator, sources, references, settings, made = measured
    asked = []

    def told(metric: Metric, outputs: list[list[str]], *rest: Any) -> list[float | None]:
        asked.append((metric, outputs, *rest))
        return [place / 10 for place in range(len(outputs))]

    monkeypatch.setattr("nmtkit.blame.sweep.compared", told)
    again = sweep(translator, sources, [references], settings, BEAMS, ALPHAS, resamples=20)
    outputs = [
        translator.translate(sources, **vars(replace(settings, beam=one.beam, length_alpha=one.alpha)))
        for one in made.settings
    ]
    assert asked == [(metrics.BLEU, outputs, made.current, [references], 20)]
    assert [one.p_value for one in again.settings] == [place / 10 for place in range(9)]


@pytest.mark.parametrize("current", range(4))
def test_the_p_values_are_corrected_for_the_choice(current: int) -> None:
    """All rivals at once: the most striking p-value is larger than it would be alone."""
    chance = random.Random(2)
    references = [" ".join(chance.choices("abcdefgh", k=8)) for _ in range(40)]
    outputs = [
        [" ".join(word if chance.random() < 0.8 else "x" for word in line.split()) for line in references]
        for _ in range(4)
    ]
    found = compared(metrics.BLEU, outputs, current, [references], 200)
    others = [*outputs[:current], *outputs[current + 1 :]]
    wanted = [one.p_value for one in paired_bootstrap(metrics.BLEU, outputs[current], others, [references], 200)]
    alone = [paired_bootstrap(metrics.BLEU, outputs[current], [one], [references], 200)[0].p_value for one in others]
    assert found == [*wanted[:current], None, *wanted[current:]]
    assert min(wanted) > min(alone)


def setting(beam: int, alpha: float, bleu: float, p_value: float | None = None, seconds: float = 0.01) -> Setting:
    return Setting(beam, alpha, scores(bleu, bleu), 9, 1, 1.0, seconds, p_value)


def test_the_setting_to_use_is_the_present_one_where_chance_may_decide() -> None:
    """And where another than the best is better beyond chance."""
    curve = (setting(1, 1.0, 30.0), setting(5, 1.0, 31.0, 0.2), setting(9, 1.0, 30.9, 0.01))
    assert Sweep(curve, 100, 0, 1, 40.0).chosen is curve[0]
    sure = (curve[0], replace(curve[1], p_value=0.01))
    assert Sweep(sure, 100, 0, 1, 40.0).chosen is sure[1]
    assert Sweep(curve[:1], 100, 0, 0, 40.0).chosen is curve[0]


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    score = Score(metrics.METRICS["ter"], 50.0, 49.0, 51.0, "s")
    values = (50.0, 40.0, 60.0)
    curve = [
        replace(setting(beam, 1.0, 0.0), scores=(replace(score, value=value),)) for beam, value in enumerate(values)
    ]
    assert best_of(curve, 0) == 1


def test_of_equal_settings_the_present_one_is_the_best_then_the_narrowest() -> None:
    curve = [setting(1, 1.0, 31.0), setting(5, 0.0, 31.0), setting(5, 1.0, 31.0), setting(9, 1.0, 30.0)]
    assert [best_of(curve, current) for current in range(4)] == [0, 1, 2, 0]
