"""Translator: N lines in, N lines out, the same in any batch, scored as they were searched."""

from __future__ import annotations

import functools
import inspect
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.searches import limits as limits_of
from support.searches import score_texts, score_tokens, search_by_length, search_exactly, sweep
from support.training_toys import (
    FAMILIES,
    LEARNED,
    independent_total,
    model,
    only_line,
    parallel,
    tokenizer,
    write_folder,
)

import nmtkit.decoding.forced
import nmtkit.translator
from nmtkit.decoding.beam import Beam
from nmtkit.decoding.exact import Exact
from nmtkit.decoding.sample import Sample
from nmtkit.decoding.settings import SearchSettings
from nmtkit.inspection.attended import attended
from nmtkit.models.ensemble import Ensemble
from nmtkit.specials import EOS
from nmtkit.translator import Translation, Translator

QUICK = SearchSettings(beam=2, max_length=6, batch_tokens=40)
LINES = [
    "the red cat",
    "",
    "dog",
    "a",
    " ",
    "sees\u2028tree",
    "the house runs red blue",
    "b",
    "é😀",
    "cat  cat",
    "x" * 12,
]


@functools.cache
def translator(family: str = "transformer", double: bool = False) -> Translator:
    """With random weights far from uniform, so that outputs differ and end at different lengths."""
    made = model(FAMILIES[family], seed={"transformer": 4, "recurrent": 3}[family], shake=0.6).eval()
    with torch.no_grad():
        made.output_weight[EOS] *= 3  # type: ignore[index, operator]
    return Translator(made.double() if double else made, tokenizer())


def source_ids(line: str) -> list[int]:
    return [*tokenizer().source.encode(line), EOS]


def read(toy: Translator, line: str, chosen: SearchSettings) -> list[int]:
    """The ids that the model reads of a line."""
    ids_1S, mask_1S = toy.read([line], chosen).batch([0])
    assert mask_1S.all()
    return ids_1S[0].tolist()


characters = st.characters(exclude_categories=["Cs"], exclude_characters="\n")
any_line = st.one_of(st.text(characters, max_size=8), st.sampled_from(LINES))


@settings(max_examples=20, deadline=None)
@given(st.lists(any_line, max_size=7), st.sampled_from(list(FAMILIES)), st.sampled_from([1, 13, 40, 500]))
def test_any_lines_give_as_many_lines_in_their_order(lines: list[str], family: str, batch_tokens: int) -> None:
    chosen = replace(QUICK, batch_tokens=batch_tokens)
    found = translator(family, double=True).translate(lines, **vars(chosen))
    alone = [translator(family, double=True).translate([line], **vars(chosen))[0] for line in set(lines)]
    expected = dict(zip(set(lines), alone, strict=True))
    assert found == [expected[line] for line in lines]
    assert all("\n" not in text for text in found)
    assert all(text == "" for line, text in zip(lines, found, strict=True) if not line.strip())


def test_the_toys_outputs_are_worth_comparing() -> None:
    for family in FAMILIES:
        found = translator(family).search(LINES, SearchSettings(beam=3, max_length=12))
        lengths = {translations[0].length for translations in found}
        assert len({translations[0].text for translations in found}) >= len(LINES) / 2 and len(lengths) > 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_its_lines_one_by_one_exactly_in_float64(family: str) -> None:
    lines = [*LINES, *parallel(3, seed=8)[0]]
    toy = translator(family, double=True)
    base = SearchSettings(beam=3, n_best=2)
    alone = [toy.search([line], base)[0] for line in lines]
    for batch_tokens in (9, 50, 2048):
        together = toy.search(lines, replace(base, batch_tokens=batch_tokens))
        for one, other in zip(alone, together, strict=True):
            assert [x.tokens for x in one] == [x.tokens for x in other]
            assert [x.text for x in one] == [x.text for x in other]
            assert [x.score for x in one] == pytest.approx([x.score for x in other], abs=1e-9)
            assert [x.total for x in one] == pytest.approx([x.total for x in other], abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_float32_a_batch_may_choose_otherwise_only_between_equals(family: str) -> None:
    """Where the output of a batch differs from that of the line alone, their forced J agree within 1e-5 a token."""
    lines = [*LINES, *parallel(40, seed=8)[0]]
    toy, chosen = translator(family), SearchSettings(beam=3, max_length=12)
    alone = [toy.search([line], chosen)[0][0] for line in lines]
    for batch_tokens in (9, 60, 2048):
        together = [best[0] for best in toy.search(lines, replace(chosen, batch_tokens=batch_tokens))]
        for line, one, other in zip(lines, alone, together, strict=True):
            first, second = (
                independent_total(toy.model, source_ids(line), each.tokens) / each.length**0.7 for each in (one, other)
            )
            assert first == pytest.approx(second, abs=1e-5 * max(one.length, other.length))


def test_no_batch_has_more_padded_source_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = translator()
    shapes: list[tuple[int, int]] = []
    encode = toy.model.encode

    def watch(source_BS: torch.Tensor, mask_BS: torch.Tensor) -> Any:
        shapes.append((source_BS.shape[0], source_BS.shape[1]))
        return encode(source_BS, mask_BS)

    monkeypatch.setattr(toy.model, "encode", watch)
    toy.search(LINES, replace(QUICK, batch_tokens=12))
    assert sum(rows for rows, _ in shapes) == len(LINES)
    assert all(rows == 1 or rows * columns <= 12 for rows, columns in shapes)
    assert len(shapes) < len(LINES)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.3])
