"""Time and memory of large corpora: to prepare one, to begin an epoch of it, to make batches, and to train on it.

    make bench-corpora
    python tests/benchmarks/corpora.py --pairs 200000 1000000 --workers 1 --plot corpora.svg

Pairs of Zipf-distributed words are generated into --folder and deleted afterwards. All sizes are prepared first. Then
they are opened and trained on by turns, in processes of their own, whose own memory (RssAnon, without mapped files)
must not grow with the corpus; a figure is the median of --rounds turns.
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
from matplotlib.figure import Figure

from nmtkit.batches.batch import make_batch
from nmtkit.batches.corpus import open_corpus
from nmtkit.batches.order import window_batches, windows
from nmtkit.batches.preparation import Job, prepare, size_of
from nmtkit.batches.shards import read_facts
from nmtkit.devices import cores
from nmtkit.report.plot import save
from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer

WORDS, CHUNK, BATCHES = 50_000, 100_000, 200
FIRST, PEAK, SPEED = "train: first update after (s)", "train: RssAnon peak (MB)", "train: pieces a second"
PANELS = {PEAK: "memory of its own (MB)", FIRST: "seconds to the first update", SPEED: "pieces a second"}


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


def own_memory(process: int | str = "self") -> float:
    """Memory of a process without mapped files, in MB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text().split("\n")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon:")), 0.0)


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


def train(folder: Path, updates: int) -> dict[str, float]:
    """Train on a prepared corpus as a user does: time to the first update, memory until the last, and speed."""
    config = folder.parent / "bench.toml"
    config.write_text(f'preset = "transformer-tiny"\n[training]\nupdates = {updates}\nlog_every = 1\nvalid_beam = 1\n')
    output, history = folder.parent / "run", folder.parent / "run" / "history.jsonl"
    texts = ["--train", str(folder), "--dev", str(folder.parent / "dev"), "-s", "xx", "-t", "yy"]
    words = ["--config", str(config), *texts, "--output", str(output), "--threads", "1", "--quiet"]
    started, first, peak = time.perf_counter(), 0.0, 0.0
    process = subprocess.Popen([sys.executable, "-m", "nmtkit", "train", *words])
    while process.poll() is None:
        peak = max(peak, own_memory(process.pid))
        if not first and history.exists() and history.stat().st_size:
            first = time.perf_counter() - started
        time.sleep(0.01)
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    speeds = [line["tokens_per_second"] for line in lines if "tokens_per_second" in line][5:]
    waiting = [line["waiting"] for line in lines if "waiting" in line][5:]
    shutil.rmtree(output)
    return {
        FIRST: first,
        PEAK: peak,
        SPEED: statistics.median(speeds),
        "train: share of time without data (%)": 100 * statistics.mean(waiting),
    }


def build(folder: Path, pairs: int, workers: int) -> dict[str, float]:
    """Generate and prepare a corpus of `pairs` pairs as folder / str(pairs); the first one trains the tokenizer."""
    paths = generate(folder, pairs)
    size = sum(path.stat().st_size for path in paths) / 1e6
    if not (folder / "tokenizer").exists():
        with paths[0].open() as source, paths[1].open() as target:
            lines = [[next(text).rstrip("\n") for _ in range(50_000)] for text in (source, target)]
        train_tokenizer(*lines, TokenizerOptions(8000, "bpe"), seed=1).save(folder / "tokenizer")
        for side, ending in zip(lines, ("xx", "yy"), strict=True):
            (folder / f"dev.{ending}").write_text("".join(f"{line}\n" for line in side[:50]))
    job = Job(*paths, ("xx", "yy"), Tokenizer.load(folder / "tokenizer"), 256, 256)
    started = time.perf_counter()
    prepare(job, folder / str(pairs), workers)
    seconds = time.perf_counter() - started
    for path in paths:
        path.unlink()
    facts = {"text (MB)": size, "ids (MB)": size_of(folder / str(pairs)) / 1e6, "prepared in (s)": seconds}
    return facts | {"RssAnon of the preparing process (MB)": own_memory(), "pairs a second": pairs / seconds}


def turn(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """One measurement of a prepared corpus."""
    words = [sys.executable, __file__, "--measure", str(folder), "--tokens", str(arguments.tokens)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), **train(folder, arguments.updates)}


def draw(facts: dict[int, dict[str, float]], path: Path) -> None:
    """Memory, time to the first update and speed over the number of pairs."""
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    millions = [pairs / 1e6 for pairs in facts]
    for axes, (name, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        values = [own[name] for own in facts.values()]
        axes.plot(millions, values, marker="o")
        axes.set(xscale="log", ylim=(0, 1.25 * max(values)), xlabel="million pairs")
        axes.set_xticks(millions, [f"{million:g}" for million in millions])
        axes.set_xticks([], minor=True)
        axes.set_title(title, fontsize="medium")
    save(figure, path, metadata={"Date": None} if path.suffix == ".svg" else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[200_000, 1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--updates", type=int, default=25, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go while they are needed")
    parser.add_argument("--plot", type=Path, help="a picture of memory, time and speed (svg, png or pdf)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.tokens)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        facts = {pairs: build(folder, pairs, arguments.workers) for pairs in arguments.pairs}
        turns = [
            {pairs: turn(folder / str(pairs), arguments) for pairs in arguments.pairs} for _ in range(arguments.rounds)
        ]
    for pairs in arguments.pairs:
        facts[pairs] |= {key: statistics.median(own[pairs][key] for own in turns) for key in turns[0][pairs]}
        against = statistics.median(own[pairs][SPEED] / own[arguments.pairs[0]][SPEED] for own in turns)
        print(f"{pairs:,} pairs, {arguments.workers} workers")
        for key, value in {**facts[pairs], "train: speed against the first corpus": against}.items():
            print(f"  {key:40} {value:12,.3f}")
    if arguments.plot:
        draw(facts, arguments.plot)


if __name__ == "__main__":
    main()
