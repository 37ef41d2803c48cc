"""The text of a run: its files by role, read side by side, encoded within limits, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.training_toys import parallel, tokenizer, write_data

from nmtkit.training.data import Data, Texts, encode


def test_two_sides_are_two_texts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"both 'fr', so the model would learn to copy"):
        Data(tmp_path / "a", tmp_path / "b", "fr", "fr")


def test_lines_are_read_by_role(tmp_path: Path) -> None:
    texts = Texts.read(write_data(tmp_path, train_pairs=5, dev_pairs=3).paths())
    assert (list(texts.train_source), list(texts.train_target)) == parallel(5, 5)
    assert (list(texts.dev_source), list(texts.dev_target)) == parallel(3, 6)


def test_sides_of_different_lengths_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    with (tmp_path / "dev.en").open("a", encoding="utf-8") as stream:
        stream.write("one more\n")
    with pytest.raises(ValueError, match=r"dev\.en has 5 lines, .*dev\.de has 4 lines"):
        Texts.read(data.paths())


@pytest.mark.parametrize(("dev", "expected"), [([("a", "b")], 1), ([("a", "x"), ("a", "b"), ("a", "b")], 2), ([], 0)])
def test_dev_pairs_that_training_has_too_are_counted(dev: list[tuple[str, str]], expected: int) -> None:
    texts = Texts(["a", "c"], ["b", "d"], [pair[0] for pair in dev], [pair[1] for pair in dev])
    assert texts.overlap() == expected


def test_limits_hold_for_both_sides_of_both_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, sides = write_data(tmp_path, 30, 10), tokenizer()
    texts = Texts.read(data.paths())
    corpus, dev = encode(texts, data.paths(), sides, 6, 7)
    for part, source, target in (
        (corpus, texts.train_source, texts.train_target),
        (dev.corpus, texts.dev_source, texts.dev_target),
    ):
        pairs = [
            (len(sides.source.encode(x)), len(sides.target.encode(y))) for x, y in zip(source, target, strict=True)
        ]
        kept = [(x + 1, y + 1) for x, y in pairs if x <= 6 and y <= 7]
        assert list(zip(part.source.lengths, part.target.lengths, strict=True)) == kept
        assert 0 < len(kept) < len(pairs)
    assert (dev.source_lines, dev.target_lines) == (texts.dev_source, texts.dev_target), "BLEU is of all lines"
    assert f"training on {len(corpus)} pairs" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train", "dev"])
def test_nothing_left_is_an_error_that_names_files_and_limits(part: str, tmp_path: Path) -> None:
    data = write_data(tmp_path)
    for language in ("en", "de"):
        (tmp_path / f"{part}.{language}").write_text("cat dog cat dog cat dog\n", encoding="utf-8")
    message = rf"{part}\.en and .*{part}\.de: every pair is empty or longer than 9 source or 8 target pieces"
    with pytest.raises(ValueError, match=message):
        encode(Texts.read(data.paths()), data.paths(), tokenizer(), 9, 8)
