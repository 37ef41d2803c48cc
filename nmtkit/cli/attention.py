"""`nmtkit attention`: what a model looks at while it writes each piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import (
    MODEL_OPTIONS,
    SEARCH_OPTIONS,
    Folders,
    Options,
    choice,
    count,
    load_translator,
    search_settings,
    takes,
    usage,
)
from nmtkit.cli.streams import write_result
from nmtkit.console import note, stdout_console
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.evaluation.alignment import Gold
    from nmtkit.inspection.attention_maps import AttentionMap, Choice
    from nmtkit.translator import Translator

KINDS = ("cross", "decoder", "encoder")
WHICH, OUTPUT = "Which map", "Output"


@takes(search=SEARCH_OPTIONS, model=MODEL_OPTIONS)
def attention(
    folders: Folders,
    source: Annotated[Path, paths.read("Text to translate.", "--source", "-s")],
    target: Annotated[
        Path | None, paths.read("Given translations.", "--target", "-t", default="the model's own")
    ] = None,
    line: Annotated[list[int] | None, count("Only this line; repeat for several.", default="all")] = None,
    kind: Annotated[
        str | None, choice("To the source, or self-attention of a side.", KINDS, WHICH, default="cross")
    ] = None,
    layer: Annotated[
        int | None, count("Layer from 1, an ensemble's member by member.", panel=WHICH, default="the mean of all")
    ] = None,
    head: Annotated[int | None, count("Head, the first is 1.", panel=WHICH, default="the mean of all")] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Every layer and head on its own, not their mean.", rich_help_panel=WHICH)
    ] = False,
    words: Annotated[bool, typer.Option("--words", help="Join pieces to words.", rich_help_panel=WHICH)] = False,
    html: Annotated[Path | None, paths.written("One page of all sentences.", panel=OUTPUT)] = None,
    plot: Annotated[
        Path | None, paths.written("A picture of the one line chosen, as .png, .svg or .pdf.", panel=OUTPUT)
    ] = None,
    json_file: Annotated[Path | None, paths.written("JSON, a line a sentence.", "--json", panel=OUTPUT)] = None,
    alignment: Annotated[
        Path | None,
        paths.written("Word alignments in Pharaoh format: the source word looked at most.", panel=OUTPUT),
    ] = None,
    gold: Annotated[
        Path | None, paths.read("Alignments that people drew of --target: print the error rate.", panel=OUTPUT)
    ] = None,
    *,
    search: Options,
    model: Options,
) -> None:
    """Show what a model looks at while it writes each piece of its translation, or of a given one.

    Rows looked, columns were looked at. Words: weights of the pieces of a word looked at add up, pieces that looked
    are averaged. Local, hard and restricted attention show what they really used. A map is shaded from 0 to its highest
    weight, which is named.
    """
    from nmtkit.evaluation.alignment import parse_gold
    from nmtkit.files import read_parallel
    from nmtkit.inspection.attention_maps import Choice, attend
    from nmtkit.report.attention import draw, page, render, to_line
    from nmtkit.report.plot import check
    from nmtkit.report.tables import short_hash

    chosen = Choice(kind or "cross", layer, head, words or bool(alignment or gold), each)
    if (alignment or gold) and (chosen.kind != "cross" or each):
        raise typer.BadParameter("--alignment and --gold align target with source once: leave --kind and --each out")
    if gold and not target:
        raise typer.BadParameter("--gold aligns the source with a translation that is known: add --target")
    if gold and paths.STANDARD in (html, json_file, alignment):
        raise typer.BadParameter("--gold prints the error rate on standard output: write the rest to files")
    if plot:
        with usage():
            check(plot)
    lines, *others = read_parallel(source, *filter(None, [target, gold]))
    known = parse_gold(others[1], str(gold), lines, others[0]) if gold else []
    numbers = line or list(range(1, len(lines) + 1))
    if beyond := [number for number in numbers if number > len(lines)]:
        raise typer.BadParameter(f"--line {beyond[0]}: {source} has {counted(len(lines), 'line')}")
    if plot and len(numbers) != 1:
        raise typer.BadParameter("--plot draws one sentence: choose it with --line")
    translator = load_translator(folders, model)
    _say_who_has_none(folders, translator, chosen.kind)
    settings = search_settings(translator, search, n_best=1)
    asked = [lines[number - 1] for number in numbers]
    if others:
        targets = [(text, translator.encode_target(text)) for text in (others[0][number - 1] for number in numbers)]
    else:
        first_line = None if line else 1  # a warning would number chosen lines from 1 on
        found = translator.search(asked, settings, first_line=first_line)
        targets = [(best.text, best.tokens) for best, *_ in found]
    maps = attend(translator, asked, targets, settings, chosen, numbers)
    drawn = counted(len(maps), "map")
    if html:
        names = " + ".join(folder.resolve().name for folder in folders)
        whose = "a given translation" if target else "its own output"
        said = f"model {names}, {short_hash(translator.folder_hash)}; {whose}; {_said(chosen)}"
        write_result(html, page(maps, said), drawn)
    if plot:
        draw(maps, plot)
        note(f"{plot}: {drawn}")
    if json_file:
        write_result(json_file, "".join(map(to_line, maps)), drawn)
    if alignment or gold:
        _align(maps, alignment, [known[number - 1] for number in numbers] if gold else [])
    if not (html or plot or json_file or alignment or gold):
        console = stdout_console()
        for one in maps:
            for part in render(one, console.width):
                console.print(part)


def _say_who_has_none(folders: Sequence[Path], translator: Translator, kind: str) -> None:
    """Of an ensemble, whose map is that of the members which have one."""
    for folder, kinds in zip(folders, translator.model.attends, strict=True):
        if kind not in kinds and len(folders) > 1:
            note(f"{folder} has no such attention: what is shown is that of the others")


def _said(chosen: Choice) -> str:
    what = {"cross": "attention to the source", "decoder": "self-attention of the target"}
    all_of = "each" if chosen.each else "mean of all"
    named = (("layer", chosen.layer), ("head", chosen.head))
    parts = [f"{name} {number}" if number else f"{all_of} {name}{'' if chosen.each else 's'}" for name, number in named]
    return ", ".join([what.get(chosen.kind, "self-attention of the source"), *parts])


def _align(maps: list[AttentionMap], alignment: Path | None, gold: list[Gold]) -> None:
    from nmtkit.evaluation.alignment import score, to_pharaoh
    from nmtkit.inspection.attention_maps import align

    links = [align(one) for one in maps]
    if alignment:
        text = "".join(f"{to_pharaoh(one)}\n" for one in links)
        write_result(alignment, text, f"alignments of {counted(len(links), 'sentence')}")
    if gold:
        found = score(links, gold)
        stdout_console().print(
            f"alignment error rate {100 * found.error_rate:.1f} %, precision {100 * found.precision:.1f} %, recall "
            f"{100 * found.recall:.1f} % ({counted(found.links, 'link')})",
            soft_wrap=True,
        )
