"""The history: what a killed run cut off, or a disk damaged, costs no more than its line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.training.history import read_history


def test_a_history_cut_in_a_line_is_read_to_there(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert read_history(path) == []
    path.write_text('{"step": 1}\n{"step": 2}\n{"ste', encoding="utf-8")
    assert read_history(path) == [{"step": 1}, {"step": 2}]


LINE = b'{"step": 3, "epoch": 0, "seconds": 1.5, "train_loss": 2.25}'


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LINE) - 1), st.integers(0, 7))
def test_a_flipped_bit_in_a_history_costs_no_more_than_its_line(place: int, bit: int) -> None:
    damaged = bytearray(LINE)
    damaged[place] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        path.write_bytes(LINE + b"\n" + bytes(damaged) + b"\n" + LINE + b"\n")
        found = read_history(path)
    whole = json.loads(LINE)
    assert found[0] == whole == found[-1]
    assert all(type(value) in (int, float) for line in found for value in line.values())


def test_a_number_beyond_all_bounds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    huge = 10**400
    lines = [f'{{"step": {huge}}}', f'{{"step": 1, "train_loss": {huge}}}', '{"step": 2, "dev_loss": 1e308}']
    path.write_text("\n".join([*lines, '{"step": 3, "train_loss": 1e400}', ""]))
    assert read_history(path) == [{"step": 3, "train_loss": float("inf")}]
