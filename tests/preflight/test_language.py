"""Which language a line is in, learned from a text in which lines are on the wrong side."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import JANE

from nmtkit.files import read_parallel
from nmtkit.preflight.check import check
from nmtkit.preflight.findings import Kind
from nmtkit.preflight.options import Options, Texts, two_files


@pytest.mark.parametrize("share", [0.001, 0.2])
def test_swapped_pairs_and_lines_of_the_other_language(share: float, tmp_path: Path) -> None:
    """Nearly all lines of some length are recognised, even if one in five is wrong, and no other."""
    pairs = [*zip(*read_parallel(JANE / "train.fr", JANE / "train.en"), strict=True)][:8000]
    chance = random.Random(5)
    wrong = sorted(chance.sample(range(1, len(pairs) - 1), round(share * len(pairs))))
    swapped, foreign = {*wrong[::2]}, {*wrong[1::2]}
    lines = [
        (target, source) if n in swapped else (source, pairs[n - 1][0]) if n in foreign else (source, target)
        for n, (source, target) in enumerate(pairs)
    ]
    files = two_files(tmp_path / "text", "fr", "en")
    for path, texts in zip(files, zip(*lines, strict=True), strict=True):
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    facts = check(Texts(files), Options(examples=1000))
    for kind, planted in ((Kind.SWAPPED, swapped), (Kind.LANGUAGE, foreign)):
        found = {example.line - 1 for example in facts[kind].examples}
        recognised = found & planted
        assert len(recognised) >= 0.75 * len(planted), kind
    of_both = {e.line - 1 for kind in (Kind.SWAPPED, Kind.LANGUAGE) for e in facts[kind].examples}
    assert of_both <= swapped | foreign
    assert facts[Kind.LANGUAGE].target and facts[Kind.LANGUAGE].source is not None


def test_two_texts_in_one_language_have_no_wrong_lines(tmp_path: Path) -> None:
    files = two_files(tmp_path / "text", "xx", "yy")
    lines = (JANE / "train.fr").read_text(encoding="utf-8").split("\n")[:4000]
    for path, texts in zip(files, (lines, lines[::-1]), strict=True):
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    facts = check(Texts(files))
    assert facts[Kind.SWAPPED].pairs == facts[Kind.LANGUAGE].pairs == 0
