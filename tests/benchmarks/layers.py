"""The lectures' table of layer types, measured: time and memory over growing length n and width d, sequential steps,
and the path between the ends of a sentence.

    python tests/benchmarks/layers.py --plot layers.png

Each layer alone, one thread, inference; time is the best of several runs. The exponents are slopes of the logarithms
by least squares over the larger half of the sizes (smaller ones measure dispatch). Memory is what the layer allocates
at its peak beyond its input. The path is counted, not timed: the fewest layers through which the first output depends
on the last input, times the steps that a layer needs one after the other to carry it there.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nmtkit.memory import keep_freed_memory
from nmtkit.models.build import build
from nmtkit.models.cells import Encoder
from nmtkit.models.convolutional import EncoderBlock
from nmtkit.models.options import preset
from nmtkit.models.transformer_layers import EncoderLayer, LayerSizes
from nmtkit.ragged import shifted

REACH, KERNEL = 8, 3
LENGTHS, WIDTHS = (64, 128, 256, 512, 1024, 2048), (64, 128, 256, 512, 1024)
LENGTH, WIDTH = 256, 256
PATH = 65


@dataclass(frozen=True)
class Kind:
    """A layer type: how to make one, how to run it on (1, n, d), and the theory of the lectures."""

    name: str
    make: Callable[[int], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    steps: Callable[[int], int]
    theory: tuple[str, str, str]


class SelfAttention(EncoderLayer):
    """The self-attention sublayer alone."""

    def __init__(self, width: int) -> None:
        super().__init__(LayerSizes(width, 1, max(1, width // 64)))

    def forward(self, vectors_BSD: Tensor, mask: Tensor | None) -> Tensor:
        return self._mix(vectors_BSD, mask)


def everywhere(layer: nn.Module, vectors: Tensor) -> Tensor:
    return layer(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))


def restricted(layer: nn.Module, vectors: Tensor) -> Tensor:
    """Only the neighbours are computed: rows of r positions with the r before and behind them."""
    assert isinstance(layer, SelfAttention)
    length, width = vectors.shape[1:]
    rows = math.ceil(length / REACH)
    padded = nn.functional.pad(vectors, (0, 0, REACH, 2 * REACH + rows * REACH - length - REACH))
    windows = padded.unfold(1, 3 * REACH, REACH).squeeze(0).transpose(1, 2)[:rows]
    place = torch.arange(3 * REACH)
    inside = torch.arange(rows).unsqueeze(1) * REACH + place - REACH
    near = (place.unsqueeze(0) - place[REACH : 2 * REACH].unsqueeze(1)).abs() <= REACH
    mask = near.unsqueeze(0) & ((inside >= 0) & (inside < length)).unsqueeze(1)
    attention = layer.self_attention
    query, keys, values = attention.project(layer.self_norm.before(windows))
    mixed = attention.attend(query[:, :, REACH : 2 * REACH], keys, values, mask=mask.unsqueeze(1))
    return vectors + mixed.reshape(1, -1, width)[:, :length]


KINDS = (
    Kind("self-attention", SelfAttention, lambda layer, x: layer(x, None), lambda n: 1, ("n² d", "1", "1")),
    Kind(
        "recurrent",
        lambda width: Encoder("gru", width, width, bidirectional=False),
        everywhere,
        lambda n: n,
        ("n d²", "n", "n"),
    ),
    Kind(
        f"convolutional, k = {KERNEL}",
        lambda width: EncoderBlock(width, KERNEL, 0.0),
        lambda layer, x: layer(x, torch.zeros(*x.shape[:2], 1, dtype=torch.bool)),
        lambda n: 1,
        ("k n d²", "1", "n / k stacked, log_k n dilated"),
    ),
    Kind(f"restricted, r = {REACH}", SelfAttention, restricted, lambda n: 1, ("r n d", "1", "n / r")),
)


def seconds(kind: Kind, length: int, width: int) -> float:
    """The best of several runs."""
    layer, vectors = kind.make(width).eval(), torch.randn(1, length, width)
    best, spent = math.inf, 0.0
    with torch.no_grad():
        kind.run(layer, vectors)
        while spent < 0.3:
            started = time.perf_counter()
            kind.run(layer, vectors)
            best = min(best, time.perf_counter() - started)
            spent += time.perf_counter() - started
    return best


def megabytes(kind: Kind, length: int, width: int) -> float:
    """What one run allocates in all, as torch's profiler counts it."""
    layer, vectors = kind.make(width).eval(), torch.randn(1, length, width)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        kind.run(layer, vectors)
    return sum(max(0, event.self_cpu_memory_usage) for event in profile.key_averages()) / 2**20


