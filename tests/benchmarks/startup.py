"""From the command to its first translation, against the time in which PyTorch alone is imported.

    python tests/benchmarks/startup.py --folder runs/multi30k

Both start by turns in processes of their own; prints medians and their ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str], text: str = "") -> float:
    """How long a command takes that reads this text; compiled modules are kept, as users keep them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    words = [sys.executable, *command]
    subprocess.run(words, input=text, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - started


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--line", default="A man sleeps in a green room on a couch.")
    parser.add_argument("--times", type=int, default=9)
    arguments = parser.parse_args()
    translate = ["-m", "nmtkit", "translate", str(arguments.folder), "--device", "cpu"]
    pairs = [
        (seconds(["-c", "import torch"]), seconds(translate, f"{arguments.line}\n")) for _ in range(arguments.times + 1)
    ]
    torch, whole = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    print(f"import torch {torch:.2f} s, one translation {whole:.2f} s: {whole / torch:.2f} times as long")


if __name__ == "__main__":
    main()
