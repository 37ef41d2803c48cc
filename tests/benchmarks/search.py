"""Searches measured: how fast the beam is and where its time goes, what exact search proves and what made it fast.

    python tests/benchmarks/search.py --folder runs/multi30k --source val.en --reference val.de --lines 200

Prints ratios and shares measured in one run. The peak is that of fp32 matrix products before and after (see speed.py).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from speed import Peak, weights_passed
from torch.profiler import ProfilerActivity, profile

from nmtkit.decoding.exact import Certified, Exact
from nmtkit.decoding.settings import SearchSettings
from nmtkit.translator import Translator

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.searches import search_exactly

PARTS = {
    "choosing the best": ("topk", "sort", "gather", "amax", "logsumexp", "sub_", "exp_", "log_", "sum", "cat"),
    "products": ("mm", "addmm", "bmm", "baddbmm"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu", "tanh_", "_softmax", "native_layer_norm", "mv"),
    "reordering": ("index_select", "index", "copy_"),
}
"""Operators by what they are for; the rest is dispatch and small things."""


def measure_beam(translator: Translator, lines: list[str], settings: SearchSettings, label: str, alone: bool) -> None:
    """Output pieces and model steps a second, EOS counted, and the share of the peak that the products need."""
    steps = 0
    step = translator.model.step

    def counted(token_N: Any, *rest: Any) -> Any:
        nonlocal steps
        steps += len(token_N)
        return step(token_N, *rest)

    translator.model.step = counted  # type: ignore[method-assign]
    try:
        translator.search(lines[:50], settings)
        steps, peak = 0, Peak(torch.device("cpu"), "float32")
        peak.measure()
        started = time.perf_counter()
        if alone:
            pieces = sum(translator.search([line], settings)[0][0].length for line in lines)
        else:
            pieces = sum(found[0].length for found in translator.search(lines, settings))
        seconds = time.perf_counter() - started
        peak.measure()
    finally:
        del translator.model.step
    _, p_dec = weights_passed(translator.model)
    used = 2 * p_dec * steps / seconds
    print(
        f"  {label}: {pieces / seconds:,.0f} output pieces/s, {steps / pieces:.2f} model steps a piece, "
        f"{1e6 * seconds / steps:.1f} µs a step, {used / 1e9:.0f} GFLOP/s = {100 * used / peak.sustained():.0f} % of "
        f"{peak.sustained() / 1e9:.0f}"
    )


def show_profile(work: Callable[[], Any]) -> None:
    """Where the time goes, in per cent of the time of all operators."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    shares: Counter[str] = Counter()
    for event in profiled.key_averages():
        name = event.key.removeprefix("aten::")
        part = next((part for part, names in PARTS.items() if name in names), "dispatch and the rest")
        shares[part] += event.self_cpu_time_total
    total = sum(shares.values())
    print("  profile: " + ", ".join(f"{part} {100 * share / total:.0f} %" for part, share in shares.most_common()))


def measure_exact(
    translator: Translator, lines: list[str], settings: SearchSettings, budget: int, title: str
) -> list[Certified]:
    """What an exact search proves, beside what beams found."""
    beams = {
        beam: [found[0] for found in translator.search(lines, replace(settings, beam=beam))] for beam in (1, 5, 20)
    }
    started = time.perf_counter()
    certified = [one for one in search_exactly(translator, lines, settings, budget_steps=budget) if one is not None]
    seconds = time.perf_counter() - started
    proved = [(index, one) for index, one in enumerate(certified) if one.proved]
    errors = {
        beam: sum(one.best.score > found[index].score + 1e-4 for index, one in proved) for beam, found in beams.items()
    }
    known = {
        beam: sum(one.best.score > found[index].score + 1e-4 for index, one in enumerate(certified))
        for beam, found in beams.items()
    }
    steps = [one.steps for one in certified]
    reach = statistics.median(one.proved_limit / one.best.length for one in certified)
    ratio = sum(one.best.length for _, one in proved) / max(1, sum(one.beam.length for _, one in proved))
    print(f"  {title}: proved {len(proved)} of {len(lines)}, of these the empty translation best for", end=" ")
    print(f"{sum(one.best.length == 1 for _, one in proved)}, length ratio to beam {settings.beam} {ratio:.2f}")
    print(f"    search errors among the proved: {errors}, found among all: {known}")
    print(f"    proved limit / length of the best, median {reach:.2f}")
    print(f"    steps a sentence {statistics.mean(steps):,.0f} (median {statistics.median(steps):,.0f}),", end=" ")
    print(f"{seconds / len(lines):.3f} s a sentence, {1e6 * seconds / sum(steps):.0f} µs a step")
    return certified


