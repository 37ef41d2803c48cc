"""`nmtkit translate` with forbidden phrases and with terms: every search keeps them, or says that it has no such."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Outcome, refused, run_here, write_lines

LINES = ["Jane a faim.", "Il dort.", "", "Oui, Jane et Paul.", "Paul dort, Janette aussi."]
TERMS = ["Jane\tzebra crossing", "", " Paul \t lion"]
WANTED = [["zebra crossing"], [], [], ["zebra crossing", "lion"], ["lion"]]
SHORT = ("--max-length", 6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "s.fr", LINES)


def stands(phrase: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def translate(model: Path, source: Path, *flags: object) -> Outcome:
    outcome = run_here("translate", model, *SHORT, "--input", source, *flags)
    assert outcome.code == 0, outcome.err
    return outcome


def texts(outcome: Outcome) -> list[str]:
    return [line.split("\t")[-1] for line in outcome.lines]


@pytest.mark.parametrize(
    "kind",
    [
        [],
        ["--beam", 3, "--n-best", 3],
        ["--per-length"],
        ["--exact", "--budget-steps", 9],
        ["--beam", 1],
        ["--beam", 3, "--n-best", 3, "--mbr"],
    ],
)
def test_terms_stand_in_every_output_of_the_lines_that_have_them(
    model: Path, source: Path, tmp_path: Path, kind: list[object]
) -> None:
    """The other lines are translated as ever; a limit that is too low for the terms is raised."""
    terms = write_lines(tmp_path / "terms.tsv", TERMS)
    numbered = [*kind, "--scores"] if "--per-length" in kind or ("--n-best" in kind and "--mbr" not in kind) else kind
    outcome = translate(model, source, *numbered, "--terminology", terms)
    plain = translate(model, source, *numbered)
    for place, line in enumerate(outcome.lines):
        number = int(line.split("\t")[0]) if numbered != kind or "--per-length" in kind else place + 1
        assert all(stands(term, line.split("\t")[-1]) for term in WANTED[number - 1]), line
        assert WANTED[number - 1] or line.split("\t")[-1] in texts(plain)
    assert outcome.out != plain.out and "warning" not in outcome.err


def test_terms_go_with_prefixes(model: Path, source: Path, tmp_path: Path) -> None:
    """A prefix that has the term already is enough."""
    terms = write_lines(tmp_path / "terms.tsv", TERMS)
    begun = write_lines(tmp_path / "p.en", ["A zebra crossing is", "", "", "A lion", ""])
    flags = ("--prefix", begun, "--max-length", 40)  # which need not be raised
    found = texts(translate(model, source, "--terminology", terms, *flags))
    assert found[:3] == texts(translate(model, source, *flags))[:3]
    assert found[3].startswith("A lion") and stands("zebra crossing", found[3])


def test_what_is_forbidden_stands_in_no_output(model: Path, source: Path, tmp_path: Path) -> None:
    """Whatever the search: all words and one phrase that two of them say without the constraint."""
    wide, samples = ("--beam", 40, "--n-best", 40, "--quiet"), ("--samples", 9, "--quiet")
    said = [texts(translate(model, source, *kind)) for kind in (wide, samples)]
    phrase = next(text.strip() for text in said[1] if len(text.split()) > 1)
    words = [{word for text in of_search for word in re.findall(r"\w+", text)} for of_search in said]
    assert all(words)
    forbidden = sorted(set.union(*words))
    for listed in ([*forbidden, "", f" {forbidden[0]} "], [phrase]):
        file = write_lines(tmp_path / "f", listed)
        for kind in (wide, samples, ["--per-length"], ["--exact", "--budget-steps", 9], []):
            found = texts(translate(model, source, *kind, "--forbid", file))
            assert found and not [text for text in found if any(stands(one.strip(), text) for one in listed if one)]
    traced = translate(model, source, "--forbid", file, "--trace", tmp_path / "t.jsonl")
    assert traced.out == translate(model, source, "--forbid", file).out


def test_scores_are_those_of_the_model(model: Path, source: Path, tmp_path: Path) -> None:
    """Nothing is renormalised: `score` gives the pieces that were found the same scores."""
    terms, word = write_lines(tmp_path / "terms.tsv", TERMS), write_lines(tmp_path / "f", ["the", "a", "."])
    flags = ("--terminology", terms, "--forbid", word, "--n-best", 2, "--tokens", "--scores")
    found = translate(model, source, *flags, "--output", tmp_path / "n")
    assert found.out == b""
    again = run_here("score", model, "--source", source, "--candidates", tmp_path / "n", "--pieces")
    assert again.code == 0, again.err
    pairs = zip((tmp_path / "n").read_text().splitlines(), again.lines, strict=True)
    for ours, theirs in pairs:
        assert float(ours.split("\t")[2]) == pytest.approx(float(theirs.split("\t")[2]), abs=2e-5)


def test_workers_and_windows_change_nothing(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, word = write_lines(tmp_path / "terms.tsv", TERMS), write_lines(tmp_path / "f", ["the", "a", "."])
    flags = ("--terminology", terms, "--forbid", word, "--quiet")
    whole = translate(model, source, *flags)
    monkeypatch.setattr("nmtkit.cli.streams.WINDOW", 2)
    assert translate(model, source, *flags, "--batch-tokens", 8).out == whole.out
    assert translate(model, source, *flags, "--workers", 2, "--threads", 1).out == whole.out


def test_a_run_goes_on_only_with_the_same_constraints(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contents of the files count, not their names."""
    from nmtkit.cli.bulk import Output

    word, output, write = write_lines(tmp_path / "f", ["the"]), tmp_path / "o", Output.write
    monkeypatch.setattr("nmtkit.cli.streams.WINDOW", 2)

    def once(*arguments: object) -> None:
        monkeypatch.setattr(Output, "write", stop)
        write(*arguments)  # type: ignore[arg-type]

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmtkit.cli.streams.SMALL_WINDOW", 2)
    monkeypatch.setattr(Output, "write", once)
    asked = ("translate", model, *SHORT, "--input", source, "--output", output, "--resume", "--quiet")
    assert run_here(*asked, "--forbid", word).code == 130
    monkeypatch.setattr(Output, "write", write)
    assert "was begun with --forbid " in refused(run_here(*asked))
    other = write_lines(tmp_path / "g", ["a"])
    assert re.search(r"was begun with --forbid \w{12}, not \w{12};", refused(run_here(*asked, "--forbid", other)))
    assert run_here(*asked, "--forbid", write_lines(other, ["the"])).code == 0
    assert output.read_bytes() == translate(model, source, "--forbid", word).out


