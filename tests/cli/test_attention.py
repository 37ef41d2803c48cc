"""`nmtkit attention`: which map, of which line, in which form; the maps themselves are tested with the analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Data, head, refused, run_here, write_lines
from support.browser import Reader

from nmtkit.translator import Translator


@pytest.fixture
def command(model: Path, data: Data) -> list[object]:
    return ["attention", model, "--source", data.folder / "dev.fr", "--max-length", 12, "--device", "cpu"]


def maps(*words: object) -> list[dict[str, Any]]:
    outcome = run_here(*words, "--json", "-")
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.lines]


def test_lines_are_chosen_in_the_order_asked_for(command: list[object], data: Data) -> None:
    assert [one["line"] for one in maps(*command)] == list(range(1, 9))
    chosen = maps(*command, "--line", 5, "--line", 2)
    assert [one["line"] for one in chosen] == [5, 2]
    lines = head(data.folder / "dev.fr", 8)
    assert [one["source"] for one in chosen] == [lines[4], lines[1]]
    assert "--line 9" in refused(run_here(*command, "--line", 9), 2)


def test_kind_layer_and_head_choose_the_map(command: list[object]) -> None:
    first, second, mean = (
        maps(*command, "--line", 1, *flags)[0]["weights"] for flags in (["--head", 1], ["--head", 2], ["--layer", 1])
    )
    for row_1, row_2, row in zip(first, second, mean, strict=True):
        assert row == pytest.approx([(a + b) / 2 for a, b in zip(row_1, row_2, strict=True)], abs=2e-6)
    assert first != second
    (own,) = maps(*command, "--line", 1, "--kind", "decoder")
    assert own["columns"] == ["<s>", *own["rows"][:-1]]
    for place, row in enumerate(own["weights"]):
        assert not any(row[place + 1 :]), "looks back only"
    (encoder,) = maps(*command, "--line", 1, "--kind", "encoder")
    assert encoder["rows"] == encoder["columns"] and encoder["rows"][-1] == "</s>"
    assert "no layer 7: the model has 1" in refused(run_here(*command, "--layer", 7))
    assert "'side' is not known" in refused(run_here(*command, "--kind", "side"), 2)


def test_each_layer_and_head_apart(command: list[object], tmp_path: Path) -> None:
    """As many maps of a line as it has heads, whose mean is the map without the flag; and one picture of them."""
    apart, (mean,) = maps(*command, "--line", 2, "--each"), maps(*command, "--line", 2)
    assert [(one["layer"], one["head"]) for one in apart] == [(1, 1), (1, 2)]
    for row_1, row_2, row in zip(apart[0]["weights"], apart[1]["weights"], mean["weights"], strict=True):
        assert row == pytest.approx([(a + b) / 2 for a, b in zip(row_1, row_2, strict=True)], abs=2e-6)
    assert run_here(*command, "--line", 2, "--each", "--plot", tmp_path / "each.svg").code == 0
    text = (tmp_path / "each.svg").read_text("utf-8")
    assert text.count("<image") == 3, "two maps and the scale"
    assert run_here(*command, "--line", 2, "--each", "--html", tmp_path / "each.html").code == 0
    assert "each layer, each head" in (tmp_path / "each.html").read_text("utf-8")
    assert "leave --kind and --each out" in refused(run_here(*command, "--each", "--alignment", "-"), 2)


def test_a_given_translation_and_its_words(command: list[object], data: Data, tmp_path: Path) -> None:
    target = write_lines(tmp_path / "given.en", ["Jane visits Africa.", *head(data.folder / "dev.en", 8)[1:]])
    (one,) = maps(*command, "--target", target, "--line", 1, "--words")
    assert one["target"] == "Jane visits Africa." and one["rows"] == ["Jane", "visits", "Africa.", "</s>"]
    assert one["columns"] == [*head(data.folder / "dev.fr", 1)[0].split(), "</s>"]
    short = write_lines(tmp_path / "short.en", ["one"])
    assert "8 lines" in refused(run_here(*command, "--target", short))


def test_alignments_and_their_error_rate(command: list[object], data: Data, tmp_path: Path) -> None:
    """The alignment against itself has the error rate 0; every link is of words that the texts have."""
    flags = ["--target", data.folder / "dev.en"]
    written = run_here(*command, *flags, "--alignment", tmp_path / "made")
    assert written.code == 0 and written.out == b""
    made = (tmp_path / "made").read_text("utf-8")
    assert run_here(*command, *flags, "--alignment", "-").text == made and made.count("\n") == 8
    pairs = zip(head(data.folder / "dev.fr", 8), head(data.folder / "dev.en", 8), made.splitlines(), strict=True)
    for source, target, links in pairs:
        found = [tuple(map(int, link.split("-"))) for link in links.split()]
        assert sorted(word for _, word in found) == list(range(len(target.split())))
        assert all(0 <= word < len(source.split()) for word, _ in found)
    same = run_here(*command, *flags, "--gold", tmp_path / "made")
    assert same.text.startswith("alignment error rate 0.0 %, precision 100.0 %, recall 100.0 %")
    one = run_here(*command, *flags, "--gold", tmp_path / "made", "--line", 3)
    assert one.text.startswith("alignment error rate 0.0 %")
    few, more = write_lines(tmp_path / "few", ["0-0"]), write_lines(tmp_path / "more", ["0-0"] * 9)
    for file, size in ((few, "1 line;"), (more, "9 lines;")):
        said = refused(run_here(*command, *flags, "--gold", file, "--line", 1))
        assert "dev.en has 8 lines" in said and f"{file} has {size}" in said
    words = len(head(data.folder / "dev.en", 8)[2].split())
    beyond = write_lines(tmp_path / "beyond", ["0-0", "0-0", f"0-0 0-{words}", *["0-0"] * 5])
    said = refused(run_here(*command, *flags, "--gold", beyond))
    assert f"{beyond}, line 3: the link 0-{words} is beyond the target, which has {words} words" in said
    assert "add --target" in refused(run_here(*command, "--gold", tmp_path / "made"), 2)
    assert "leave --kind and --each out" in refused(run_here(*command, "--kind", "encoder", "--alignment", "-"), 2)


def test_a_page_and_a_picture(command: list[object], data: Data, tmp_path: Path) -> None:
    page, picture = tmp_path / "maps.html", tmp_path / "map.png"
    outcome = run_here(*command, "--html", page)
    assert outcome.code == 0 and outcome.out == b""
    text = page.read_text("utf-8")
    assert text.count("<section>") == text.count("<svg") / 2 == 8, "a map of each, and its scale"
    made_by = f"model {Path(str(command[1])).name}, {Translator.load(str(command[1])).folder_hash[:12]}; "
    first = "attention to the source, mean of all layers, mean of all heads. Rows looked, columns were looked at."
    first += " Full colour is the highest weight of a map, which stands below it."
    assert Reader(text).texts["p"][0] == f"{made_by}its own output; {first}"
    assert run_here(*command, "--target", data.folder / "dev.en", "--html", page).code == 0
    assert Reader(page.read_text("utf-8")).texts["p"][0] == f"{made_by}a given translation; {first}"
    assert run_here(*command, "--line", 2, "--plot", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "choose it with --line" in refused(run_here(*command, "--plot", picture), 2)
    assert "png, svg, pdf" in refused(run_here(*command, "--line", 1, "--plot", tmp_path / "x.gif"), 2)
    assert "share standard output" in refused(run_here(*command, "--json", "-", "--alignment", "-"), 2)


def test_the_page_of_an_ensemble_names_its_members(
    command: list[object], model: Path, sibling: Path, tmp_path: Path
) -> None:
    page = tmp_path / "maps.html"
    assert run_here("attention", sibling, *command[1:], "--line", 1, "--html", page).code == 0
    digits = [Translator.load(folder).folder_hash[:12] for folder in (sibling, model)]
    said = f"model {sibling.name} + {model.name}, {digits[0]} + {digits[1]}; its own output; "
    assert Reader(page.read_text("utf-8")).texts["p"][0].startswith(said)


def test_an_ensemble_says_who_has_no_map(command: list[object], data: Data, tmp_path: Path) -> None:
    """Its map is that of the others; one model alone without any is refused."""
    made = [*data.flags(tmp_path / "none"), "--tokenizer", command[1], "--updates", 1, "--validate-every", 1]
    (tmp_path / "none.toml").write_text('[model]\nfamily = "recurrent"\norder = "none"\nunits = 8\nembedding = 8\n')
    done = run_here("train", *made, "--config", tmp_path / "none.toml", "--device", "cpu", "--quiet")
    assert done.code == 0, done.err
    alone = maps(*command, "--target", data.folder / "dev.en", "--line", 1)
    both = run_here(
        *command[:2], tmp_path / "none", *command[2:], "--target", data.folder / "dev.en", "--line", 1, "--json", "-"
    )
    assert both.code == 0 and json.loads(both.lines[0])["weights"] == alone[0]["weights"]
    assert f"{tmp_path / 'none'} has no such attention" in both.err and both.err.count("no such attention") == 1
    own = run_here(*command[:2], tmp_path / "none", *command[2:], "--line", 1, "--kind", "encoder", "--json", "-")
    assert own.code == 0 and own.err.count("no such attention") == 1
    assert "has no attention to the source" in refused(run_here(*command[:1], tmp_path / "none", *command[2:]))


def test_a_text_without_a_line_is_refused(command: list[object], tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "empty", [])
    words = [empty if word == command[3] else word for word in command]
    assert f"{empty} has 0 lines; give at least one" in refused(run_here(*words))


def test_the_terminal_shows_every_row_in_80_columns(command: list[object]) -> None:
    outcome = run_here(*command, "--line", 1)
    (one,) = maps(*command, "--line", 1)
    assert outcome.code == 0 and max(map(len, outcome.lines)) <= 80
    assert outcome.lines[0].startswith("line 1: ") and len(outcome.lines) >= 2 + len(one["rows"])
    assert run_here(*command, "--line", 1, "--quiet").text == outcome.text
