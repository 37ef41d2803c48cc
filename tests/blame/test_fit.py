"""Loss on the training text against loss here: probabilities looked up in tables, and what is advised."""

from __future__ import annotations

import json
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Data
from support.blame_toys import GREEDY_IS_BEATEN, SIDES, SYMBOLS, A, B, ask, record, report, toy
from support.toys import TableModel

from nmtkit import checkpoint
from nmtkit.blame.findings import Fit
from nmtkit.blame.fit import TrainingText, read_training_text
from nmtkit.report.advice import advice
from nmtkit.specials import EOS
from nmtkit.translator import Translator

KNOWN = {(): {A: 0.9, B: 0.1}, (A,): {EOS: 0.8, A: 0.2}}


def test_losses_and_frequencies_by_hand() -> None:
    """Training text: "a" twice (0.9 · 0.8). Here ŷ is b, references are "b" (0.45 · 0.6), "bb" (0.45 · 0.4)."""
    table = {**GREEDY_IS_BEATEN, (B, B): {EOS: 1.0}}
    text = TrainingText(["3", "3", "3"], ["a", "a", " "], 5, best_update=4, last_update=8)
    fit = ask(toy(table, table, KNOWN), "b", "bb", beam=5, training=text).fit
    assert fit is not None
    known, new = -math.log(0.9 * 0.8) / 2, -math.log(0.45 * 0.6 * 0.45 * 0.4) / 5
    assert (fit.train_loss, fit.loss) == pytest.approx((known, new))
    assert fit.share == pytest.approx(1 - known / new)
    # a sample of two sentences is the first twice, both, or the second twice: 25, 50 and 25 %
    ends = [1 - known / (-math.log(p) / n) for p, n in ((0.45 * 0.6, 2), (0.45 * 0.4, 3))]
    assert (fit.low, fit.high) == pytest.approx((min(ends), max(ends)))
    assert (fit.pairs, fit.best_update, fit.last_update) == (2, 4, 8)
    # a blank line is no pair: the training text has a and EOS twice, b never
    never, few = fit.frequencies
    assert (never.least, never.most, never.pieces, never.turned) == (0, 0, 3, 1)
    assert never.loss == pytest.approx(-math.log(0.45 * 0.45 * 0.4) / 3)
    assert (few.least, few.most, few.pieces, few.turned) == (1, 9, 2, 0)
    assert few.loss == pytest.approx(-math.log(0.6) / 2)


def test_blank_references_are_left_out_as_blank_training_pairs_are() -> None:
    """Of "b", "" and a blank source: only the first counts, whose two pieces cost log 0.45 and log 0.6."""
    translator = toy(*[GREEDY_IS_BEATEN] * 2, {(): {A: 0.8, EOS: 0.2}})  # the last is that of a blank source, too
    text = TrainingText(["3", "3", " "], ["a", "", "a"], 5)
    asked: dict = {"sources": ["1", "2", " "], "beam": 1, "training": text, "warn": lambda text: None}
    fit = ask(translator, sets=[["b", "", "a"], [" ", "", ""]], **asked).fit
    assert fit is not None and fit.pairs == 1
    assert fit.loss == pytest.approx(-math.log(0.45 * 0.6) / 2)
    assert sum(one.pieces for one in fit.frequencies) == 2
    several = TrainingText(["3", *" " * 9], ["a"] * 10, 5)
    often = ask(translator, "a", training=several, beam=1).fit
    assert often is not None and [(one.least, one.pieces) for one in often.frequencies] == [(1, 2)]


def test_what_cannot_be_produced_is_left_out() -> None:
    """After A comes EOS or A: "ab" as one piece has no probability, "a" in the training text has."""
    text = TrainingText(["2", "2"], ["a", "b?"], 2)
    fit = ask(toy(GREEDY_IS_BEATEN, KNOWN), "ab", "aa", beam=1, training=text).fit
    assert fit is not None and fit.pairs == 1
    assert fit.train_loss == pytest.approx(-math.log(0.9 * 0.8) / 2)


def test_pairs_that_the_model_cannot_hold_are_left_out() -> None:
    """It was not trained on "aa", of three pieces with the end of sentence."""
    translator = toy(GREEDY_IS_BEATEN, KNOWN)
    translator.model.longest = 2
    fit = ask(translator, "b", "a", beam=1, training=TrainingText(["2", "2"], ["a", "aa"], 2)).fit
    assert fit is not None and fit.pairs == 1
    assert fit.train_loss == pytest.approx(-math.log(0.9 * 0.8) / 2)


