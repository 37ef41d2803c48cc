"""What blame-analysis writes is read back; anything else is refused in one line that names the file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.blame_toys import GREEDY_IS_BEATEN, ask, record, toy
from support.blame_toys import SMALL as ONE_SET
from support.sweep_toys import scores

from nmtkit.blame.findings import Report
from nmtkit.blame.reading import MOST, read_report
from nmtkit.blame.rows import count
from nmtkit.blame.search_errors import Budget
from nmtkit.blame.sweep import Setting, Sweep
from nmtkit.report.blame import to_json
from nmtkit.report.sweep import to_json as sweep_to_json

SMALL = replace(ONE_SET, provenance=replace(ONE_SET.provenance, references_sha256=("r", "q")))
"""Its records have two references each."""


def setting(beam: int, bleu: float, p_value: float | None) -> Setting:
    return Setting(beam, 0.7, scores(bleu, bleu), 5, 1, 1.01, 0.25, p_value)


SWEEP = Sweep((setting(1, 20.0, None), setting(5, 30.5, 0.004)), 6, 0, 1, 61.5)


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def written(path: Path, one: Report, made: Sweep | None = None) -> Path:
    """As the command does."""
    return write(path, {**to_json(one), "sweep": sweep_to_json(made) if made else None})


def test_a_report_and_its_sweep_come_back(tmp_path: Path) -> None:
    """−∞, every verdict and a text with separators of lines that JSON leaves as they are; proofs are not read."""
    odd = record(7, "model", text="a\u2028b\u0085c\rd")
    records = (*SMALL.records, odd)
    wanted = replace(SMALL, records=records, rows=count(records, judged=False))
    assert any(one.reference.total == -math.inf for one in wanted.records)
    assert read_report(written(tmp_path / "a.json", wanted, SWEEP)) == (wanted, SWEEP)
    assert read_report(written(tmp_path / "b.json", wanted)) == (wanted, None)
    alone = replace(SWEEP, settings=SWEEP.settings[:1], best=0)
    assert read_report(written(tmp_path / "c.json", wanted, alone)) == (wanted, alone)


def test_an_analysis_with_losses_and_certificates_comes_back(tmp_path: Path) -> None:
    found = ask(toy(GREEDY_IS_BEATEN, GREEDY_IS_BEATEN), "b", "abab", beam=1, exact=Budget(steps=1), errors=[1])
    back, _ = read_report(written(tmp_path / "a.json", found))
    assert (back.records, back.provenance, back.rows) == (found.records, found.provenance, found.rows)
    assert len(back.rows) == 3 and back.proofs is None and found.proofs is not None


@pytest.mark.parametrize("judged", [False, True])
def test_the_rows_are_counted_anew(tmp_path: Path, judged: bool) -> None:
    """From the records, whatever the file says about them, but as many as it has."""
    records = (replace(SMALL.records[1], number=1, listed=True), replace(SMALL.records[2], number=2))
    value = to_json(replace(SMALL, records=records, rows=count(records, judged=judged)))
    value["rows"][0]["numbers"] = [99]
    back, _ = read_report(write(tmp_path / "a.json", value))
    assert [row.numbers for row in back.rows] == [(1, 2), (1,), (1,)][: 3 if judged else 2]


def test_keys_of_later_versions_say_nothing(tmp_path: Path) -> None:
    value = {**to_json(SMALL), "fit": {"x": 1}, "unheard_of": [1]}
    value["provenance"]["weather"] = "fine"
    assert read_report(write(tmp_path / "a.json", value)) == (SMALL, None), "nor need there be a key for the sweep"


def changed(path: str, new: Any) -> Callable[[dict[str, Any]], Any]:
    """Puts a value in the place that the path names; "gone" leaves it out."""

    def change(value: dict[str, Any]) -> Any:
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        inside: Any = value
        for step in way:
            inside = inside[step]
        if new == "gone":
            del inside[last]
        else:
            inside[last] = new
        return value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: [value], "it is not a table"),
        (lambda value: 3, "it is not a table"),
        (changed("provenance", "gone"), "'provenance' is missing"),
        (changed("rows", "gone"), "'rows' is missing"),
        (changed("records", "gone"), "'records' is missing"),
        (changed("provenance.beam", "five"), "'five' is of another type"),
        (changed("provenance.patience", "gone"), "'patience' is missing"),
        (changed("provenance.sentence_metric", "meteor"), "sentence metric 'meteor'"),
        (changed("records", []), "no records"),
        (changed("records", {}), "not a list"),
        (changed("records.2.number", 4), "record 3 says it is 4"),
        (changed("records.2.verdict", "human"), "human"),
        (changed("records.1.judge", 2), "record 2 has 2 references"),
        (changed("records.1.judge", -1), "record 2 has 2 references"),
        (changed("records.1.references", []), "record 2 has 0 references"),
        (changed("rows", []), "'rows'"),
        (changed("rows", 2), "'rows'"),
        (changed("sweep.settings", "gone"), "'settings' is missing"),
        (changed("sweep.settings", {}), "'settings' is missing, or no list"),
        (changed("sweep.settings.0", 3), "3 is not a table"),
        (changed("sweep.settings.0.chrf", "gone"), "'chrf' is missing"),
        (changed("sweep.settings.1.bleu.low", "gone"), "'low' is missing"),
        (changed("sweep.current", 2), "no setting number 2"),
        (changed("sweep.best", -1), "a sweep of 2 settings"),
        (changed("sweep", []), "not a table"),
        (changed("records.0.sentence_score", math.nan), "NaN"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, change: Callable[[Any], Any], said: str) -> None:
    value = {**to_json(SMALL), "sweep": sweep_to_json(SWEEP)}
    path = written(tmp_path / "a.json", SMALL, SWEEP)
    assert read_report(path)[1] == SWEEP
    write(path, change(value))
    with pytest.raises(ValueError, match="is not a report that blame-analysis --json writes") as caught:
        read_report(path)
    text = str(caught.value)
    assert text.startswith(f"{path} ") and said in text and "--json FILE" in text and "\n" not in text


@pytest.mark.parametrize("text", ["", "Jane visite l'Afrique.\n", '{"records": [', "[" * 100_000, "number\tverdict\n"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} is not a report"):
        read_report(path)


def test_a_file_that_is_not_there_and_one_that_says_too_much(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: no such file"):
        read_report(tmp_path / "none.json")
    path = write(tmp_path / "long.json", {**to_json(SMALL), "provenance": ["x" * 9999]})
    with pytest.raises(ValueError, match="is not a report") as caught:
        read_report(path)
    assert len(str(caught.value)) < MOST + len(str(path)) + 200