@pytest.mark.parametrize("family", FAMILIES)
def test_forced_score_of_an_output_is_its_search_score(family: str, alpha: float) -> None:
    toy, chosen = translator(family), SearchSettings(beam=3, n_best=3, length_alpha=alpha, max_length=9)
    found = toy.search(LINES, chosen)
    forced = score_tokens(toy, LINES, [[one.tokens for one in best] for best in found], chosen)
    for line, best, scores in zip(LINES, found, forced, strict=True):
        for one, score in zip(best, scores, strict=True):
            total = independent_total(toy.model, source_ids(line), one.tokens)
            assert score.tokens == one.tokens and score.length == one.length == len(one.tokens)
            assert one.total == pytest.approx(total, abs=1e-4) and score.total == pytest.approx(total, abs=1e-4)
            assert math.fsum(score.log_probs) == pytest.approx(total, abs=1e-4)
            assert one.score == pytest.approx(total / len(one.tokens) ** alpha, abs=1e-4)
            assert score.score == pytest.approx(one.score, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_exact_search_is_never_below_a_beam_however_wide(family: str, alpha: float) -> None:
    """Every line in its place, scores as an independent pass gives them; a beam of 60 may find as much, never more."""
    toy, chosen = translator(family, double=True), SearchSettings(beam=1, length_alpha=alpha, max_length=2)
    found = search_exactly(toy, LINES, chosen, budget_steps=1000)
    wide = toy.search(LINES, replace(chosen, beam=60))
    assert all(one.proved and one.gap == 0 for one in found)
    for line, one, beam in zip(LINES, found, wide, strict=True):
        total = independent_total(toy.model, source_ids(line), one.best.tokens)
        assert one.best.score == pytest.approx(total / one.best.length**alpha, abs=1e-4)
        assert one.best.score >= beam[0].score - 1e-4
        assert one.beam.tokens == toy.search([line], chosen)[0][0].tokens
        assert one.limit == (2 if line.strip() else 1)
    assert any(one.best.score > one.beam.score + 1e-3 for one in found)  # else nothing was searched


def test_a_known_translation_is_where_an_exact_search_starts() -> None:
    """With a single step nothing but the start can be found: the better of beam and reference, if it is allowed."""
    toy, chosen = translator(double=True), SearchSettings(beam=1, length_alpha=0.0, max_length=5)
    lines = [line for line in LINES if line.strip()]
    for reference in ("dog", "the red cat", "a"):
        tokens = toy.encode_target(reference)
        alone = search_exactly(toy, lines, chosen, budget_steps=1)
        helped = search_exactly(toy, lines, chosen, budget_steps=1, references=[[reference] * len(lines)])
        forced = score_texts(toy, lines, [reference] * len(lines), chosen)
        for one, start, score in zip(alone, helped, forced, strict=True):
            allowed = len(tokens) <= 5 and score.score > one.best.score
            assert start.best.tokens == (tokens if allowed else one.best.tokens)
            assert start.beam == one.beam


@pytest.mark.parametrize("budget", [{"budget_steps": 0}, {"budget_steps": 10**23}, {"budget_seconds": math.inf}])
def test_an_impossible_budget(budget: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(budget))} = .* is not possible: choose "):
        search_exactly(translator(), LINES, SearchSettings(), **budget)


def test_a_small_budget_leaves_a_gap() -> None:
    toy, chosen = translator(), SearchSettings(beam=1, length_alpha=0.0, max_length=6)
    found = search_exactly(toy, LINES, chosen, budget_steps=2)
    assert all(one.steps <= 2 for one in found)
    assert any(not one.proved and one.gap > 0 for one in found)
    full = search_exactly(toy, LINES, replace(chosen, max_length=3), budget_steps=4000)
    short = search_exactly(toy, LINES, replace(chosen, max_length=3), budget_steps=2)
    for one, best in zip(short, full, strict=True):
        assert best.best.score <= one.best.score + one.gap + 1e-4
    with pytest.raises(ValueError, match="no_repeat_ngram"):
        search_exactly(toy, LINES, replace(chosen, no_repeat_ngram=2))


