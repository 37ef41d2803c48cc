"""`nmtkit attention`: what a model looks at while it writes each piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    SearchFlags,
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
    from nmtkit.batches.source import Source
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.evaluation.alignment import Gold
    from nmtkit.inspection.attention_maps import AttentionMap, Choice
    from nmtkit.translator import Translator

KINDS = ("cross", "decoder", "encoder")
WHICH, OUTPUT = "Which map", "Output"


@dataclass(frozen=True)
class Which:
    """The attention map to show."""

    kind: Annotated[
        str | None, choice("To the source, or self-attention of a side.", KINDS, WHICH, default="cross")
    ] = None
    layer: Annotated[
        int | None, count("Layer from 1, an ensemble's member by member.", panel=WHICH, default="the mean of all")
    ] = None
    head: Annotated[int | None, count("Head, the first is 1.", panel=WHICH, default="the mean of all")] = None
    each: Annotated[
        bool, typer.Option("--each", help="Every layer and head on its own, not their mean.", rich_help_panel=WHICH)
    ] = False
    words: Annotated[bool, typer.Option("--words", help="Join pieces to words.", rich_help_panel=WHICH)] = False


@dataclass(frozen=True)
class Outputs:
    """Where maps and alignments are written; without any of these options, the terminal."""

    html: Annotated[Path | None, paths.written("One page of all sentences.", panel=OUTPUT)] = None
    plot: Annotated[
        Path | None, paths.written("A picture of the one line chosen, as .png, .svg or .pdf.", panel=OUTPUT)
    ] = None
    json_file: Annotated[Path | None, paths.written("JSON, one line per sentence.", "--json", panel=OUTPUT)] = None
    alignment: Annotated[
        Path | None,
        paths.written("Word alignments in Pharaoh format: the source word looked at most.", panel=OUTPUT),
    ] = None
    gold: Annotated[
        Path | None, paths.read("Alignments that people drew of --target: print the error rate.", panel=OUTPUT)
    ] = None


@takes(which=Which, outputs=Outputs, search=SearchFlags, model=MachineFlags)
def attention(
    folders: Folders,
    source: Annotated[Path, paths.read("Text to translate.", "--source", "-s")],
    target: Annotated[
        Path | None, paths.read("Given translations.", "--target", "-t", default="the model's own")
    ] = None,
    line: Annotated[list[int] | None, count("Only this line; repeat for several.", default="all")] = None,
    *,
    which: Which,
    outputs: Outputs,
    search: SearchFlags,
    model: MachineFlags,
) -> None:
    """Show what a model looks at while it writes each piece of its translation, or of a given one.

    A row is the piece that looks, a column one that is looked at. With --words, the weights of the pieces of a word
    that is looked at are added, and those of the pieces that look are averaged. Local, hard and restricted attention
    show what they really used. A map is shaded from 0 to its highest weight, which is printed.
    """
    from nmtkit.evaluation.alignment import parse_gold
    from nmtkit.features import read_sources
    from nmtkit.inspection.attention_maps import Choice, attend

    aligned = bool(outputs.alignment or outputs.gold)
    chosen = Choice(which.kind or "cross", which.layer, which.head, which.words or aligned, which.each)
    _check(chosen, target, outputs)
    lines, *others = read_sources(source, *filter(None, [target, outputs.gold]))
    known = parse_gold(others[1], str(outputs.gold), lines, others[0]) if outputs.gold else []
    numbers = line or list(range(1, len(lines) + 1))
    if beyond := [number for number in numbers if number > len(lines)]:
        raise typer.BadParameter(f"--line {beyond[0]}: {source} has {counted(len(lines), 'line')}")
    if outputs.plot and len(numbers) != 1:
        raise typer.BadParameter("--plot draws one sentence: choose it with --line")
    translator = load_translator(folders, model)
    _note_members_without_map(folders, translator, chosen.kind)
    settings = search_settings(translator, search, n_best=1)
    first_line = None if line or target else 1  # a warning would number chosen lines from 1 on
    asked = translator.read([lines[number - 1] for number in numbers], settings, first_line)
    texts = [others[0][number - 1] for number in numbers] if target else None
    maps = attend(translator, asked, _targets(translator, asked, texts, settings), settings, chosen, numbers)
    if outputs.html:
        names = " + ".join(folder.resolve().name for folder in folders)
        _write_page(outputs.html, maps, names, translator.folder_hash, bool(target), chosen)
    _write(maps, outputs, [known[number - 1] for number in numbers] if outputs.gold else [])


def _check(chosen: Choice, target: Path | None, outputs: Outputs) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    from nmtkit.report.plot import check

    if (outputs.alignment or outputs.gold) and (chosen.kind != "cross" or chosen.each):
        raise typer.BadParameter("--alignment and --gold align target with source once: leave --kind and --each out")
    if outputs.gold and not target:
        raise typer.BadParameter("--gold aligns the source with a translation that is known: add --target")
    if outputs.gold and paths.STANDARD in (outputs.html, outputs.json_file, outputs.alignment):
        raise typer.BadParameter("--gold prints the error rate on standard output: write the rest to files")
    if outputs.plot:
        with usage():
            check(outputs.plot)


def _targets(
    translator: Translator, source: Source, texts: list[str] | None, settings: SearchSettings
) -> dict[int, tuple[str, tuple[int, ...]]]:
    """The translation of each sentence, as text and as ids: the given one, or the model's own."""
    from nmtkit.decoding.beam import Beam

    if texts is not None:
        return {index: (text, translator.encode_target(text)) for index, text in enumerate(texts)}
    translations = translator.texts(translator.find(Beam.of(settings), source, settings))
    return {index: (best.text, best.tokens) for index, (best, *_) in enumerate(translations)}


