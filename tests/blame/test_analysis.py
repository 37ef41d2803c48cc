"""Verdicts against planted truth: table models over three pieces, in which every probability can be looked up."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF
from support.blame_toys import AB, GREEDY_IS_BEATEN, SIDES, SYMBOLS, A, B, Numbers, Pieces, ask, toy
from support.toys import TableModel, brute_force

import nmtkit.decoding.forced
from nmtkit.blame import analysis
from nmtkit.blame.analysis import RECORDED, blame
from nmtkit.blame.findings import Report
from nmtkit.blame.fit import TrainingText
from nmtkit.blame.records import Obstacle, Verdict
from nmtkit.blame.search_errors import Budget
from nmtkit.blame.sweep import sweep
from nmtkit.blame.verdicts import Tried
from nmtkit.decoding.settings import SHOWN, SearchSettings
from nmtkit.evaluation.metric import Direction
from nmtkit.evaluation.outside import parse_scores
from nmtkit.evaluation.threshold import Threshold, parse_threshold
from nmtkit.specials import EOS, UNK
from nmtkit.translator import Translator

EQUAL, BEAM, MODEL, UNREACHABLE = Verdict.EQUAL, Verdict.BEAM, Verdict.MODEL, Verdict.UNREACHABLE


def off(translator: Any, **change: float) -> Any:
    """The translator, with a search that moves a number of its second result."""
    find = translator.find

    def moved(*arguments: Any, **more: Any) -> list[Any]:
        found = find(*arguments, **more)
        if found and type(found[0]) is Tried:
            first, second = found
            (best,) = second.seen.hypotheses
            best = replace(best, **{name: getattr(best, name) + by for name, by in change.items()})
            found = [first, replace(second, seen=replace(second.seen, hypotheses=[best]))]
        return found

    translator.find = moved
    return translator


def verdicts(report: Report) -> list[Verdict]:
    return [record.verdict for record in report.records]


def slow_beam(model: TableModel, sentence: int, width: int, alpha: float, limit: int) -> tuple[int, ...]:
    """Beam search as the lectures tell it, in plain Python and without an early stop."""
    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    finished: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, limit + 1):
        extensions = [
            (total + log_p, (*prefix, token))
            for total, prefix in alive
            for token, log_p in enumerate(model.log_probs(sentence, prefix))
            if log_p > -math.inf and (length < limit or token == EOS)
        ]
        kept = sorted(extensions, reverse=True)[:width]
        finished += [(total / length**alpha, tokens) for total, tokens in kept if tokens[-1] == EOS]
        alive = [(total, tokens) for total, tokens in kept if tokens[-1] != EOS]
    return max(finished)[1]


def planted(model: TableModel, sentence: int, output: tuple[int, ...], reference: str, alpha: float) -> Verdict:
    """The truth from the table, looked up token by token."""

    def j(tokens: Sequence[int]) -> float:
        steps = [model.log_probs(sentence, tokens[:t])[token] for t, token in enumerate(tokens)]
        return sum(steps) / len(tokens) ** alpha

    wanted = [*Pieces().encode(reference), EOS]
    if Pieces().decode(output[:-1]) == reference:
        return EQUAL
    if len(wanted) > 4 or UNK in wanted:
        return UNREACHABLE
    return BEAM if j(wanted) > j(output) + 1e-4 else MODEL


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("width", range(1, 9))
def test_every_verdict_is_the_planted_one(alpha: float, width: int) -> None:
    chance = random.Random(f"{alpha} {width}")
    sentences = range(1, 101)
    model = TableModel.random(chance.randrange(10**6), sentences=101, symbols=SYMBOLS, depth=4)
    references = ["".join(chance.choices("abb?", (6, 6, 6, 1), k=chance.randrange(5))) for _ in sentences]
    translator = Translator(model, SIDES)
    report = ask(translator, *references, beam=width, length_alpha=alpha, warn=lambda text: None)
    truth = []
    for number, reference in zip(sentences, references, strict=True):
        output = slow_beam(model, number, width, alpha, 4)
        assert report.records[number - 1].output.text == Pieces().decode(output[:-1])
        truth.append(planted(model, number, output, reference, alpha))
    assert verdicts(report) == truth
    assert {MODEL, UNREACHABLE} <= set(truth)


def test_all_four_verdicts_occur_and_a_beam_that_holds_everything_is_never_blamed() -> None:
    model = TableModel.random(5, sentences=301, symbols=SYMBOLS, depth=4)
    chance = random.Random(5)
    references = ["".join(chance.choices("ab?", (9, 9, 1), k=chance.randrange(6))) for _ in range(300)]
    translator = Translator(model, SIDES)
    assert set(verdicts(ask(translator, *references, beam=1, warn=lambda text: None))) == set(Verdict)
    whole = ask(translator, *references, beam=4**3 * 5, warn=lambda text: None)
    assert BEAM not in verdicts(whole)
    for record in whole.records[:20]:
        every = brute_force(model, model.memory().select(model.sources()[0][record.number]), 4)
        assert record.output.total == pytest.approx(max(total for _, total in every), abs=1e-9)


def test_greedy_is_beaten() -> None:
    translator = toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN, GREEDY_IS_BEATEN)
    narrow = ask(translator, "b", "bb", "a", beam=1)
    assert verdicts(narrow) == [BEAM, BEAM, EQUAL]
    assert verdicts(ask(translator, "b", "bb", "a", beam=2)) == [EQUAL, MODEL, MODEL]
    output, reference = narrow.records[0].output, narrow.records[0].reference
    assert (output.text, output.length, reference.text, reference.length) == ("a", 2, "b", 2)
    assert (output.total, reference.total) == pytest.approx((math.log(0.154), math.log(0.27)))


def test_short_outputs_win_without_normalisation_and_the_verdict_flips_with_it() -> None:
    table = {(): {EOS: 0.5, A: 0.45, B: 0.05}, (A,): {A: 0.9, EOS: 0.1}, (A, A): {EOS: 0.9, A: 0.1}}
    plain, normalised = (ask(toy(table), "aa", beam=1, length_alpha=alpha) for alpha in (0.0, 0.7))
    assert (verdicts(plain), verdicts(normalised)) == ([MODEL], [BEAM])
    assert plain.records[0].output.text == normalised.records[0].output.text == ""
    scores = (normalised.records[0].reference.score, normalised.records[0].output.score)
    assert scores == pytest.approx((math.log(0.45 * 0.9 * 0.9) / 3**0.7, math.log(0.5)))


def test_the_tolerance_is_absolute_on_j() -> None:
    gap = (math.log(0.27) - math.log(0.154)) / 2**0.7
    for tolerance, verdict in ((gap * 0.999, BEAM), (gap * 1.001, MODEL)):
        report = ask(toy(GREEDY_IS_BEATEN), "b", beam=1, length_alpha=0.7, tolerance=tolerance)
        assert verdicts(report) == [verdict]
        assert report.provenance.tolerance == tolerance


@pytest.mark.parametrize("change", [{"total": 2e-4}, {"total": -0.5}, {"score": 2e-4}, {"score": math.nan}])
def test_a_search_that_scores_otherwise_than_the_forced_pass_is_refused(change: dict[str, float]) -> None:
    translator = off(toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN), **change)
    with pytest.raises(ValueError, match=r"^sentence 2: .*float32 on the CPU$") as refusal:
        ask(translator, "b", "b", beam=1, length_alpha=0.7)
    own = math.log(0.154)
    assert f"log P = {own:.6f} and J = {own / 2**0.7:.6f}; " in str(refusal.value)
    ((name, by),) = change.items()
    assert f"{(own if name == 'total' else own / 2**0.7) + by:.6f}" in str(refusal.value)


@pytest.mark.parametrize(("length", "fix"), [(40, "so run in"), (1200, "smaller max_length than 1,200 pieces")])
def test_the_promise_holds_for_long_outputs_too(length: int, fix: str) -> None:
    """0.0001 nats in all: 0.00015 is refused, whatever the length."""
    table = torch.tensor([[[1e-9, 1e-6, 0.9, 0.05, 0.05 - 1e-6 - 1e-9]]], dtype=torch.float64).log().expand(3, -1, -1)
    outputs = {"beam": 1, "max_length": length}
    (_, long) = ask(Translator(TableModel(table), SIDES), "b", "b", **outputs).records
    assert long.output.length == length
    with pytest.raises(ValueError, match=rf"^sentence 2: .*{fix}.*float32 on the CPU$"):
        ask(off(Translator(TableModel(table), SIDES), total=1.5e-4), "b", "b", **outputs)
    report = ask(off(Translator(TableModel(table), SIDES), total=9e-5), "b", "b", **outputs)
    assert report.provenance.rescoring_difference == pytest.approx(9e-5)


def test_rounding_is_no_reason_to_refuse_and_is_reported() -> None:
    translator = off(toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN), total=5e-5, score=3e-5)
    report = ask(translator, "b", "b", beam=1)
    assert report.provenance.rescoring_difference == pytest.approx(5e-5)


def test_the_same_text_under_another_segmentation_is_equal() -> None:
    report = ask(toy({(): {A: 0.9, AB: 0.1}, (A,): {B: 1.0}}), "ab", beam=1)
    assert verdicts(report) == [EQUAL]
    assert (report.records[0].output.length, report.records[0].reference.length) == (3, 2)


def test_what_a_tokenizer_loses_is_no_error_but_unk_is_only_itself() -> None:
    class Lossy(Pieces):
        def encode(self, text: str) -> list[int]:
            return super().encode(text.replace(" ", ""))

    translator = toy({(): {AB: 1.0}}, {(): {UNK: 1.0}}, {(): {UNK: 1.0}})
    translator.tokenizer = SimpleNamespace(source=Numbers(), target=Lossy(), features=None)
    report = ask(translator, "a b", "?", " ⁇ ", beam=1)
    assert verdicts(report) == [EQUAL, UNREACHABLE, EQUAL]
    assert report.records[0].reference.text == "a b"


def test_more_segmentations_find_the_best_j_of_the_reference() -> None:
    table = {(): {B: 0.4, A: 0.39, AB: 0.21}, (B,): {EOS: 0.6, A: 0.4}, (A,): {B: 0.9, EOS: 0.1}}
    one, two = (ask(toy(table), "ab", beam=1, reference_segmentations=n) for n in (1, 2))
    assert (verdicts(one), verdicts(two)) == ([MODEL], [BEAM])
    totals = [report.records[0].reference.total for report in (one, two)]
    assert totals == pytest.approx([math.log(0.21), math.log(0.39 * 0.9)])
    short = ask(toy(table), "ab", beam=1, max_length=2, reference_segmentations=2)
    assert short.records[0].reference.length == 2, "the better one is longer than the limit"


def test_the_best_reachable_of_several_references_judges() -> None:
    tables = [GREEDY_IS_BEATEN] * 4
    sets = [["bbb", "bb", "bbbbb", ""], ["b", "a", "bb", "b"], ["?", "?", "?", "?"]]
    report = ask(toy(*tables), sets=sets, beam=1)
    assert verdicts(report) == [BEAM, EQUAL, BEAM, BEAM]
    assert [record.judge for record in report.records] == [1, 1, 1, 1]
    assert [one.text for one in report.records[0].references] == ["bbb", "b", "?"]
    assert [one.obstacle.value for one in report.records[2].references] == ["not producible", "", "not producible"]
    ends = {(): {EOS: 0.9, B: 0.1}}
    assert verdicts(ask(toy(ends), sets=[[""], ["b"]], beam=1)) == [MODEL], "a blank one of several is left out"


def test_unreachable() -> None:
    table = {(): {A: 0.6, B: 0.4}, (A,): {A: 0.6, EOS: 0.4}, (A, A): {A: 0.6, EOS: 0.4}, (A,) * 3: {EOS: 0.9, A: 0.1}}
    report = ask(toy(*[table] * 5), "aaaa", "ba", "a?", "aaa", "aa", beam=1)
    assert verdicts(report) == [UNREACHABLE, UNREACHABLE, UNREACHABLE, EQUAL, MODEL]
    obstacles = [record.reference.obstacle.value for record in report.records]
    assert obstacles == ["too long", "not producible", "not producible", "", ""]
    assert [record.reference.total for record in report.records][1] == -math.inf
    assert {record.limit for record in report.records} == {4}
    assert verdicts(ask(toy(table), "aaaa", beam=1, max_length=5)) == [MODEL]
    assert ask(toy(table), "aaaa", max_length=None).records[0].limit == 12  # 2 · 1 source piece + 10


def test_a_reference_that_the_model_cannot_hold_is_unreachable() -> None:
    """It is not scored; and no segmentation of one that it can hold is tried that it cannot."""
    table = {(): {AB: 0.2, A: 0.5, B: 0.3}, (A,): {B: 0.9, EOS: 0.1}}
    translator = toy(*[table] * 2)
    translator.model.longest = 2
    report = ask(translator, "ab", "a", reference_segmentations=2)
    assert [record.reference.length for record in report.records] == [2, 2]
    assert {record.limit for record in report.records} == {2}
    assert report.provenance.length_limit == "4 and 2", "what was asked for, and what the model can hold"
    warnings: list[str] = []
    long = ask(translator, sets=[["ab", "aba"], ["a", "aab"]], beam=1, warn=warnings.append)
    first, second = long.records
    assert first.verdict != UNREACHABLE and (second.verdict, second.judge) == (UNREACHABLE, 0)
    assert [one.obstacle.value for one in second.references] == ["too long", "too long"]
    assert [(one.total, one.length, one.log_probs) for one in second.references] == [
        (-math.inf, 3, ()),
        (-math.inf, 3, ()),
    ]
    assert second.divergence is None and second.parting is not None
    assert warnings == ["reference longer than any translation, so not scored and unreachable: line 2"]


def test_a_reference_longer_than_any_translation_is_judged_without_being_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By verdicts, exact search, sweep, losses and details; its other pieces are not looked for."""
    texts, warnings = ["b", "ab" * 50_000, "a" * 2009, "a" * 2010], []
    translator = toy(*[GREEDY_IS_BEATEN] * 4)
    forced, tried = nmtkit.decoding.forced.forced_log_probs, []

    def spy(stepper: Any, memory: Any, targets: Any) -> Any:
        assert max(map(len, targets)) <= 2010
        return forced(stepper, memory, targets)

    class Spied(Pieces):
        def segmentations(self, text: str, n: int) -> list[list[int]]:
            tried.append(len(text))
            return [self.encode(text)]

    monkeypatch.setattr(nmtkit.decoding.forced, "forced_log_probs", spy)
    translator.tokenizer = SimpleNamespace(source=Numbers(), target=Spied(), features=None)
    asked: dict[str, Any] = {"beam": 1, "reference_segmentations": 3, "warn": warnings.append}
    training = TrainingText(["1", "2"], ["a", "ab" * 50_000], 2)
    report = ask(translator, *texts, exact=Budget(steps=9), training=training, **asked)
    assert verdicts(report) == [BEAM, UNREACHABLE, UNREACHABLE, UNREACHABLE] and tried == [1, 2009]
    assert [len(record.reference.log_probs) for record in report.records] == [2, 0, 2010, 0]
    assert [record.reference.length for record in report.records] == [2, 50_001, 2010, 2011]
    assert all(record.certificate and record.certificate.proved for record in report.records)
    assert warnings == ["reference longer than any translation, so not scored and unreachable: lines 2, 4"]
    assert report.fit is not None and report.fit.pairs == 1
    settings = SearchSettings(beam=1, length_alpha=0.0, max_length=4)
    made = sweep(translator, ["1", "2", "3", "4"], [texts], settings, [2], [], resamples=2)
    assert [(one.different, one.beam_errors) for one in made.settings] == [(4, 1), (3, 0)]


