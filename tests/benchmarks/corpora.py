"""Time and memory of large corpora: to prepare one, to begin an epoch of it, and to make batches.

    make bench-corpora
    python tests/benchmarks/corpora.py --pairs 200000 1000000 --workers 1

Pairs of Zipf-distributed words are generated into --folder and deleted afterwards. Each size is prepared and then
opened in a process of its own, whose own memory (RssAnon, without mapped files) must not grow with the corpus.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from nmtkit.batches.batch import make_batch
from nmtkit.batches.corpus import open_corpus
from nmtkit.batches.order import window_batches, windows
from nmtkit.batches.preparation import Job, prepare, size_of
from nmtkit.batches.shards import read_facts
from nmtkit.devices import cores
from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer

WORDS, CHUNK, BATCHES, UPDATES = 50_000, 100_000, 200, 25


def generate(folder: Path, pairs: int) -> tuple[Path, Path]:
    """A text of 5 to 40 words a line on either side."""
    random = np.random.default_rng(1)
    letters = np.array([*"abcdefghijklmnopqrstuvwxyz"])
    words = np.array(["".join(random.choice(letters, random.integers(2, 11))) for _ in range(WORDS)])
    paths = folder / "text.xx", folder / "text.yy"
    with paths[0].open("w") as source, paths[1].open("w") as target:
        for begin in range(0, pairs, CHUNK):
            for lengths in (random.integers(5, 40, min(CHUNK, pairs - begin)),):
                for stream, spread in ((source, 0), (target, 3)):
                    own = np.maximum(1, lengths + random.integers(-spread, spread + 1, len(lengths)))
                    drawn = words[(random.zipf(1.2, int(own.sum())) - 1) % WORDS]
                    parts = np.split(drawn, np.cumsum(own)[:-1])
                    stream.write("".join(f"{' '.join(part)}\n" for part in parts))
    return paths


def own_memory() -> float:
    """Memory of this process without mapped files, in MB."""
    status = Path("/proc/self/status").read_text().split("\n")
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon:"))


def measure(folder: Path, tokens: int) -> dict[str, float]:
    """Open a prepared corpus, build its first window and make batches."""
    before, peak, ended = own_memory(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            peak[0] = max(peak[0], own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    corpus = open_corpus(folder, read_facts(folder))
    batches = window_batches(corpus, tokens, seed=1, epoch=0, window=0)
    make_batch(corpus, batches[0])
    first = time.perf_counter() - started
    begun = time.perf_counter()
    for index in range(BATCHES):
        make_batch(corpus, batches[index % len(batches)])
    rate = BATCHES / (time.perf_counter() - begun)
    ended.set()
    watcher.join()
    return {
        "windows": windows(corpus),
        "first batch (s)": first,
        "batches a second": rate,
        "RssAnon before (MB)": before,
        "RssAnon peak (MB)": peak[0],
    }


def own_memory_of(process: int) -> float:
    """As `own_memory`, of another process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text().split("\n")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon:")), 0.0)


def train(folder: Path, dev: list[list[str]]) -> dict[str, float]:
    """Train on a prepared corpus as a user does: time to the first update, memory until the last, and speed."""
    for lines, ending in zip(dev, ("xx", "yy"), strict=True):
        (folder / f"dev.{ending}").write_text("".join(f"{line}\n" for line in lines[:50]))
    config = folder / "bench.toml"
    config.write_text(f'preset = "transformer-tiny"\n[training]\nupdates = {UPDATES}\nlog_every = 1\nvalid_beam = 1\n')
    output, history = folder / "run", folder / "run" / "history.jsonl"
    words = [
        "--config",
        str(config),
        "--train",
        str(folder / "ids"),
        "--dev",
        str(folder / "dev"),
        "-s",
        "xx",
        "-t",
        "yy",
    ]
    command = [sys.executable, "-m", "nmtkit", "train", *words, "--output", str(output), "--threads", "1", "--quiet"]
    started, first, peak = time.perf_counter(), 0.0, 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, own_memory_of(process.pid))
        if not first and history.exists() and history.stat().st_size:
            first = time.perf_counter() - started
        time.sleep(0.01)
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    speeds = [line["tokens_per_second"] for line in lines if "tokens_per_second" in line][5:]
    waiting = [line["waiting"] for line in lines if "waiting" in line][5:]
    shutil.rmtree(output)
    return {
        "train: first update after (s)": first,
        "train: RssAnon peak (MB)": peak,
        "train: pieces a second (median)": statistics.median(speeds),
        "train: share of time without data (%)": 100 * statistics.mean(waiting),
    }


def run(folder: Path, pairs: int, workers: int, tokens: int) -> None:
    paths = generate(folder, pairs)
    size = sum(path.stat().st_size for path in paths) / 1e6
    if not (folder / "tokenizer").exists():
        with paths[0].open() as source, paths[1].open() as target:
            lines = [[next(text).rstrip("\n") for _ in range(50_000)] for text in (source, target)]
        train_tokenizer(*lines, TokenizerOptions(8000, "bpe"), seed=1).save(folder / "tokenizer")
    job = Job(*paths, ("xx", "yy"), Tokenizer.load(folder / "tokenizer"), 256, 256)
    started = time.perf_counter()
    prepare(job, folder / "ids", workers)
    seconds = time.perf_counter() - started
    words = [sys.executable, __file__, "--measure", str(folder / "ids"), "--tokens", str(tokens)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    with paths[0].open() as source, paths[1].open() as target:
        dev = [[next(text).rstrip("\n") for _ in range(50)] for text in (source, target)]
    facts = {"text (MB)": size, "ids (MB)": size_of(folder / "ids") / 1e6, "prepared in (s)": seconds}
    facts |= {"RssAnon of the preparing process (MB)": own_memory(), "pairs a second": pairs / seconds}
    print(f"{pairs:,} pairs, {workers} workers")
    for name, value in {**facts, **json.loads(done.stdout), **train(folder, dev)}.items():
        print(f"  {name:40} {value:12,.2f}")
    shutil.rmtree(folder / "ids")
    for path in paths:
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[200_000, 1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="where the files go while they are needed")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.tokens)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for pairs in arguments.pairs:
            run(Path(folder), pairs, arguments.workers, arguments.tokens)


if __name__ == "__main__":
    main()
