"""What stands above the sentences of the page of an error analysis, as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from rich.text import Text

from nmtkit.blame.findings import Provenance, Report
from nmtkit.blame.records import BLAMED, Verdict
from nmtkit.blame.sweep import Sweep
from nmtkit.evaluation.metrics import USUAL
from nmtkit.report import model_errors, precision, search_errors
from nmtkit.report import sweep as sweeps
from nmtkit.report.blame import equals, settings_line, what_to_do
from nmtkit.report.rows import title
from nmtkit.report.svg import bars, curve, curves, stack
from nmtkit.report.tables import percent

MARKS = {Verdict.BEAM: "◆", Verdict.MODEL: "▲", Verdict.UNREACHABLE: "○"}


def summary(report: Report, sweep: Sweep | None) -> Iterator[str]:
    """The HTML above the sentences, in parts."""
    yield f'<p class="soft">{escape(settings_line(report))}</p>'
    yield _list("What to do", what_to_do(report, sweep))
    yield '<section><h2>Who is to blame</h2><div class="wide"><table><thead><tr><th>errors</th><th class="n">n</th>'
    yield "".join(f'<th class="n">{MARKS[verdict]} {verdict.value}</th>' for verdict in BLAMED)
    yield "</tr></thead><tbody>"
    for row in report.rows:
        cells = (
            f'<td class="n">{share.count} ({percent(share.share)})<br><span class="soft">{100 * share.low:.1f} to '
            f"{100 * share.high:.1f} %</span></td>"
            if row.errors
            else '<td class="n">–</td>'
            for share in row.shares
        )
        name = escape(title(row, report.provenance))
        yield f'<tr><td>{name}</td><td class="n">{row.errors}</td>{"".join(cells)}</tr>'
    yield "</tbody></table></div>"
    for row in report.rows:
        if row.errors:
            shares = [
                (share.verdict.value, share.share, f"{MARKS[share.verdict]} {share.verdict.value}")
                for share in row.shares
            ]
            words = ", ".join(f"{share.verdict.value} {percent(share.share)}" for share in row.shares)
            name = escape(title(row, report.provenance))
            yield f"<figure><figcaption>{name}</figcaption>{stack(words, shares)}</figure>"
    yield f'<p class="soft">Below each share its 95 % Wilson interval. {equals(report)}</p></section>'
    if sentences := _sentences(precision.render(report)):
        yield f"<section><h2>What the precision changed</h2>{sentences}</section>"
    yield from _search(report)
    yield from _model(report)
    if sweep:
        yield from _sweep(sweep)
    yield _provenance(report)


def _list(title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<section><h2>{escape(title)}</h2><ul>{items}</ul></section>"


def _sentences(parts: Iterator[Any]) -> str:
    """The sentences of the report in a terminal, as paragraphs; its tables are left out."""
    return "".join(f"<p>{escape(part.plain)}</p>" for part in parts if isinstance(part, Text))


def _search(report: Report) -> Iterator[str]:
    """Where the search lost the references, and what exact search proved."""
    sentences = _sentences(search_errors.render(report))
    if not sentences:
        return
    yield f"<section><h2>Where the search lost the references</h2>{sentences}"
    bins = search_errors.histogram(report)
    if bins:
        rows = [(name, float(number), f"{number}, margin {margin:.2f}") for name, number, _, margin in bins]
        title = "references pruned, by the step at which the beam lost them (margin: median, in nats)"
        yield f"<figure><figcaption>{title}</figcaption>{bars(title, rows)}</figure>"
    yield "</section>"


def _model(report: Report) -> Iterator[str]:
    """Where the model turned away from the references."""
    sentences = _sentences(model_errors.render(report))
    if not sentences:
        return
    yield f"<section><h2>Where the model turned from the references</h2>{sentences}"
    yield _table(*model_errors.lengths(report))
    if report.fit:
        yield _table(*model_errors.frequencies(report.fit))
    yield "</section>"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th class="n">{escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _sweep(sweep: Sweep) -> Iterator[str]:
    """What other settings would bring: the table, and the curves where there are several beams."""
    yield f'<section><h2>What other settings would bring</h2><p class="soft">{escape(sweeps.heading(sweep))}</p>'
    yield _table(*sweeps.table(sweep))
    if len(sweep.settings[0].scores) > len(USUAL):
        yield _table(*sweeps.more(sweep))
    if len({setting.beam for setting in sweep.settings}) > 1:
        drawn = (
            f"<figure><figcaption>{escape(title)}</figcaption>{curve(title, 'beam', values)}</figure>"
            for title, values in curves(sweep)
        )
        yield f'<div class="pair">{"".join(drawn)}</div>'
    yield "</section>"


def _provenance(report: Report) -> str:
    rows = "".join(
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in {**vars(report.provenance), "scores_file": _origin(report.provenance)}.items()
        if value not in (None, (), False)
    )
    inside = f'<div class="wide"><table>{rows}</table></div>'
    return f'<details class="soft"><summary>How this was made</summary>{inside}</details>'


def _origin(facts: Provenance) -> str | None:
    """Where the sentence scores are from, if another tool gave them."""
    file = facts.scores_file
    return f"{file.title}, {file.direction} is better, SHA-256 {file.sha256}" if file else None
