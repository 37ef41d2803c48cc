"""The advice in every regime: which sentences appear, and with which counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nmtkit.blame.findings import Bounds, Proofs, Provenance, Report
from nmtkit.blame.records import Candidate, Obstacle, Record, Verdict
from nmtkit.blame.rows import count
from nmtkit.evaluation.significance import wilson
from nmtkit.report.advice import advice, main_verdict

PROVENANCE = Provenance(
    *("0", "m", 4, 0.7, "power", "2 × source pieces + 10", None, False, False),
    *(1000, 1e-4, 1, "chrf", 60.0, "2", (5, 10), None, None, None, "s", ("r",)),
)


def report(
    *,
    equal: int = 0,
    beam: int = 0,
    model: int = 0,
    too_long: int = 0,
    impossible: int = 0,
    width: int = 4,
    below: Verdict | None = None,
    listed: set[int] | None = None,
) -> Report:
    """So many sentences of each kind, in this order; those with the verdict `below` are below the threshold."""
    kinds = [("equal", "")] * equal + [("beam", "")] * beam + [("model", "")] * model
    kinds += [("unreachable", "too long")] * too_long + [("unreachable", "not producible")] * impossible
    records = [
        Record(
            number,
            "x",
            Candidate("y", -1.0, 2, -0.5),
            (Candidate("z", -1.0, 20 + number, -0.5, Obstacle(obstacle)),),
            0,
            9,
            Verdict(kind),
            10.0,
            below == kind,
            number in (listed or ()),
        )
        for number, (kind, obstacle) in enumerate(kinds, start=1)
    ]
    values = {**PROVENANCE.__dict__, "beam": width}
    return Report(tuple(records), count(records, judged=listed is not None), Provenance(**values))


def sentence(sentences: list[str], start: str) -> str:
    """The one sentence that begins so."""
    (found,) = [one for one in sentences if one.startswith(start)]
    return found


def starts(sentences: list[str]) -> list[str]:
    return [" ".join(one.split()[:2]) for one in sentences]


def test_no_errors() -> None:
    assert advice(report(equal=7)) == ["Every output equals a reference (7 of 7): no error to explain."]


def test_mostly_beam() -> None:
    said = advice(report(beam=30, model=10, below=Verdict.BEAM))
    assert starts(said) == ["Mostly the", "A wider"]
    # 30 of 30 below the threshold, Wilson: 30 / (30 + 3.8415) = 0.8865
    assert "30 of 30 errors (100 %, 95 % interval 88.6 to 100.0 %)" in said[0]
    assert "a beam of 4 did not find it" in said[0] and "to 8 say" in said[0]
    assert "not necessarily better text" in said[1] and "30" in said[1]


def test_mostly_beam_when_greedy() -> None:
    said = advice(report(beam=30, below=Verdict.BEAM, width=1))
    assert "use a beam of 5 instead of greedy search" in said[0]
    assert not [one for one in said if one.startswith("The search was greedy")]


def test_mostly_model() -> None:
    said = advice(report(beam=1, model=20, below=Verdict.MODEL))
    assert starts(said) == ["Mostly the", "So give", "Finding the", "J(y*) ≤"]
    assert "20 of 20 errors" in said[0]
    assert "more data, more regularisation, longer training or another architecture" in said[1]
    assert "J(y*) ≤ J(ŷ) in 20 of 20 errors does not clear the search" in said[3]


def test_mostly_model_when_greedy() -> None:
    said = advice(report(equal=3, model=20, below=Verdict.MODEL, width=1))
    assert "20 of 20 errors" in said[0] and "greedy (beam 1): use a beam of 5 and ask again" in said[0]
    assert not [one for one in said if "more data" in one]


def test_verdicts_that_only_the_length_normalisation_decides_are_counted() -> None:
    given = report(beam=1, model=20, below=Verdict.MODEL)
    assert not [one for one in advice(given) if "length normalisation" in one]
    likelier = [
        replace(one, output=replace(one.output, total=one.reference.total - 1))
        if one.verdict == Verdict.MODEL and one.number % 2
        else one
        for one in given.records
    ]
    changed = replace(given, records=tuple(likelier))
    odd = sum(one.verdict == Verdict.MODEL and one.number % 2 for one in given.records)
    (said,) = [one for one in advice(changed) if "length normalisation" in one]
    assert said.startswith(f"In {odd} of 20 such errors the reference has") and "--length-alpha" in said


def test_undecided_names_counts_and_intervals() -> None:
    said = advice(report(beam=5, model=5))
    assert "beam 5, model 5, unreachable 0 of 10" in sentence(said, "Undecided")
    # Wilson for 5 of 10: 0.5 ± 0.2634; for 0 of 10: 3.8415 / 13.8415 = 0.2775
    assert "(beam 24 to 76 %, model 24 to 76 %, unreachable 0 to 28 %)" in sentence(said, "Undecided")
    assert not [one for one in said if one.startswith("Mostly")]


def test_mostly_needs_the_whole_interval_above_one_half() -> None:
    """Of 10, 8 have the interval 0.490 to 0.943 and 9 have 0.596 to 0.982."""
    assert main_verdict(report(beam=8, model=2).rows[0]) is None
    assert main_verdict(report(beam=9, model=1).rows[0]) == Verdict.BEAM
    assert main_verdict(report(equal=3).rows[0]) is None


def test_unreachable_references() -> None:
    said = advice(report(model=15, too_long=3, impossible=2))
    longest = sentence(said, "In 3 of 20 errors")
    assert "(2 × source pieces + 10)" in longest and "(the longest of them has 38 pieces)" in longest
    assert "cannot produce" in sentence(said, "In 2 of 20 errors")
    assert not [one for one in advice(report(model=96, too_long=4)) if "longer than the length limit" in one]
    assert starts(advice(report(too_long=9)))[1:] == ["In 9"], "neither undecided nor the model"


def test_it_rests_on_the_strictest_row_that_has_errors() -> None:
    said = advice(report(beam=10, model=10, below=Verdict.MODEL, listed={1, 2, 3, 4, 5, 6, 7, 8}))
    assert "8 of 8 errors" in sentence(said, "Mostly the search")
    assert "beam 10, model 10, unreachable 0 of 20" in sentence(said, "The answer depends")
    said = advice(report(model=20, below=Verdict.MODEL, listed=set()))
    assert said[0].startswith("The row “of these, judged wrong by a person” has 0 errors, so this rests on the 20")
    assert "paraphrases" not in said[0]
    said = advice(report(model=20))
    assert "below chrF 60” has 0 errors" in said[0] and said[0].endswith("some of which may be good paraphrases.")


@pytest.mark.parametrize(("of_alpha", "retrain"), [(20, False), (11, False), (10, True), (0, True)])
def test_more_data_is_no_remedy_for_what_alpha_decides(of_alpha: int, retrain: bool) -> None:
    """Where most of the model's errors go the other way without length normalisation, that is tried first."""
    given = report(equal=3, model=20, below=Verdict.MODEL)
    wrong = [one.number for one in given.records if one.verdict == Verdict.MODEL][:of_alpha]
    records = tuple(
        replace(one, output=replace(one.output, total=one.reference.total - 1)) if one.number in wrong else one
        for one in given.records
    )
    said = " ".join(advice(replace(given, records=records)))
    assert ("more data" in said) == retrain and ("try a smaller --length-alpha" in said) == (of_alpha > 0)


