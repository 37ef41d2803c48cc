"""The pages of the manual: their order, titles and texts.

A page is a Markdown file in this folder. It begins with its title and, as a paragraph of one line, what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from nmtkit.settings import nearest

NAMES = (
    *("first-steps", "own-data", "search", "blame", "attention", "comparing"),
    *("models", "configuration", "large", "engines", "files", "python", "reproducibility", "code"),
)
"""In the order of a reader who begins at the beginning."""


@dataclass(frozen=True)
class Page:
    """A page of the manual.

    Attributes:
        name: its file without the ending, as the command line takes it.
        title: the text of its first heading.
        summary: what it is about, one sentence.
        text: all of it, as Markdown.
    """

    name: str
    title: str
    summary: str
    text: str


def read(name: str) -> Page:
    """The page of a name; ValueError with the nearest name where there is none."""
    if name not in NAMES:
        raise ValueError(f"{name!r} is not a page of the guide;{nearest(name, NAMES)}")
    text = (resources.files("nmtkit.guide") / f"{name}.md").read_text(encoding="utf-8")
    title, _, summary, *_ = text.split("\n")
    return Page(name, title.removeprefix("# "), summary, text)


def read_all() -> list[Page]:
    """All pages in their order."""
    return [read(name) for name in NAMES]
