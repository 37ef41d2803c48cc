"""Training speed, as ratio to the processor's fp32 matrix peak measured in the same run.

    make bench                                   # Multi30k where MULTI30K names its folder, else the embedded corpus
    python tests/benchmarks/speed.py --updates 40 --presets transformer-tiny

Utilisation = (6·P_enc·source pieces + 6·P_dec·target pieces) a second ÷ peak, padding not counted; P_enc and P_dec are
the weights that a source or target piece passes through: matrices, the output projection among them, embedding look-ups
not. Cross-attention keys and values belong to the source.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nmtkit.batches.batch import epoch_batches
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
    """Floating-point operations a second of 2048³ fp32 matrix products: sustained, and the best single one."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def measure(self, seconds: float = 1.5) -> None:
        """Multiply for so long; called before and after what is compared, since a processor's clock drifts."""
        left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)
        left @ right
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            left @ right
            self.seconds.append(time.perf_counter() - started)

    def sustained(self) -> float:
        return 2 * 2048**3 * len(self.seconds) / sum(self.seconds)

    def best(self) -> float:
        return 2 * 2048**3 / min(self.seconds)


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


def measure_training(name: str, corpus: Corpus, tokenizer: Tokenizer, updates: int) -> None:
    """Print one line: speed of whole updates, optimiser and batching included, once the memory has been allocated.

    The same batches go through twice and the second time counts: the first pays for the growth of the heap, as the
    first minute of a training does.
    """
    torch.manual_seed(1)
    size = tokenizer.source.size
    model = build(replace(preset(name), tie_source=True), source_size=size, target_size=size).train()
    task = TranslationTask(corpus, DevSet([], [], corpus), tokenizer, TrainingOptions())
    updater = Updater(TaskLoss(model, task), TrainingOptions(), ALONE)
    batches = epoch_batches(corpus, 4096, seed=1, epoch=0)[:updates]
    source = sum(corpus.source.lengths[index] for indices in batches for index in indices)
    target = sum(corpus.target.lengths[index] for indices in batches for index in indices)
    peak = Peak()
    for _ in range(2):
        peak.measure()
        started = time.perf_counter()
        with Feed(task, Place(), accumulate=1) as feed:
            for step, work in zip(range(1, updates + 1), feed, strict=False):
                updater.update(work, step)
    seconds = time.perf_counter() - started
    peak.measure()
    p_enc, p_dec = weights_passed(model)
    used = 6 * (p_enc * source + p_dec * target) / seconds
    print(
        f"train {name}: {parameters(model):,} parameters, "
        f"{(source + target) / seconds:,.0f} source+target pieces/s, "
        f"{target / seconds:,.0f} target pieces/s, "
        f"{used / 1e9:.0f} GFLOP/s = {100 * used / peak.sustained():.1f} % of the sustained peak of "
        f"{peak.sustained() / 1e9:.0f} ({100 * used / peak.best():.1f} % of the best single product, "
        f"{peak.best() / 1e9:.0f})"
    )


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="transformer-tiny,rnn-small")
    parser.add_argument("--updates", type=int, default=40)
    arguments = parser.parse_args()
    keep_freed_memory()
    multi30k = os.environ.get("MULTI30K")
    corpus, tokenizer, title = load(Path(multi30k) if multi30k else None)
    print(f"{title}, torch {torch.__version__}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}")
    for name in arguments.presets.split(","):
        measure_training(name, corpus, tokenizer, arguments.updates)


if __name__ == "__main__":
    main()