def test_that_a_line_was_cut_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Not again by wider beams and exact search, which see some of the lines only."""

    class Twice(Numbers):
        def encode(self, text: str) -> list[int]:
            return super().encode(text) * (1 + (text != "1"))

    translator = toy(*[GREEDY_IS_BEATEN] * 3)
    translator.tokenizer = SimpleNamespace(source=Twice(), target=Pieces(), features=None)
    report = ask(translator, "a", "b", "b", beam=1, max_source=1, exact=Budget())
    assert verdicts(report) == [EQUAL, BEAM, BEAM] and [record.source_pieces for record in report.records] == [1, 1, 1]
    assert capsys.readouterr().err.splitlines() == [
        f"warning: line {number}: 2 pieces, cut to the first 1 (max_source)" for number in (2, 3)
    ]


def test_blank_lines() -> None:
    ends = {(): {EOS: 0.6, A: 0.4}}
    warnings: list[str] = []
    translator = toy(ends, GREEDY_IS_BEATEN, ends, ends)
    sources = ["", "2", " ", ""]
    report = ask(translator, " ", "", "a", "  ", sources=sources, beam=1, max_length=None, warn=warnings.append)
    assert verdicts(report) == [EQUAL, UNREACHABLE, UNREACHABLE, EQUAL]  # the second: log P(EOS) is −∞
    assert [record.limit for record in report.records] == [1, 12, 1, 1]
    assert warnings == [
        "blank reference for a source that is not, judged as the empty translation: line 2",
        "blank source with a reference that is not, which no search can reach: line 3",
    ]
    assert verdicts(ask(toy(ends), "", beam=1, warn=warnings.append)) == [EQUAL]
    assert verdicts(ask(translator, sources=[""], sets=[["a"], [""]])) == [EQUAL]


def test_rows_thresholds_and_listed_errors() -> None:
    tables, warnings = [GREEDY_IS_BEATEN] * 3, []
    asked = {"errors": {2, 3}, "threshold": parse_threshold("chrf:29"), "warn": warnings.append}
    report = ask(toy(*tables), "b", "aaaa", "a", beam=1, **asked)
    scores = [CHRF().sentence_score("a", [reference]).score for reference in ("b", "aaaa", "a")]
    assert [record.sentence_score for record in report.records] == scores
    assert scores[0] < 29 < scores[1] < 60
    assert [row.numbers for row in report.rows] == [(1, 2), (1,), (2,)]
    assert (report.provenance.scale.title, report.provenance.sentence_threshold) == ("chrF", 29)
    assert warnings == ["listed as errors, but equal to a reference and so not counted: line 3"]
    assert [row.numbers for row in ask(toy(*tables), "b", "aaaa", "a", beam=1).rows] == [(1, 2), (1, 2)]


def test_where_lower_is_better_what_is_above_counts() -> None:
    """TER of b, of which a misses all, of aaaa likewise, and of a."""
    report = ask(toy(*[GREEDY_IS_BEATEN] * 3), "b", "a a a a", "a", beam=1, threshold=parse_threshold("ter:75"))
    assert [record.sentence_score for record in report.records] == [100.0, 75.0, 0.0]
    assert [row.numbers for row in report.rows] == [(1, 2), (1,)], "75 is good enough"


def test_scores_of_another_tool_count_for_their_outputs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In windows of two sentences, too; the first that differs is named."""
    monkeypatch.setattr(analysis, "WINDOW", 2)
    tables = [GREEDY_IS_BEATEN] * 3
    scores = parse_scores(["0.5", "-1", "0.25"], "c.txt", ["a", "a", "a"], Direction.HIGHER, "c")
    report = ask(toy(*tables), "b", "b", "b", beam=1, threshold=Threshold(scores, 0.3))
    assert [record.sentence_score for record in report.records] == [0.5, -1.0, 0.25]
    assert report.rows[1].numbers == (2, 3) and report.provenance.scores_file == scores.file
    other = parse_scores(["0.5", "-1", "0.25"], "c.txt", ["a", "a", "b"], Direction.HIGHER, "c")
    with pytest.raises(ValueError, match="line 3: the scores of c are of other outputs, here 'b' and not 'a'"):
        ask(toy(*tables), "b", "b", "b", beam=1, threshold=Threshold(other, 0.3))


