"""`nmtkit inspect`: what a beam search looked at, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nmtkit.cli import paths
from nmtkit.cli.parameters import count, takes
from nmtkit.cli.streams import write_result
from nmtkit.console import note, stdout_console
from nmtkit.words import counted


@takes()
def inspect(
    trace_file: Annotated[
        Path, paths.argument(paths.FILE_TO_READ, "File that translate --trace wrote.", metavar="TRACE")
    ],
    line: Annotated[
        list[int] | None, count("Number of a sentence; repeat for several.", default="the first; with --html all")
    ] = None,
    steps: Annotated[int, count("Steps shown in full before the tree.", 0)] = 3,
    html: Annotated[
        Path | None, paths.written("Write one self-contained page instead, of all sentences.", "--html")
    ] = None,
) -> None:
    """Look inside a beam search: candidates, what was kept of them, and where the reference was lost.

    Step 1 keeps the B best first pieces, every later step the B best of B × |V| candidates. With translate --trace FILE
    --reference FILE the path of the reference is marked (★), and so is the step where it was lost.
    """
    from nmtkit.inspection.traces import read_traces
    from nmtkit.report.trace import render
    from nmtkit.report.trace_page import page

    header, traces = read_traces(trace_file)
    by_line = {trace.line: trace for trace in traces}
    if not traces:
        raise ValueError(f"{trace_file}: has no sentences; translate some lines with --trace")
    if missing := [number for number in line or () if number not in by_line]:
        raise ValueError(f"{trace_file}: has no sentence {missing[0]}; it has {min(by_line)} to {max(by_line)}")
    chosen = [by_line[number] for number in line] if line else traces if html else traces[:1]
    if html:
        write_result(html, page(header, chosen), counted(len(chosen), "sentence"))
        return
    console = stdout_console()
    for trace in chosen:
        for part in render(header, trace, steps, console.width):
            console.print(part)
        console.print()
    if not line and len(traces) > 1:
        note(f"sentence 1 of {len(traces)}: choose others with --line, or see all with --html")
