"""A beam search in a terminal: the steps of the lectures, then the tree of what was kept, the reference marked.

Marks, readable without colour: ✓ finished, · kept, × pruned, ★ on the way to the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from nmtkit.analysis.traces import Candidate, Header, Reference, Step, Trace, prefixes
from nmtkit.report.tables import number, shown
from nmtkit.words import counted

MARKS = {"finished": "✓", "kept": "·", "pruned": "×"}
STYLES = {"finished": "green", "kept": "", "pruned": "dim"}


def render(header: Header, trace: Trace, steps: int) -> Iterator[RenderableType]:
    """One sentence: what went in and out, the first `steps` steps in full, the tree, and the fate of the reference."""
    yield Text(f"line {trace.line}: ", style="bold") + shown(trace.source)
    for place, output in enumerate(trace.outputs, start=1):
        yield Text(f"output {place}: J {number(output.score, 3)}  ") + shown(output.text)
    if trace.reference:
        yield Text(f"reference: J {number(trace.reference.scored.score, 3)}  ") + shown(trace.reference.scored.text)
    if not trace.steps:
        yield Text("nothing was searched")
        return
    names = prefixes(trace.steps)
    for step, texts in list(zip(trace.steps, names, strict=True))[:steps]:
        yield Text()
        which, *parts = step_title(step, header)
        yield Text(f"{which}: {', '.join(parts)}", style="bold")
        yield _step(step, texts)
    yield Text()
    yield _tree(trace.steps)
    if trace.reference:
        yield Text(lost(trace.reference, header, trace.limit))


def step_title(step: Step, header: Header) -> list[str]:
    """The lecture's sentence about a step, in parts: which, how many candidates there were, how many were kept."""
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
    if reference.ending == "forbidden":
        piece = escaped(reference.scored.pieces[step - 1])
        return f"★ the reference was forbidden by a rule of the search at step {step}, with {piece}"
    return (
        f"★ the reference fell out at step {step} with {escaped(reference.scored.pieces[step - 1])}: rank "
        f"{reference.ranks[-1]:,}, {number(-reference.margins[-1])} nats below the last one taken (beam {header.beam})"
    )


def escaped(piece: str) -> str:
    """A piece with what a terminal might obey written as escapes."""
    return shown(piece).plain


def _step(step: Step, texts: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("rank", "log P", "P", "J", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("prefix", ratio=1, overflow="fold")
    for candidate, pieces in zip(step.candidates, texts, strict=True):
        table.add_row(
            str(candidate.rank),
            number(candidate.total),
            probability(candidate.total),
            number(candidate.score, 3),
            _mark(candidate),
            " ".join(map(escaped, pieces)),
            style=STYLES[candidate.fate],
        )
    return table


def probability(log_p: float) -> str:
    """P in per cent, tiny ones as a power of ten."""
    value = 100 * math.exp(log_p)
    return f"{value:.1f} %" if value >= 0.1 else f"{value:.1g} %"


def _mark(candidate: Candidate) -> str:
    return MARKS[candidate.fate] + (" ★" if candidate.reference else "")


class _Kept:
    """What was kept or finished, and the reference, as a tree of prefixes: a prefix is (length, rank)."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.last = len(steps)
        self.below: dict[tuple[int, int], list[tuple[tuple[int, int], Candidate]]] = {}
        for step in steps:
            for one in step.candidates:
                if one.fate != "pruned" or one.reference:
                    parent = (step.length - 1, one.parent)
                    self.below.setdefault(parent, []).append(((step.length, one.rank), one))
        self.worth: dict[tuple[int, int], tuple[float, int]] = {}
        for step in reversed(steps):
            for one in step.candidates:
                place = (step.length, one.rank)
                own = (one.score if one.fate == "finished" else -math.inf, step.length)
                self.worth[place] = max([own, *(self.worth[child] for child, _ in self.below.get(place, []))])

    def chain(self, place: tuple[int, int], one: Candidate) -> tuple[tuple[int, int], list[Candidate]]:
        """A prefix with those that follow it without a fork, and the place where they end."""
        chain = [one]
        while len(below := self.below.get(place, [])) == 1:
            place, one = below[0]
            chain.append(one)
        return place, chain


def _tree(steps: Sequence[Step]) -> Tree:
    """The way to the best hypothesis downwards, chains without a fork on one line; what it left is indented below the
    place where it forks, each such branch read in the same way."""
    kept, tree = _Kept(steps), Tree(Text("tree of what was kept: ↓ goes on, ↳ is a branch that was left"))
    _grow(tree, tree.add(Text("start")), kept, (0, 0))
    return tree


def _grow(tree: Tree, branch: Tree, kept: _Kept, place: tuple[int, int]) -> None:
    """Continue a way whose last line is `branch`."""
    while below := kept.below.get(place):
        main = max(below, key=lambda pair: kept.worth[pair[0]])
        for child in below:
            if child is not main:
                end, chain = kept.chain(*child)
                _grow(branch, branch.add(_line("↳ ", chain, child[0][0], end[0], kept)), kept, end)
        end, chain = kept.chain(*main)
        branch, place = tree.add(_line("↓ ", chain, main[0][0], end[0], kept)), end


def _line(arrow: str, chain: Sequence[Candidate], first: int, last: int, kept: _Kept) -> Text:
    end = chain[-1]
    gone = end.fate == "kept" and last < kept.last and not kept.below.get((last, end.rank))
    words = " ".join(escaped(one.piece) for one in chain)
    star = " ★" if end.reference else f" (★ to here: {_stars(chain)})" if chain[0].reference else ""
    value = f"J {number(end.score, 3)}" if end.fate == "finished" else f"log P {number(end.total)}"
    steps = f"{first}" if first == last else f"{first}–{last}"
    mark, style = (MARKS["pruned"], STYLES["pruned"]) if gone else (MARKS[end.fate], STYLES[end.fate])
    return Text(f"{arrow}{steps}  {words}  {mark} {value}{star}", style=style)


def _stars(chain: Sequence[Candidate]) -> str:
    return escaped([one.piece for one in chain if one.reference][-1])
