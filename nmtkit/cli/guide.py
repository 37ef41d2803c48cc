"""`nmtkit guide`: the manual, page by page."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from nmtkit.cli.parameters import takes
from nmtkit.cli.paths import STANDARD
from nmtkit.cli.streams import write_result
from nmtkit.console import note, stdout_console
from nmtkit.guide import pages

LINK = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md\)")
"""From a page to another."""


def _known(name: str | None) -> str | None:
    """Callback of PAGE: refuses a name that no page has."""
    if name is not None:
        try:
            pages.read(name)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return name


@takes()
def guide(
    page: Annotated[
        str | None,
        typer.Argument(metavar="PAGE", help="Name of a page; without one: the list.", callback=_known),
    ] = None,
) -> None:
    """Read the manual: a list of its pages, or one of them.

    On a terminal a page is laid out to be read; into a pipe or a file it goes as Markdown.
    """
    console = stdout_console()
    if page is None:
        for one in pages.read_all():
            console.print(f"{one.name:<16} {one.summary}", soft_wrap=True)
        note("nmtkit guide PAGE shows one of them")
    elif console.is_terminal:
        from rich.markdown import Markdown

        text = LINK.sub(r"\1 (`nmtkit guide \2`)", pages.read(page).text)
        console.print(Markdown(text, hyperlinks=False))
    else:
        write_result(STANDARD, pages.read(page).text, "")