@pytest.mark.parametrize(
    ("flags", "content", "words", "code"),
    [
        (["--samples", 2], "a\tb", "--terminology divides a beam, which --samples do not have", 2),
        (["--trace", "t"], "a\tb", "--trace shows the best candidates, --terminology keeps others", 2),
        (["--free-eos"], "a\tb", "--terminology and --free-eos both decide what stays in the beam", 2),
        ([], "a\tb\tc", "terms.tsv, line 1: is not a term: write the source, a tab and the target", 1),
        ([], "\na", "terms.tsv, line 2: is not a term", 1),
        ([], "a\t ", "terms.tsv, line 1: is not a term", 1),
        ([], "a\tb\na\tb\na\tc", "terms.tsv, line 3: 'a' has two translations, the other is 'b'", 1),
        (["--forbid", "f"], "a\tno the", "the term 'no the' contains 'the', which is forbidden", 1),
    ],
)
def test_what_cannot_be_is_refused(
    model: Path,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[object],
    content: str,
    words: str,
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(Path("f"), ["the"])
    write_lines(Path("terms.tsv"), content.split("\n"))
    outcome = run_here("translate", model, "--input", source, *flags, "--terminology", "terms.tsv")
    assert words in refused(outcome, code)


def test_terms_are_for_text(model: Path, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "v.npz", a=np.zeros((2, 3), dtype=np.float32))
    terms = write_lines(tmp_path / "terms.tsv", TERMS)
    outcome = run_here("translate", model, "--input", tmp_path / "v.npz", "--terminology", terms)
    assert "--terminology looks for terms in lines of text, but the input is vectors" in refused(outcome, 2)


def test_files_without_a_constraint_change_nothing(model: Path, source: Path, tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "e", ["", "  "])
    plain = translate(model, source, "--quiet").out
    assert translate(model, source, "--quiet", "--forbid", empty, "--terminology", empty).out == plain
