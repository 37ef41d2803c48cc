"""Draw what a command prints on a terminal as an SVG picture; the output comes from standard input.

export COLUMNS=88 FORCE_COLOR=1
nmtkit blame-analysis runs/demo --source data/jane/dev.fr --reference data/jane/dev.en --beam 1 |
    head -n 32 | python data/picture.py nmtkit blame-analysis runs/demo --beam 1 … > data/blame.svg
"""

from __future__ import annotations

import io
import os
import re
import sys

from rich.console import Console
from rich.text import Text


def picture(output: str, title: str, width: int) -> str:
    """The output, ANSI colours included, as Rich draws it; without its fonts, which would come from the network."""
    console = Console(record=True, width=width, file=io.StringIO(), highlight=False)
    console.print(Text.from_ansi(output), soft_wrap=True)
    svg = console.export_svg(title=title, unique_id="nmtkit")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace")


if __name__ == "__main__":
    sys.stdout.write(picture(sys.stdin.read(), " ".join(sys.argv[1:]), int(os.environ.get("COLUMNS", "80"))))