def test_provenance() -> None:
    translator = toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN)
    translator.folder_hash = "abc"
    settings = SearchSettings(beam=3, n_best=3, length_alpha=0.5)
    facts = blame(translator, ["1", "2"], [["b", "ä"], ["a", "a"]], settings).provenance
    assert (facts.model, facts.beam, facts.length_alpha, facts.length_limit) == (
        "abc",
        3,
        0.5,
        "2 × source pieces + 10",
    )
    assert facts.sources_sha256 == hashlib.sha256(b"1\n2\n").hexdigest()
    assert facts.references_sha256 == tuple(hashlib.sha256(s.encode()).hexdigest() for s in ("b\nä\n", "a\na\n"))
    assert (facts.sentence_metric, facts.sentence_threshold) == ("chrf", 60.0)


def test_a_search_without_result_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: the model gives no finite probability"):
        ask(toy({(): {A: 1.0}}), "a", max_length=1)


def test_impossible_questions_are_refused_before_the_search() -> None:
    translator = toy(GREEDY_IS_BEATEN)
    translator.search = pytest.fail
    for change in ({"errors": {2}}, {"tolerance": -1.0}, {"reference_segmentations": 0}):
        with pytest.raises(ValueError, match=r"sentence 2|tolerance|segmentations"):
            ask(translator, "a", **change)