def proofs(proved: int, found: int, most: int, empty: int = 0, of: int = 10) -> Proofs:
    errors = Bounds(found, most, of, wilson(found, of)[0], wilson(most, of)[1])
    return Proofs(of, proved, errors, 0, Bounds(empty, empty + of - proved, of, 0.0, 1.0), 0.5, 1.0, 99)


@pytest.mark.parametrize(
    ("facts", "start"),
    [
        (proofs(10, 0, 0), "The search is clear of these errors: it found the best of all for 10 sentences."),
        (
            replace(proofs(10, 0, 0), other_pieces=2),
            "The search is clear of these errors: it found the best of all for",
        ),
        (replace(proofs(9, 0, 1), other_pieces=1), "Undecided whether"),
        (
            proofs(0, 0, 10),
            "Undecided whether the search misses something likelier: exact search found something with a higher J for "
            "0 of 10 sentences, but left 10 open; a larger --budget-steps",
        ),
        (proofs(9, 0, 1), "Undecided whether"),
        (
            proofs(9, 1, 2),
            "The rule does not clear the search: exact search found something with a higher J for 1 of 10 sentences "
            "and left 1 open, so there are 1 to 2 search errors. Likelier is not better",
        ),
        (
            proofs(10, 3, 3, empty=2),
            "The rule does not clear the search: exact search found something with a higher J for 3 of 10 sentences; "
            "the empty translation is best for at least 2 of them. Likelier is not better",
        ),
    ],
)
def test_only_what_is_proved_clears_the_search(facts: Proofs, start: str) -> None:
    said = advice(replace(report(model=20, below=Verdict.MODEL), proofs=facts))
    about = [one for one in said if "search is clear" in one or "Undecided whether" in one or "does not clear" in one]
    assert len(about) == 1 and about[0].startswith(start)


