"""What was found in a parallel text, in words."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from nmtkit.preflight.findings import Example, Facts, Finding, Kind, Layout, Ratio
from nmtkit.report.preflight import OTHERS, TITLES, left_out, render, share, summary, to_json

FILES = (Layout(Path("corpus/train.fr"), 4000), Layout(Path("corpus/train.en"), 4000))


def facts(*findings: Finding, clean: int = 4000, whole: bool = True, files: tuple[Layout, Layout] = FILES) -> Facts:
    return Facts(4000, clean, whole, files, findings, Ratio(1.25, 0.41, 3.75), ("Latin", None), 256, 250, None)


def shown(value: Facts) -> str:
    console = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
    for part in render(value):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))
    assert max(map(len, text.split("\n"))) <= 80
    return text


def test_every_kind_has_a_title_and_none_is_too_wide() -> None:
    assert {*TITLES} == {*Kind} and len({*TITLES.values()}) == len(Kind)
    large = tuple(
        Finding(kind, 123_456_789, 123_456_789, 123_456_789, 7, (Example(123_456_789, None, None, "x" * 900, "é\x07"),))
        for kind in Kind
    )
    text = shown(Facts(200_000_000, 1, True, FILES, large, Ratio(1, 0.3, 3), ("Latin", "Greek"), 256, 256, "hash"))
    for title in TITLES.values():
        assert text.count(f"{title} ") + text.count(f"{title}\n") >= 2  # in the table and above its examples
    assert "…" in text and "é\\x07" in text


def test_counts_rules_and_examples() -> None:
    text = shown(
        facts(
            Finding(Kind.OVER_LONG, 2, 2, 1, None, (Example(7, None, None, "lang " * 90, "long"),)),
            Finding(Kind.RATIO, 1, None, None, None, (Example(9, None, None, "a", "b b b"),)),
            Finding(Kind.DUPLICATE, 40, None, None, None, (Example(12, 3, None, "c [red]", "d"),)),
            Finding(Kind.SCRIPT, 0, 0, 0),
            Finding(Kind.FREQUENT_SOURCE, 400, None, None, None, (Example(4, None, 390, "Oui.", "Yes."),)),
            clean=3957,
        )
    )
    assert text.startswith("train.fr and train.en: 4,000 pairs, 43 (1.1 %) with a problem.\n")
    assert "over-long side (more than 256 words in the source, 250 in the target)\n       7 lang" in text
    odd = "odd ratio of lengths (source to target in characters: usually 1.25, odd below 0.41 and above 3.75)"
    assert odd in text.replace("\n", " ") and "       9 a\n         b b b\n" in text
    assert "      12 = line 3\n         c [red]\n         d\n" in text
    assert "       4 390 times\n         Oui.\n         Yes.\n" in text
    rows = [" ".join(line.split()) for line in text.split("\n")]
    assert "over-long side 2 0.05 % 2 1" in rows and "repeats an earlier pair 40 1.0 %" in rows
    assert "another script" not in text
    assert rows.index("problems") < rows.index("repeats an earlier pair 40 1.0 %") < rows.index("remarks")
    assert rows.index("remarks") < rows.index("very frequent source 400 10.0 %")


def test_what_was_found_is_seen_however_late_it_stands() -> None:
    late = "so " * 40 + "hier"
    found = {
        Kind.INVALID: "\ufffdx", Kind.CONTROL: "\x07x", Kind.REPLACEMENT: "\ufffdx", Kind.MOJIBAKE: "Ã©x",
        Kind.INVISIBLE: "\u200bx", Kind.MARKUP: "<b>x", Kind.SPACES: "  x", Kind.NUMBERS: "77x",
    }  # fmt: skip
    for kind, what in found.items():
        text = shown(facts(Finding(kind, 1, None, None, None, (Example(7, None, None, f"{late}{what}", late),))))
        seen = what.encode("unicode_escape").decode() if kind in (Kind.CONTROL, Kind.INVISIBLE) else what
        assert f"so hier{seen}\n         so so so" in text and "       7 … " in text, kind


def test_lines_of_files_that_are_unusual() -> None:
    odd = Layout(Path("a/train.en"), 4000, 3999, True, 2, True)
    text = " ".join(shown(facts(files=(FILES[0], odd))).split())
    assert text == (
        "train.fr and train.en: 4,000 pairs, none with a problem. a/train.en: begins with a byte order mark, "
        "3,999 lines of 4,000 with CR LF at the end, ends in 2 blank lines, its last line has no line end."
    )


def test_shares_of_few_pairs_keep_their_digits() -> None:
    told = {share(pairs, 1_000_000) for pairs in (0, 5, 20, 1234, 34_567, 1_000_000)}
    assert told == {"0.0 %", "< 0.001 %", "0.002 %", "0.12 %", "3.5 %", "100.0 %"}


def test_one_line() -> None:
    found = (Finding(Kind.EMPTY, 12), Finding(Kind.COPY, 3), Finding(Kind.MARKUP, 99))
    assert summary(facts(*found)) == "4,000 pairs: blank side 12, target copies source 3"
    assert summary(facts(Finding(Kind.EMPTY, 0), whole=False)) == "the first 4,000 pairs: no problem"
    assert (
        left_out(facts(*found, clean=3985)) == "3,985 of 4,000 pairs; left out: blank side 12, target copies source 3"
    )
    assert left_out(facts()) == "4,000 of 4,000 pairs"


def test_json_has_everything() -> None:
    examples = (Example(2, 1, None, "a", "b"),)
    value = to_json(facts(Finding(Kind.DUPLICATE, 1, examples=examples), Finding(Kind.MARKUP, 0, 0, 0), clean=3999))
    value = json.loads(json.dumps(value))
    assert value["problems"] == {
        "duplicate": {
            "pairs": 1,
            "share": 0.00025,
            "examples": [{"line": 2, "other": 1, "source": "a", "target": "b"}],
        }
    }
    assert value["remarks"] == {"markup": {"pairs": 0, "source": 0, "target": 0, "share": 0, "examples": []}}
    assert (value["pairs"], value["clean"], value["scripts"]) == (4000, 3999, ["Latin", None])
    assert value["files"][0]["path"] == "corpus/train.fr" and value["ratio"]["usual"] == 1.25
    assert {*OTHERS} <= {*Kind}
