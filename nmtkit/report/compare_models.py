"""A comparison of models in a terminal, as JSON, and as a picture of the deciding score by source length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from nmtkit.comparison.models import Bucket, ModelComparison, System
from nmtkit.evaluation.bootstrap import CHANCE, Interval
from nmtkit.evaluation.metric import Scale
from nmtkit.report.evaluation import figure
from nmtkit.report.plot import DASHES, MARKS, save
from nmtkit.report.tables import bullets, grid
from nmtkit.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(comparison: ModelComparison) -> Iterator[Text | Table]:
    """What the figures say, then scores, sizes and speeds, and last the longest table, the scores by length."""
    models = counted(len(comparison.systems), "model", "models, compared with the first,")
    yield Text(
        f"{models} on {counted(comparison.sentences, 'sentence')}; in brackets 95 % percentile intervals, p two-sided "
        "by paired bootstrap"
    )
    if sentences := conclusions(comparison):
        yield bullets(sentences)
    for start in range(0, len(comparison.metrics), BESIDE):
        part = slice(start, start + BESIDE)
        headings = [heading for scale in comparison.metrics[part] for heading in (f"{scale.title} (95 %)", "p")]
        rows = [_scores(system, comparison.metrics, part) for system in comparison.systems]
        yield _named(grid(["model", *headings], rows))
        yield Text("\n".join(comparison.signatures[part]))
    sizes = [[system.name, *_sizes(system)] for system in comparison.systems]
    yield _named(grid(["model", "parameters", "updates", "train pieces/s", "search pieces/s", "dev loss"], sizes))
    if len(comparison.buckets) > 1:
        metric_name = _metric_name(comparison)
        yield Text(f"{metric_name} by words of the source (sentences in brackets), and gain over the first:")
        for start in range(0, len(comparison.buckets), ACROSS):
            yield _named(_lengths(comparison, slice(start, start + ACROSS)))


def _named(table: Table) -> Table:
    """The table with its first column, the names, aligned to the left and folded where they are long."""
    table.columns[0].justify, table.columns[0].no_wrap, table.columns[0].overflow = "left", False, "fold"
    return table


def _sizes(system: System) -> list[str]:
    runs = system.runs
    losses = [run.dev_loss for run in runs if run.dev_loss is not None]
    trained = [run.trained for run in runs if run.trained]
    return [
        f"{runs[0].parameters:,}",
        "–".join(f"{number:,}" for number in sorted({run.updates for run in runs})),
        f"{sum(trained) / len(trained):,.0f}" if trained else "–",
        f"{sum(run.speed for run in runs) / len(runs):,.0f}",
        f"{sum(losses) / len(losses):.3f}" if losses else "–",
    ]


def _metric_name(comparison: ModelComparison) -> str:
    """The title of the metric that decides."""
    return comparison.metrics[0].title


def _scores(system: System, metrics: Sequence[Scale], part: slice) -> list[str]:
    """The scores of a system by some of the metrics; the deciding one shows how much the scores of its seeds spread."""
    cells = [system.name]
    for result, scale in zip(system.results[part], metrics[part], strict=True):
        seeds = f" ±{system.spread:.1f}" if len(system.runs) > 1 and result is system.deciding else ""
        cells += [_shown(result.score, scale) + seeds, _p(result.p_value)]
    return cells


def _shown(interval: Interval, scale: Scale) -> str:
    value, low, high = (figure(number, scale) for number in (interval.value, interval.low, interval.high))
    return f"{value} ({low}–{high})"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _name(bucket: Bucket) -> str:
    return f"{bucket.first}" if bucket.first == bucket.last else f"{bucket.first}–{bucket.last}"


BARS = "▁▂▃▄▅▆▇█"
"""Bars of a terminal, for scores from 0 to the highest of all."""
BESIDE = 2
"""Metrics side by side in 80 columns."""
ACROSS = 6
"""Buckets side by side in 80 columns."""


def _lengths(comparison: ModelComparison, part: slice) -> Table:
    """A row for each model; after the last bucket, a column draws all of them."""
    most = max(score.value for system in comparison.systems for score in system.buckets)
    last = part.stop >= len(comparison.buckets)
    rows = []
    for number, system in enumerate(comparison.systems):
        gains = [f"\n{gain.value:+z.1f}" if number else "" for gain in system.gains[part]]
        drawn = "".join(BARS[round((len(BARS) - 1) * score.value / (most or 1))] for score in system.buckets)
        scores = (f"{score.value:.1f}{gain}" for score, gain in zip(system.buckets[part], gains, strict=True))
        rows.append([system.name, *scores, *([drawn] if last else [])])
    named = (f"{_name(bucket)}\n({bucket.sentences})" for bucket in comparison.buckets[part])
    return grid(["model", *named, *([f"0–{most:.0f}"] if last else [])], rows)


def conclusions(comparison: ModelComparison) -> list[str]:
    """Sentences that say whether the other models are better, and whether their gain grows with the length."""
    (first, *others), scale = comparison.systems, comparison.metrics[0]
    sentences = []
    for system in others:
        change, p_value = system.deciding.score.value - first.deciding.score.value, _p(system.deciding.p_value)
        sure = (system.p_corrected or 0) < CHANCE
        verdict = (
            ("better" if scale.direction.gain(change, 0.0) > 0 else "worse")
            if sure
            else "undecided, the difference may be chance"
        )
        several = f", {_p(system.p_corrected)} corrected for {len(others)} comparisons" if len(others) > 1 else ""
        sentences.append(
            f"{system.name} has {change:+z.1f} {scale.title} over {first.name} (p = {p_value}{several}): {verdict}."
        )
        growth = system.growth
        if len(comparison.buckets) > 1 and (growth.low > 0 or growth.high < 0):
            short, long = _name(comparison.buckets[0]), _name(comparison.buckets[-1])
            turn = "grows" if growth.low > 0 else "falls"
            sentences.append(
                f"Its gain {turn} with the source's length: {system.gains[-1].value:+z.1f} at {long} words against "
                f"{system.gains[0].value:+z.1f} at {short} (difference {growth.value:+z.1f}, 95 % percentile interval "
                f"{growth.low:+z.1f} to {growth.high:+z.1f})."
            )
    if others and any(len(system.runs) == 1 for system in comparison.systems):
        sentences.append(
            "One run of a model says nothing about another seed of it; a grid with seeds = [1, 2, 3] would."
        )
    return sentences


def to_json(comparison: ModelComparison) -> dict[str, Any]:
    """All figures and the outputs; null for what is not known."""
    names = [scale.name for scale in comparison.metrics]
    return {
        "contestants": [_system(system, names) for system in comparison.systems],
        "buckets": [asdict(bucket) for bucket in comparison.buckets],
        "sentences": comparison.sentences,
        **{f"{name}_signature": signature for name, signature in zip(names, comparison.signatures, strict=True)},
    }


def _system(system: System, names: Sequence[str]) -> dict[str, Any]:
    """A system; scores and p-values are found under the names of their metrics."""
    record = asdict(system)
    for run in record["runs"]:
        run.update({name: run[name] or None for name in ("updates", "trained")})
    return {
        "name": record.pop("name"),
        "runs": record.pop("runs"),
        **{name: asdict(result.score) for name, result in zip(names, system.results, strict=True)},
        "spread": record.pop("spread"),
        **{f"p_{name}": result.p_value for name, result in zip(names, system.results, strict=True)},
        **{name: value for name, value in record.items() if name != "results"},
    }


def draw(comparison: ModelComparison, path: Path) -> None:
    """Write the figure of the lectures: the deciding score by source length, with a line for each model."""
    save(build(comparison), path)


MOST_WITH_INTERVALS = 6
"""Lines that a picture shows with intervals; the names of more lines stand beside the axes."""

LETTERS = 32
"""Letters on a line of the legend; a longer name takes several lines."""


def build(comparison: ModelComparison) -> Figure:
    """The figure; intervals stand beside the marks, so that they do not cover each other."""
    from matplotlib.figure import Figure

    few = len(comparison.systems) <= MOST_WITH_INTERVALS
    figure = Figure(figsize=(6.4, 4.2) if few else (8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    places = range(len(comparison.buckets))  # evenly spaced: true distances would crowd the many short lengths
    for number, system in enumerate(comparison.systems):
        (line,) = axes.plot(places, [score.value for score in system.buckets], label=fill(system.name, LETTERS))
        dashes = DASHES[(number + number // len(MARKS)) % len(DASHES)]  # every pair of a mark and a dash comes up
        line.set(marker=MARKS[number % len(MARKS)], linestyle=dashes)
        if not few:
            continue
        beyond = [
            [max(0.0, score.value - score.low) for score in system.buckets],
            [max(0.0, score.high - score.value) for score in system.buckets],
        ]
        aside = [place + 0.04 * (number - (len(comparison.systems) - 1) / 2) for place in places]
        values = [score.value for score in system.buckets]
        axes.errorbar(aside, values, yerr=beyond, fmt="none", ecolor=line.get_color(), capsize=3, elinewidth=0.8)
    names = [f"{_name(bucket)}\n({bucket.sentences})" for bucket in comparison.buckets]
    axes.set_xticks(places, names, fontsize="small")
    axes.set_xlabel("words of the source (sentences)")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{_metric_name(comparison)} (95 % intervals)" if few else _metric_name(comparison))
    if few:
        axes.legend(fontsize="small")
    else:
        figure.legend(fontsize="small", loc="outside right upper")
    return figure