@pytest.mark.parametrize(
    ("given", "pieces", "expected"),
    [
        ({}, 7, (1, 24)),
        ({"max_length": 9}, 7, (1, 9)),
        ({"max_length_ratio": 1.5}, 7, (1, 10)),
        ({"max_length_ratio": 1.5, "max_length": 9}, 7, (1, 9)),
        ({"max_length_ratio": 0.1}, 7, (1, 1)),
        ({"min_length": 3}, 7, (3, 24)),
        ({"min_length_ratio": 0.5}, 7, (4, 24)),
        ({"min_length_ratio": 0.5, "min_length": 6}, 7, (6, 24)),
        ({"min_length_ratio": 3.0, "max_length": 10}, 5, (10, 10)),
    ],
)
def test_lengths_absolute_and_relative(given: dict[str, Any], pieces: int, expected: tuple[int, int]) -> None:
    assert SearchSettings(**given).lengths(pieces) == expected


def test_rules_and_lengths_reach_the_search() -> None:
    """Each setting changes an output in the way that it says, for real models."""
    toy, base = translator(), SearchSettings(beam=3, max_length=9)
    plain = toy.search(LINES, base)
    longer = toy.search(LINES, replace(base, min_length=6))
    assert all(best[0].length >= 6 for line, best in zip(LINES, longer, strict=True) if line.strip())
    assert any(best[0].length < 6 for line, best in zip(LINES, plain, strict=True) if line.strip())
    assert all(best[0].length == 1 for line, best in zip(LINES, longer, strict=True) if not line.strip())
    once = toy.search(LINES, replace(base, min_length=6, no_repeat_ngram=1))
    for best in once:
        tokens = best[0].tokens[:-1] if best[0].length == 9 else best[0].tokens
        assert len(set(tokens)) == len(tokens)
    assert any(len(set(best[0].tokens)) < best[0].length for best in longer)
    gnmt = toy.search(LINES, replace(base, length_penalty="gnmt"))
    for best in gnmt:
        assert best[0].score == pytest.approx(best[0].total / ((5 + best[0].length) / 6) ** 0.7)
    hasty = toy.search(LINES, replace(base, patience=0.3))
    assert all(one[0].score <= best[0].score + 1e-6 for one, best in zip(hasty, plain, strict=True))
    assert [math.fsum(best[0].log_probs) for best in plain] == pytest.approx([best[0].total for best in plain])


@pytest.mark.parametrize("family", FAMILIES)
def test_translate_is_the_first_of_search_for_every_n(family: str) -> None:
    toy = translator(family, double=True)
    plain = toy.translate(LINES, beam=4, max_length=9)
    for n_best in (1, 2, 4):
        found = toy.search(LINES, SearchSettings(beam=4, n_best=n_best, max_length=9))
        assert [best[0].text for best in found] == plain
        assert toy.translate(LINES, beam=4, n_best=n_best, max_length=9) == plain


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(ValueError, match="'bean' is not a setting of the search; did you mean 'beam'"):
        translator().translate(["dog"], bean=3)


def test_n_best_lists_are_distinct_and_best_first() -> None:
    found = translator().search(LINES, SearchSettings(beam=5, n_best=5, max_length=9))
    for line, best in zip(LINES, found, strict=True):
        scores = [one.score for one in best]
        assert scores == sorted(scores, reverse=True) and len({one.tokens for one in best}) == len(best)
        assert len(best) == (5 if line.strip() else 1)


def test_samples_depend_on_seed_and_line_and_have_texts() -> None:
    """Two calls draw the same unless seed or first line differ; line 2 is the same wherever its call begins."""
    one, chosen = translator(), SearchSettings(max_length=9)

    def drawn(first: int, seed: int = 1) -> list[list[Translation]]:
        source = one.read(LINES[:1] * 2, chosen, first)
        return one.texts(one.find(Sample.of(chosen, 6, seed=seed), source, chosen))

    usual = drawn(1)
    assert drawn(1) == usual and drawn(2)[0] == usual[1] != usual[0] and drawn(1, seed=2) != usual
    assert all(sample.text == one.decode_target(sample.tokens) for own in usual for sample in own)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.3])
