"""Large texts: options of `nmtkit translate`, and the output with which an interrupted run can go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit import __version__
from nmtkit.cli import paths, streams
from nmtkit.cli.parameters import MachineFlags, count, given
from nmtkit.cli.streams import Tally
from nmtkit.cli.translate_options import Inside
from nmtkit.cli.windows import Window, Windows
from nmtkit.console import note
from nmtkit.partial import Partial, parts
from nmtkit.settings import Within
from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.checkpoint import Facts
    from nmtkit.decoding.settings import SearchSettings

BULK = "Large texts"
WORKERS = Within(1, 1024)


@dataclass(frozen=True)
class Bulk:
    """How a large text is translated."""

    workers: Annotated[
        int, count("Processes that translate, each with the model and its share of the threads.", WORKERS, BULK)
    ] = 1
    resume: Annotated[
        bool,
        typer.Option("--resume", help="If interrupted, the same command goes on from there.", rich_help_panel=BULK),
    ] = False


def check_bulk(
    bulk: Bulk, inside: Inside, prefix: Path | None, input_file: Path, output_file: Path, *, one_by_one: bool
) -> None:
    """Refuse options that do not go together, before anything is loaded.

    Args:
        one_by_one: whether each line is answered before the next is read.
    """
    asked = "--resume" if bulk.resume else "--workers"
    if not bulk.resume and bulk.workers == 1:
        return
    if one_by_one:
        raise typer.BadParameter(
            f"{asked} is for texts, not for lines that are answered one by one: name an --input, and leave out "
            "--line-buffered"
        )
    if inside.trace or inside.attention:
        raise typer.BadParameter(f"--trace and --attention are written by one process in one go: leave out {asked}")
    if bulk.resume:
        if output_file == paths.STANDARD:
            raise typer.BadParameter("--resume goes on with a file: name one with --output")
        read = paths.named(input=input_file, reference=inside.reference, prefix=prefix)
        paths.keep_apart(read, [paths.Named("--output", path) for path in parts(output_file)])


def read_facts(folders: Sequence[Path], machine: MachineFlags) -> Facts:
    """What is known of a model, or of an ensemble, before it is loaded."""
    from nmtkit import checkpoint

    return checkpoint.read_facts(folders, **given(weights=machine.weights))


class Output:
    """Where the results go: to a stream, or to a file that an interrupted run can go on with.

    Args:
        work: all that decides the results but the text, if the run can go on; None if it cannot.
    """

    def __init__(self, path: Path, work: Mapping[str, Any] | None, stack: ExitStack) -> None:
        self._partial: Partial | None = None
        if work is None:
            self._stream = streams.open_output(path, stack)
        else:
            streams.say_written(path, stack)
            self._partial = stack.enter_context(Partial(path, work))

    def isatty(self) -> bool:
        """Whether the results go to a terminal."""
        return self._partial is None and self._stream.isatty()

    def go_on(self, windows: Windows, tally: Tally) -> None:
        """Pass over what is done already."""
        if self._partial is not None and (done := self._partial.done):
            windows.skip(done["lines"], done["source"], self._partial.path)
            tally.go_on(done)
            note(f"{self._partial.path}: going on after {counted(done['lines'], 'line')}")

    def write(self, window: Window, lines: Iterable[str], tally: Tally) -> None:
        """Write the results of a window, so that they have arrived."""
        if self._partial is None:
            self._stream.writelines(lines)
            self._stream.flush()
        else:
            self._partial.writelines(lines)
            self._partial.commit({**tally.facts(), "source": window.digest})


def work_of(model: str, device: str | None, size: int, settings: SearchSettings, *flags: Any) -> dict[str, Any]:
    """All that decides the results but the text, by the names that users know.

    Args:
        model: the hash of the model.
        device: as the user names it.
        size: lines of a window.
        flags: groups of options; of a file it counts whether there is one, since its lines are part of the text.
    """
    from nmtkit.devices import pick_device

    options = {name: value for group in (settings, *flags) for name, value in asdict(group).items()}
    return {
        "model": model,
        "nmtkit": __version__,
        "device": pick_device(device or "auto").type,
        **{
            f"--{name.replace('_', '-')}": value if not isinstance(value, Path) else True
            for name, value in options.items()
        },
        "window": size,  # the last, since some option above decides it
    }
