"""Models compared, in a terminal, as JSON, and as a picture: the deciding score against the length of the source."""

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
from nmtkit.files import replacing
from nmtkit.report.evaluation import figure
from nmtkit.report.plot import DASHES, MARKS, check
from nmtkit.report.tables import bullets, grid
from nmtkit.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(made: ModelComparison) -> Iterator[Text | Table]:
    """What the figures say, scores, sizes and speeds, and the longest table last: BLEU by length."""
    models = counted(len(made.systems), "model", "models, compared with the first,")
    yield Text(
        f"{models} on {counted(made.sentences, 'sentence')}; in brackets 95 % percentile intervals, p two-sided by "
        "paired bootstrap"
    )
    if sentences := said(made):
        yield bullets(sentences)
    for start in range(0, len(made.metrics), BESIDE):
        part = slice(start, start + BESIDE)
        headings = [heading for scale in made.metrics[part] for heading in (f"{scale.title} (95 %)", "p")]
        yield _named(grid(["model", *headings], [_scores(one, made.metrics, part) for one in made.systems]))
        yield Text("\n".join(made.signatures[part]))
    sizes = [[one.name, *_sizes(one)] for one in made.systems]
    yield _named(grid(["model", "parameters", "updates", "train pieces/s", "search pieces/s", "dev loss"], sizes))
    if len(made.buckets) > 1:
        yield Text(f"{_metric_name(made)} by words of the source (sentences in brackets), and gain over the first:")
        for start in range(0, len(made.buckets), ACROSS):
            yield _named(_lengths(made, slice(start, start + ACROSS)))


def _named(table: Table) -> Table:
    """The first column is a name: to the left, and folded where it is long."""
    table.columns[0].justify, table.columns[0].no_wrap, table.columns[0].overflow = "left", False, "fold"
    return table


def _sizes(one: System) -> list[str]:
    runs = one.runs
    losses = [run.dev_loss for run in runs if run.dev_loss is not None]
    trained = [run.trained for run in runs if run.trained]
    return [
        f"{runs[0].parameters:,}",
        "–".join(f"{number:,}" for number in sorted({run.updates for run in runs})),
        f"{sum(trained) / len(trained):,.0f}" if trained else "–",
        f"{sum(run.speed for run in runs) / len(runs):,.0f}",
        f"{sum(losses) / len(losses):.3f}" if losses else "–",
    ]


def _metric_name(made: ModelComparison) -> str:
    """Of the metric that decides."""
    return made.metrics[0].title


def _scores(one: System, metrics: Sequence[Scale], part: slice) -> list[str]:
    """By some of the metrics; the scores of several seeds are said to spread by the one that decides."""
    cells = [one.name]
    for result, scale in zip(one.results[part], metrics[part], strict=True):
        seeds = f" ±{one.spread:.1f}" if len(one.runs) > 1 and result is one.deciding else ""
        cells += [_shown(result.score, scale) + seeds, _p(result.p_value)]
    return cells


def _shown(one: Interval, scale: Scale) -> str:
    value, low, high = (figure(number, scale) for number in (one.value, one.low, one.high))
    return f"{value} ({low}–{high})"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _name(bucket: Bucket) -> str:
    return f"{bucket.first}" if bucket.first == bucket.last else f"{bucket.first}–{bucket.last}"


BARS = "▁▂▃▄▅▆▇█"
"""Scores from 0 to the highest of all, in a terminal."""
BESIDE = 2
"""Metrics beside each other that 80 columns hold."""
ACROSS = 6
"""Buckets beside each other that 80 columns hold."""


def _lengths(made: ModelComparison, part: slice) -> Table:
    """A row for each model; where the buckets end a last column draws all of them."""
    most = max(score.value for one in made.systems for score in one.buckets)
    last = part.stop >= len(made.buckets)
    rows = []
    for number, one in enumerate(made.systems):
        gains = [f"\n{gain.value:+z.1f}" if number else "" for gain in one.gains[part]]
        drawn = "".join(BARS[round((len(BARS) - 1) * score.value / (most or 1))] for score in one.buckets)
        scores = (f"{score.value:.1f}{gain}" for score, gain in zip(one.buckets[part], gains, strict=True))
        rows.append([one.name, *scores, *([drawn] if last else [])])
    named = (f"{_name(bucket)}\n({bucket.sentences})" for bucket in made.buckets[part])
    return grid(["model", *named, *([f"0–{most:.0f}"] if last else [])], rows)