@pytest.mark.parametrize("ban", [{"min_length": 2}, {"min_length_ratio": 0.5}, {"no_repeat_ngram": 3}])
def test_what_bans_outputs_but_not_references_is_refused(ban: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(ban))} = .* bans outputs, not references: leave it out$"):
        ask(toy(GREEDY_IS_BEATEN), "a", **ban)


def test_another_length_penalty_judges_both_sides() -> None:
    """J of both under ((5 + T) / 6)^α, and the report says so."""
    report = ask(toy(GREEDY_IS_BEATEN), "b", beam=1, length_alpha=0.7, length_penalty="gnmt")
    for one in (report.records[0].output, report.records[0].reference):
        assert one.score == pytest.approx(one.total / ((5 + one.length) / 6) ** 0.7)
    assert report.provenance.length_penalty == "gnmt"


@dataclass(frozen=True)
class Diverse(SearchSettings):
    """The settings of a search that somebody gave one more option."""

    diversity: float = 0.0


def test_a_new_option_of_the_search_is_shown_and_recorded() -> None:
    """Wherever settings are told in words, and in the provenance, by which two analyses are told apart."""
    translator = toy(GREEDY_IS_BEATEN)
    usual, other = (Diverse(beam=1, length_alpha=0.0, max_length=4, diversity=value) for value in (0.0, 0.5))
    assert "diversity 0.5" in other.in_words and "diversity" not in usual.in_words
    plain, told = (blame(translator, ["1"], [["b"]], settings, warn=pytest.fail) for settings in (usual, other))
    assert plain.provenance.other_settings is None and told.provenance.other_settings == ("diversity 0.5",)
    assert all(
        name in (*SHOWN, *RECORDED, "min_length", "min_length_ratio", "no_repeat_ngram")
        for name in (field.name for field in fields(SearchSettings))
    )


