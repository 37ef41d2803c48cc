"""One rule for all who blame, against planted tables: several, blank and unproducible references in other pieces."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.blame_toys import AB, GREEDY_IS_BEATEN, PIECES, SIDES, SYMBOLS, A, B, Pieces, ask, toy
from support.search_toys import plain_beam, seeds
from support.toys import SUPPORT, TableModel, brute_force

from nmtkit.blame.findings import Report
from nmtkit.blame.model_errors import ALPHAS
from nmtkit.blame.records import Candidate, Form, Obstacle, Verdict
from nmtkit.blame.rule import Rule, counting, preferable, same_text
from nmtkit.blame.search_errors import Budget, certify
from nmtkit.blame.sweep import sweep
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.settings import SearchSettings
from nmtkit.specials import EOS, UNK
from nmtkit.translator import Translator

LIMIT = 4
SENTENCES = 30
BLANK_SOURCE = EOS
"""The sentence of the table that a blank line is: its first id is EOS."""
BEAMS = (1, 3)


@dataclass(frozen=True)
class Case:
    """A text with its model: some continuations have no probability, some sources and references are blank."""

    model: TableModel
    sources: list[str]
    sets: list[list[str]]
    ways: int
    alpha: float
    tolerance: float


def planted_case(seed: int) -> Case:
    chance = random.Random(seed)
    model = TableModel.random(seed, sentences=SENTENCES + 1, symbols=SYMBOLS, depth=LIMIT)
    holes = torch.rand(model.table.shape, generator=torch.Generator().manual_seed(seed)) < 0.1
    holes[..., EOS] = False
    table = model.table.masked_fill(holes, -math.inf)[..., SUPPORT:]
    sources = [str(number) if chance.random() < 0.9 else " " for number in range(1, SENTENCES + 1)]

    def text() -> str:
        if chance.random() < 0.2:
            return chance.choice(["", " ", "  "])
        return "".join(chance.choices("ab?", (6, 6, 1), k=chance.randrange(1, 6)))

    sets = [[text() for _ in sources] for _ in range(chance.randint(1, 3))]
    ways = chance.choice([1, 2, 3, 16])
    return Case(TableModel(table), sources, sets, ways, chance.choice(ALPHAS), chance.choice([1e-4, 0.2]))


def analysis(case: Case, **more: object) -> Report:
    usual = {"length_alpha": case.alpha, "tolerance": case.tolerance, "reference_segmentations": case.ways}
    return ask(
        Translator(case.model, SIDES), sources=case.sources, sets=case.sets, warn=lambda text: None, **{**usual, **more}
    )


def sentence(source: str) -> int:
    return int(source) if source.strip() else BLANK_SOURCE


def total(case: Case, source: str, tokens: Sequence[int]) -> float:
    return sum(case.model.log_probs(sentence(source), tokens[:place])[one] for place, one in enumerate(tokens))


def spellings(case: Case, text: str) -> list[tuple[int, ...]]:
    """As many as are tried, the longest pieces first; "?" is in no piece, and so has one spelling."""
    standard = Pieces().encode(text)
    ways = [standard] if UNK in standard else Pieces().segmentations(text, case.ways)
    return [(*ids, EOS) for ids in ways[: case.ways]]


def planted(case: Case, index: int, output: Sequence[int], alpha: float) -> Verdict:
    """The rule in lists and loops, for the tokens of an output."""
    source, references = case.sources[index], [lines[index].strip() for lines in case.sets]
    if source.strip() and any(references):
        references = [one for one in references if one]
    if "".join(PIECES[one] for one in output[:-1]) in references:
        return Verdict.EQUAL
    limit = LIMIT if source.strip() else 1
    scores = []
    for text in references:
        for tokens in spellings(case, text):
            log_p = total(case, source, tokens)
            if UNK not in tokens and len(tokens) <= limit and log_p > -math.inf:
                scores.append(log_p / len(tokens) ** alpha)
    if not scores:
        return Verdict.UNREACHABLE
    own = total(case, source, output) / len(output) ** alpha
    return Verdict.BEAM if max(scores) > own + case.tolerance else Verdict.MODEL


plenty = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@plenty
@given(seeds)
def test_verdicts_and_other_exponents(seed: int) -> None:
    """Flips choose judge and pieces anew."""
    case = planted_case(seed)
    report = analysis(case, beam=2)
    outputs = [record.output.tokens for record in report.records]
    verdicts = [record.verdict for record in report.records]
    assert verdicts == [planted(case, index, output, case.alpha) for index, output in enumerate(outputs)]
    assert [flip.alpha for flip in report.flips] == [alpha for alpha in ALPHAS if alpha != case.alpha]
    for flip in report.flips:
        again = [planted(case, index, output, flip.alpha) for index, output in enumerate(outputs)]
        turns = Counter(zip(verdicts, again, strict=True))
        expected = turns[Verdict.MODEL, Verdict.BEAM], turns[Verdict.BEAM, Verdict.MODEL]
        assert (flip.to_beam, flip.to_model) == expected


@plenty
@given(seeds)
def test_a_sweep_counts_the_verdicts_of_the_analysis(seed: int) -> None:
    """At every setting, and of the present one exactly those of the report."""
    case = planted_case(seed)
    settings = SearchSettings(beam=2, length_alpha=case.alpha, max_length=LIMIT)
    asked = {"tolerance": case.tolerance, "reference_segmentations": case.ways, "resamples": 2}
    made = sweep(Translator(case.model, SIDES), case.sources, case.sets, settings, BEAMS, (0.0, 1.0), **asked)
    places = [(one.beam, one.alpha) for one in made.settings]
    assert places == [(beam, alpha) for beam in (1, 2, 3) for alpha in sorted({0.0, 1.0, case.alpha})]
    for one in made.settings:
        report = analysis(case, beam=one.beam, length_alpha=one.alpha)
        counts = Counter(record.verdict for record in report.records)
        assert (one.different, one.beam_errors) == (SENTENCES - counts[Verdict.EQUAL], counts[Verdict.BEAM])
        pieces = [(record.output.length, record.reference.length) for record in report.records]
        assert one.length_ratio == pytest.approx(sum(a for a, _ in pieces) / sum(b for _, b in pieces))


@plenty
@given(seeds)
def test_widths_and_certificates(seed: int) -> None:
    """The smallest width whose output is not beaten by the judge; a search error is another text that is higher."""
    case = planted_case(seed)
    report = analysis(case, beam=1, exact=Budget())
    for index, record in enumerate(report.records):
        source, limit = record.source, record.limit
        if record.verdict == Verdict.BEAM:
            assert record.parting is not None
            beaten = {}
            for width in (2, 5, 10, 20, 50):
                tokens = plain_beam(case.model, sentence(source), limit, width, case.alpha)[0][0]
                judge = record.reference.total / record.reference.length**case.alpha
                own = total(case, source, tokens) / len(tokens) ** case.alpha
                beaten[width] = judge > own + case.tolerance
            assert record.parting.width == next((width for width, worse in beaten.items() if not worse), None)
        every = brute_force(case.model, case.model.memory().select(torch.tensor([sentence(source)])), limit)
        top = max(log_p / len(tokens) ** case.alpha for tokens, log_p in every)
        one = record.certificate
        assert one is not None and one.proved and one.best.score == pytest.approx(top, abs=1e-9)
        higher, same = top > record.output.score + case.tolerance, one.best.text == record.output.text
        assert (one.error, one.other_pieces) == (higher and not same, higher and same), index


def test_another_exponent_may_choose_another_judge() -> None:
    """ŷ is empty (0.45). "a" (0.24 · 0.8) judges at α = 0; "bb" (0.31 · 0.34, three pieces) at α = 1, where it alone is
    higher than ŷ: −0.75 against −0.80, and "a" has −0.83."""
    table = {(): {EOS: 0.45, A: 0.24, B: 0.31}, (A,): {EOS: 0.8, A: 0.2}, (B,): {B: 0.34, A: 0.66}}
    report = ask(toy(table), sets=[["a"], ["bb"]], beam=1, length_alpha=0.0, max_length=3)
    (record,) = report.records
    assert (record.output.text, record.judge, record.verdict) == ("", 0, Verdict.MODEL)
    empty, a, bb = math.log(0.45), math.log(0.24 * 0.8), math.log(0.31 * 0.34)
    assert bb < a and a / 2 < empty < bb / 3 and bb / 3**0.7 < empty
    assert {flip.alpha: flip.to_beam for flip in report.flips} == {0.5: 0, 0.7: 0, 1.0: 1}
    short = ask(toy(table), "bb", beam=1, length_alpha=0.0, max_length=2)
    assert not any(flip.to_beam for flip in short.flips), "no exponent makes it reachable"


def test_another_exponent_may_choose_other_pieces() -> None:
    """ "ab" in one piece has 0.16, in two 0.34 · 0.45: at α = 1 −0.92 and −0.63, and ŷ, which is empty, −0.69."""
    table = {(): {AB: 0.16, A: 0.34, EOS: 0.5}, (A,): {B: 0.45, EOS: 0.55}}
    one, two, empty = math.log(0.16), math.log(0.34 * 0.45), math.log(0.5)
    assert two < one and one / 2 < empty < two / 3
    for ways, turned in ((1, 0), (2, 1)):
        report = ask(toy(table), "ab", beam=1, length_alpha=0.0, reference_segmentations=ways)
        (record,) = report.records
        assert (record.output.text, record.verdict, record.reference.length) == ("", Verdict.MODEL, 2)
        assert [other.total for other in record.reference.others] == pytest.approx([two] * turned)
        last = next(flip for flip in report.flips if flip.alpha == 1.0)
        assert (last.to_beam, last.to_model) == (turned, 0)


def test_the_same_pieces_are_never_higher_than_themselves() -> None:
    """However a batch rounds them."""
    rule = Rule(Objective(0.0), 1e-4)
    one, other = Candidate("a", -1.0, 2, -1.0, tokens=(A, EOS)), Candidate("a", -1.5, 2, -1.5, tokens=(A, EOS))
    assert not rule.higher(one, other) and not rule.higher(other, one)
    assert rule.higher(one, replace(other, tokens=(B, EOS))) and not rule.higher(replace(other, tokens=(B, EOS)), one)
    assert rule.higher(replace(one, tokens=()), replace(other, tokens=())), "nobody knows whether they are the same"


def test_rounding_makes_no_search_error() -> None:
    """Exact search comes back to the output, with another rounding than the forced pass, beyond the tolerance."""
    translator = toy(GREEDY_IS_BEATEN)
    (record,) = ask(translator, "bb", beam=2).records
    find = translator.find

    def rounded(*arguments: object, **named: object) -> object:
        (one,) = find(*arguments, **named)
        log_probs = tuple(log_p + 5e-5 for log_p in one.best.log_probs)
        return [replace(one, best=replace(one.best, log_probs=log_probs))]

    translator.find = rounded
    settings = SearchSettings(beam=2, length_alpha=0.0, max_length=4)
    (certified,) = certify(translator, [record.source], [record], settings, 1e-5, Budget())
    assert certified.certificate is not None and certified.certificate.best.tokens == record.output.tokens
    assert certified.certificate.best.score > record.output.score + 9e-5
    assert not certified.certificate.error and not certified.certificate.other_pieces


forms = st.lists(
    st.tuples(st.sampled_from([-0.5, -1.0, -1.5, -2.0, -3.0]), st.integers(1, 6), st.sampled_from(list(Obstacle))),
    min_size=1,
    max_size=8,
)


@given(forms, st.floats(0, 10), st.sampled_from(["power", "gnmt"]))
def test_what_is_kept_of_other_pieces_is_enough_for_any_exponent(
    facts: list[tuple[float, int, Obstacle]], alpha: float, penalty: str
) -> None:
    rule = Rule(Objective(alpha, penalty), 1e-4)
    every = [Candidate("", log_p, length, 0.0, obstacle) for log_p, length, obstacle in facts]
    reachable = [one for one in every if not one.obstacle]
    kept = preferable(every)
    assert all(one in reachable for one in kept)
    if reachable:
        assert max(map(rule.j, kept)) == max(map(rule.j, reachable))
        assert rule.best(every) in reachable and rule.j(rule.best(every)) == max(map(rule.j, reachable))
    assert Form(-1.0, 2, (A, EOS)).obstacle == Obstacle.NONE


def test_texts() -> None:
    assert same_text("a", "a") and not same_text("a", "a ") and same_text(" ", "\u3000")
    assert counting("x", ["", "a", " "]) == [1] and counting("x", ["", " "]) == [0, 1]
    assert counting(" ", ["", "a"]) == [0, 1]