def said(made: ModelComparison) -> list[str]:
    """Whether the others are better, and whether their gain grows with the length, in words."""
    (first, *others), scale = made.systems, made.metrics[0]
    sentences = []
    for one in others:
        change, p_value = one.deciding.score.value - first.deciding.score.value, _p(one.deciding.p_value)
        sure = (one.p_corrected or 0) < CHANCE
        verdict = (
            ("better" if scale.direction.gain(change, 0.0) > 0 else "worse")
            if sure
            else "undecided, the difference may be chance"
        )
        several = f", {_p(one.p_corrected)} corrected for {len(others)} comparisons" if len(others) > 1 else ""
        sentences.append(
            f"{one.name} has {change:+z.1f} {scale.title} over {first.name} (p = {p_value}{several}): {verdict}."
        )
        growth = one.growth
        if len(made.buckets) > 1 and (growth.low > 0 or growth.high < 0):
            short, long = _name(made.buckets[0]), _name(made.buckets[-1])
            turn = "grows" if growth.low > 0 else "falls"
            sentences.append(
                f"Its gain {turn} with the source's length: {one.gains[-1].value:+z.1f} at {long} words against "
                f"{one.gains[0].value:+z.1f} at {short} (difference {growth.value:+z.1f}, 95 % percentile interval "
                f"{growth.low:+z.1f} to {growth.high:+z.1f})."
            )
    if others and any(len(one.runs) == 1 for one in made.systems):
        sentences.append(
            "One run of a model says nothing about another seed of it; a grid with seeds = [1, 2, 3] would."
        )
    return sentences


def to_json(made: ModelComparison) -> dict[str, Any]:
    """Every figure, and the outputs; null for what is not known."""
    names = [scale.name for scale in made.metrics]
    return {
        "contestants": [_system(one, names) for one in made.systems],
        "buckets": [asdict(one) for one in made.buckets],
        "sentences": made.sentences,
        **{f"{name}_signature": signature for name, signature in zip(names, made.signatures, strict=True)},
    }


def _system(one: System, names: Sequence[str]) -> dict[str, Any]:
    """Scores and p-values stand by the names of their metrics."""
    record = asdict(one)
    for run in record["runs"]:
        run.update({name: run[name] or None for name in ("updates", "trained")})
    return {
        "name": record.pop("name"),
        "runs": record.pop("runs"),
        **{name: asdict(result.score) for name, result in zip(names, one.results, strict=True)},
        "spread": record.pop("spread"),
        **{f"p_{name}": result.p_value for name, result in zip(names, one.results, strict=True)},
        **{name: value for name, value in record.items() if name != "results"},
    }


def draw(made: ModelComparison, path: Path) -> None:
    """The figure of the lectures: the deciding score against source length, a line for each model."""
    with replacing(path) as temporary:
        build(made).savefig(temporary, format=check(path), dpi=160)


MOST_WITH_INTERVALS = 6
"""Lines of a picture; where there are more their intervals would hide them, and their names stand beside the axes."""

LETTERS = 32
"""Of a name on a line of a picture's legend; a longer one takes several."""


def build(made: ModelComparison) -> Figure:
    """Intervals beside the marks, so that none covers another's."""
    from matplotlib.figure import Figure

    few = len(made.systems) <= MOST_WITH_INTERVALS
    figure = Figure(figsize=(6.4, 4.2) if few else (8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    places = range(len(made.buckets))  # evenly: most lengths are short, and true distances would crowd them
    for number, one in enumerate(made.systems):
        (line,) = axes.plot(places, [score.value for score in one.buckets], label=fill(one.name, LETTERS))
        dashes = DASHES[(number + number // len(MARKS)) % len(DASHES)]  # as many looks as marks times dashes
        line.set(marker=MARKS[number % len(MARKS)], linestyle=dashes)
        if not few:
            continue
        beyond = [
            [max(0.0, score.value - score.low) for score in one.buckets],
            [max(0.0, score.high - score.value) for score in one.buckets],
        ]
        aside = [place + 0.04 * (number - (len(made.systems) - 1) / 2) for place in places]
        values = [score.value for score in one.buckets]
        axes.errorbar(aside, values, yerr=beyond, fmt="none", ecolor=line.get_color(), capsize=3, elinewidth=0.8)
    axes.set_xticks(places, [f"{_name(bucket)}\n({bucket.sentences})" for bucket in made.buckets], fontsize="small")
    axes.set_xlabel("words of the source (sentences)")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{_metric_name(made)} (95 % intervals)" if few else _metric_name(made))
    if few:
        axes.legend(fontsize="small")
    else:
        figure.legend(fontsize="small", loc="outside right upper")
    return figure
