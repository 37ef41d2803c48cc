"""`nmtkit guide`: the manual, page by page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from nmtkit.cli.parameters import takes
from nmtkit.cli.paths import STANDARD
from nmtkit.cli.streams import write_result
from nmtkit.console import note, stdout_console
from nmtkit.guide import pages

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

LINK = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md\)")
"""A link from one page to another."""
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*$", re.MULTILINE)
"""A command in an example, with its continuation lines."""


def _checked(name: str | None) -> str | None:
    """Callback of PAGE: the name, refused if no page has it."""
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
        typer.Argument(metavar="PAGE", help="Name of a page; without one: the list.", callback=_checked),
    ] = None,
) -> None:
    """Read the manual: a list of its pages, or one of them.

    On a terminal a page is laid out to be read; into a pipe or a file it goes as Markdown.
    """
    console = stdout_console()
    if page is None:
        for entry in pages.read_all():
            console.print(f"{entry.name:<16} {entry.summary}", soft_wrap=True)
        note("nmtkit guide PAGE shows one of them")
    elif console.is_terminal:
        console.print(_laid_out(pages.read(page).text))
    else:
        write_result(STANDARD, pages.read(page).text, "")


def _laid_out(text: str) -> RenderableType:
    """A page for a terminal: links are commands, and examples have no margins because commands print 80 columns."""
    from rich.markdown import CodeBlock, Markdown
    from rich.text import Text

    class Example(CodeBlock):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            example = Text(str(self.text).rstrip())
            example.highlight_regex(COMMAND, "bold")
            yield example

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "fence": Example, "code_block": Example}

    return Page(LINK.sub(r"\1 (`nmtkit guide \2`)", text), hyperlinks=False)
