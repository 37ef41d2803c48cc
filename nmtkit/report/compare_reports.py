"""Two error analyses side by side: tables for a terminal of 80 columns, JSON with everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.blame.findings import Report
from nmtkit.blame.plain import to_plain
from nmtkit.blame.records import Record, Verdict
from nmtkit.comparison.reports import Changed, Difference, Promise, Shift
from nmtkit.evaluation.metric import Scale
from nmtkit.report.compare_advice import advice, in_words, shift_title, title, why_unpromised
from nmtkit.report.evaluation import figure, listed
from nmtkit.report.tables import bullets, number, short_hash, shown
from nmtkit.words import counted


def render(difference: Difference, before: Report, after: Report, examples: int) -> Iterator[Text | Table]:
    """The comparison in parts, to be printed one by one: advice, settings, verdicts, scores, and last a table of up to
    `examples` sentences whose verdict changed."""
    yield bullets(advice(difference))
    if difference.settings:
        yield _settings(difference.settings)
    else:
        yield Text("No setting differs.")
    yield Text(f"Verdicts of {counted(difference.sentences, 'sentence')}, before (rows) and after (columns):")
    yield _transitions(difference)
    yield _scores(difference)
    yield Text(
        f"p: two-sided, of {listed(score.metric.title for score in difference.scores)} by paired bootstrap, of counts "
        "by McNemar's exact test, none corrected for asking several; signatures:"
    )
    for score in difference.scores:
        yield Text(score.signature)
    if told := telling(difference, before, after, examples):
        yield _sentences(told, difference.scale, difference.j_change is not None)
        if len(told) < len(difference.changed):
            changed = counted(len(difference.changed), "sentence")
            yield Text(f"{len(told)} of the {changed} whose verdict changed.")


def telling(difference: Difference, before: Report, after: Report, most: int) -> list[tuple[Record, Record]]:
    """Of the sentences whose verdict changed, the `most` whose sentence score changed most; in order of number."""
    changed = set(difference.changed)
    pairs = [pair for pair in zip(before.records, after.records, strict=True) if pair[0].number in changed]
    pairs.sort(key=lambda pair: -abs(pair[1].sentence_score - pair[0].sentence_score))
    return sorted(pairs[: max(most, 0)], key=lambda pair: pair[0].number)


def to_json(difference: Difference) -> dict[str, Any]:
    """All facts and the advice; the transitions by verdict before, then by verdict after."""
    names = [verdict.value for verdict in Verdict]
    rows = [dict(zip(names, row, strict=True)) for row in difference.transitions]
    facts = {name: to_plain(value) for name, value in vars(difference).items() if name not in ("scale", "threshold")}
    return {
        **facts,
        "transitions": dict(zip(names, rows, strict=True)),
        "shifts": [{"title": shift_title(shift, difference), **_without_kind(shift)} for shift in difference.shifts],
        "scores": [{**vars(score), "metric": score.metric.title} for score in difference.scores],
        "promise": _promise(difference.promise) if difference.promise else None,
        "unpromised": why_unpromised(difference),
        "advice": advice(difference),
    }


def _without_kind(shift: Shift) -> dict[str, Any]:
    return {name: value for name, value in vars(shift).items() if name != "kind"}


def _promise(promise: Promise) -> dict[str, Any]:
    """A promise; the measured score is found under the name of its metric."""
    facts = vars(promise).items()
    return {promise.metric.name if name == "measured" else name: value for name, value in facts if name != "metric"}


def _settings(settings: Sequence[Changed]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("differs", "before", "after"):
        table.add_column(heading, overflow="fold")
    for setting in settings:
        is_hash = setting.name in ("model", "prefixes_sha256")
        values = (setting.before, setting.after)
        words = [short_hash(value) if is_hash and value is not None else in_words(value) for value in values]
        table.add_row(Text(title(setting.name)), *map(Text, words))
    return table


def _transitions(difference: Difference) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("before", no_wrap=True)
    for heading in (*(verdict.value for verdict in Verdict), "sum"):
        table.add_column(heading, justify="right", no_wrap=True)
    for count, row in zip(difference.counts, difference.transitions, strict=True):
        last = count is difference.counts[-1]
        table.add_row(count.verdict.value, *map(str, row), str(count.before), end_section=last)
    table.add_row("after", *(str(count.after) for count in difference.counts), str(difference.sentences))
    return table


def _scores(difference: Difference) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for heading in ("before", "after", "change", "gone", "new", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in difference.scores:
        figures = (f"{score.baseline:.2f}", f"{score.system:.2f}", f"{score.delta:+.2f}")
        table.add_row(score.metric.title, *figures, "", "", f"{score.p_value:.3f}")
    for shift in difference.shifts:
        counts = (f"{shift.before}", f"{shift.after}", f"{shift.after - shift.before:+d}")
        turned = (f"{shift.gone}", f"{shift.new}", f"{shift.p_value:.3f}")
        table.add_row(shift_title(shift, difference), *counts, *turned)
    if difference.j_change is not None:
        table.add_row("mean J", "", "", f"{difference.j_change:+.4f}", "", "", "")
    return table


def _sentences(pairs: Sequence[tuple[Record, Record]], scale: Scale, comparable: bool) -> Table:
    """Source, human and both outputs, with their sentence scores, J where it can be compared, and verdicts."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("text", ratio=1, overflow="fold")
    for heading in (scale.title, "J") if comparable else (scale.title,):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for old, new in pairs:
        table.add_row(Text(str(old.number)), Text("source"), shown(old.source))
        if old.reference.text != new.reference.text:
            table.add_row("", Text("y* before"), shown(old.reference.text))
        table.add_row("", Text("y*"), shown(new.reference.text))
        table.add_row("", Text("ŷ before"), *_output(old, new, scale, comparable))
        table.add_row("", Text("ŷ after"), *_output(new, old, scale, comparable), end_section=True)
    return table


def _output(record: Record, beside: Record, scale: Scale, comparable: bool) -> list[Text]:
    return [
        shown(record.output.text, beside=beside.output.text),
        Text(figure(record.sentence_score, scale)),
        *([Text(number(record.output.score, 3))] if comparable else []),
        Text(record.verdict.value),
    ]
