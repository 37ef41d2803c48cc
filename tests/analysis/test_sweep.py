"""A sweep over settings of the search, against lone analyses and sacreBLEU itself."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from blame_toys import SIDES, SYMBOLS, ask
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from toys import TableModel

from nmtkit.analysis.records import Verdict
from nmtkit.analysis.sweep import Setting, Sweep, advice, sweep
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.metrics import Score
from nmtkit.evaluation.significance import Comparison, paired_bootstrap
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
        assert one.bleu.value == pytest.approx(BLEU(force=True).corpus_score(outputs, [references]).score, abs=1e-9)
        assert one.chrf.value == pytest.approx(CHRF().corpus_score(outputs, [references]).score, abs=1e-9)
        assert one.different == sum(output != line for output, line in zip(outputs, references, strict=True))
        assert one.beam_errors == sum(record.verdict == Verdict.BEAM for record in report.records)
        lengths = [(record.output.length, record.reference.length) for record in report.records]
        assert one.length_ratio == pytest.approx(sum(a for a, _ in lengths) / sum(b for _, b in lengths))
        assert one.seconds > 0
    assert len({one.beam_errors for one in made.settings}) > 1


def test_the_best_the_gain_and_the_oracle(
    measured: tuple[Translator, list[str], list[str], SearchSettings, Sweep],
) -> None:
    translator, sources, references, settings, made = measured
    best = made.settings[made.best]
    assert best.bleu.value == max(one.bleu.value for one in made.settings)
    chosen = replace(settings, beam=best.beam, length_alpha=best.alpha)
    outputs = [translator.translate(sources, **vars(one)) for one in (settings, chosen)]
    if made.best != made.current:
        assert made.gain == paired_bootstrap("bleu", *outputs, [references], resamples=20)
    lists = translator.search(sources, replace(chosen, n_best=best.beam))
    metric = CHRF()
    top = [
        max((one.text for one in ranked), key=lambda text: metric.sentence_score(text, [line]).score)
        for ranked, line in zip(lists, references, strict=True)
    ]
    assert made.oracle == pytest.approx(CHRF().corpus_score(top, [references]).score, abs=1e-9)
    assert made.oracle >= best.chrf.value


def setting(beam: int, alpha: float, bleu: float, seconds: float = 0.01) -> Setting:
    score = Score("BLEU", bleu, bleu - 1, bleu + 1, "s")
    return Setting(beam, alpha, score, replace(score, metric="chrF"), 9, 1, 1.0, seconds)


def gain(p_value: float) -> Comparison:
    return Comparison("BLEU", 30.0, 31.0, 1.0, p_value, "s")


@pytest.mark.parametrize(
    ("p_value", "start"), [(0.01, "Use beam 5, α 1: BLEU 31.0 against 30.0 with beam 1"), (0.2, "Undecided")]
)
def test_advice_is_undecided_where_chance_may_decide(p_value: float, start: str) -> None:
    curve = (setting(1, 1.0, 30.0), setting(5, 1.0, 31.0), setting(10, 1.0, 30.95, 0.03))
    said = advice(Sweep(curve, 100, 0, 1, gain(p_value), 40.0))
    assert said[0].startswith(start) and f"p = {p_value:.3f}" in said[0]
    assert "Beyond beam 5" in said[1] and "3.0 times" in said[1]
    assert "the 5 best" in said[-1] and "40.0" in said[-1]


def test_advice_to_keep_what_is_best() -> None:
    curve, worse = (setting(1, 1.0, 30.0), setting(5, 1.0, 29.0)), replace(gain(0.2), system=29.0)
    said = advice(Sweep(curve, 100, 0, 0, worse, 40.0))
    assert said[0].startswith("Keep the present setting (beam 1, α 1, BLEU 30.0): the other does not have a higher")
    assert "Undecided whether the next is worse, BLEU 29.0 (p = 0.200)" in said[0]
    sure = advice(Sweep(curve, 100, 0, 0, replace(worse, p_value=0.01), 40.0))
    assert "better beyond chance than the next, BLEU 29.0 (p = 0.010)" in sure[0]
    assert advice(Sweep(curve[:1], 100, 0, 0, None, 40.0))[0].startswith("Only the present setting was measured")


def test_the_setting_to_use_is_the_present_one_where_chance_may_decide() -> None:
    curve = (setting(1, 1.0, 30.0), setting(5, 1.0, 31.0))
    assert Sweep(curve, 100, 0, 1, gain(0.2), 40.0).chosen is curve[0]
    assert Sweep(curve, 100, 0, 1, gain(0.01), 40.0).chosen is curve[1]
    assert Sweep(curve[:1], 100, 0, 0, None, 40.0).chosen is curve[0]
