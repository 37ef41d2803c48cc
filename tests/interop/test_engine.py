"""The engine is our beam search under its rules, also where it cannot finish a sentence itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.engine_toys import (
    LINES,
    SETTINGS,
    TEXT,
    best,
    engine_of,
    own_search,
    random_translator,
    searched,
)

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.engines import Rescored
from nmtkit.decoding.search import Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.interop.engine import Engine, check_precision, settings_of_engine
from nmtkit.models.options import TransformerOptions
from nmtkit.specials import EOS
from nmtkit.translator import Translator

OPTIONS = TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=2, decoder_layers=2)


@pytest.fixture(scope="module")
def translator() -> Translator:
    return random_translator(OPTIONS, 6)


@pytest.fixture(scope="module")
def folder(translator: Translator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("exports") / "model"
    engine_of(translator, OPTIONS, made)
    return made


def load(folder: Path, translator: Translator, **settings: Any) -> Engine:
    return Engine.load(folder, translator.tokenizer, replace(SETTINGS, **settings), torch.device("cpu"), "float32")


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of the sentences that the engine leaves to our own search."""
    seen: list[int] = []
    find = Beam.find

    def spy(self: Beam, stepper: Any, batch: Any, queries: Sequence[Query]) -> Any:
        seen.extend(query.index for query in queries)
        return find(self, stepper, batch, queries)

    monkeypatch.setattr(Beam, "find", spy)
    return seen


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("limit", [2, 3, 5])
def test_a_search_that_reaches_the_limit_ends_at_the_real_cost_of_the_end(
    limit: int, alpha: float, folder: Path, translator: Translator, left: list[int]
) -> None:
    engine = load(folder, translator, max_length=limit, length_alpha=alpha)
    results = searched(translator, engine, engine.settings)
    cut = [index for index in left if LINES[index].strip()]
    assert cut, "no search reached the limit"
    for output, own in zip(best(results), best(own_search(translator, engine)), strict=True):
        assert output.tokens == own.tokens and output.tokens[-1] == EOS and output.length <= limit
        assert output.score == pytest.approx(own.score, abs=1e-5)


