"""`nmtkit history`: how trainings went, or go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from nmtkit.cli import paths
from nmtkit.cli.parameters import choice, takes, usage
from nmtkit.cli.streams import write_result
from nmtkit.console import note, stdout_console
from nmtkit.words import counted


@takes()
def history(
    folders: Annotated[
        list[Path], paths.argument(paths.PATH_TO_READ, "Model folders, even while they are trained.", "FOLDER")
    ],
    axis: Annotated[str, choice("What the curves are drawn against.", ("updates", "minutes"))] = "updates",
    json_file: Annotated[Path | None, paths.written("Write every value as JSON.", "--json")] = None,
    plot: Annotated[Path | None, paths.written("All curves in one picture, as .png, .svg or .pdf.")] = None,
) -> None:
    """Show how models were trained: losses, scores, learning rate, gradient norm, speed, and waiting for data.

    Each quantity is drawn as a line of bars, with its first, last and best value. Several trainings are shown together.
    A training whose dev loss rises for long while the training loss falls overfits: a sentence says so.
    """
    from nmtkit.inspection.histories import read
    from nmtkit.report.history import draw, render, to_json
    from nmtkit.report.plot import check

    if plot:
        with usage():
            check(plot)
    histories = [read(folder, name) for name, folder in paths.distinct(folders).items()]
    what = counted(len(histories), "training")
    if json_file:
        write_result(json_file, json.dumps(to_json(histories), indent=1, ensure_ascii=False) + "\n", what)
    if plot:
        draw(histories, axis, plot)
        note(f"{plot}: {what}")
    if json_file != paths.STANDARD:
        console = stdout_console()
        for part in render(histories, axis, console.width):
            console.print(part)