def slope(sizes: tuple[int, ...], values: list[float]) -> float:
    """Of the logarithms, over the larger half."""
    half = len(sizes) // 2
    xs, ys = (torch.tensor(part, dtype=torch.float64).log() for part in (sizes[half:], values[half:]))
    return float(((xs - xs.mean()) * (ys - ys.mean())).sum() / ((xs - xs.mean()) ** 2).sum())


def path(kind: Kind, length: int, width: int = 16) -> int:
    """Steps between the last input and the first output, or the other way round where a layer reads from the left."""
    layers = 0
    vectors = torch.randn(1, length, width, dtype=torch.float64, requires_grad=True)
    outputs = vectors
    while layers < length:
        outputs = kind.run(kind.make(width).double().eval(), outputs)
        layers += 1
        (gradient,) = torch.autograd.grad(outputs[0, -1].sum(), vectors, retain_graph=True)
        if gradient[0, 0].abs().max() > 0:
            return layers * (kind.steps(length) - (kind.steps(length) > 1))
    raise AssertionError(f"{kind.name}: the ends never meet")


def generation(tokens: int = 40) -> list[tuple[str, float, float]]:
    """Target pieces a second by teacher forcing and one by one, for a model of each family."""
    names = ("rnn-tiny", "transformer-tiny", "convs2s")
    return [(f"{name}, {rows} at once", *speeds(name, rows, tokens)) for name in names for rows in (1, 16)]


@torch.no_grad()
def speeds(name: str, rows: int, tokens: int) -> tuple[float, float]:
    """Both, for a preset."""
    model = build(preset(name), source_size=10_000, target_size=10_000).eval()
    source = torch.randint(4, 10_000, (rows, 20))
    target_out = torch.randint(4, 10_000, (1, tokens)).expand(rows, -1)
    target_in = shifted(target_out)
    memory = model.encode(source, source > 0)

    def alone() -> None:
        state = model.start(memory)
        for token in target_in.unbind(1):
            log_probs, state = model.step(token, state, memory)
            log_probs.top(1)

    forced = _best(lambda: model.decode(memory, target_in).loss(target_out))
    return target_in.numel() / forced, target_in.numel() / _best(alone)


def _best(work: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(4):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="draw the times (.png, .svg, .pdf)")
    plot = parser.parse_args().plot
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    found = {}
    print(f"{'layer':24} {'cost':>7} {'n^':>5} {'d^':>5} {'MB n^':>6} {'steps':>6} {'path':>5}  theory of the path")
    for kind in KINDS:
        over_n = [seconds(kind, length, WIDTH) for length in LENGTHS]
        over_d = [seconds(kind, LENGTH, width) for width in WIDTHS]
        memory = [megabytes(kind, length, WIDTH) for length in LENGTHS]
        found[kind.name] = (over_n, over_d)
        cost, _, reach = kind.theory
        print(
            f"{kind.name:24} {cost:>7} {slope(LENGTHS, over_n):5.2f} {slope(WIDTHS, over_d):5.2f} "
            f"{slope(LENGTHS, memory):6.2f} {kind.steps(PATH):6} {path(kind, PATH):5}  {reach}",
            flush=True,
        )
    print(f"\nmilliseconds over n at d = {WIDTH}: " + ", ".join(map(str, LENGTHS)))
    for name, (over_n, _) in found.items():
        print(f"{name:24} " + " ".join(f"{1000 * value:8.2f}" for value in over_n))
    print(f"milliseconds over d at n = {LENGTH}: " + ", ".join(map(str, WIDTHS)))
    for name, (_, over_d) in found.items():
        print(f"{name:24} " + " ".join(f"{1000 * value:8.2f}" for value in over_d))
    print("\ntarget pieces a second, sentences of 40 pieces: teacher forcing, one by one, ratio")
    for name, forced, alone in generation():
        print(f"{name:28} {forced:8,.0f} {alone:8,.0f} {forced / alone:6.1f}")
    print(f"peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    if plot:
        draw(found, plot)


def draw(found: dict[str, tuple[list[float], list[float]]], plot: Path) -> None:
    """Times over n and over d on logarithmic axes."""
    from matplotlib.figure import Figure

    from nmtkit.report.plot import DASHES, MARKS

    figure = Figure(figsize=(9, 4), layout="constrained")
    sides = ((LENGTHS, f"length n (d = {WIDTH})"), (WIDTHS, f"width d (n = {LENGTH})"))
    for side, (axes, (sizes, name)) in enumerate(zip(figure.subplots(1, 2), sides, strict=True)):
        for number, (kind, values) in enumerate(found.items()):
            (line,) = axes.plot(sizes, [1000 * value for value in values[side]], label=kind)
            line.set(marker=MARKS[number], linestyle=DASHES[number])
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="milliseconds")
        axes.set_xticks(sizes, map(str, sizes))
        axes.set_xticks([], minor=True)
        axes.legend(fontsize="small")
    figure.savefig(plot, dpi=160)


if __name__ == "__main__":
    main()