class Unprimed(Exact):
    """Exact search that starts from nothing."""

    def find(self, stepper: Any, batch: Any, queries: Any) -> Any:
        beams = self.beam.find(stepper, batch, queries)
        proofs = self.prove(stepper, batch.memory, queries)
        return [Certified(**{**vars(proof), "beam": best[0]}) for proof, best in zip(proofs, beams, strict=True)]


def compare_speedups(
    translator: Translator, lines: list[str], references: list[str], settings: SearchSettings, budget: int
) -> None:
    """The same search without one of its means at a time: seconds and steps as ratio to that with all of them."""

    def run(one_by_one: bool = False, known: bool = False, **options: Any) -> tuple[float, int, int]:
        groups = [[index] for index in range(len(lines))] if one_by_one else [list(range(len(lines)))]
        found = []
        started = time.perf_counter()
        for group in groups:
            more = {"references": [[references[index] for index in group]]} if known else {}
            chosen = [lines[index] for index in group]
            found += search_exactly(translator, chosen, settings, budget_steps=budget, **more, **options)
        seconds = time.perf_counter() - started
        return seconds, sum(one.steps for one in found if one), sum(one.proved for one in found if one)

    run()
    whole = run()
    print(f"  all means, {len(lines)} sentences: {whole[0]:.1f} s, {whole[1]:,} steps, {whole[2]} proved")
    every = translator.tokenizer.target.size
    for title, options in {
        "sentences not together": {"one_by_one": True},
        "nor children (one node at a time)": {"one_by_one": True, "rows": 1},
        "32 nodes at a time, not 512": {"rows": 32},
        "all children made at once": {"children": every},
        "no hypothesis to start from": {"search": Unprimed},
        "the reference to start from, too": {"known": True},
        "no stages": {"staged": False},
    }.items():
        seconds, steps, proved = run(**options)  # type: ignore[arg-type]
        print(f"    {title}: {seconds / whole[0]:.2f} × the time, {steps / whole[1]:.2f} × the steps, {proved} proved")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, action="append", required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--only", choices=("beam", "exact", "means"))
    arguments = parser.parse_args()
    everything, references = (
        path.read_text(encoding="utf-8").split("\n")[:-1] for path in (arguments.source, arguments.reference)
    )
    lines = everything[: arguments.lines]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}")
    for folder in arguments.folder:
        translator = Translator.load(folder, device="cpu")
        base = replace(translator.defaults, beam=5, n_best=1, length_alpha=0.7)
        print(f"{folder}: {type(translator.model).__name__}")
        if arguments.only in (None, "beam"):
            for stop, settings in (("sound stop", base), ("patience 1", replace(base, patience=1.0))):
                measure_beam(translator, everything, settings, f"beam 5 in batches, {stop}", alone=False)
                measure_beam(translator, everything[:100], settings, f"beam 5 one by one, {stop}", alone=True)
            show_profile(lambda made=translator, how=base: made.search(everything, how))  # type: ignore[misc]
        if arguments.only in (None, "exact"):
            for alpha in (0.0, 0.7):
                title = f"α = {alpha:g}, budget {arguments.budget:,}"
                measure_exact(translator, lines, replace(base, length_alpha=alpha), arguments.budget, title)
            tight = replace(base, max_length_ratio=1.5)
            measure_exact(translator, lines, tight, arguments.budget, "α = 0.7, limit 1.5 × source pieces")
        if arguments.only in (None, "means"):
            for alpha in (0.0, 0.7):
                few, budget = replace(base, length_alpha=alpha), 1000
                compare_speedups(translator, lines[:40], references[:40], few, budget)


if __name__ == "__main__":
    main()