def test_lists_by_length_end_in_what_the_search_returns(alpha: float) -> None:
    toy, chosen = translator(double=True), SearchSettings(beam=3, length_alpha=alpha, max_length=7)
    plain, lists = toy.search(LINES, chosen), search_by_length(toy, LINES, chosen)
    for best, lengths in zip(plain, lists, strict=True):
        top = max((one for ones in lengths for one in ones), key=lambda one: one.score)
        assert top.tokens == best[0].tokens and top.score == pytest.approx(best[0].score, abs=1e-12)
        assert [ones[0].length for ones in lengths] == sorted({one.length for ones in lengths for one in ones})
        for ones in lengths:
            assert len({one.length for one in ones}) == 1 and 1 <= len(ones) <= 3
            assert [one.total for one in ones] == sorted((one.total for one in ones), reverse=True)
    with pytest.raises(ValueError, match="patience"):
        search_by_length(toy, LINES, replace(chosen, patience=1.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sweep_is_the_lone_searches_to_the_sentence(family: str) -> None:
    toy, base = translator(family, double=True), SearchSettings(max_length=7, n_best=2, beam=2)
    beams, alphas = (1, 3), (0.0, 0.7, 1.5)
    found, seconds = sweep(toy, LINES, base, beams, alphas)
    assert set(found) == {(beam, alpha) for beam in beams for alpha in alphas} and set(seconds) == set(beams)
    for (beam, alpha), lists in found.items():
        lone = toy.search(LINES, replace(base, beam=beam, length_alpha=alpha, n_best=min(2, beam)))
        assert [[one.tokens for one in best] for best in lists] == [[one.tokens for one in best] for best in lone]
        assert [best[0].score for best in lists] == pytest.approx([best[0].score for best in lone], abs=1e-9)
    assert len({tuple(best[0].tokens for best in lists) for lists in found.values()}) > 1


class Ears:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.failures: dict[int, str] = {}

    def done(self, results: Any) -> None:
        self.results += results

    def failed(self, line: int, error: Exception) -> None:
        self.failures[line] = str(error)


def test_a_line_that_fails_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batch is halved until only it fails; the others have what they have without it."""
    toy = translator(double=True)
    whole = toy.search(LINES, QUICK)
    bad = [source_ids(LINES[index]) for index in (0, 6)]
    encode = toy.model.encode

    def broken(source_BS: torch.Tensor, mask_BS: torch.Tensor) -> Any:
        rows = [ids[ids != 0].tolist() for ids in source_BS]
        if any(one in rows for one in bad):
            raise MemoryError("no room")
        return encode(source_BS, mask_BS)

    monkeypatch.setattr(toy.model, "encode", broken)
    ears = Ears()
    found = toy.search(LINES, replace(QUICK, batch_tokens=500), first_line=11, listener=ears)
    assert ears.failures == {11: "no room", 17: "no room"}
    assert [one[0].text for one in found if one] == [
        one[0].text for index, one in enumerate(whole) if index not in (0, 6)
    ]
    assert found[0] == found[6] == [] and len(ears.results) == len(LINES) - 2
    scored = score_tokens(toy, LINES, [[(EOS,)]] * len(LINES), QUICK, listener=Ears())
    assert [len(one) for one in scored] == [int(index not in (0, 6)) for index in range(len(LINES))]
    exact = search_exactly(toy, LINES, replace(QUICK, max_length=2), listener=Ears())
    assert [index for index, one in enumerate(exact) if one is None] == [0, 6]
    with pytest.raises(MemoryError, match="no room"):
        toy.search(LINES, QUICK)


def test_many_candidates_of_one_line_are_scored_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    toy, texts = translator(double=True), parallel(30, seed=4)[1]
    targets = [toy.encode_target(text) for text in texts]
    sizes: list[int] = []
    forced = nmtkit.decoding.forced.forced_log_probs

    def spy(model: Any, memory: Any, batch: Any) -> Any:
        sizes.append(len(batch) * max(map(len, batch)))
        return forced(model, memory, batch)

    monkeypatch.setattr(nmtkit.decoding.forced, "forced_log_probs", spy)
    (found,) = score_tokens(toy, [LINES[0]], [targets], SearchSettings(batch_tokens=10))
    assert max(sizes) <= 40 and len(sizes) > 3
    for target, one in zip(targets, found, strict=True):
        assert one.total == pytest.approx(independent_total(toy.model, source_ids(LINES[0]), target), abs=1e-9)


@pytest.mark.parametrize("blank", ["", " ", "\t \u00a0", "\u2028"])
def test_a_blank_line_is_empty_at_the_real_cost_of_ending(blank: str) -> None:
    toy = translator()
    [[found]] = toy.search([blank], SearchSettings())
    assert (found.text, found.tokens, found.length) == ("", (EOS,), 1)
    assert found.total == found.score == pytest.approx(independent_total(toy.model, source_ids(blank), [EOS]), abs=1e-5)
    assert found.total < -0.01
    assert limits_of(toy, [blank], SearchSettings(max_length=50)) == [1]


def test_limits_follow_the_source_and_are_kept() -> None:
    toy = translator()
    assert limits_of(toy, LINES, SearchSettings()) == [
        2 * len(tokenizer().source.encode(line)) + 10 if line.strip() else 1 for line in LINES
    ]
    assert limits_of(toy, LINES, SearchSettings(max_length=4)) == [4 if line.strip() else 1 for line in LINES]
    for limit in (1, 2, 4):
        found = toy.search(LINES, SearchSettings(beam=3, n_best=3, max_length=limit))
        for one in (one for best in found for one in best):
            assert one.length <= limit and one.tokens[-1] == EOS and EOS not in one.tokens[:-1]


def test_an_overlong_line_is_cut_with_a_warning_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    toy = translator("recurrent", double=True)
    lines = ["cat", "the red dog sees the house", "", "dog dog dog dog dog dog"]
    lengths = [len(source_ids(line)) - 1 for line in lines]
    chosen = replace(QUICK, max_source=5, max_length=None)
    found = toy.search(lines, chosen, first_line=11)
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 2
    for warning, number in zip(warnings, (1, 3), strict=True):
        assert warning.startswith("warning: ")
        assert f"line {11 + number}:" in warning and f"{lengths[number]} pieces" in warning and " 5 " in warning
    assert limits_of(toy, lines, chosen) == [2 * min(5, length) + 10 if length else 1 for length in lengths]
    assert not capsys.readouterr().err
    cut = [*source_ids(lines[1])[:5], EOS]
    assert found[1][0].total == pytest.approx(independent_total(toy.model, cut, found[1][0].tokens), abs=1e-9)
    exact = replace(chosen, max_source=max(lengths))
    toy.translate(lines, **vars(exact))
    assert not capsys.readouterr().err


LONG = ["cat", "the red dog sees the house", "", "dog dog dog dog dog dog"]
"""2, 20, 0 and 18 pieces."""


def short(*families: str) -> Translator:
    """A model that holds eight positions, the end of sentence counted, or an ensemble with one; far from its end."""
    options = {**FAMILIES, "learned": LEARNED["transformer"], "convolutional": LEARNED["convolutional"]}
    members = [model(options[family], seed=7, shake=0.6).double().eval() for family in families]
    with torch.no_grad():
        for member in members:
            member.output_weight[EOS] /= 4  # type: ignore[index, operator]
    return Translator(members[0] if len(members) == 1 else Ensemble(members), tokenizer())


SHORT = pytest.mark.parametrize("families", [("learned",), ("convolutional",), ("recurrent", "learned")])


@SHORT
def test_a_line_is_cut_to_what_the_model_can_hold(
    families: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    toy, settings = short(*families), SearchSettings(beam=2)
    found = toy.search(LONG, settings, first_line=11)
    assert capsys.readouterr().err.splitlines() == [
        "warning: line 12: 20 pieces, cut to the first 7 (max_positions = 8, end of sentence counted)",
        "warning: line 14: 18 pieces, cut to the first 7 (max_positions = 8, end of sentence counted)",
    ]
    cut = [[*ids[:-1][:7], EOS] for ids in map(source_ids, LONG)]
    assert [read(toy, line, settings) for line in LONG] == cut
    assert read(toy, "x" * 12, replace(settings, max_source=5)) == [*source_ids("x" * 12)[:5], EOS]
    for ids, (best, *_) in zip(cut, found, strict=True):
        assert best.total == pytest.approx(independent_total(toy.model, ids, best.tokens), abs=1e-9)
    assert max(best.length for (best, *_) in found) == 8
    toy.search(LONG, replace(settings, max_source=6))
    assert all("cut to the first 6 (max_source)" in line for line in capsys.readouterr().err.splitlines())
    assert toy.search(LONG, settings, None) == found and not capsys.readouterr().err


@SHORT
def test_no_output_is_longer_than_the_model_can_hold(families: tuple[str, ...]) -> None:
    toy = short(*families)
    for rules, limits in (
        ({}, [8, 8, 1, 8]),
        ({"max_length": 30}, [8, 8, 1, 8]),
        ({"max_length": 3}, [3, 3, 1, 3]),
        ({"max_length_ratio": 1.0}, [2, 7, 1, 7]),
        ({"min_length": 20}, [8, 8, 1, 8]),
    ):
        chosen = SearchSettings(beam=2, **rules)
        assert limits_of(toy, LONG, chosen) == limits
        lengths = [best[0].length for best in toy.search(LONG, chosen)]
        assert all(length <= limit for length, limit in zip(lengths, limits, strict=True))
        assert lengths == limits or "min_length" not in rules


@SHORT
def test_every_search_takes_overlong_lines(families: tuple[str, ...]) -> None:
    toy, settings = short(*families), SearchSettings(beam=2, n_best=2)
    plain = toy.search(LONG, settings)
    lists = search_by_length(toy, LONG, settings)
    best = [max((one for of in lengths for one in of), key=lambda one: one.score) for lengths in lists]
    assert [one.tokens for one in best] == [one.tokens for one, *_ in plain]
    assert [max(one.length for of in lengths for one in of) for lengths in lists] == [8, 8, 1, 8]
    swept, _ = sweep(toy, LONG, settings, [2], [0.7])
    assert [one[0].tokens for one in swept[2, 0.7]] == [one[0].tokens for one in plain]
    overlong = ["rot katze hund haus baum"] * len(LONG)
    exact = search_exactly(toy, LONG, settings, budget_steps=3)
    assert search_exactly(toy, LONG, settings, budget_steps=3, references=[overlong]) == exact
    assert [one.limit for one in exact if one] == [8, 8, 1, 8]
    seen = attended(toy, toy.read(LONG, settings), 1, plain[1][0].tokens, settings)
    assert {layer.shape[1:] for layer in seen.cross} == {(plain[1][0].length, 8)}


@SHORT
def test_a_given_translation_longer_than_the_model_can_hold_is_refused(families: tuple[str, ...]) -> None:
    toy, settings = short(*families), SearchSettings()
    fitting, overlong = [4] * 7 + [EOS], [4] * 8 + [EOS]
    assert toy.holds(fitting, settings) and not toy.holds(overlong, settings) and translator().holds(overlong, settings)
    with pytest.raises(ValueError, match="^line 4: 9 target pieces, more than any translation has") as caught:
        score_tokens(toy, LONG, [[fitting]] * 3 + [[fitting, overlong]], settings)
    assert only_line(caught.value, "max_positions = 8")
    with pytest.raises(ValueError, match="^9 target pieces, more than any translation has"):
        attended(toy, toy.read(["dog"], settings), 0, overlong, settings)
    ears = Ears()
    found = score_tokens(toy, LONG, [[fitting]] * 3 + [[fitting, overlong]], settings, 11, listener=ears)
    assert list(ears.failures) == [14] and list(map(len, found)) == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("change", "longest"),
    [
        ({}, 2010),
        ({"max_source": 3}, 16),
        ({"max_source": 3, "max_length": 9}, 16),
        ({"max_source": 3, "max_length": 19}, 19),
        ({"max_source": 4, "max_length_ratio": 7.5}, 30),
    ],
)
def test_what_is_longer_than_any_translation_is_not_scored(
    change: dict[str, Any], longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller limit of the search changes nothing. Nobody reads a target that is too long, and the others go on."""
    toy, settings, lengths = translator(), SearchSettings(**change), set()
    forced = nmtkit.decoding.forced.forced_log_probs

    def spy(model: Any, memory: Any, targets: Any) -> Any:
        lengths.update(map(len, targets))
        return forced(model, memory, targets)

    monkeypatch.setattr(nmtkit.decoding.forced, "forced_log_probs", spy)
    fitting, overlong = [4] * (longest - 1) + [EOS], [4] * longest + [EOS]
    assert toy.longest_target(settings) == longest
    ears = Ears()
    targets = [[fitting], [[EOS], overlong], [[4] * 100_000 + [EOS]], [[EOS]]]
    found = score_tokens(toy, ["dog", "cat", "", "a"], targets, settings, 7, listener=ears)
    assert list(map(len, found)) == [1, 0, 0, 1] and sorted(ears.failures) == [8, 9] and max(lengths) == longest
    alone = score_tokens(toy, ["dog"], [[fitting]], settings)[0][0]
    assert found[0][0].total == pytest.approx(alone.total, abs=1e-3)
    said = (
        f"{longest + 1:,} target pieces, more than any translation has (at most {longest:,}, end of sentence counted)"
    )
    assert str(ears.failures[8]) == f"line 8: {said}"
    exact = search_exactly(toy, ["dog"], replace(settings, max_length=2), references=[["x" * 5000]], budget_steps=1)
    assert exact[0] is not None and max(lengths) == longest


def test_score_tokens_takes_any_number_of_candidates_for_each_line() -> None:
    counts = [2, 0, 1, 3, 0, 1, 4, 1, 0, 2, 1]
    candidates = [
        [(*tokenizer().target.encode(text), EOS) for text in parallel(count, seed=20 + index)[1]]
        for index, count in enumerate(counts)
    ]
    for family in FAMILIES:
        toy = translator(family, double=True)
        for batch_tokens in (1, 60):
            chosen = SearchSettings(length_alpha=0.4, batch_tokens=batch_tokens)
            found = score_tokens(toy, LINES, candidates, chosen)
            assert [len(scores) for scores in found] == counts
            for line, targets, scores in zip(LINES, candidates, found, strict=True):
                for target, score in zip(targets, scores, strict=True):
                    total = independent_total(toy.model, source_ids(line), target)
                    assert score.tokens == target and len(score.log_probs) == len(target)
                    assert score.total == pytest.approx(total, abs=1e-9)
                    assert score.score == pytest.approx(total / len(target) ** 0.4, abs=1e-9)
                    first = independent_total(toy.model, source_ids(line), target[:1])
                    assert score.log_probs[0] == pytest.approx(first, abs=1e-9)


def test_no_candidates_and_no_lines_are_no_error() -> None:
    toy = translator()
    assert score_tokens(toy, LINES[:3], [[], [], []], SearchSettings()) == [[], [], []]
    assert (
        score_tokens(toy, [], [], SearchSettings()) == []
        and toy.translate([]) == []
        and score_texts(toy, [], [], QUICK) == []
    )


def test_score_of_a_text_is_that_of_its_ids() -> None:
    toy, texts = translator(double=True), parallel(len(LINES), seed=2)[1]
    for line, text, score in zip(LINES, texts, score_texts(toy, LINES, texts, SearchSettings()), strict=True):
        assert score.tokens == (*tokenizer().target.encode(text), EOS) == toy.encode_target(text)
        assert score.total == pytest.approx(independent_total(toy.model, source_ids(line), score.tokens), abs=1e-9)
    assert toy.decode_target(toy.encode_target("rot  haus")) == "rot  haus"


def test_a_line_feed_in_an_output_becomes_a_space() -> None:
    assert translator().decode_target(translator().encode_target("rot\nhaus")) == "rot haus"


def test_settings_not_given_are_the_defaults_of_the_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, shake=0.6, beam=3, max_length=3, length_alpha=0.0, n_best=2)
    loaded = Translator.load(tmp_path, device="cpu")
    assert loaded.defaults == SearchSettings(beam=3, max_length=3, length_alpha=0.0, n_best=2)
    chosen = SearchSettings(beam=3, max_length=3, length_alpha=0.0)
    assert loaded.translate(LINES) == [best[0].text for best in loaded.search(LINES, chosen)]
    assert loaded.translate(LINES, beam=1) == [best[0].text for best in loaded.search(LINES, replace(chosen, beam=1))]
    assert all(score_tokens(loaded, LINES, [[(EOS,)]] * len(LINES), loaded.defaults)[i][0].length == 1 for i in (0, 1))


@pytest.mark.parametrize("defaults", [{"bean": 5}, {"beam": "five"}, {"beam": 0}])
def test_impossible_defaults_of_a_folder_name_its_file(defaults: dict[str, Any], tmp_path: Path) -> None:
    write_folder(tmp_path, **defaults)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Translator.load(tmp_path, device="cpu")
    assert only_line(caught.value, tmp_path / "options.json", next(iter(defaults)))


@pytest.mark.parametrize("defaults", ["5", "null", '"beam"', "[1]"])
def test_defaults_that_are_no_table_are_refused_in_one_line(defaults: str, tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / "options.json"
    text = path.read_text(encoding="utf-8")
    assert text.count('"defaults": {}') == 1
    path.write_text(text.replace('"defaults": {}', f'"defaults": {defaults}'), encoding="utf-8")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Translator.load(tmp_path, device="cpu")
    assert only_line(caught.value, path)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"beam": 0}, "beam = 0"),
        ({"n_best": 0}, "n_best = 0"),
        ({"n_best": 3, "beam": 2}, "n_best = 3"),
        ({"max_length": 0}, "max_length = 0"),
        ({"max_source": 0}, "max_source = 0"),
        ({"batch_tokens": 0}, "batch_tokens = 0"),
        ({"length_alpha": -0.1}, "-0.1"),
        ({"length_alpha": math.nan}, "nan"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        SearchSettings(**wrong)
    assert only_line(caught.value, named, "choose" if "n_best" not in named or wrong.get("beam") is None else "beam")


def test_loading_gives_the_weights_asked_for_and_says_whose_they_are(tmp_path: Path) -> None:
    made = write_folder(tmp_path, shake=0.6)
    made.lay_out("float32")
    loaded = Translator.load(str(tmp_path), device="cpu", weights="last")
    expected = Translator(made, tokenizer()).search(LINES, QUICK)
    assert loaded.search(LINES, QUICK) == expected
    assert (
        re.fullmatch("[0-9a-f]{64}", loaded.folder_hash)
        and loaded.options is not None
        and loaded.options.written["format"] == 1
    )
    with pytest.raises(ValueError, match=r"'beast'.*'best'"):
        Translator.load(tmp_path, device="cpu", weights="beast")
    with pytest.raises(ValueError, match="no such model folder"):
        Translator.load(tmp_path / "nowhere", device="cpu")


def test_the_example_of_the_module_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "runs" / "demo", shake=0.6, max_length=5)
    monkeypatch.chdir(tmp_path)
    example = inspect.cleandoc((nmtkit.translator.__doc__ or "").split("From Python:")[1])
    assert "Translator.load" in example and ".translate(" in example
    exec(example, {})
    printed = capsys.readouterr().out
    assert re.fullmatch(r"\[('.*'|\".*\")\]\n", printed)


