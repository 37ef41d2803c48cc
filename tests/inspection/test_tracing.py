"""Traced translations against a beam of lists and loops that asks the model for every prefix anew."""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from support.searches import limits as limits_of
from support.training_toys import FAMILIES, LEARNED, independent_total, model, tokenizer

import nmtkit.decoding.forced
from nmtkit import __version__
from nmtkit.decoding.search import Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.decoding.trace import Traced
from nmtkit.inspection.traces import Trace
from nmtkit.inspection.tracing import header, trace
from nmtkit.specials import BOS, EOS
from nmtkit.translator import Translator

LINES = ["the red cat", "", "dog", "the house runs red blue", "b", "é😀", "sees\u2028tree"]
SETTINGS = SearchSettings(beam=3, n_best=2, max_length=6, batch_tokens=40)
ENDINGS = ("finished", "pruned", "stopped", "too long")

Tokens = tuple[int, ...]


@functools.cache
def translator(family: str) -> Translator:
    """In double precision, with random weights far from uniform."""
    made = model(FAMILIES[family], seed={"transformer": 4, "recurrent": 3}[family], shake=0.6).eval()
    with torch.no_grad():
        made.output_weight[EOS] *= 3  # type: ignore[index, operator]
    return Translator(made.double(), tokenizer())


def source_ids(line: str) -> list[int]:
    return [*tokenizer().source.encode(line), EOS]


@dataclass(frozen=True)
class Taken:
    """A step of the plain beam: all candidates with their Σ log P, and those that ended or live on."""

    totals: dict[Tokens, float]
    finished: list[Tokens]
    living: list[Tokens]

    @property
    def worst(self) -> float:
        return min(self.totals[one] for one in (*self.finished, *self.living))


@functools.cache
def plain_steps(family: str, line: str, beam: int, limit: int) -> list[Taken]:
    """Every step up to the limit, whether or not a search would stop before."""
    made, steps = translator(family).model, []
    living: dict[Tokens, float] = {(): 0.0}
    source_1S = torch.tensor([source_ids(line)])
    with torch.no_grad():
        memory = made.encode(source_1S, torch.ones_like(source_1S, dtype=torch.bool))
        for length in range(1, limit + 1):
            totals = {}
            for prefix, before in living.items():
                log_probs = made.decode(memory, torch.tensor([[BOS, *prefix]])).dense()[0, -1].tolist()
                allowed = [EOS] if length == limit else [v for v, one in enumerate(log_probs) if one > -math.inf]
                totals.update({(*prefix, v): before + log_probs[v] for v in allowed})
            best = sorted(totals, key=totals.__getitem__, reverse=True)[:beam]
            living = {one: totals[one] for one in best if one[-1] != EOS}
            steps.append(Taken(totals, [one for one in best if one[-1] == EOS], list(living)))
            if not living:
                break
    return steps


def prefixes(traced: Trace) -> list[list[tuple[str, ...]]]:
    """The pieces of every candidate, read back over the parents."""
    found: list[list[tuple[str, ...]]] = []
    for step in traced.steps:
        before = dict(enumerate(found[-1], start=1)) if found else {0: ()}
        found.append([(*before[one.parent], one.piece) for one in step.candidates])
    return found


def spelled(tokens: Sequence[int]) -> tuple[str, ...]:
    return tuple(tokenizer().target.pieces(tokens))


