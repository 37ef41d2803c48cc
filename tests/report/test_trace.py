"""A traced beam search as a terminal shows it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from nmtkit.inspection.traces import Candidate, Header, Reference, Scored, Step, Trace, prefixes
from nmtkit.report.trace import probability, render, step_title

HEADER = Header("0.1.0", "f" * 64, 5, 0.7, "power", 9998)


def one(rank: int, parent: int, piece: str, total: float, fate: str, star: bool = False, j: float = -1.5) -> Candidate:
    return Candidate(rank, parent, piece, -0.5, total, j, fate, star)


STEPS = (
    Step(
        1,
        1,
        (
            one(1, 0, "▁Jane", -0.5, "kept", star=True),
            one(2, 0, "▁In", -0.75, "kept"),
            one(3, 0, "▁A", -3.0, "pruned"),
        ),
    ),
    Step(
        2,
        2,
        (
            one(1, 1, "▁is", -1.0, "kept", star=True),
            one(2, 2, "▁September", -1.25, "kept"),
            one(3, 1, "▁visits", -4.0, "pruned"),
        ),
    ),
    Step(
        3,
        2,
        (
            one(1, 1, "▁going", -1.5, "kept"),
            one(2, 1, "▁visiting", -2.0, "kept", star=True),
            one(3, 2, ",", -5.0, "pruned"),
        ),
    ),
    Step(
        4,
        2,
        (
            one(1, 1, "</s>", -2.25, "finished", j=-0.853),
            one(2, 1, "▁to", -2.5, "kept"),
            one(3, 2, "▁Africa", -3.25, "pruned", star=True),
        ),
    ),
)
OUTPUT = Scored("Jane is going", ("▁Jane", "▁is", "▁going", "</s>"), (-0.5, -0.5, -0.5, -0.75), -2.25, -0.853)
HUMAN = Scored(
    "Jane is visiting Africa",
    ("▁Jane", "▁is", "▁visiting", "▁Africa", "</s>"),
    (-0.5, -0.5, -1.0, -1.25, -0.5),
    -3.75,
    -1.215,
)
LOST = Reference(HUMAN, (1, 1, 2, 3), (0.25, 0.25, 0.0, -0.75), "pruned")
TRACE = Trace(4, "Jane visite l'Afrique.", ("▁Jane", "▁visite"), 20, STEPS, (OUTPUT,), LOST)


def printed(trace: Trace, steps: int = 3, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    for part in render(HEADER, trace, steps, width):
        console.print(part)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def tree(text: str) -> list[str]:
    """The lines of the tree, below its heading."""
    lines = text.splitlines()
    return lines[next(number for number, line in enumerate(lines) if line.split() == ["step", "log", "P"]) + 1 :]


def branch(text: str, word: str) -> str:
    """The only line of the tree that holds the word."""
    [line] = [line for line in tree(text) if word in line]
    return words(line)


def test_what_went_in_and_out_stands_first() -> None:
    first, second, third, fourth, *_ = printed(TRACE).splitlines()
    assert [words(line) for line in (first, second, third)] == [
        "line 4: Jane visite l'Afrique.",
        "output 1: J -0.853 Jane is going",
        "reference: J -1.215 Jane is visiting Africa",
    ]
    assert len({line.index("Jane") for line in (first, second, third)}) == 1, "texts stand below each other"
    assert fourth.startswith("★ the reference fell out at step 4"), "the answer comes before the steps"
    assert "reference" not in printed(replace(TRACE, reference=None))
    second = replace(TRACE, outputs=(OUTPUT, replace(OUTPUT, text="In September", score=-1.0)))
    assert "output 2: J -1.000 In September" in map(words, printed(second).splitlines())


def test_steps_are_told_as_the_lectures_do() -> None:
    five = tuple(one(rank, 0, f"▁{rank}", -rank, "kept" if rank < 6 else "pruned") for rank in range(1, 11))
    first, second = Step(1, 1, five), Step(2, 5, tuple(replace(candidate, parent=1) for candidate in five))
    assert step_title(first, HEADER) == ["step 1", "9,998 first pieces", "5 kept"]
    assert step_title(second, HEADER) == ["step 2", "5 × 9,998 = 49,990 candidates", "5 kept"]
    ended = replace(second, candidates=(replace(five[0], fate="finished"), *five[1:]))
    assert step_title(ended, HEADER)[2] == "4 kept, 1 finished"
    lines = printed(replace(TRACE, steps=(first, ended), reference=None)).splitlines()
    assert "step 1: 9,998 first pieces, 5 kept" in lines
    assert "step 2: 5 × 9,998 = 49,990 candidates, 4 kept, 1 finished" in lines
    lines = printed(replace(TRACE, steps=(first, second), reference=None)).splitlines()
    assert "step 2: 5 × 9,998 = 49,990 candidates, 5 kept" in lines


@pytest.mark.parametrize("most", [0, 1, 3, 4, 9])
def test_as_many_steps_as_asked_for(most: int) -> None:
    titles = re.findall(r"^(step \d+): ", printed(TRACE, steps=most), re.MULTILINE)
    assert titles == [f"step {number}" for number in range(1, min(most, 4) + 1)]


def test_a_step_shows_every_candidate_with_its_whole_prefix() -> None:
    rows = [words(line) for line in printed(TRACE, steps=4).splitlines()]
    assert "rank log P P J prefix" in rows
    # e^−0.5 = 0.6065, e^−1 = 0.3679, e^−1.25 = 0.2865, e^−4 = 0.0183, e^−3.25 = 0.0388
    assert "1 -0.50 60.7 % -1.500 · ★ ▁Jane" in rows
    assert "1 -1.00 36.8 % -1.500 · ★ ▁Jane ▁is" in rows
    assert "2 -1.25 28.7 % -1.500 · ▁In ▁September" in rows
    assert "3 -4.00 1.8 % -1.500 × ▁Jane ▁visits" in rows
    assert "1 -2.25 10.5 % -0.853 ✓ ▁Jane ▁is ▁going </s>" in rows
    assert "3 -3.25 3.9 % -1.500 × ★ ▁Jane ▁is ▁visiting ▁Africa" in rows


def test_prefixes_are_read_back_over_the_parents() -> None:
    assert prefixes(STEPS)[2] == [("▁Jane", "▁is", "▁going"), ("▁Jane", "▁is", "▁visiting"), ("▁In", "▁September", ",")]
    assert prefixes(STEPS)[0] == [("▁Jane",), ("▁In",), ("▁A",)] and prefixes(()) == []


@pytest.mark.parametrize(
    ("log_p", "expected"), [(0.0, "100.0 %"), (-0.6931471805599453, "50.0 %"), (-6.9, "0.1 %"), (-20.0, "2e-07 %")]
)
def test_probabilities_in_per_cent(log_p: float, expected: str) -> None:
    """e^−6.9 = 0.1008 %; e^−20 = 2.06e-9, which is 2.06e-7 %."""
    assert probability(log_p) == expected


def test_the_tree_joins_chains_and_stars_the_reference() -> None:
    """The way to the best goes down on the left; what it left stands behind a rule, figures in columns of their own."""
    assert tree(printed(TRACE, steps=0)) == [
        "   0   0.00      <s>",
        " 1–2  -1.25  ×   ├ ▁In ▁September",
        " 1–2  -1.00  · ★ ▁Jane ▁is",
        " 3–4  -3.25  × ★ ├ ▁visiting ▁Africa",
        "   3  -1.50  ·   ▁going",
        "   4  -2.50  ·   ├ ▁to",
        "   4  -2.25  ✓   </s> J -0.853",
    ]
    dead = replace(STEPS[0].candidates[2], fate="kept")
    more = replace(
        STEPS[0], candidates=(*STEPS[0].candidates[:2], dead, replace(dead, rank=4, piece="▁Of", total=-3.5))
    )
    assert tree(printed(replace(TRACE, steps=(more, *STEPS[1:])), steps=0))[1] == (
        "   1         ×   ├ ▁A (-3.00) ▁Of (-3.50)"
    ), "what died at once stands on one line"


def test_long_chains_go_on_below_their_own_beginning() -> None:
    steps = tuple(
        Step(length, 1, (one(1, min(length - 1, 1), f"▁word{length}", -length, "kept"),)) for length in range(1, 31)
    )
    lines = tree(printed(replace(TRACE, steps=steps, reference=None), steps=0, width=60))
    assert len(lines) > 5 and max(map(len, lines)) <= 60
    assert {line.index("▁word") for line in lines[1:]} == {len("1–30  -30.00  · ")}
    assert words(" ".join(lines)).endswith(" ".join(f"▁word{number}" for number in range(1, 31)))


def test_of_a_prefix_that_is_too_long_the_end_is_shown() -> None:
    steps = tuple(
        Step(length, 1, (one(1, min(length - 1, 1), f"▁word{length}", -1.0, "kept"),)) for length in range(1, 21)
    )
    text = printed(replace(TRACE, steps=steps, reference=None), steps=20)
    rows = [line for line in text[: text.index("tree of")].splitlines() if "36.8 %" in line]
    assert len(rows) == 20, "one line each"
    assert rows[1].rstrip().endswith("·   ▁word1 ▁word2") and rows[19].rstrip().endswith("▁word18 ▁word19 ▁word20")
    assert "  … ▁word" in rows[19]


def test_a_chain_that_leaves_the_reference_says_where() -> None:
    only = tuple(replace(step, candidates=step.candidates[:1]) for step in STEPS)
    text = printed(replace(TRACE, steps=only), steps=0, width=120)
    assert branch(text, "▁Jane") == "1–4 -2.25 ✓ ▁Jane ▁is ▁going </s> J -0.853 (★ to here: ▁is)"
    unknown = tuple(replace(step, candidates=(replace(step.candidates[0], reference=False),)) for step in only)
    assert "★" not in "".join(tree(printed(replace(TRACE, steps=unknown, reference=None))))


@pytest.mark.parametrize(
    ("ranks", "margins", "ending", "parts"),
    [
        ((1, 1, 2, 3), (0.25, 0.25, 0.0, -0.75), "pruned", ["fell out at step 4", "▁Africa", "rank 3", "0.75 nats"]),
        ((1, 12345), (0.5, -7.25), "pruned", ["fell out at step 2", "▁is", "rank 12,345", "7.25 nats", "beam 5"]),
        ((1, 1, 2, 4, 3), (0.0,) * 5, "finished", ["among the finished", "step 5", "rank 3"]),
        ((1, 1, 2), (0.0,) * 3, "stopped", ["still alive at step 3", "rank 2", "stopped"]),
        ((1, 1), (0.0, -1.0), "same text", ["an output is the text", "other pieces"]),
        ((1, 1, 1), (0.0, 0.0, 4.5), "forbidden", ["forbidden", "step 3", "▁visiting"]),
        ((1, 1, 9), (0.0, 0.0, -3.5), "other prefix", ["prefix", "step 3", "▁visiting"]),
        ((1, 1), (0.0,) * 2, "too long", ["longer than the limit of 20 pieces"]),
        ((), (), "too long", ["longer than the limit of 20 pieces"]),
    ],
)
def test_a_sentence_says_how_the_reference_was_lost(
    ranks: tuple[int, ...], margins: tuple[float, ...], ending: str, parts: list[str]
) -> None:
    text = printed(replace(TRACE, reference=Reference(HUMAN, ranks, margins, ending)), steps=0)
    sentence = words(text[text.index("★ ") : text.index("tree of")])
    assert all(part in sentence for part in parts), sentence
    assert "-" not in sentence


def test_a_line_that_failed_says_that_nothing_was_searched() -> None:
    text = printed(replace(TRACE, steps=(), outputs=(), reference=None))
    assert [words(line) for line in text.splitlines()] == ["line 4: Jane visite l'Afrique.", "nothing was searched"]


def test_texts_and_pieces_are_shown_as_they_are_and_obey_nobody() -> None:
    nasty = "a\x1b[31m[bold]b[/bold]\x07\u202e\x9b:smile:\r\n\u2028"
    steps = tuple(
        replace(step, candidates=tuple(replace(candidate, piece=nasty) for candidate in step.candidates))
        for step in STEPS
    )
    scored = replace(HUMAN, text=nasty, pieces=(nasty,) * 5)
    bad = Trace(1, nasty, (nasty,), 9, steps, (scored,), replace(LOST, scored=scored))
    text = printed(bad, steps=9, width=400)
    assert all(character.isprintable() or character == "\n" for character in text)
    safe = r"a\x1b[31m[bold]b[/bold]\x07\u202e\x9b:smile:\r\n\u2028"
    # the source, the output and the reference; the four steps' prefixes; the tree; the sentence about the loss
    assert text.count(safe) >= 3 + 3 * (1 + 2 + 3 + 4) + 8 + 1
    assert f"line 1: {safe}" in words(text) and f"fell out at step 4 with {safe}: rank 3" in text


@pytest.mark.parametrize("piece", ["▁verylongpiece" * 9, "日本語" * 30, "x" * 500])
def test_everything_fits_80_columns(piece: str) -> None:
    steps = [
        Step(
            length,
            5,
            tuple(
                Candidate(
                    rank,
                    min(length - 1, (rank + 1) // 2),
                    piece,
                    -1234.5,
                    -123456.789,
                    -9999.123,
                    "kept" if rank < 3 else "pruned",
                    rank == 1,
                )
                for rank in range(1, 11)
            ),
        )
        for length in range(1, 9)
    ]
    scored = replace(HUMAN, text=piece, pieces=(piece,) * 9)
    long = Trace(
        123456, piece, (piece,), 200, tuple(steps), (scored,), replace(LOST, scored=scored, ranks=(10**9,) * 4)
    )
    text = printed(long, steps=9)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "-123456.79" in text and "1,000,000,000" in text


def test_a_tree_with_many_forks_loses_nothing() -> None:
    steps = tuple(
        Step(
            length,
            2,
            (one(1, min(length - 1, 1), f"a{length}z", -1.0, "kept"), one(2, min(length - 1, 1), "b", -1.0, "kept")),
        )
        for length in range(1, 41)
    )
    text = printed(replace(TRACE, steps=steps, reference=None), steps=0)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert all(f"a{length}z" in text for length in range(1, 41))
