"""Trace files: what is written is read back, and what is no trace is refused by file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.inspection.traces import Candidate, Header, Reference, Scored, Step, Trace, read_traces, to_line

HEADER = Header("0.1.0", "f" * 64, 5, 0.7, "power", 9998)
ODD = [
    "",
    "a\u2028b\u2029",
    "\x85\x0b\x0c\x1c",
    'say "no"\\',
    "</script><!--",
    "line\nfeed\r\n",
    "\ufeff",
    "\U0001f600",
]

texts = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(ODD))
numbers = st.floats(max_value=0, allow_nan=False)
places = st.integers(1, 10**9)
pieces = st.lists(texts, max_size=3).map(tuple)
scored = st.builds(Scored, texts, pieces, st.lists(numbers, max_size=3).map(tuple), numbers, numbers)
candidates = st.builds(
    Candidate,
    places,
    st.integers(0, 10),
    texts,
    numbers,
    numbers,
    numbers,
    st.sampled_from(["kept", "finished", "pruned"]),
    st.booleans(),
)
steps = st.builds(Step, places, places, st.lists(candidates, max_size=3).map(tuple))
references = st.builds(
    Reference,
    scored,
    st.lists(places, max_size=3).map(tuple),
    st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
    st.sampled_from(["finished", "pruned", "stopped", "too long"]),
)
traces = st.builds(
    Trace,
    places,
    texts,
    pieces,
    places,
    st.lists(steps, max_size=3).map(tuple),
    st.lists(scored, max_size=2).map(tuple),
    st.none() | references,
)
headers = st.builds(Header, texts, texts, places, st.floats(0, 10), texts, places)


@settings(max_examples=150, deadline=None)
@given(headers, st.lists(traces, max_size=3))
def test_what_is_written_is_read_back(header: Header, values: list[Trace]) -> None:
    lines = [to_line(header), *map(to_line, values)]
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "beam.trace"
        path.write_bytes("".join(lines).encode())
        assert read_traces(path) == (header, values)


TRACE = Trace(1, "Jane", ("▁Jane",), 12, (Step(1, 1, (Candidate(1, 0, "▁J", -0.5, -0.5, -0.5, "kept"),)),), (), None)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "beam.trace"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_line_is_plain_json(tmp_path: Path) -> None:
    record = json.loads(to_line(TRACE))
    assert record["source"] == "Jane" and record["limit"] == 12 and record["reference"] is None
    assert record["steps"] == [
        {
            "length": 1,
            "prefixes": 1,
            "candidates": [
                {
                    "rank": 1,
                    "parent": 0,
                    "piece": "▁J",
                    "log_p": -0.5,
                    "total": -0.5,
                    "score": -0.5,
                    "fate": "kept",
                    "reference": False,
                }
            ],
        }
    ]
    header = json.loads(to_line(HEADER))
    assert (header["format"], header["beam"], header["vocabulary"]) == (1, 5, 9998)
    assert read_traces(written(tmp_path, to_line(HEADER))) == (HEADER, [])


def test_an_empty_file_is_no_trace(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: is empty"):
        read_traces(path)


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["Jane visits Africa.\n"], 1),
        (["{}\n"], 1),
        (["[1, 2]\n"], 1),
        (["3\n"], 1),
        (["\n"], 1),
        ([to_line(TRACE)], 1),
        ([to_line(HEADER), "Jane visits Africa.\n"], 2),
        ([to_line(HEADER), "\n"], 2),
        ([to_line(HEADER), to_line(TRACE), to_line(HEADER)], 3),
        ([to_line(HEADER), to_line(TRACE), to_line(TRACE)[:-40]], 3),
        ([to_line(HEADER), to_line(TRACE), '"line source steps outputs"\n', to_line(TRACE)], 3),
    ],
)
def test_what_is_no_trace_is_refused_by_file_and_line(tmp_path: Path, lines: list[str], number: int) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line {number}: not a trace; [^\n]*$"):
        read_traces(path)


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_format_is_refused(tmp_path: Path, version: object) -> None:
    newer = json.dumps({**json.loads(to_line(HEADER)), "format": version, "unheard of": 1}) + "\n"
    path = written(tmp_path, newer, to_line(TRACE))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: format {version} is not [^\n]*1[^\n]*$"):
        read_traces(path)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        read_traces(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(to_line(HEADER).encode() + b"\xff\xfe\n")
    with pytest.raises(ValueError, match="bytes, line 2: not valid UTF-8"):
        read_traces(tmp_path / "bytes")


@pytest.mark.parametrize("key", ["reference", "limit", "source_pieces"])
def test_a_line_that_lacks_something_is_refused_too(tmp_path: Path, key: str) -> None:
    record = {name: value for name, value in json.loads(to_line(TRACE)).items() if name != key}
    path = written(tmp_path, to_line(HEADER), json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line 2: "):
        read_traces(path)


@pytest.mark.parametrize("change", [{"vocabulary": None}, {"unheard of": 1}])
def test_a_header_of_other_keys_is_refused_too(tmp_path: Path, change: dict[str, object]) -> None:
    record = {**json.loads(to_line(HEADER)), **change}
    record = {name: value for name, value in record.items() if value is not None}
    path = written(tmp_path, json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}"):
        read_traces(path)


def test_a_newer_format_is_named_even_where_its_lines_look_different(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({**json.loads(to_line(HEADER)), "format": 2}) + "\n", '{"sentence": 1}\n')
    with pytest.raises(ValueError, match="format 2 is not the one"):
        read_traces(path)
