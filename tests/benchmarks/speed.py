"""Training speed, as ratio to the peak of matrix products measured in the same run.

    make bench                                   # Multi30k where MULTI30K names its folder, else the embedded corpus
    make bench-gpu                               # Transformer-big on a GPU: precisions, batch sizes, a profile
    python tests/benchmarks/speed.py --updates 40 --presets transformer-tiny --precisions float32,bfloat16

Utilisation = (6·P_enc·source pieces + 6·P_dec·target pieces) a second ÷ peak, padding not counted; P_enc and P_dec are
the weights that a source or target piece passes through: matrices, the output projection among them, embedding look-ups
not. Cross-attention keys and values belong to the source. The peak is that of float32 products, which bfloat16 can
exceed; on a GPU it is that of the precision of the training.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from torch import nn

from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.files import read_parallel
from nmtkit.memory import keep_freed_memory
from nmtkit.models.build import build, parameters
from nmtkit.models.options import preset
from nmtkit.tokenizer.build import TokenizerOptions, train_tokenizer
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.feed import Feed, Place
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import ALONE
from nmtkit.training.task import TaskLoss
from nmtkit.training.translation import TranslationTask
from nmtkit.training.updater import Updater
from nmtkit.training.validation import DevSet

OF_THE_SOURCE = ("encoder.", "decoder.attention.score.key.", "decoder.attention.key.", "decoder.attention.value.")


class Peak:
    """Floating-point operations a second of square matrix products: sustained, and the best single one."""

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device, self.size = device, 2048 if device.type == "cpu" else 8192
        self.dtype = torch.float32 if device.type == "cpu" else getattr(torch, precision)
        self.seconds: list[float] = []

    def measure(self, seconds: float = 1.5) -> None:
        """Multiply for so long; called before and after what is compared, since a processor's clock drifts."""
        left, right = (torch.randn(self.size, self.size, device=self.device, dtype=self.dtype) for _ in range(2))
        left @ right
        finish(self.device)
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            left @ right
            finish(self.device)
            self.seconds.append(time.perf_counter() - started)

    def sustained(self) -> float:
        return 2 * self.size**3 * len(self.seconds) / sum(self.seconds)

    def best(self) -> float:
        return 2 * self.size**3 / min(self.seconds)


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def weights_passed(model: nn.Module) -> tuple[int, int]:
    """P_enc and P_dec."""
    source = target = 0
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or name in ("front.table.weight", "target_embedding.weight", "output_weight"):
            continue
        if "cross_attention.input" in name:  # a third makes queries of the target, the rest keys and values
            source += 2 * parameter.numel() // 3
            target += parameter.numel() // 3
        elif name.startswith(OF_THE_SOURCE):
            source += parameter.numel()
        else:
            target += parameter.numel()
    return source, target + model.output_weight.numel()  # type: ignore[union-attr, operator]


def load(folder: Path | None) -> tuple[Corpus, Tokenizer, str]:
    """Multi30k en-de with joint BPE of 10,000 pieces, or the embedded corpus with 4,000."""
    if folder is not None and (folder / "train.en").exists():
        texts = read_parallel(folder / "train.en", folder / "train.de")
        tokenizer = train_tokenizer(*texts, TokenizerOptions(10_000, "bpe"), seed=1)
        return load_corpus(*texts, tokenizer, 256, 256), tokenizer, "Multi30k en-de"
    print(f"Multi30k is not at {folder}: measuring on the embedded corpus instead")
    jane = Path(__file__).parents[2] / "data" / "jane"
    texts = read_parallel(jane / "train.fr", jane / "train.en")
    tokenizer = train_tokenizer(*texts, TokenizerOptions(4_000), seed=1)
    return load_corpus(*texts, tokenizer, 256, 256), tokenizer, "data/jane"


def measure_training(
    corpus: Corpus, tokenizer: Tokenizer, name: str, options: TrainingOptions, device: torch.device
) -> None:
    """Print one line: speed of whole updates, optimiser and batching included, once the memory has been allocated.

    The same batches go through twice and the second time counts: the first pays for the growth of the heap, as the
    first minute of a training does.
    """
    torch.manual_seed(1)
    size = tokenizer.source.size
    model = build(replace(preset(name), tie_source=True), source_size=size, target_size=size).train().to(device)
    task = TranslationTask(corpus, DevSet([], [], corpus), tokenizer, options)
    updater = Updater(TaskLoss(model, task, options.precision), options, ALONE)
    peak = Peak(device, options.precision)
    for _ in range(2):
        peak.measure()
        source = target = 0
        started = time.perf_counter()
        with Feed(task, Place(), accumulate=1, pin=device.type == "cuda") as feed:
            for step, work in zip(range(1, options.updates + 1), feed, strict=False):
                updater.update(work, step)
                source += sum(size.read for size in work.sizes)
                target += sum(size.predicted for size in work.sizes)
            finish(device)
            seconds = time.perf_counter() - started
            waited = feed.take_waited()
    peak.measure()
    p_enc, p_dec = weights_passed(model)
    used = 6 * (p_enc * source + p_dec * target) / seconds
    print(
        f"train {name}, {options.precision}, batches of {options.batch_tokens}: {parameters(model):,} parameters, "
        f"{(source + target) / seconds:,.0f} source+target pieces/s, "
        f"{target / seconds:,.0f} target pieces/s, {100 * waited / seconds:.1f} % without data, "
        f"{used / 1e9:.0f} GFLOP/s = {100 * used / peak.sustained():.1f} % of the sustained peak of "
        f"{peak.sustained() / 1e9:.0f} ({100 * used / peak.best():.1f} % of the best single product, "
        f"{peak.best() / 1e9:.0f})"
    )


def profile(corpus: Corpus, tokenizer: Tokenizer, name: str, options: TrainingOptions, device: torch.device) -> None:
    """Print where the time of ten updates goes."""
    size = tokenizer.source.size
    model = build(replace(preset(name), tie_source=True), source_size=size, target_size=size).train().to(device)
    task = TranslationTask(corpus, DevSet([], [], corpus), tokenizer, options)
    updater = Updater(TaskLoss(model, task, options.precision), options, ALONE)
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with Feed(task, Place(), accumulate=1, pin=device.type == "cuda") as feed:
        works = [work for work, _ in zip(feed, range(15), strict=False)]
    for step, work in enumerate(works[:5], start=1):
        updater.update(work, step)
    with torch.profiler.profile(activities=activities) as profiler:
        for step, work in enumerate(works[5:], start=6):
            updater.update(work, step)
        finish(device)
    key = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=key, row_limit=25, max_name_column_width=60))


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="transformer-tiny,rnn-small")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--precisions", default="float32")
    parser.add_argument("--batch-tokens", default="4096")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--profile", action="store_true", help="print a profile of the last of each")
    arguments = parser.parse_args()
    keep_freed_memory()
    multi30k = os.environ.get("MULTI30K")
    corpus, tokenizer, title = load(Path(multi30k) if multi30k else None)
    device = torch.device(arguments.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{title}, torch {torch.__version__}, {where}, {time.strftime('%Y-%m-%d')}")
    for name, precision, tokens in product(
        arguments.presets.split(","), arguments.precisions.split(","), map(int, arguments.batch_tokens.split(","))
    ):
        options = TrainingOptions(updates=arguments.updates, batch_tokens=tokens, precision=precision)
        measure_training(corpus, tokenizer, name, options, device)
    if arguments.profile:
        profile(corpus, tokenizer, name, options, device)


if __name__ == "__main__":
    main()
