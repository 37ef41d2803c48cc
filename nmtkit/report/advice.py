"""What to do about the errors, in plain words; every sentence names the counts that it rests on."""

from __future__ import annotations

from nmtkit.blame.findings import Fit, Report, Row, Share
from nmtkit.blame.records import Obstacle, Verdict
from nmtkit.evaluation.metrics import USUAL
from nmtkit.report.evaluation import listed
from nmtkit.report.rows import title
from nmtkit.words import counted, plural

USUAL_BEAM = 5
NOTABLE = 0.05
"""The advice mentions unreachable references from this share on."""


def advice(report: Report, swept: bool = False) -> list[str]:
    """Sentences for a person, the most important first.

    They rest on the strictest row that has errors (`Report.deciding`). A verdict is the main one only where its 95 %
    interval lies wholly above one half.

    Args:
        swept: whether other beams were measured, so that the advice need not suggest one.
    """
    row, different = report.deciding, report.rows[0]
    if not row.errors:
        return [
            f"Every output equals a reference ({len(report.records)} of {len(report.records)}): no error to explain."
        ]
    blamed = main_verdict(row)
    sentences = _what_it_rests_on(report)
    if blamed == Verdict.BEAM:
        sentences += _search(report, row, swept)
    elif blamed == Verdict.MODEL:
        sentences += _model(report, row, swept)
    elif blamed is None:
        sentences += _undecided(row)
    sentences += _unreachable(report, row) + _blank(report) + _pieces(report)
    if report.provenance.beam == 1 and not swept and blamed not in (Verdict.BEAM, Verdict.MODEL):
        sentences.append(
            f"The search was greedy (beam 1) for {_sentences(len(report.records))}: use a beam of {USUAL_BEAM} and ask "
            "again before you change the model."
        )
    if cleared := row.of(Verdict.MODEL).count:
        clearing = _cleared(report, row, cleared)
        missed = report.proofs is not None and report.proofs.errors.least > 0
        sentences = [*clearing, *sentences] if missed else [*sentences, *clearing]
    if (
        row is not different
        and main_verdict(different) != blamed
        and not (blamed is None and _most(row) == _most(different))
    ):
        sentences.append(
            f"The answer depends on what counts as an error: of all outputs that differ from their reference "
            f"({different.errors}) it is {_counts(different)}."
        )
    return sentences


def _cleared(report: Report, row: Row, cleared: int) -> list[str]:
    """What a `model` verdict does not say, and what exact search adds."""
    proofs = report.proofs
    if proofs is None:
        return [
            f"J(y*) ≤ J(ŷ) in {cleared} of {_errors(row)} does not clear the search: another translation may beat both "
            "in J, and --exact looks for it."
        ]
    errors, left = proofs.errors, proofs.errors.most - proofs.errors.least
    finding = f"exact search found something with a higher J for {errors.least} of {_sentences(errors.of)}"
    if not errors.most:
        return [f"The search is clear of these errors: it found the best of all for {_sentences(errors.of)}."]
    if not errors.least:
        return [
            f"Undecided whether the search misses something likelier: {finding}, but left {left} open; a larger "
            "--budget-steps proves more."
        ]
    rest = (
        f" and left {left} open, so there are {errors.least} to {counted(errors.most, 'search error')}" if left else ""
    )
    empty = f"; the empty translation is best for at least {proofs.empty.least} of them" if proofs.empty.least else ""
    return [
        f"The rule does not clear the search: {finding}{rest}{empty}. Likelier is not better: a wider beam brings more "
        f"of these, so look at {USUAL[0].title} before you widen it."
    ]


def main_verdict(row: Row) -> Verdict | None:
    """The verdict whose share of the errors of a row has its whole interval above one half; None where none has."""
    return next((share.verdict for share in row.shares if row.errors and share.low > 0.5), None)


def _most(row: Row) -> Verdict:
    """The most frequent verdict, whatever its interval."""
    return max(row.shares, key=lambda share: share.count).verdict


def _what_it_rests_on(report: Report) -> list[str]:
    """Which row the advice rests on; nothing where it is the strictest row."""
    row, strictest = report.deciding, report.rows[-1]
    if row is strictest:
        return []
    return [
        f"The row “{title(strictest, report.provenance)}” has 0 errors, so this rests on the {row.errors} of the row "
        f"“{title(row, report.provenance)}”"
        f"{', some of which may be good paraphrases' if row is report.rows[0] else ''}."
    ]


def _search(report: Report, row: Row, swept: bool) -> list[str]:
    beam, share = report.provenance.beam, row.of(Verdict.BEAM)
    wider = f"use a beam of {USUAL_BEAM} instead of greedy search" if beam == 1 else f"widen it, to {2 * beam} say,"
    return [
        f"Mostly the search: {_phrase(share, row)} {_are(share)} the beam's, for J prefers the reference and a beam of "
        f"{beam} did not find it. {'See what the other beams brought.' if swept else f'So {wider} and ask again.'}",
        f"A wider beam finds likelier text, not necessarily better text: besides {_these(share.count, 'verdict')} look "
        f"at {listed(metric.title for metric in USUAL)} before and after.",
    ]