def _write(maps: list[AttentionMap], outputs: Outputs, gold: list[Gold]) -> None:
    """Write everything but the page; show the maps on the terminal if no output was named."""
    from nmtkit.report.attention import draw, render, to_line

    drawn = counted(len(maps), "map")
    if outputs.plot:
        draw(maps, outputs.plot)
        note(f"{outputs.plot}: {drawn}")
    if outputs.json_file:
        write_result(outputs.json_file, "".join(map(to_line, maps)), drawn)
    if outputs.alignment or outputs.gold:
        _align(maps, outputs.alignment, gold)
    if not any(vars(outputs).values()):
        console = stdout_console()
        for attention_map in maps:
            for part in render(attention_map, console.width):
                console.print(part)


def _write_page(
    path: Path, maps: list[AttentionMap], names: str, folder_hash: str, given: bool, chosen: Choice
) -> None:
    from nmtkit.report.attention import page
    from nmtkit.report.tables import short_hash

    whose = "a given translation" if given else "its own output"
    title = f"model {names}, {short_hash(folder_hash)}; {whose}; {_in_words(chosen)}"
    write_result(path, page(maps, title), counted(len(maps), "map"))


def _note_members_without_map(folders: Sequence[Path], translator: Translator, kind: str) -> None:
    """Name the members of an ensemble that have no such attention: the map is the mean of the other members."""
    for folder, kinds in zip(folders, translator.model.attends, strict=True):
        if kind not in kinds and len(folders) > 1:
            note(f"{folder} has no such attention: what is shown is that of the others")


def _in_words(chosen: Choice) -> str:
    what = {"cross": "attention to the source", "decoder": "self-attention of the target"}
    all_of = "each" if chosen.each else "mean of all"
    named = (("layer", chosen.layer), ("head", chosen.head))
    parts = [f"{name} {number}" if number else f"{all_of} {name}{'' if chosen.each else 's'}" for name, number in named]
    return ", ".join([what.get(chosen.kind, "self-attention of the source"), *parts])


def _align(maps: list[AttentionMap], alignment: Path | None, gold: list[Gold]) -> None:
    from nmtkit.evaluation.alignment import score, to_pharaoh
    from nmtkit.inspection.attention_maps import align

    links = [align(attention_map) for attention_map in maps]
    if alignment:
        text = "".join(f"{to_pharaoh(sentence_links)}\n" for sentence_links in links)
        write_result(alignment, text, f"alignments of {counted(len(links), 'sentence')}")
    if gold:
        agreement = score(links, gold)
        stdout_console().print(
            f"alignment error rate {100 * agreement.error_rate:.1f} %, precision {100 * agreement.precision:.1f} %, "
            f"recall {100 * agreement.recall:.1f} % ({counted(agreement.links, 'link')})",
            soft_wrap=True,
        )