@pytest.mark.parametrize("ratio", [0.3, 0.6, 1.0, 3.0])
@pytest.mark.parametrize(("patience", "best"), [(None, 1), (None, 3), (0.4, 1), (2.5, 3)])
def test_limits_of_many_lengths_are_served_by_one_call(
    ratio: float,
    patience: float | None,
    best: int,
    folder: Path,
    translator: Translator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sentence whose search goes beyond its own limit is searched again, so that each has the output of its own."""
    engine, calls = load(folder, translator, max_length_ratio=ratio, patience=patience, n_best=best), []
    translate = Engine._translate

    def spy(self: Engine, lines: Any, limit: int) -> Any:
        calls.append(limit)
        return translate(self, lines, limit)

    monkeypatch.setattr(Engine, "_translate", spy)
    results = searched(translator, engine, engine.settings, TEXT)
    assert len(calls) <= 1
    for hypotheses, own in zip(results, own_search(translator, engine, TEXT), strict=True):
        assert [hypothesis.tokens for hypothesis in hypotheses] == [hypothesis.tokens for hypothesis in own]


def test_the_engine_alone_cuts_off_there(folder: Path, translator: Translator) -> None:
    """What the rule is for: CTranslate2 returns hypotheses without an end as if they were finished."""
    engine = load(folder, translator, max_length=3)
    answers = [engine._translate([["▁J"]], limit)[0].result() for limit in (1, 40)]
    assert any(pieces[-1] != "</s>" for pieces in answers[0].hypotheses)


def test_blank_lines_are_the_empty_translation_and_most_lines_are_the_engines(
    folder: Path, translator: Translator, left: list[int]
) -> None:
    engine = load(folder, translator)
    results = searched(translator, engine, engine.settings)
    blank = [index for index, line in enumerate(LINES) if not line.strip()]
    assert all(results[index][0].tokens == (EOS,) for index in blank)
    assert {*blank} <= {*left} and len({*left}) < len(LINES) / 2
    ours = best(own_search(translator, engine))
    assert [results[index][0].score for index in blank] == pytest.approx([ours[index].score for index in blank])


@pytest.mark.parametrize("patience", [None, 0.4, 1.0, 2.5])
def test_n_best_lists_are_those_of_our_search_with_patience_and_free_ends(
    patience: float | None, folder: Path, translator: Translator
) -> None:
    engine = load(folder, translator, beam=4, n_best=2, patience=patience)
    assert engine.settings.patience == (patience or 1.0) and engine.settings.free_eos
    results = searched(translator, engine, engine.settings, TEXT)
    for hypotheses, own in zip(results, own_search(translator, engine, TEXT), strict=True):
        assert [hypothesis.tokens for hypothesis in hypotheses] == [hypothesis.tokens for hypothesis in own]


def test_without_length_normalisation_the_stop_rule_is_ours(folder: Path, translator: Translator) -> None:
    """At α = 0 the output is that of a search that only stops when no living prefix can win."""
    engine = load(folder, translator, length_alpha=0.0)
    assert engine.settings.patience is None
    sound = searched(translator, Beam.of(replace(SETTINGS, length_alpha=0.0, free_eos=True)), SETTINGS, TEXT)
    results = searched(translator, engine, engine.settings, TEXT)
    assert [output.tokens for output in best(results)] == [output.tokens for output in best(sound)]


def test_what_has_more_positions_than_the_export_is_ours(folder: Path, translator: Translator, left: list[int]) -> None:
    engine = replace(load(folder, translator, max_length=12), positions=12)
    results = searched(translator, engine, engine.settings, ("a", " ".join(["Jane"] * 20)))
    assert 1 in left and all(results)


def test_rescored_outputs_have_the_scores_of_a_forced_pass(
    folder: Path, translator: Translator, tmp_path: Path
) -> None:
    engine = engine_of(translator, OPTIONS, tmp_path / "int8", replace(SETTINGS, n_best=3), "int8")
    plain, again = (searched(translator, search, SETTINGS, TEXT) for search in (engine, Rescored.of(engine)))
    source = translator.read(TEXT, SETTINGS)
    for index, (hypotheses, rescored) in enumerate(zip(plain, again, strict=True)):
        assert {own.tokens for own in rescored} == {own.tokens for own in hypotheses}
        assert [own.score for own in rescored] == sorted((own.score for own in rescored), reverse=True)
        given = [()] * len(TEXT)
        given[index] = tuple(own.tokens for own in rescored)  # type: ignore[call-overload]
        forced = translator.score(source, given, SETTINGS)[index]
        assert [own.score for own in rescored] == pytest.approx([own.score for own in forced], abs=1e-5)
    differences = [
        abs(a.score - next(b for b in again[index] if b.tokens == a.tokens).score)
        for index, hypotheses in enumerate(plain)
        for a in hypotheses
    ]
    assert 1e-4 < max(differences) < 1, "int8 differs, but works"


def test_the_precision_is_told(folder: Path, translator: Translator) -> None:
    import ctranslate2

    assert load(folder, translator).in_words == f"CTranslate2 {ctranslate2.__version__}, float32"
    with pytest.raises(ValueError, match=r"^precision = 'float16': on this cpu, CTranslate2 computes in .*float32"):
        check_precision("float16", torch.device("cpu"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"min_length": 2}, "min_length = 2 is not for CTranslate2, which bans the end of sentence before the softmax"),
        ({"min_length_ratio": 0.5}, "min_length_ratio = 0.5 is not for CTranslate2"),
        ({"forbid_unk": True}, "forbid_unk = True is not for CTranslate2, which bans a piece before the softmax"),
        ({"no_repeat_ngram": 3}, "no_repeat_ngram = 3 is not for CTranslate2"),
        ({"length_penalty": "gnmt"}, "length_penalty = 'gnmt' is not for CTranslate2, which only has 'power'"),
        ({"patience": 2.0, "length_alpha": 0.0}, "patience = 2 does nothing in CTranslate2 at length_alpha = 0"),
        ({"beam": 50}, "beam = 50 is too wide for CTranslate2 and 100 target pieces: choose at most 49"),
        ({"beam": 5, "n_best": 4, "patience": 0.5}, "n_best = 4 needs patience × beam to be as many"),
    ],
)
def test_what_means_something_else_in_the_engine_is_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        settings_of_engine(replace(SearchSettings(), **settings), 100)


def test_a_probability_that_is_not_finite_is_no_result(folder: Path, translator: Translator) -> None:
    engine = load(folder, translator)

    class Broken:
        def translate_batch(self, lines: Sequence[Any], **options: Any) -> list[Any]:
            class Answer:
                hypotheses, scores = [["</s>"]], [math.nan]

                def result(self) -> Any:
                    return self

            return [Answer() for _ in lines]

    with pytest.raises(ValueError, match="the model gives no finite probability"):
        searched(translator, replace(engine, runner=Broken()), engine.settings, ("Jane",))


def test_a_damaged_export_is_one_line(folder: Path, translator: Translator, tmp_path: Path) -> None:
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    content = (damaged / "model.bin").read_bytes()
    (damaged / "model.bin").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"^{damaged}: CTranslate2 cannot load it"):
        load(damaged, translator)