AFTER_B: dict[tuple[int, ...], dict[int, float]] = {
    (): {A: 0.9, B: 0.1},
    (A,): {EOS: 1.0},
    (B,): {A: 0.55, B: 0.45},
    (B, A): {EOS: 0.28, A: 0.24, B: 0.24, AB: 0.24},
    (B, B): {EOS: 0.6, B: 0.4},
}
"""After b greedy search is beaten: ba has 0.1 · 0.154, bb has 0.1 · 0.27."""


def test_prefixes_are_forced_and_a_reference_without_its_prefix_is_unreachable() -> None:
    """By hand: with b forced, greedy search finds ba and misses bb; baa is worse than ba; a lacks the prefix."""
    texts = ("bb", "baa", "ba", "a", "a")
    report = ask(toy(*[AFTER_B] * 5), *texts, beam=1, prefixes=["b", "b", "b", "b", " "], exact=Budget())
    verdicts = [Verdict.BEAM, Verdict.MODEL, Verdict.EQUAL, Verdict.UNREACHABLE, Verdict.EQUAL]
    assert [record.verdict for record in report.records] == verdicts
    assert [record.output.text for record in report.records] == ["ba", "ba", "ba", "ba", "a"]
    assert report.records[3].reference.obstacle == Obstacle.OTHER_PREFIX
    assert report.records[3].reference.total == pytest.approx(math.log(0.9))  # it is scored all the same
    missed = report.records[0]
    assert missed.parting is not None and (missed.parting.step, missed.parting.width) == (2, 2)
    assert report.records[3].parting is not None and report.records[3].parting.ending == "other prefix"
    for record in report.records[:4]:
        assert record.prefix == "b" and record.certificate is not None and record.certificate.proved
        assert record.certificate.best.tokens == (B, B, EOS)
        assert record.certificate.best.total == pytest.approx(math.log(0.1 * 0.45 * 0.6))
    assert report.provenance.prefixes_sha256
    free = ask(toy(AFTER_B), "bb", beam=1)
    assert free.records[0].output.text == "a" and free.provenance.prefixes_sha256 is None