def test_one_error_does_not_depend_on_what_counts() -> None:
    """1 of 1 and 20 of 20 are both the model's: the one alone is undecided, but they agree."""
    said = advice(report(model=20, below=Verdict.MODEL, listed={3}))
    assert not [one for one in said if one.startswith("The answer depends")]


def test_blank_lines_and_other_pieces_are_said() -> None:
    given = report(model=20, below=Verdict.MODEL)
    first, second, *rest = given.records
    empty = tuple(replace(one, text="") for one in first.references)
    odd = (replace(first, references=empty), replace(second, other_pieces=True), *rest)
    said = advice(replace(given, records=odd))
    assert [one for one in said if one.startswith("1 of 20 sentences has a blank source or reference")]
    assert [one for one in said if one.startswith("1 output is in other pieces than the tokenizer would choose")]
    freed = replace(given.provenance, reference_segmentations=4)
    assert not [one for one in advice(replace(given, records=odd, provenance=freed)) if "other pieces" in one]
    assert not [one for one in advice(given) if "blank" in one or "other pieces" in one]


def test_with_a_sweep_nobody_is_sent_to_try_a_beam() -> None:
    greedy = report(model=20, below=Verdict.MODEL)
    greedy = replace(greedy, provenance=replace(greedy.provenance, beam=1))
    assert "use a beam of 5 and ask again" in " ".join(advice(greedy))
    said = " ".join(advice(greedy, swept=True))
    assert "use a beam" not in said and "see what the other beams brought before you change the model" in said
    lost = report(beam=20, below=Verdict.BEAM)
    assert "So widen it" in " ".join(advice(lost)) and "widen it" not in advice(lost, swept=True)[0]


def test_greedy_search_is_not_told_to_change_alpha() -> None:
    given = report(model=20, below=Verdict.MODEL)
    records = tuple(
        replace(one, output=replace(one.output, total=one.reference.total - 1)) if one.verdict == Verdict.MODEL else one
        for one in given.records
    )
    given = replace(given, records=records)
    assert "smaller --length-alpha" in " ".join(advice(given))
    greedy = replace(given, provenance=replace(given.provenance, beam=1))
    assert "--length-alpha" not in " ".join(advice(greedy))


def test_what_is_proved_stands_before_what_to_do_with_the_model() -> None:
    said = advice(replace(report(model=20, below=Verdict.MODEL), proofs=proofs(10, 8, 8)))
    assert said[0].startswith("The rule does not clear the search") and said[1].startswith("Mostly the model")
    undecided = advice(replace(report(model=20, below=Verdict.MODEL), proofs=proofs(10, 0, 8)))
    assert "Mostly the model" in " ".join(undecided[:2]) and undecided[-1].startswith("Undecided whether the search")
