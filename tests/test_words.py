"""Counts in words, and that no message of nmtkit says "1 lines"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Data, head, run_here, write_lines
from hypothesis import given
from hypothesis import strategies as st

from nmtkit.words import counted, plural

COUNTED = """line sentence word piece error pair update step model output verdict link column head layer setting
reference candidate character position report record validation thread text duplicate training translation option way
map file folder variant seed trace alignment segmentation search state snapshot"""
"""What nmtkit counts."""
NEVER_ONE = {
    "{header.vocabulary} first pieces",
    "{step.prefixes * header.vocabulary} candidates",
    "{end} positions",  # refused beyond a limit of 1 or more
    "{max((batch.size() for batch in batches))} pairs",  # a batch that is split
    "{side} pieces",  # the word of a side
    "{total} lines",  # more than 2,000,000
    "{LEAST} pieces",
    "{plan.run.training.batch_tokens} target pieces",  # at least LEAST
    "{failed} updates",  # at least IN_A_ROW
    "{long} words",  # the longest of several lengths
    "{flip.alpha} the same outputs",  # no number of outputs
    "{question.segmentations} reference segmentations",  # fewer than 1
}
"""What is no count that could be 1."""


def test_one_is_singular() -> None:
    assert [counted(number, "line") for number in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]
    assert [plural(number, "has", "have") for number in (0, 1, 1.5)] == ["have", "has", "have"]


@given(st.integers(-5, 10**9))
def test_every_number_has_its_word(number: int) -> None:
    assert counted(number, "entry", "entries") == f"{number:,} {'entry' if number == 1 else 'entries'}"


def plurals(path: Path) -> Iterator[str]:
    """Every place of a message where a number stands before a word in the plural: "{n} lines", "{n} of these lines"."""
    words = "|".join(COUNTED.split())
    asks = re.compile(rf"(?:[ ](?!of\b|in\b|to\b|is\b|has\b)[\w≠-]+){{0,2}}?[ ](?:{words})s\b")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    name, decimals = ast.unparse(value.value), ast.unparse(value.format_spec or ast.Constant(""))
                    found = asks.match(str(text.value))
                    of_text = (
                        value.conversion == ord("r")
                        or name.startswith("counted(")
                        or re.search(r"path|folder|file|name|where|words|limit", name)
                    )
                    if found and not of_text and not re.search(r"\.\df", decimals):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}: {{{name}}}{found[0]}"


@pytest.mark.parametrize("part", sorted(path.name for path in (ROOT / "nmtkit").iterdir() if path.suffix != ".pyc"))
def test_no_message_says_1_lines(part: str) -> None:
    """A number before a plural goes through `counted` or `plural`, unless it is never 1."""
    place = ROOT / "nmtkit" / part
    found = [one for path in sorted(place.rglob("*.py") if place.is_dir() else [place]) for one in plurals(path)]
    assert not [one for one in found if not one.endswith(tuple(NEVER_ONE))]


ONE = re.compile(r"(?<![\d.,])1 (?!is\b|has\b|was\b|equals\b|times\b|pieces \+)[a-z-]+s\b")
"""1 lines; "more than 1 times" and "2 × source pieces" are none."""


def test_commands_speak_of_one_line(model: Path, data: Data, tmp_path: Path) -> None:
    """Every command that tells counts, on a text of one line."""
    source = write_lines(tmp_path / "source", head(data.folder / "dev.fr", 1))
    known = write_lines(tmp_path / "known", head(data.folder / "dev.en", 1))
    reference, trace, out = ["--reference", known], tmp_path / "trace", tmp_path / "out"
    short = [model, "--source", source, "--max-length", 1]
    commands: list[list[object]] = [
        ["translate", model, "--input", source, "--max-length", 1, "--trace", trace, *reference, "--output", out],
        ["translate", model, "--input", source, "--max-length", 1, "--exact"],
        ["inspect", trace],
        ["inspect", trace, "--html", tmp_path / "trace.html"],
        ["score", model, "--source", source, "--target", out],
        ["evaluate", *short, *reference, "--resamples", 10],
        ["blame-analysis", *short, *reference, "--sweep-beams", "1", "--exact", "--json", tmp_path / "report.json"],
        ["blame-compare", tmp_path / "report.json", tmp_path / "report.json"],
        ["attention", *short],
        ["compare", model, "--source", source, *reference, "--max-length", 1],
        ["train-tokenizer", known, "--vocab-size", 280, "--output", tmp_path / "tokenizer.model"],
    ]
    for words in commands:
        outcome = run_here(*words)
        assert outcome.code == 0, outcome.err
        said = f"{outcome.err}\n{outcome.text}"
        assert not ONE.search(" ".join(said.split())), (words[0], ONE.findall(said), said)
