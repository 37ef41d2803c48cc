"""What is usual is learned from the pairs that stay, until no more are odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmtkit.preflight.columns import COLUMN, Columns
from nmtkit.preflight.findings import PROBLEM_BITS, Kind
from nmtkit.preflight.outliers import outliers, ratios
from nmtkit.preflight.tally import Tally


def columns(path: Path, values: list[int], scripts: list[int], empty: int = 0) -> Columns:
    """Rows with these ratios and scripts of the source, and `empty` more that are marked as blank."""
    rows = np.zeros(len(values) + empty, dtype=COLUMN)
    rows["ratio"][: len(values)], rows["source"][: len(values)] = values, scripts
    rows["target"] = 1
    rows["marks"][len(values) :] = Kind.EMPTY.bit
    made = Columns(path / "columns")
    made.append(rows)
    made.finish()
    return made


def test_blank_and_odd_pairs_do_not_say_what_is_usual(tmp_path: Path) -> None:
    """More than half of the ratios are 0, so the limit is the least one, ln 3 = 1.099: 1.2 is odd, 1.0 is not."""
    values = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 900, 900, -900, 1200, 1000]
    scripts = [1] * 14 + [3]
    made = columns(tmp_path, values, scripts, empty=3)
    tally = Tally([Kind.RATIO, Kind.SCRIPT], 10)
    ratio, names = outliers(made, tally)
    assert names == ("Latin", "Latin") and ratio.usual == 1 and ratio.high == pytest.approx(3)
    lines = {finding.kind: [e.line for e in finding.examples] for finding in tally.findings(({}, {}), 9)}
    assert lines == {Kind.RATIO: [14], Kind.SCRIPT: [15]}
    made.close()


def test_the_pairs_that_stay_are_clean_by_themselves(tmp_path: Path) -> None:
    """A wide and crooked distribution, whose limit narrows in several rounds: its rest has no more outliers."""
    chance = np.random.default_rng(3)
    values = np.concatenate([chance.normal(0, 300, 900), chance.exponential(1500, 700)]).astype(int).tolist()
    rounds = 0
    before = -1
    while len(values) != before:
        before = len(values)
        (tmp_path / str(rounds)).mkdir()
        made = columns(tmp_path / str(rounds), values, [1] * before)
        tally = Tally([Kind.RATIO, Kind.SCRIPT], 1000)
        outliers(made, tally)
        (rows,) = (part for _, part in made.parts())
        values = rows["ratio"][(rows["marks"] & PROBLEM_BITS) == 0].astype(int).tolist()
        made.close()
        rounds += 1
    assert rounds == 2 and before < 1600


def test_a_side_in_two_scripts_has_no_other(tmp_path: Path) -> None:
    made = columns(tmp_path, [0] * 20, [3] * 17 + [1] * 3)
    _, names = outliers(made, Tally([], 0))
    assert names == (None, "Latin")
    made.close()


def test_ratios_by_hand() -> None:
    found = ratios(np.array([0, 90, 20]), np.array([0, 0, 50])).tolist()
    assert found == [0, 2303, -693]  # ln 1, ln 10, ln 1/2