def test_a_sample_is_drawn_from_lines_with_both_sides() -> None:
    lines = [str(number) for number in range(100)]
    targets = ["" if number % 2 else "a" for number in range(100)]
    text = TrainingText(lines, targets, 10)
    assert [*text.pairs()] == [(str(number), "a") for number in range(0, 100, 2)]
    drawn = text.drawn(50)
    expected = sorted(random.Random(1).sample(range(0, 100, 2), 10))
    assert drawn == [(str(number), "a") for number in expected] == TrainingText(lines, targets, 10).drawn(50)
    assert drawn != TrainingText(lines, targets, 10, seed=2).drawn(50)
    assert TrainingText(lines, targets, 99).drawn(50) == [*text.pairs()]
    model = TableModel.random(3, sentences=100, symbols=SYMBOLS, depth=4)
    more = ask(Translator(model, SIDES), "a", training=text, warn=lambda text: None).fit
    assert more is not None and more.pairs == 10
    none = ask(Translator(model, SIDES), "a", training=TrainingText(["1"], [""], 5), warn=lambda text: None)
    assert none.fit is None


FIT = Fit(500, 1.0, 3.0, 2 / 3, 0.6, 0.7, 10, 20, ())


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (FIT, ["more data or more regularisation", "3.00 nats a piece here and 1.00", "67 % of it", "60 to 70 %"]),
        (replace(FIT, low=0.4, high=0.5), ["Undecided between more data", "more or less than half"]),
        (replace(FIT, low=0.4, high=0.49), ["bigger model or another architecture", "best at update 10 of 20"]),
        (replace(FIT, low=0.1, high=0.2, best_update=20), ["train it longer first", "newest (update 20)"]),
        (replace(FIT, low=0.1, high=0.2, best_update=0, last_update=0), ["bigger model", "known text, too."]),
        (None, ["--train-sample tells which"]),
    ],
)
def test_what_is_advised(fit: Fit | None, words: list[str]) -> None:
    made = replace(report(*(record(number, "model", gap=-1.0, total=-9.0) for number in range(1, 20))), fit=fit)
    said = " ".join(advice(made))
    assert all(word in said for word in words), said


def test_the_folder_names_its_training_text(model: Path, copied: Path, data: Data, tmp_path: Path) -> None:
    warnings: list[str] = []
    text = read_training_text(model, "best", (), 7, warnings.append)
    assert list(text.sources) == (data.folder / "train.fr").read_text("utf-8").split("\n")[:-1]
    assert len([*text.targets]) == 200 and text.sample == 7 and not warnings
    assert (text.best_update, text.last_update) == (
        checkpoint.updates(model, "best"),
        checkpoint.updates(model, "last"),
    )
    assert read_training_text(model, "last", (), 7, warnings.append).best_update == text.last_update == 24
    other = read_training_text(model, "best", [data.folder / "dev"], 7, warnings.append)
    assert len([*other.sources]) == len([*other.sources]) == 8
    assert warnings == [
        f"{data.folder / 'dev'}.{side}: is not the text that the model was trained on, or has changed since"
        for side in ("fr", "en")
    ]
    options = json.loads((copied / "options.json").read_text())
    for side, language in (("source", "fr"), ("target", "en")):  # as if it had been trained on two texts
        options["provenance"]["files"][f"train 2 {side}"] = str(data.folder / f"dev.{language}")
    (copied / "options.json").write_text(json.dumps(options))
    both = read_training_text(copied, "best", (), 7, warnings.append)
    assert [*both.targets] == [*text.targets, *other.targets] and "dev.en: is not the text" in warnings[-1]
    shutil.copy(data.folder / "train.fr", tmp_path / "moved.fr")
    shutil.copy(data.folder / "train.en", tmp_path / "moved.en")
    warnings.clear()
    both = read_training_text(copied, "best", [data.folder / "dev", tmp_path / "moved"], 7, warnings.append)
    assert [*both.targets] == [*other.targets, *text.targets] and len(warnings) == 2, "in any order"
    options["provenance"]["files"]["train target"] = str(tmp_path / "gone.en")
    (copied / "options.json").write_text(json.dumps(options))
    with pytest.raises(
        ValueError, match=r"gone\.en: the training text is no longer there; name every text with --train-text"
    ):
        read_training_text(copied, "best", (), 7, warnings.append)
    options["provenance"]["files"]["train target"] = "-"
    (copied / "options.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match="^-: the training text was standard input; name every text"):
        read_training_text(copied, "best", (), 7, warnings.append)