def _model(report: Report, row: Row, swept: bool) -> list[str]:
    share, alpha = row.of(Verdict.MODEL), report.provenance.length_alpha
    members = set(row.numbers)
    by_length = sum(
        record.reference.total > record.output.total
        for record in report.records
        if record.number in members and record.verdict == Verdict.MODEL
    )
    if report.provenance.beam == 1:
        again = "see what the other beams brought" if swept else f"use a beam of {USUAL_BEAM} and ask again"
        sentences = [
            f"So far mostly the model: {_phrase(share, row)} {_are(share)} the model's. But the search was greedy "
            f"(beam 1): {again} before you change the model."
        ]
    else:
        sentences = [
            f"Mostly the model: {_phrase(share, row)} {_are(share)} the model's, for its J prefers the wrong output "
            "to the reference."
        ]
        if 2 * by_length <= share.count:
            sentences += _remedy(report.fit)
    if by_length and report.provenance.beam > 1:  # greedy search looks at no α
        sentences.append(
            f"In {by_length} of {counted(share.count, 'such error')} the reference has the higher log P, and only "
            f"the length normalisation (α = {alpha:g}) prefers the output: try a smaller --length-alpha before you "
            "train again."
        )
    sentences.append(
        f"Finding the reference would not have changed {_these(share.count, 'error')}: a wider beam helps only if it "
        "finds a third translation with a higher J."
    )
    return sentences


def _remedy(fit: Fit | None) -> list[str]:
    """What helps a model that is to blame, as far as its training text tells."""
    if fit is None:
        return [
            "So give it more data, more regularisation, longer training or another architecture; --train-sample tells "
            "which."
        ]
    share = f"{100 * fit.share:.0f} % of it (95 % interval {100 * fit.low:.0f} to {100 * fit.high:.0f} %)"
    where = (
        f"the model loses {fit.loss:.2f} nats a piece here and {fit.train_loss:.2f} on its training text, so {share} "
        "comes from text that it has not seen"
    )
    if fit.low > 0.5:
        return [
            f"So give it more data or more regularisation (dropout, a smaller model): {where}. A bigger model or "
            "longer training would only learn the training text better."
        ]
    if fit.high >= 0.5:
        return [
            f"Undecided between more data or regularisation and a bigger model or another architecture: {where}, which "
            "may be more or less than half."
        ]
    if fit.last_update and fit.best_update == fit.last_update:
        return [
            f"So train it longer first: {where}, and its best weights are its newest (update {fit.last_update}). After "
            "that try a bigger model or another architecture."
        ]
    past = f", and it was best at update {fit.best_update} of {fit.last_update}" if fit.last_update else ""
    return [f"So try a bigger model or another architecture: {where}; most of it is lost on known text, too{past}."]


def _undecided(row: Row) -> list[str]:
    intervals = ", ".join(f"{share.verdict} {100 * share.low:.0f} to {100 * share.high:.0f} %" for share in row.shares)
    return [
        f"Undecided: {_counts(row)}, and no verdict lies above one half with its whole 95 % interval ({intervals}). "
        f"With more than the {_errors(row)} here the intervals become narrower."
    ]


def _unreachable(report: Report, row: Row) -> list[str]:
    share = row.of(Verdict.UNREACHABLE)
    if share.share < NOTABLE:
        return []
    members = set(row.numbers)
    references = [
        record.reference
        for record in report.records
        if record.number in members and record.verdict == Verdict.UNREACHABLE
    ]
    too_long = [reference.length for reference in references if reference.obstacle == Obstacle.TOO_LONG]
    sentences = []
    if too_long:
        sentences.append(
            f"In {len(too_long)} of {_errors(row)} the reference is longer than the length limit "
            f"({report.provenance.length_limit}), so no search could return it: raise the limit (the longest of them "
            f"has {counted(max(too_long), 'piece')}) or look whether these lines belong together."
        )
    if others := sum(reference.obstacle == Obstacle.OTHER_PREFIX for reference in references):
        sentences.append(
            f"In {others} of {_errors(row)} the reference does not begin as the prefix forces, so no search could "
            "return it: look whether these lines belong together, and let prefixes end with a word and a blank."
        )
    if impossible := len(references) - len(too_long) - others:
        sentences.append(
            f"In {impossible} of {_errors(row)} the reference has a piece that the model cannot produce: train "
            "with a tokenizer that covers its characters."
        )
    return sentences


def _blank(report: Report) -> list[str]:
    """Pairs that are blank on one side are judged like any other, which is hardly ever intended."""
    blank = sum(bool(record.source.strip()) != bool(record.reference.text.strip()) for record in report.records)
    if not blank:
        return []
    return [
        f"{blank} of {_sentences(len(report.records))} {plural(blank, 'has', 'have')} a blank source or reference: "
        "look whether lines are missing."
    ]


def _pieces(report: Report) -> list[str]:
    """The search may write a text in any pieces, while a reference is scored in a few segmentations."""
    other = sum(record.other_pieces for record in report.records)
    if other and report.provenance.reference_segmentations == 1:
        return [
            f"{counted(other, 'output is', 'outputs are')} in other pieces than the tokenizer would choose, while "
            "references are scored in its own: --reference-segmentations 16 gives these the same freedom."
        ]
    return []


def _phrase(share: Share, row: Row) -> str:
    return (
        f"{share.count} of {_errors(row)} ({100 * share.share:.0f} %, 95 % interval {100 * share.low:.1f} "
        f"to {100 * share.high:.1f} %)"
    )


def _are(share: Share) -> str:
    return plural(share.count, "is", "are")


def _these(number: int, noun: str) -> str:
    return f"{plural(number, 'this', 'these')} {counted(number, noun)}"


def _sentences(number: int) -> str:
    return counted(number, "sentence")


def _errors(row: Row) -> str:
    return counted(row.errors, "error")


def _counts(row: Row) -> str:
    return ", ".join(f"{share.verdict} {share.count}" for share in row.shares) + f" of {row.errors}"