def test_an_unlikely_prefix_does_not_turn_the_verdict() -> None:
    """P(b) = 0.001; then the end 0.6, or a 0.4 and its end 0.4. At α = 1 J of the rest is ln 0.6 = −0.511 for b and
    ln 0.16 / 2 = −0.916 for ba; J of the whole would prefer ba, −8.740 / 3 to −7.419 / 2."""
    table = {(): {A: 0.999, B: 0.001}, (B,): {EOS: 0.6, A: 0.4}, (B, A): {EOS: 0.4, A: 0.3, B: 0.3}}
    report = ask(toy(table), "ba", prefixes=["b"], length_alpha=1.0, exact=Budget())
    (record,) = report.records
    assert record.output.text == "b" and record.verdict == MODEL
    assert record.output.score == pytest.approx(math.log(0.6))
    assert record.reference.score == pytest.approx(math.log(0.16) / 2)
    assert record.output.total == pytest.approx(math.log(0.001 * 0.6))
    certificate = record.certificate
    assert certificate is not None and certificate.proved and not certificate.error
    assert certificate.best.score == pytest.approx(math.log(0.6))
    assert all((flip.to_beam, flip.to_model) == (0, 0) for flip in report.flips)


@given(
    seed=st.integers(0, 10**6),
    begun=st.lists(st.sampled_from(["", "a", "b", "aa", "ba"]), min_size=6, max_size=6),
    alpha=st.sampled_from([0.0, 0.7, 1.0]),
    width=st.sampled_from([1, 2, 100]),
)
@hypothesis_settings(max_examples=25, deadline=None)
def test_verdicts_flips_and_certificates_under_prefixes(seed: int, begun: list[str], alpha: float, width: int) -> None:
    """Against J of the rest, written out over all outputs that begin with the prefix."""
    chance = random.Random(seed)
    model = TableModel.random(seed, sentences=7, symbols=SYMBOLS, depth=4)
    texts = [(text + "".join(chance.choices("ab", k=chance.randrange(3))))[:3] for text in begun]
    report = ask(
        Translator(model, SIDES),
        *texts,
        beam=width,
        length_alpha=alpha,
        prefixes=begun,
        exact=Budget(),
        warn=lambda text: None,
    )
    turned = {other: [0, 0] for other in (0.0, 0.5, 0.7, 1.0) if other != alpha}
    for record, start in zip(report.records, begun, strict=True):
        ids = tuple(Pieces().encode(start))

        def j(tokens: tuple[int, ...], power: float, number: int = record.number, length: int = len(ids)) -> float:
            places = range(length, len(tokens))
            rest = math.fsum(model.log_probs(number, tokens[:place])[tokens[place]] for place in places)
            return rest / len(places) ** power

        every = brute_force(model, model.memory().select(model.sources()[0][record.number]), 4)
        best = max((tokens for tokens, _ in every if tokens[: len(ids)] == ids), key=lambda tokens: j(tokens, alpha))
        assert record.certificate is not None and record.certificate.proved
        assert record.certificate.best.score == pytest.approx(j(best, alpha), abs=1e-9)
        assert record.output.score == pytest.approx(j(record.output.tokens, alpha), abs=1e-9)
        if width == 100:
            assert record.output.tokens == best
        if record.verdict in (BEAM, MODEL):
            y, given = record.output.tokens, record.reference.tokens
            assert record.verdict == (BEAM if j(given, alpha) > j(y, alpha) + 1e-4 else MODEL)
            for other, counts in turned.items():
                again = BEAM if j(given, other) > j(y, other) + 1e-4 else MODEL
                counts[0] += (record.verdict, again) == (MODEL, BEAM)
                counts[1] += (record.verdict, again) == (BEAM, MODEL)
    assert {flip.alpha: [flip.to_beam, flip.to_model] for flip in report.flips} == turned


