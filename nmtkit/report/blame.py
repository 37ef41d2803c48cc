"""The report of an error analysis: tables for a terminal of 80 columns, JSON with everything, TSV with the sentences.

Columns of the TSV, one line a sentence after the header:

    number                 of the sentence, from 1
    verdict                equal, beam, model or unreachable
    below, listed          yes or no: an error of the second row; listed as wrong by a person
    sentence_score         of the output, in the metric of the second row
    limit                  most pieces of a translation, EOS counted
    source                 text
    prefix                 text that the output was forced to begin with, or nothing
    output                 text, and of its forced pass:
    output_log_p           Σ log P in nats
    output_length          pieces, EOS counted
    output_j               J, the objective's value
    judge                  number of the reference that judged, from 1
    lost                   where the beam lost it: pruned, stopped, finished, too long, forbidden, other prefix, or
                           nothing
    lost_step, lost_rank   tokens of its prefix then, and the rank of that prefix among all candidates
    lost_margin            its Σ log P less that of the last candidate taken, in nats
    width                  for beam: the smallest width tried that reaches its J, or nothing
    best                   of an exact search, or nothing: text, then best_log_p, best_length, best_j,
    proved, gap            yes or no; how much higher another translation could still score (0: proved)
    steps, proved_limit    model steps; the length up to which nothing scores higher
    reference_N            for every reference N: text, then reference_N_log_p, reference_N_length, reference_N_j,
    reference_N_obstacle   and why it is unreachable (too long, not producible, other prefix) or nothing

Numbers are written so that they read back exactly, −∞ as -inf. In texts a backslash is written as \\\\, a tab as \\t, a
line feed as \\n and every other character that could end a line as \\xNN or \\uNNNN, as Python does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nmtkit.blame.findings import Provenance, Report, Row, Share
from nmtkit.blame.plain import to_plain
from nmtkit.blame.records import BLAMED, Candidate, Certificate, Parting, Record, Verdict
from nmtkit.blame.sweep import Sweep
from nmtkit.report import model_errors, precision, search_errors
from nmtkit.report import sweep as sweeps
from nmtkit.report.advice import advice
from nmtkit.report.rows import title
from nmtkit.report.tables import bullets, number, percent, short_hash, shown
from nmtkit.words import counted, plural

LINE_ENDS = "\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"


def render(report: Report, examples: int, sweep: Sweep | None = None) -> list[RenderableType]:
    """The report in parts, to be printed one by one: settings, advice, shares, where search and model went wrong, a
    sweep, and last the lecture's table of up to `examples` telling sentences."""
    sentences = what_to_do(report, sweep)
    told = sorted(telling(report, examples), key=lambda record: record.number)
    return [
        Text(settings_line(report)),
        bullets(sentences),
        _shares(report),
        _denominators(report),
        *precision.render(report),
        *search_errors.render(report),
        *model_errors.render(report),
        *(sweeps.render(sweep) if sweep else ()),
        *([_sentences(told)] if told else ()),
    ]


def what_to_do(report: Report, sweep: Sweep | None) -> list[str]:
    """The advice of the report, and that of the sweep if there was one."""
    if sweep is None:
        return advice(report)
    return [*advice(report, sweep.several_beams), *sweeps.advice(sweep)]


def telling(report: Report, most: int) -> list[Record]:
    """Errors of the deciding row, verdicts in turn; of each verdict, the widest gap in J first."""
    members = set(report.deciding.numbers)
    errors = [record for record in report.records if record.number in members]
    kinds = [sorted((record for record in errors if record.verdict == kind), key=_gap) for kind in BLAMED]
    in_turn = [record for record in chain.from_iterable(zip_longest(*kinds)) if record is not None]
    return in_turn[: max(most, 0)]


def _gap(record: Record) -> float:
    """The sort key of an error: the widest gap in J first; unreachable references stay in the order of the text."""
    if record.verdict == Verdict.UNREACHABLE:
        return 0.0
    return -abs(record.reference.score - record.output.score)


def all_in_turn(report: Report) -> list[Record]:
    """All records, the telling ones first, then the others in the order of the text."""
    first = telling(report, len(report.records))
    chosen = {record.number for record in first}
    return [*first, *(record for record in report.records if record.number not in chosen)]


def to_json(report: Report) -> dict[str, Any]:
    """Provenance, rows, advice, proofs and records. JSON has no infinity: −∞ becomes null and ∞ the text "inf"."""
    return {
        "provenance": to_plain(report.provenance),
        "rows": [_row(row, report.provenance) for row in report.rows],
        "advice": advice(report),
        "proofs": to_plain(report.proofs) if report.proofs else None,
        "flips": to_plain(report.flips),
        "fit": to_plain(report.fit) if report.fit else None,
        **({"precision": to_plain(report.precision)} if report.precision else {}),
        "records": to_plain(report.records),
    }


def _row(row: Row, facts: Provenance) -> dict[str, Any]:
    shares = to_plain(row.shares)
    return {"title": title(row, facts), "numbers": list(row.numbers), "shares": shares, "errors": row.errors}