@torch.no_grad()
def test_nothing_is_left_on_the_model_by_a_search() -> None:
    toy = translator()
    before = {name: tensor.clone() for name, tensor in toy.model.state_dict().items()}
    first = toy.search(LINES, QUICK)
    score_texts(toy, LINES, LINES, QUICK)
    assert toy.search(LINES, QUICK) == first
    assert all(torch.equal(tensor, before[name]) for name, tensor in toy.model.state_dict().items())
    assert all(parameter.grad is None for parameter in toy.model.parameters())


def test_prefixes_begin_the_translations_of_their_lines() -> None:
    """As their own pieces, whatever the batch; the limit is raised where it would not hold them and the end."""
    toy, lines = translator(double=True), ["the red cat", "", "dog", "a b c", "dog"]
    prefixes = ["the dog", "red", "", " a red cat sees a tree the house", "  "]
    found = toy.search(lines, replace(QUICK, n_best=2, batch_tokens=13), prefixes=prefixes)
    plain = toy.search(lines, replace(QUICK, n_best=2))
    for line, prefix, own, free in zip(lines, prefixes, found, plain, strict=True):
        ids = tuple(tokenizer().target.encode(prefix.strip()))
        assert own and all(one.tokens[: len(ids)] == ids and one.tokens[-1] == EOS for one in own)
        assert all(len(one.tokens) <= max(6, len(ids) + 1) for one in own)
        forced = score_tokens(toy, [line], [[one.tokens for one in own]], QUICK)[0]
        assert [one.total for one in own] == pytest.approx([one.total for one in forced], abs=1e-9)
        if not ids:
            assert [one.tokens for one in own] == [one.tokens for one in free]
    assert [one.text for one in found[1]] == ["red"]  # of a blank line there is nothing else to translate
    assert len(found[3][0].tokens) == len(tokenizer().target.encode(prefixes[3].strip())) + 1
    assert toy.translate(lines, prefixes=prefixes, beam=2, max_length=6) == [own[0].text for own in found]
    ids = [tokenizer().target.encode(prefix.strip()) for prefix in prefixes]
    assert toy.search(lines, replace(QUICK, n_best=2, batch_tokens=13), prefixes=ids) == found


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_blank_at_the_end_of_a_prefix_ends_its_word(alpha: float) -> None:
    """In every search; without it some outputs go on inside the word. The best of the others is found."""
    toy, lines = translator(double=True), ["the red cat", "dog", "a b c", "the dog sees"]
    plain, ended = ["the d", "re", "a", "the ca"], ["the d ", "re\t", "a  ", "the ca "]
    settings = SearchSettings(beam=400, n_best=400, max_length=5, length_alpha=alpha, max_source=20)
    free, bound = (toy.search(lines, settings, prefixes=prefixes) for prefixes in (plain, ended))
    inside = 0
    for before, every, own in zip(plain, free, bound, strict=True):
        assert own and all(one.text == before or one.text.startswith(f"{before} ") for one in own)
        allowed = [one for one in every if one.text == before or one.text.startswith(f"{before} ")]
        inside += len(every) - len(allowed)
        assert own[0].score >= max(one.score for one in allowed) - 1e-9
    assert inside
    source = toy.read(lines, settings)
    queries = toy.queries(source, settings, ended)
    exact = toy.find(Exact(Beam.of(replace(settings, beam=1, n_best=1))), source, settings, queries)
    drawn = toy.find(Sample.of(settings, 20), source, settings, queries)
    for before, best, proof, samples in zip(plain, bound, exact, drawn, strict=True):
        assert proof is not None and proof.proved and proof.best.score == pytest.approx(best[0].score, abs=1e-6)
        texts = toy.texts([samples])[0]
        assert texts and all(one.text == before or one.text.startswith(f"{before} ") for one in texts)


def test_prefixes_that_do_not_fit_are_refused() -> None:
    toy = translator()
    with pytest.raises(ValueError, match="the prefixes are one text, 'ab'"):
        toy.translate(["dog", "dog"], prefixes="ab")
    with pytest.raises(ValueError, match=f"line 2: {EOS} cannot stand in a prefix"):
        toy.search(["dog", "dog"], QUICK, prefixes=[[4], [4, EOS]])
    with pytest.raises(ValueError, match="2 source lines but 1 prefix: give as many"):
        toy.search(["dog", "dog"], QUICK, prefixes=["a"])
    long = "a " * 3000
    with pytest.raises(ValueError, match="line 2: the prefix has .* more than any translation has"):
        toy.search(["dog", "dog"], QUICK, prefixes=["a", long])
