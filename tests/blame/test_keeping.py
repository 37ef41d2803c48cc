"""An interrupted analysis goes on from the records it kept and ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.blame_toys import AB, GREEDY_IS_BEATEN, SIDES, SYMBOLS, A, B, ask, toy
from support.toys import TableModel

from nmtkit.blame import analysis as blaming
from nmtkit.blame import search_errors
from nmtkit.blame.findings import Report
from nmtkit.blame.keeping import Keeper
from nmtkit.blame.reading import read_report
from nmtkit.blame.records import Record
from nmtkit.blame.search_errors import Budget
from nmtkit.decoding.exact import Exact
from nmtkit.evaluation.threshold import parse_threshold
from nmtkit.specials import EOS
from nmtkit.translator import Translator

REFERENCES = ["a", "ab", "", "bb", "aaab", "b", "abb", "ba", "ab", "bbbb"]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blaming, "WINDOW", 4)
    monkeypatch.setattr(search_errors, "WINDOW", 3)


def analysis(path: Path | None, keeper: Callable[[Path], Keeper] = Keeper, **more: Any) -> tuple[Report, Translator]:
    model = TableModel.random(7, sentences=11, symbols=SYMBOLS, depth=4)
    translator: Any = Translator(model, SIDES)
    calls: list[int] = []
    find = translator.find

    def counting(search: Any, source: Any, *rest: Any, **named: Any) -> Any:
        calls.append(-len(source.lengths) if isinstance(search, Exact) else len(source.lengths))
        return find(search, source, *rest, **named)

    translator.find = counting
    translator.calls = calls
    usual = {"beam": 2, "exact": Budget(sample=8), "warn": lambda text: None}
    return ask(translator, *REFERENCES, keeper=keeper(path) if path else None, **{**usual, **more}), translator


class Interrupted(Keeper):
    """A person presses Ctrl-C after so many files were written."""

    def __init__(self, path: Path, writes: int) -> None:
        super().__init__(path)
        self.writes = writes

    def keep(self, records: Sequence[Record]) -> None:
        super().keep(records)
        self.writes -= 1
        if not self.writes:
            raise KeyboardInterrupt


@pytest.mark.parametrize("writes", range(1, 8))
def test_an_interrupted_analysis_goes_on(tmp_path: Path, writes: int) -> None:
    """One file when it begins, three windows of four sentences, three windows of three certificates."""
    path = tmp_path / "kept.jsonl"
    whole, _ = analysis(None)
    with pytest.raises(KeyboardInterrupt):
        analysis(path, lambda path: Interrupted(path, writes))
    judged, certified = min(10, 4 * (writes - 1)), max(0, min(8, 3 * (writes - 4)))
    assert Interrupted(path, 99).counts == (0, 0)
    again, translator = analysis(path)
    assert again == whole
    calls: Any = translator
    exact = [-count for count in calls.calls if count < 0]
    assert sum(exact) == 8 - certified
    judging = [count for count in calls.calls if count in (4, 2)][: (10 - judged + 3) // 4]
    assert sum(judging) == 10 - judged
    last, translator = analysis(path)
    calls = translator
    assert last == whole and not calls.calls, "everything was in the file"


OLDER = Path(__file__).parent / "older"
"""Files of a version whose records knew nothing of other pieces: of the analysis below."""


def older_analysis(keeper: Keeper | None, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The versions that stand in the file are those of now, so that nothing else differs."""
    monkeypatch.setattr(blaming, "__version__", "0.1.0")
    monkeypatch.setattr(blaming.sacrebleu, "__version__", "2.6.0")
    pieced = {(): {A: 0.5, AB: 0.4, B: 0.1}, (A,): {B: 0.7, EOS: 0.3}}
    translator = toy(pieced, GREEDY_IS_BEATEN, GREEDY_IS_BEATEN)
    return ask(translator, "ba", "b", "a?", beam=1, exact=Budget(steps=50), keeper=keeper)


def test_records_of_an_earlier_version_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their certificates are judged anew: "ab" in one piece is no search error where the output is "ab" in two."""
    path = tmp_path / "kept.jsonl"
    path.write_bytes((OLDER / "records.jsonl").read_bytes())
    assert '"error": true' in path.read_text("utf-8").split("\n")[1]
    report = older_analysis(Keeper(path), monkeypatch)
    assert report == older_analysis(None, monkeypatch)
    certificates = [record.certificate for record in report.records]
    assert [one and (one.error, one.other_pieces) for one in certificates] == [
        (False, True),
        (True, False),
        (True, False),
    ]


def test_a_report_of_an_earlier_version_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    report, made = read_report(OLDER / "report.json")
    assert made is None
    now = older_analysis(None, monkeypatch)
    assert (report.rows, report.provenance) == (now.rows, now.provenance)
    assert [replace(one, certificate=None) for one in report.records] == [
        replace(one, certificate=None) for one in now.records
    ]


def test_what_was_kept_is_said(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keepers: list[Interrupted] = []
    with pytest.raises(KeyboardInterrupt):
        analysis(path, lambda path: keepers.append(Interrupted(path, 5)) or keepers[-1])
    assert keepers[0].counts == (10, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beam": 3}, ["beam was 2, now 3"]),
        ({"tolerance": 0.5}, ["tolerance was 0.0001, now 0.5"]),
        ({"errors": {2}}, ["listed was [], now [2]"]),
        ({"exact": Budget(steps=5, sample=8)}, ["exact_steps was 10000, now 5"]),
        ({"exact": None}, ["exact_sample was 8, now None"]),
        ({"threshold": parse_threshold("bleu:60")}, ["sentence_metric was chrf, now bleu"]),
        ({"reference_segmentations": 2}, ["reference_segmentations was 1, now 2"]),
        ({"length_alpha": 0.5}, ["length_alpha was 0.0, now 0.5"]),
        ({"sources": [*"123456789", "9"]}, ["sources_sha256"]),
    ],
)
def test_records_of_another_analysis_are_refused(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    path = tmp_path / "kept.jsonl"
    analysis(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="records of another analysis") as refusal:
        analysis(path, **change)
    assert str(refusal.value).startswith(f"{path}: ") and str(refusal.value).endswith("; name another file")
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda text: "", 1),
        (lambda text: "x" + text, 1),
        (lambda text: text.replace('"beam": 2', '"beam": "two"'), 1),
        (lambda text: text.replace('"verdict": "model"', '"verdict": "moon"', 1), None),
        (lambda text: text + "{}\n", 12),
    ],
    ids=["empty", "no JSON", "a text for a number", "an unknown verdict", "a record without anything"],
)
def test_other_files_are_refused(tmp_path: Path, spoil: Callable[[str], str], line: int | None) -> None:
    path = tmp_path / "kept.jsonl"
    analysis(path)
    path.write_text(spoil(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=r"not what blame-analysis --records writes") as refusal:
        analysis(path)
    assert f"{path}, line {line or ''}" in str(refusal.value)
