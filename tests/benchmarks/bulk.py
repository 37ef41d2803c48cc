"""Translation by one process against several with a share of its threads each, through the command line.

    python tests/benchmarks/bulk.py --folder runs/multi30k --source val.en --lines 20000 --workers 2

Prints lines a second of each way, the time in which the models are loaded included, and whether the outputs are the
same. A short source is repeated until it has the wanted number of lines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import torch


def measure(folder: Path, source: Path, output: Path, workers: int, threads: int) -> float:
    """Seconds of a whole command."""
    words = ["translate", folder, "--input", source, "--output", output, "--device", "cpu", "--quiet"]
    words += ["--workers", workers, "--threads", threads]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "nmtkit", *map(str, words)], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    print(f"{arguments.folder}, {arguments.lines:,} lines, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory() as place:
        source, outputs, speeds = Path(place, "source"), [], []
        with arguments.source.open("rb") as stream:
            source.write_bytes(b"".join(islice(cycle(stream.readlines()), arguments.lines)))
        most = max(arguments.threads, arguments.workers)
        for workers, threads in dict.fromkeys(
            [(1, 1), (1, arguments.threads), (arguments.workers, arguments.workers), (arguments.workers, most)]
        ):
            output = Path(place, f"output{len(outputs)}")
            seconds = measure(arguments.folder, source, output, workers, threads)
            outputs.append(output.read_bytes())
            speeds.append(arguments.lines / seconds)
            each = max(1, threads // workers)
            print(f"{workers} × {each} threads: {speeds[-1]:,.1f} lines/s ({speeds[-1] / speeds[0]:.2f} × the first)")
    same = "the same" if len({*outputs}) == 1 else "not the same, since numbers of threads round differently"
    print(f"the outputs are {same}")


if __name__ == "__main__":
    main()
