"""`nmtkit score`: the scores that a model gives to translations, by the objective of the search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths, streams
from nmtkit.cli.parameters import (
    Folders,
    MachineFlags,
    ObjectiveFlags,
    choice,
    load_translator,
    search_settings,
    takes,
)
from nmtkit.cli.streams import Tally
from nmtkit.console import note
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.translator import Translator


@takes(objective=ObjectiveFlags, model=MachineFlags)
def score(
    folders: Folders,
    source: Annotated[Path, paths.read("Text that was translated.", "--source", "-s")],
    target: Annotated[
        list[Path] | None, paths.read("Its translations, line by line; repeat for several.", "--target", "-t")
    ] = None,
    candidates: Annotated[
        Path | None, paths.read("Any number per line, as translate --n-best writes them.", "--candidates", "-c")
    ] = None,
    in_pieces: Annotated[
        bool, typer.Option("--pieces", help="Candidates were written with --tokens: score those pieces.")
    ] = False,
    output_file: Annotated[
        Path, paths.written("File for the scores.", "--output", "-o", default="standard output")
    ] = paths.STANDARD,
    tokens: Annotated[bool, typer.Option("--tokens", help="Also the pieces and the log P of each.")] = False,
    form: Annotated[str, choice("Columns, or one JSON object per line.", ("tsv", "json"))] = "tsv",
    *,
    objective: ObjectiveFlags,
    model: MachineFlags,
) -> None:
    """Score given translations: log P of the model, length, and J as the search computes it.

    The columns are tab-separated: line, number of the candidate, J, log P in nats, length in pieces (end of sentence
    counted), with --tokens the pieces and the log P of each, and the text (a tab in it becomes a space). The candidates
    of --candidates are lines whose first column is the number of the source line, ascending, and whose last is the
    text.

    A text is scored in the pieces that the tokenizer makes of it. A search may have found the text in others, with
    another score; --pieces scores those. The scores of a line stay empty, with a warning, if a translation is
    longer than any that a search could return (2,010 pieces, unless the model or its settings say otherwise).
    """
    if (target is None) == (candidates is None):
        raise typer.BadParameter("give the translations: --target files line by line, or one --candidates file")
    if in_pieces and not candidates:
        raise typer.BadParameter("--pieces reads the pieces of --candidates: add it, or leave out --pieces")
    pieces, total = 0, 0.0
    with ExitStack() as stack:
        rows = _rows(source, target or [], candidates, in_pieces, stack)
        translator = load_translator(folders, model)
        settings = search_settings(translator, objective)
        output = streams.open_output(output_file, stack)
        tally = stack.enter_context(Tally("scoring", streams.count_lines(source), live=not output.isatty()))
        tally.words_of = lambda scores: _words(translator, scores)
        first = 1
        for window in streams.windows(rows, streams.WINDOW):
            lines = translator.read([line for line, _ in window], settings, first)
            targets = [[_encoded(translator, candidate) for candidate in group] for _, group in window]
            results = translator.score(lines, targets, settings, listener=tally)
            for number, ((_, group), scores) in enumerate(zip(window, results, strict=True), start=first):
                for rank, (candidate, score) in enumerate(zip_longest(group, scores), start=1):
                    output.write(_line(translator, number, rank, candidate.text, score, tokens, form) + "\n")
                pieces += sum(score.length for score in scores)
                total += sum(score.total for score in scores)
            output.flush()
            first += len(window)
    if pieces:
        note(f"{counted(pieces, 'piece')}, perplexity {math.exp(min(-total / pieces, 700)):.3f} a piece")
    tally.close()


def _rows(
    source: Path, target: list[Path], candidates: Path | None, in_pieces: bool, stack: ExitStack
) -> Iterator[tuple[str, list[_Candidate]]]:
    """Every source line with its candidates; the stack closes the files."""
    lines = streams.open_source(source, stack)
    if candidates:
        grouped = _grouped(streams.open_lines(candidates, stack), str(candidates), in_pieces)
        return _matched(lines, grouped, str(candidates))
    files = [streams.open_lines(path, stack) for path in target]
    beside = streams.beside(lines, files, [str(path) for path in target])
    return ((line, [_Candidate(text) for text in texts]) for line, *texts in beside)


def _line(
    translator: Translator, number: int, rank: int, text: str, score: Hypothesis | None, tokens: bool, form: str
) -> str:
    from nmtkit.report.scores import columns, row, to_json

    pieces = translator.tokenizer.target.pieces(score.tokens if score else ()) if tokens else None
    if form == "json":
        return to_json(score, text, pieces, line=number, candidate=rank)
    return row([str(number), str(rank), *columns(score, text, scores=True, pieces=pieces)])


def _words(translator: Translator, scores: Sequence[Hypothesis]) -> int:
    return sum(len(translator.decode_target(score.tokens).split()) for score in scores)


@dataclass(frozen=True)
class _Candidate:
    """A text to score, with its pieces if they are given, and where it stands: its file and line."""

    text: str
    pieces: tuple[str, ...] | None = None
    where: str = ""


def _encoded(translator: Translator, candidate: _Candidate) -> tuple[int, ...]:
    if candidate.pieces is None:
        return translator.encode_target(candidate.text)
    try:
        return tuple(translator.tokenizer.target.ids_of(candidate.pieces))
    except ValueError as error:
        raise ValueError(f"{candidate.where}: {error}; the candidates must be of a model with this tokenizer") from None


def _grouped(lines: Iterator[str], name: str, in_pieces: bool) -> Iterator[tuple[int, list[_Candidate]]]:
    """The number of each source line that has candidates, and its candidates."""
    numbered = (_numbered(line, f"{name}, line {place}", in_pieces) for place, line in enumerate(lines, start=1))
    last = 0
    for number, group in groupby(numbered, key=lambda pair: pair[0]):
        if number <= last:
            raise ValueError(f"{name}: candidates of source line {number} come after those of line {last}; sort them")
        last = number
        yield number, [candidate for _, candidate in group]


def _numbered(line: str, where: str, in_pieces: bool) -> tuple[int, _Candidate]:
    from nmtkit.report.scores import unescaped

    number, *rest = line.split("\t")
    if not rest or not number.isascii() or not number.isdigit() or not int(number):
        raise ValueError(f"{where}: begins with {number[:40]!r}, not with the number of a source line and a tab")
    if not in_pieces:
        return int(number), _Candidate(rest[-1])
    pieces = tuple(unescaped(piece) for piece in rest[-3].split(" ")) if len(rest) >= 3 else ()
    if not pieces or pieces[-1] != "</s>":
        raise ValueError(f"{where}: has no pieces before its log P and text; write it with --tokens")
    return int(number), _Candidate(rest[-1], pieces, where)


def _matched(
    lines: Iterator[str], groups: Iterator[tuple[int, list[_Candidate]]], name: str
) -> Iterator[tuple[str, list[_Candidate]]]:
    """Every source line with its candidates, of which it may have none."""
    number, texts = next(groups, (0, []))
    place = 0
    for place, line in enumerate(lines, start=1):
        mine: list[_Candidate] = []
        if number == place:
            mine = texts
            number, texts = next(groups, (0, []))
        yield line, mine
    if number:
        raise ValueError(f"{name}: has candidates of source line {number}, but the source ends at line {place}")
