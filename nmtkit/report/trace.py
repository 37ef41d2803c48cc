"""A beam search in a terminal: the steps of the lectures, then the tree of what was kept, the reference marked.

The marks can be read without colour: ✓ finished, · kept, × pruned, ★ on the way to the reference. Figures stand in
columns to the left of the texts, which may be long, and no line is longer than the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nmtkit.inspection.traces import Candidate, Header, Reference, Step, Trace, prefixes
from nmtkit.report.tables import number, shown
from nmtkit.words import counted

MARKS = {"finished": "✓", "kept": "·", "pruned": "×"}
STYLES = {"finished": "green", "kept": "", "pruned": "dim"}


def render(header: Header, trace: Trace, steps: int, width: int) -> Iterator[RenderableType]:
    """One sentence in a terminal of `width` columns: source and outputs, the fate of the reference, the first `steps`
    steps in full, and the tree."""
    yield _texts(trace)
    if not trace.steps:
        yield Text("nothing was searched")
        return
    if trace.reference:
        yield Text(lost(trace.reference, header, trace.limit))
    names = prefixes(trace.steps)
    for step, texts in list(zip(trace.steps, names, strict=True))[:steps]:
        yield Text()
        which, *parts = step_title(step, header)
        yield Text(f"{which}: {', '.join(parts)}", style="bold")
        yield _step(step, texts, width)
    yield Text()
    yield Text("tree of what was kept: the way to the best, at every fork after ├ what it left", style="bold")
    star = ", ★ on the way to the reference" if trace.reference else ""
    yield Text(f"✓ finished, · kept, × pruned (with log P){star}", style="dim")
    yield from _tree(trace.steps, width)


def _texts(trace: Trace) -> Table:
    """Source, outputs and reference, each beside its J."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(f"line {trace.line}:", style="bold"), shown(trace.source))
    for place, output in enumerate(trace.outputs, start=1):
        table.add_row(Text(f"output {place}: J {number(output.score, 3)}"), shown(output.text))
    if trace.reference:
        scored = trace.reference.scored
        table.add_row(Text(f"reference: J {number(scored.score, 3)}"), shown(scored.text))
    return table


def step_title(step: Step, header: Header) -> list[str]:
    """The lecture's sentence about a step, in parts: its number, its candidates, and how many of them were kept."""
    fates = [candidate.fate for candidate in step.candidates]
    kept, finished = fates.count("kept"), fates.count("finished")
    taken = f"{kept} kept" + (f", {finished} finished" if finished else "")
    if step.length == 1:
        return ["step 1", f"{header.vocabulary:,} first pieces", taken]
    many = f"{step.prefixes * header.vocabulary:,} candidates"
    return [f"step {step.length}", f"{step.prefixes} × {header.vocabulary:,} = {many}", taken]


def lost(reference: Reference, header: Header, limit: int) -> str:
    """Where the search and the reference parted."""
    step = len(reference.ranks)
    if reference.ending == "finished":
        return f"★ the reference is among the finished ones: it ended at step {step}, rank {reference.ranks[-1]}"
    if reference.ending == "same text":
        return "★ an output is the text of the reference, in other pieces than those followed"
    if reference.ending == "stopped":
        return f"★ the reference was still alive at step {step} (rank {reference.ranks[-1]}) when the search stopped"
    if reference.ending == "too long":
        return f"★ the reference is longer than the limit of {counted(limit, 'piece')}"
    if reference.ending == "other prefix":
        piece = escaped(reference.scored.pieces[step - 1])
        return f"★ the reference does not begin as the prefix forces: it left it at step {step}, with {piece}"
    if reference.ending == "forbidden":
        piece = escaped(reference.scored.pieces[step - 1])
        return f"★ the reference was forbidden by a rule of the search at step {step}, with {piece}"
    return (
        f"★ the reference fell out at step {step} with {escaped(reference.scored.pieces[step - 1])}: rank "
        f"{reference.ranks[-1]:,}, {number(-reference.margins[-1])} nats below the last one taken (beam {header.beam})"
    )


def escaped(piece: str) -> str:
    """A piece with control characters written as escapes."""
    return shown(piece).plain