def to_tsv(report: Report) -> str:
    """A header and one line a sentence, always; the module's documentation lists the columns."""
    lines = [_columns(len(report.records[0].references)), *(_fields(record) for record in report.records)]
    return "".join("\t".join(fields) + "\n" for fields in lines)


def settings_line(report: Report) -> str:
    """What was asked, in a sentence."""
    facts = report.provenance
    limit = facts.length_limit.removesuffix(" pieces")
    how = f" by {facts.engine}" if facts.engine else ""
    forced = sum(bool(record.prefix) for record in report.records)
    how += f", {counted(forced, 'beginning')} forced (J is of the rest)" if facts.prefixes_sha256 else ""
    rules = "" if facts.patience is None else f"patience {facts.patience:g}, "
    rules += "free eos, " if facts.free_eos else ""
    return (
        f"{counted(len(report.records), 'sentence')}{how}, beam {facts.beam}, α = {facts.length_alpha:g}, {rules}at "
        f"most {limit} {'piece' if limit == '1' else 'pieces'}; tolerance on J {facts.tolerance:g}; model "
        f"{short_hash(facts.model)}"
    )


def _shares(report: Report) -> Table:
    """The table of rows × verdicts, with the interval below each share."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("errors", ratio=1)
    table.add_column("n", justify="right", no_wrap=True)
    for verdict in BLAMED:
        table.add_column(verdict.value, justify="right", no_wrap=True)
    for row in report.rows:
        cells = [_share(share) if row.errors else Text("–") for share in row.shares]
        table.add_row(Text(title(row, report.provenance)), Text(str(row.errors)), *cells)
    return table


def _share(share: Share) -> Text:
    return Text(f"{share.count} ({percent(share.share)})\n{100 * share.low:.1f} to {100 * share.high:.1f} %")


def _denominators(report: Report) -> Text:
    return Text(
        f"Shares are of the n errors in each row, those with an unreachable reference counted; below, the 95 % Wilson "
        f"interval. {equals(report)}"
    )


def equals(report: Report) -> str:
    """How many outputs equal a reference."""
    equal = sum(record.verdict == Verdict.EQUAL for record in report.records)
    are = plural(equal, "equals a reference and is no error", "equal a reference and are no errors")
    return f"{equal} of {counted(len(report.records), 'output')} {are}."


def _sentences(records: Sequence[Record]) -> Table:
    """The table of the lecture: human and algorithm, P and J of both, and who is at fault."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("text", ratio=1, overflow="fold")
    for heading in ("log P", "|y|", "J"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("at fault", min_width=len("producible"))
    for record in records:
        table.add_row(Text(str(record.number)), Text("source"), shown(record.source))
        human, algorithm = record.reference, record.output
        which = f" {record.judge + 1}/{len(record.references)}" if len(record.references) > 1 else ""
        table.add_row("", Text(f"human y*{which}"), *_candidate(human, algorithm), Text(_at_fault(record)))
        table.add_row("", Text("algorithm ŷ"), *_candidate(algorithm, human), end_section=True)
    return table


def _candidate(candidate: Candidate, beside: Candidate) -> list[Text]:
    return [
        shown(candidate.text, beside=beside.text),
        Text(number(candidate.total)),
        Text(str(candidate.length)),
        Text(number(candidate.score, 3)),
    ]


def _at_fault(record: Record) -> str:
    return f"neither: {record.reference.obstacle}" if record.verdict == Verdict.UNREACHABLE else record.verdict.value


def _columns(references: int) -> list[str]:
    first = "number verdict below listed sentence_score limit source prefix"
    first += " output output_log_p output_length output_j judge lost lost_step lost_rank lost_margin width"
    first += " best best_log_p best_length best_j proved gap steps proved_limit"
    parts = ("", "_log_p", "_length", "_j", "_obstacle")
    return [*first.split(), *(f"reference_{index}{part}" for index in range(1, references + 1) for part in parts)]


def _fields(record: Record) -> list[str]:
    fields = [
        str(record.number),
        record.verdict.value,
        "yes" if record.below else "no",
        "yes" if record.listed else "no",
        repr(record.sentence_score),
        str(record.limit),
        _escaped(record.source),
        _escaped(record.prefix),
        *_numbers(record.output),
        str(record.judge + 1),
        *_parting(record.parting),
        *_certificate(record.certificate),
    ]
    for reference in record.references:
        fields += [*_numbers(reference), reference.obstacle.value]
    return fields


def _parting(parting: Parting | None) -> list[str]:
    if parting is None:
        return [""] * 5
    width = "" if parting.width is None else str(parting.width)
    return [parting.ending, str(parting.step), str(parting.rank), repr(parting.margin), width]


def _certificate(certificate: Certificate | None) -> list[str]:
    if certificate is None:
        return [""] * 8
    proof = ("yes" if certificate.proved else "no", repr(certificate.gap), str(certificate.steps))
    return [*_numbers(certificate.best), *proof, str(certificate.proved_limit)]


def _numbers(candidate: Candidate) -> list[str]:
    return [_escaped(candidate.text), repr(candidate.total), str(candidate.length), repr(candidate.score)]


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return "".join(
        character.encode("unicode_escape").decode("ascii") if character in LINE_ENDS else character
        for character in text
    )
