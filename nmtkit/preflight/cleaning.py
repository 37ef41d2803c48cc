"""A copy of a parallel text without the pairs that have a problem."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from nmtkit.files import open_text, raw_lines, replacing
from nmtkit.preflight.columns import Columns, clean


def write_clean(columns: Columns, texts: tuple[Path, Path], copies: tuple[Path, Path]) -> None:
    """Write the pairs without a problem, the bytes of their lines as they are, each with a newline.

    Raises:
        ValueError: if every pair has a problem.
    """
    if not any(clean(rows).any() for _, rows in columns.parts()):
        raise ValueError(f"{texts[0]} and {texts[1]}: every pair has a problem; see what it is without --write-clean")
    with ExitStack() as stack:
        written = [stack.enter_context(replacing(copy)) for copy in copies]
        for text, copy in zip(texts, written, strict=True):
            with open_text(text) as stream, copy.open("wb") as output:
                lines = raw_lines(stream, str(text))
                for _, rows in columns.parts():
                    marked = zip(clean(rows).tolist(), lines, strict=False)  # takes no line after the last mark
                    output.writelines(line + b"\n" for keep, line in marked if keep)