def _step(step: Step, texts: Sequence[Sequence[str]], width: int) -> Table:
    """The table of a step, a candidate a line; a prefix that is too long is cut on the left."""
    figures = [
        (
            str(candidate.rank),
            number(candidate.total),
            probability(candidate.total),
            number(candidate.score, 3),
            _mark(candidate),
        )
        for candidate in step.candidates
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    headings = ("rank", "log P", "P", "J", "")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("prefix", no_wrap=True)
    taken = sum(max(map(cell_len, column)) + 3 for column in zip(headings, *figures, strict=True))
    for candidate, row, pieces in zip(step.candidates, figures, texts, strict=True):
        table.add_row(*row, _end(list(map(escaped, pieces)), width - taken - 2), style=STYLES[candidate.fate])
    return table


def _end(pieces: Sequence[str], room: int) -> Text:
    """The last pieces that have room; … stands for those left out."""
    kept = " ".join(pieces)
    while cell_len(kept) > room and len(pieces) > 1:
        pieces = pieces[1:]
        kept = " ".join(["…", *pieces])
    return Text(kept if cell_len(kept) <= room else f"{chop_cells(kept, max(room - 1, 1))[0]}…")


def probability(log_p: float) -> str:
    """P in per cent; a tiny one as a power of ten."""
    value = 100 * math.exp(log_p)
    return f"{value:.1f} %" if value >= 0.1 else f"{value:.1g} %"


def _mark(candidate: Candidate) -> str:
    return MARKS[candidate.fate] + (" ★" if candidate.reference else "")


class _Kept:
    """The tree of the prefixes that were kept or finished or lead to the reference; a prefix is (length, rank)."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.last = len(steps)
        self.below: dict[tuple[int, int], list[tuple[tuple[int, int], Candidate]]] = {}
        for step in steps:
            for candidate in step.candidates:
                if candidate.fate != "pruned" or candidate.reference:
                    parent = (step.length - 1, candidate.parent)
                    self.below.setdefault(parent, []).append(((step.length, candidate.rank), candidate))
        self.worth: dict[tuple[int, int], tuple[float, int]] = {}
        for step in reversed(steps):
            for candidate in step.candidates:
                place = (step.length, candidate.rank)
                own = (candidate.score if candidate.fate == "finished" else -math.inf, step.length)
                self.worth[place] = max([own, *(self.worth[child] for child, _ in self.below.get(place, []))])

    def gone(self, place: tuple[int, int], candidate: Candidate) -> bool:
        """Whether a prefix was kept, but nothing that continues it, although the search went on. The prefixes of the
        reference do not count as gone."""
        if candidate.fate != "kept" or candidate.reference:
            return False
        return place[0] < self.last and not self.below.get(place)

    def chain(self, place: tuple[int, int], candidate: Candidate) -> tuple[tuple[int, int], list[Candidate]]:
        """The chain of candidates that follow a prefix without a fork, itself first, and the place where it ends."""
        chain = [candidate]
        while len(below := self.below.get(place, [])) == 1:
            place, candidate = below[0]
            chain.append(candidate)
        return place, chain


DEEPEST = 12
"""Levels of the tree that are indented."""


@dataclass(frozen=True)
class _Line:
    """A line of the tree before it is laid out: figures, the guide of its depth, and words that are not broken."""

    steps: str
    value: str
    mark: str
    guide: str
    words: tuple[str, ...]
    style: str = ""


def _tree(steps: Sequence[Step], width: int) -> Iterator[Text]:
    """The way to the best hypothesis, downwards, with each chain without a fork on one line. Branches that it left are
    indented below their fork and read in the same way."""
    start = _Line("0", number(0.0), "", "", ("<s>",))
    lines = [start, *_grow(_Kept(steps), (0, 0), 0)]
    first, second, third = (max(cell_len(getattr(line, name)) for line in lines) for name in ("steps", "value", "mark"))
    first, second = max(first, len("step")), max(second, len("log P"))
    yield Text(f"{'step':>{first}}  {'log P':>{second}}", style="dim")
    for line in lines:
        figures = f"{line.steps:>{first}}  {line.value:>{second}}  {line.mark:<{third}} "
        further = " " * len(figures) + line.guide.replace("├", "│")
        yield Text("\n".join(_wrapped(figures + line.guide, further, line.words, width)), style=line.style)


def _wrapped(first: str, further: str, words: Sequence[str], width: int) -> Iterator[str]:
    """Words side by side; those that have no room go on to lines that begin with `further`."""
    line, empty = first, True
    room = max(width - cell_len(first), 1)
    for word in (part for whole in words for part in chop_cells(whole, room)):
        if not empty and cell_len(line) + 1 + cell_len(word) > width:
            yield line
            line, empty = further, True
        line, empty = line + ("" if empty else " ") + word, False
    yield line


def _grow(kept: _Kept, place: tuple[int, int], depth: int) -> Iterator[_Line]:
    """The lines that follow a prefix: at every fork, first the branches that the main way left, then the main way."""
    guide, fork = "│ " * min(depth, DEEPEST), "│ " * min(depth, DEEPEST - 1) + "├ "
    while below := kept.below.get(place, []):
        main = max(below, key=lambda pair: kept.worth[pair[0]])
        left = [child for child in below if child is not main]
        if dead := [candidate for child, candidate in left if kept.gone(child, candidate)]:
            words = (f"{escaped(candidate.piece)} ({number(candidate.total)})" for candidate in dead)
            yield _Line(str(place[0] + 1), "", MARKS["pruned"], fork, tuple(words), STYLES["pruned"])
        for child in left:
            if child[1] not in dead:
                end, chain = kept.chain(*child)
                yield _line(kept, chain, child[0][0], end, fork)
                yield from _grow(kept, end, depth + 1)
        end, chain = kept.chain(*main)
        yield _line(kept, chain, main[0][0], end, guide)
        place = end


def _line(kept: _Kept, chain: Sequence[Candidate], first: int, place: tuple[int, int], guide: str) -> _Line:
    """Pieces that follow each other without a fork, up to the prefix at `place`."""
    last, end = place[0], chain[-1]
    fate = "pruned" if end.fate == "pruned" or kept.gone(place, end) else end.fate
    after = [f"J {number(end.score, 3)}"] if end.fate == "finished" else []
    if chain[0].reference and not end.reference:
        after.append(f"(★ to here: {_stars(chain)})")
    steps = f"{first}" if first == last else f"{first}–{last}"
    mark = MARKS[fate] + (" ★" if end.reference else "")
    words = (*(escaped(candidate.piece) for candidate in chain), *after)
    return _Line(steps, number(end.total), mark, guide, words, STYLES[fate])


def _stars(chain: Sequence[Candidate]) -> str:
    return escaped([candidate.piece for candidate in chain if candidate.reference][-1])