def chosen_references(family: str, traced: Sequence[Trace]) -> list[list[Tokens]]:
    """Sets of references of every line, for each ending: the output, what is unlikely, what is long, what lives."""
    sets: list[list[Tokens]] = [[], [], [], []]
    for line, one in zip(LINES, traced, strict=True):
        steps = plain_steps(family, line, SETTINGS.beam, one.limit)[: len(one.steps)]
        output = min((ended for step in steps for ended in step.finished), key=len)
        unlikely = min(steps[0].totals, key=steps[0].totals.__getitem__)
        alive = steps[-1].living[0] if steps[-1].living else (unlikely[0],)
        sets[0].append(output)
        sets[1].append((*output[: len(output) // 2], unlikely[0], *unlikely, EOS))
        longest = max((prefix for step in steps for prefix in step.living), key=len, default=())
        sets[2].append((*longest, *[5] * 6, EOS))
        sets[3].append((*alive, 5, EOS))
    return sets


@pytest.mark.parametrize("family", FAMILIES)
def test_translations_are_those_of_the_search(family: str) -> None:
    toy = translator(family)
    plain = toy.search(LINES, SETTINGS)
    for references in (None, ["rot katze"] * len(LINES)):
        assert [found for found, _ in trace(toy, LINES, SETTINGS, references)] == plain


@pytest.mark.parametrize("family", FAMILIES)
def test_candidates_are_the_best_of_every_step(family: str) -> None:
    """The 2B best, at least ten, with what became of them; no step more than the search took."""
    for beam, noted in ((3, 10), (6, 12)):
        settings = replace(SETTINGS, beam=beam)
        for line, (found, one) in zip(LINES, trace(translator(family), LINES, settings), strict=True):
            expected = plain_steps(family, line, beam, one.limit)
            assert max(best.length for best in found) <= len(one.steps) <= len(expected)
            living = 1
            for number, (step, names, taken) in enumerate(zip(one.steps, prefixes(one), expected, strict=False), 1):
                assert (step.length, step.prefixes) == (number, living)
                best = sorted(taken.totals, key=taken.totals.__getitem__, reverse=True)[:noted]
                assert names == [spelled(tokens) for tokens in best]
                for rank, (candidate, tokens) in enumerate(zip(step.candidates, best, strict=True), start=1):
                    total = taken.totals[tokens]
                    before = expected[number - 2].totals[tokens[:-1]] if number > 1 else 0.0
                    assert candidate.rank == rank and not candidate.reference
                    assert candidate.total == pytest.approx(total, abs=1e-6)
                    assert candidate.log_p == pytest.approx(total - before, abs=1e-6)
                    assert candidate.score == pytest.approx(total / number**0.7, abs=1e-6)
                    fate = "finished" if tokens in taken.finished else "kept" if tokens in taken.living else "pruned"
                    assert candidate.fate == fate
                living = len(taken.living)


@pytest.mark.parametrize("family", FAMILIES)
def test_finished_candidates_read_back_to_the_outputs(family: str) -> None:
    toy = translator(family)
    for number, (line, (found, one)) in enumerate(zip(LINES, trace(toy, LINES, SETTINGS, first_line=31), strict=True)):
        assert (one.line, one.source, one.reference) == (31 + number, line, None)
        assert one.source_pieces == spelled(source_ids(line)[:-1])
        assert one.limit == (6 if line.strip() else 1)
        assert [output.text for output in one.outputs] == [best.text for best in found]
        ended = {
            names: candidate
            for step, texts in zip(one.steps, prefixes(one), strict=True)
            for names, candidate in zip(texts, step.candidates, strict=True)
            if candidate.fate == "finished"
        }
        ranked = sorted(ended.values(), key=lambda candidate: candidate.score, reverse=True)[: len(found)]
        assert [candidate.score for candidate in ranked] == pytest.approx([output.score for output in one.outputs])
        for output, best in zip(one.outputs, found, strict=True):
            assert output.pieces == spelled(best.tokens) and output.pieces in ended
            total = independent_total(toy.model, source_ids(line), best.tokens)
            assert output.total == ended[output.pieces].total == pytest.approx(total, abs=1e-6)
            assert math.fsum(output.log_probs) == pytest.approx(total, abs=1e-6)
            assert output.score == pytest.approx(total / len(best.tokens) ** 0.7, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_references_are_lost(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank, margin and ending of any ids; the candidates on the way are marked, and no others."""
    toy, seen = translator(family), set()
    monkeypatch.setattr(toy, "encode_target", ast.literal_eval)
    settings = replace(SETTINGS, n_best=1)
    untold = [one for _, one in trace(toy, LINES, settings)]
    for references in chosen_references(family, untold):
        traced = [one for _, one in trace(toy, LINES, settings, [str(tokens) for tokens in references])]
        for line, tokens, one in zip(LINES, references, traced, strict=True):
            assert one.reference is not None
            ranks, margins, ending = [], [], "stopped"
            for length, taken in enumerate(plain_steps(family, line, 3, one.limit)[: len(one.steps)], start=1):
                prefix = tokens[:length]
                if length == one.limit and prefix[-1] != EOS:
                    ending = "too long"
                    break
                total = taken.totals[prefix]
                ranks.append(1 + sum(other > total for other in taken.totals.values()))
                margins.append(total - taken.worst)
                if prefix not in taken.living:
                    ending = "finished" if prefix in taken.finished else "pruned"
                    break
            same = toy.decode_target(tokens) in [output.text for output in one.outputs] and ending != "finished"
            assert one.reference.ending == ("same text" if same else ending)
            assert one.reference.ranks == tuple(ranks)
            assert one.reference.margins == pytest.approx(tuple(margins), abs=1e-6)
            assert (ending == "pruned") == any(margin < 0 for margin in margins)
            seen.add(ending)
            marked = 0
            for step, texts in zip(one.steps, prefixes(one), strict=True):
                for names, candidate in zip(texts, step.candidates, strict=True):
                    assert candidate.reference == (names == spelled(tokens[: step.length]))
                    marked += candidate.reference
            assert marked == sum(rank <= 10 for rank in ranks)
    assert seen == set(ENDINGS)


def test_a_reference_is_scored_as_a_text() -> None:
    toy, texts = translator("transformer"), ["rot katze", "", "grün 日本", "a\u2028b", "x", "haus", "hund"]
    for line, text, (_, one) in zip(LINES, texts, trace(toy, LINES, SETTINGS, texts), strict=True):
        tokens = [*tokenizer().target.encode(text), EOS]
        total = independent_total(toy.model, source_ids(line), tokens)
        assert one.reference is not None
        scored = one.reference.scored
        assert (scored.text, scored.pieces) == (text, spelled(tokens))
        assert scored.total == pytest.approx(total, abs=1e-6)
        assert len(scored.log_probs) == len(tokens) and math.fsum(scored.log_probs) == pytest.approx(total, abs=1e-6)
        assert scored.score == pytest.approx(total / len(tokens) ** 0.7, abs=1e-6)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lines, self.failures = 0, list[tuple[int, str]]()

    def done(self, results: Sequence[Any]) -> None:
        self.lines += len(results)

    def failed(self, line: int, error: Exception) -> None:
        self.failures.append((line, str(error)))


@pytest.mark.parametrize("references", [None, ["rot katze"] * len(LINES)])
def test_a_line_that_fails_does_not_lose_the_others(
    references: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, settings = translator("transformer"), replace(SETTINGS, max_length=None, batch_tokens=2048)
    whole = trace(toy, LINES, settings, references)
    limits, real = limits_of(toy, LINES, settings), Traced.find
    victim = next(place for place, limit in enumerate(limits) if limits.count(limit) == 1 and limit > 1)

    def failing(self: Traced, stepper: Any, batch: Any, queries: Sequence[Query]) -> Any:
        found = real(self, stepper, batch, queries)  # it fails late, when steps were noted
        if victim in [query.index for query in queries]:
            raise RuntimeError("out of memory for this one")
        return found

    monkeypatch.setattr(Traced, "find", failing)
    heard = Heard()
    traced = trace(toy, LINES, settings, references, first_line=5, listener=heard)
    assert heard.failures == [(5 + victim, "out of memory for this one")] and heard.lines == len(LINES) - 1
    found, lost = traced[victim]
    assert found == [] and (lost.steps, lost.outputs, lost.reference) == ((), (), None)
    assert (lost.line, lost.source, lost.limit) == (5 + victim, LINES[victim], limits[victim])
    for place, ((texts, one), (texts_before, before)) in enumerate(zip(traced, whole, strict=True)):
        if place != victim:
            assert [text.text for text in texts] == [text.text for text in texts_before]
            assert one.line == 5 + place and outline(one) == outline(before)
    with pytest.raises(RuntimeError, match="out of memory for this one"):
        trace(toy, LINES, settings, references)


def test_a_reference_that_cannot_be_scored_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    toy, real = translator("transformer"), nmtkit.decoding.forced.forced_log_probs
    references = ["rot"] * (len(LINES) - 1) + ["日本語" * 9]
    longest = len(tokenizer().target.encode(references[-1])) + 1

    def failing(made: Any, memory: Any, targets: Sequence[Sequence[int]]) -> Any:
        if longest in map(len, targets):
            raise RuntimeError("out of memory for this one")
        return real(made, memory, targets)

    monkeypatch.setattr(nmtkit.decoding.forced, "forced_log_probs", failing)
    traced = trace(toy, LINES, SETTINGS, references, listener=Heard())
    assert [one.reference is None for _, one in traced] == [False] * (len(LINES) - 1) + [True]


def test_a_line_longer_than_the_model_can_hold_is_traced_as_it_is_read() -> None:
    """Seven pieces and the end of sentence; a reference of more has no trace."""
    toy = Translator(model(LEARNED["transformer"], shake=0.6).eval(), tokenizer())
    lines, references = ["the red dog sees the house", "cat"], ["rot", "rot katze hund haus baum"]
    (_, one), (_, other) = trace(toy, lines, SearchSettings(beam=2), references)
    pieces = [tokenizer().source.pieces(tokenizer().source.encode(line)) for line in lines]
    assert (one.source_pieces, other.source_pieces) == (tuple(pieces[0][:7]), tuple(pieces[1]))
    assert one.limit == other.limit == 8 and one.outputs and other.outputs
    assert one.reference is not None and other.reference is None


@pytest.mark.parametrize("rules", [{"min_length": 5}, {"no_repeat_ngram": 1}])
def test_a_reference_that_the_rules_forbid_is_not_said_to_be_too_unlikely(
    rules: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The references are what the search finds without the rule."""
    toy, base = translator("transformer"), replace(SETTINGS, n_best=1)
    monkeypatch.setattr(toy, "encode_target", ast.literal_eval)
    references = [str(best.tokens) for (best,) in toy.search(LINES, base)]
    for _, one in trace(toy, LINES, replace(base, **rules), references):
        assert one.reference is not None
        if one.reference.ending == "pruned":
            assert one.reference.margins[-1] <= 0


def outline(one: Trace) -> tuple[Any, ...]:
    """All that cannot differ by a rounding."""
    candidates = [(x.rank, x.parent, x.piece, x.fate, x.reference) for step in one.steps for x in step.candidates]
    way = one.reference and (one.reference.scored.pieces, one.reference.ranks, one.reference.ending)
    return one.source, one.limit, [output.pieces for output in one.outputs], candidates, way


def test_no_lines_and_the_header() -> None:
    toy = translator("transformer")
    assert trace(toy, [], SETTINGS, []) == [] and trace(toy, [], SETTINGS) == []
    first = header(toy, replace(SETTINGS, length_penalty="gnmt"))
    assert (first.nmtkit, first.beam, first.length_alpha, first.length_penalty) == (__version__, 3, 0.7, "gnmt")
    with torch.no_grad():
        source_1S = torch.tensor([source_ids("dog")])
        memory = toy.model.encode(source_1S, torch.ones_like(source_1S, dtype=torch.bool))
        possible = int((toy.model.decode(memory, torch.tensor([[BOS]])).dense()[0, 0] > -math.inf).sum())
    assert first.vocabulary == possible


def test_a_blank_reference_is_none_and_other_pieces_of_an_output_are_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spelled letter by letter the output's text is lost in the beam, yet the output is that text."""
    toy = translator("transformer")
    outputs = [best[0].text for best in toy.search(LINES, SETTINGS)]
    blank = trace(toy, LINES, SETTINGS, [""] * len(LINES))
    for line, (_, one) in zip(LINES, blank, strict=True):
        assert (one.reference is None) == bool(line.strip())
    usual = toy.tokenizer.target.encode

    def spelled(text: str) -> tuple[int, ...]:
        return (*(token for letter in text for token in usual(letter)), EOS)

    monkeypatch.setattr(toy, "encode_target", spelled)
    endings = set()
    for (best, *_), one in trace(toy, LINES, SETTINGS, outputs):
        if one.reference is not None:
            same = spelled(best.text) == best.tokens
            assert one.reference.ending == ("finished" if same else "same text")
            endings.add(one.reference.ending)
    assert "same text" in endings


def test_a_reference_longer_than_any_translation_is_not_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor scored; that is said, and the search finds what it finds without."""
    toy, lines = translator("recurrent"), ["dog", "cat"]
    traced = trace(toy, lines, SETTINGS, ["x" * 100_000, "rot"], 5)
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: line 5: the reference is not followed: ")
    assert "more than any translation has (at most 2,010" in warning
    (found, first), (_, second) = traced
    assert first.reference is None and second.reference is not None
    assert [one.text for one in found] == [one.text for one in toy.search(lines, SETTINGS)[0]]