def test_a_wider_beam_is_tried_under_the_prefix() -> None:
    """With b forced, two hypotheses reach bb. Without, they stay with a, which never ends well."""
    endless = {A: 0.33, B: 0.33, AB: 0.33, EOS: 0.01}
    words = (A, B, AB)
    table = {**AFTER_B, (A,): endless, **{(A, one): endless for one in words}}
    table |= {(A, one, other): endless for one in words for other in words}
    (record,) = ask(toy(table), "bb", beam=1, prefixes=["b"]).records
    assert record.parting is not None and record.parting.width == 2
    (free,) = ask(toy(table), "bb", beam=2).records
    assert free.output.total < math.log(0.1 * 0.45 * 0.6)


def test_a_sweep_has_the_verdicts_under_prefixes() -> None:
    sources = ["1", "2", "3"]
    measured = sweep(
        toy(*[AFTER_B] * 3),
        sources,
        [["bb", "a", "a"]],
        SearchSettings(beam=1, length_alpha=0.0, max_length=4),
        [1, 3],
        [],
        prefixes=["b", "b", ""],
        resamples=10,
    )
    assert [(one.beam, one.different, one.beam_errors) for one in measured.settings] == [(1, 2, 1), (3, 1, 0)]


def test_as_many_prefixes_as_sources() -> None:
    with pytest.raises(ValueError, match="prefixes has 2 lines but the source has 1"):
        ask(toy(AFTER_B), "bb", prefixes=["b", ""])
