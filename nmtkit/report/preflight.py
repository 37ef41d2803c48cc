"""What is wrong with a parallel text: a table and examples for a terminal of 80 columns, one line, JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from nmtkit.preflight.characters import ZERO_WIDTH
from nmtkit.preflight.findings import Example, Facts, Finding, Kind, Layout
from nmtkit.preflight.lines import ENTITY, MOJIBAKE, TAG
from nmtkit.report.tables import number, shown
from nmtkit.words import counted, plural

TITLES = {
    Kind.EMPTY: "blank side",
    Kind.INVALID: "invalid UTF-8",
    Kind.OVER_LONG: "over-long side",
    Kind.RATIO: "odd ratio of lengths",
    Kind.DUPLICATE: "repeats an earlier pair",
    Kind.COPY: "target copies source",
    Kind.SCRIPT: "another script",
    Kind.SWAPPED: "sides swapped",
    Kind.LANGUAGE: "language of the other side",
    Kind.CONTROL: "control characters",
    Kind.REPLACEMENT: "replacement character U+FFFD",
    Kind.MOJIBAKE: "wrongly decoded: Ã© for é",
    Kind.IN_DEV: "pair is in dev",
    Kind.IN_TEST: "pair is in test",
    Kind.SAME_SOURCE: "source again, other target",
    Kind.SAME_TARGET: "target again, other source",
    Kind.FREQUENT_SOURCE: "very frequent source",
    Kind.FREQUENT_TARGET: "very frequent target",
    Kind.SOURCE_IN_DEV: "only source is in dev",
    Kind.TARGET_IN_DEV: "only target is in dev",
    Kind.SOURCE_IN_TEST: "only source is in test",
    Kind.TARGET_IN_TEST: "only target is in test",
    Kind.INVISIBLE: "invisible characters",
    Kind.MARKUP: "HTML tags or entities",
    Kind.SPACES: "outer or repeated spaces, tabs",
    Kind.NOT_NFC: "not in Unicode form NFC",
    Kind.NUMBERS: "numbers differ",
    Kind.UNKNOWN: "unknown pieces",
    Kind.BYTES: "characters spelled in bytes",
}
OTHERS = {
    **dict.fromkeys((Kind.DUPLICATE, Kind.SAME_SOURCE, Kind.SAME_TARGET), "line"),
    **dict.fromkeys((Kind.IN_DEV, Kind.SOURCE_IN_DEV, Kind.TARGET_IN_DEV), "dev line"),
    **dict.fromkeys((Kind.IN_TEST, Kind.SOURCE_IN_TEST, Kind.TARGET_IN_TEST), "test line"),
}
"""In which text the other line of an example is."""
WIDTH = 66
"""Characters of a text that are shown."""
CONTEXT = 24
"""Characters that are shown before the place of a finding that would not be seen otherwise."""
PLACES = {
    Kind.INVALID: re.compile("\ufffd"),
    Kind.CONTROL: re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"),
    Kind.REPLACEMENT: re.compile("\ufffd"),
    Kind.MOJIBAKE: MOJIBAKE,
    Kind.INVISIBLE: re.compile(f"[{''.join(map(chr, ZERO_WIDTH))}]"),
    Kind.MARKUP: re.compile(f"{ENTITY.pattern}|{TAG.pattern}"),
    Kind.SPACES: re.compile(r"^\s|\s\s|\t|\s$"),
    Kind.NUMBERS: re.compile(r"\d"),
}
"""Where in a text the finding is."""


def render(facts: Facts) -> Iterator[Text | Table]:
    """The report in parts: sums, files, a table of problems and of remarks, and the examples of each."""
    yield Text(_sums(facts))
    for layout in facts.files:
        if odd := _oddities(layout):
            yield Text(f"{layout.path}: {', '.join(odd)}.")
    if facts.problems or facts.remarks:
        yield _table(facts)
    for finding in (*facts.problems, *facts.remarks):
        if finding.examples:
            yield Text(f"{TITLES[finding.kind]}{_rule(finding.kind, facts)}", style="bold")
            yield _examples(finding)


def summary(facts: Facts) -> str:
    """The most important counts in a line."""
    return f"{_pairs(facts)}: {_reasons(facts) or 'no problem'}"


def left_out(facts: Facts) -> str:
    """How many pairs a clean copy has, and why the others are not in it."""
    text = f"{facts.clean:,} of {facts.pairs:,} {plural(facts.pairs, 'pair')}"
    reasons = _reasons(facts)
    return f"{text}; left out: {reasons}" if reasons else text


def _reasons(facts: Facts) -> str:
    """The problems and how many pairs have each."""
    return ", ".join(f"{TITLES[finding.kind]} {finding.pairs:,}" for finding in facts.problems)


def _pairs(facts: Facts) -> str:
    """How many pairs were looked at."""
    return f"{'' if facts.whole else 'the first '}{facts.pairs:,} {plural(facts.pairs, 'pair')}"


def to_json(facts: Facts) -> dict[str, Any]:
    """All facts; each finding with its share of the pairs."""
    return {
        "pairs": facts.pairs,
        "clean": facts.clean,
        "whole": facts.whole,
        "files": [{**vars(layout), "path": str(layout.path)} for layout in facts.files],
        "ratio": vars(facts.ratio),
        "scripts": list(facts.scripts),
        "max_source": facts.max_source,
        "max_target": facts.max_target,
        "tokenizer": facts.tokenizer,
        "problems": {finding.kind.value: _plain(finding, facts.pairs) for finding in _looked_for(facts, True)},
        "remarks": {finding.kind.value: _plain(finding, facts.pairs) for finding in _looked_for(facts, False)},
    }


def _looked_for(facts: Facts, problems: bool) -> Iterable[Finding]:
    return (finding for finding in facts.findings if finding.kind.is_problem is problems)


def _plain(finding: Finding, pairs: int) -> dict[str, Any]:
    values = {name: value for name, value in vars(finding).items() if name != "kind" and value is not None}
    examples = [
        {name: value for name, value in vars(example).items() if value is not None} for example in finding.examples
    ]
    return {**values, "share": finding.pairs / pairs, "examples": examples}


def _sums(facts: Facts) -> str:
    source, target = (layout.path.name for layout in facts.files)
    pairs = f"{source} and {target}: {_pairs(facts)}"
    odd = facts.pairs - facts.clean
    if not odd:
        return f"{pairs}, none with a problem."
    return f"{pairs}, {odd:,} ({share(odd, facts.pairs)}) with a problem."


def _oddities(layout: Layout) -> list[str]:
    """What is unusual about the lines of a file."""
    odd = []
    if layout.mark:
        odd.append("begins with a byte order mark")
    if layout.crlf:
        odd.append(f"{counted(layout.crlf, 'line')} of {layout.lines:,} with CR LF at the end")
    if layout.blank_at_end:
        odd.append(f"ends in {counted(layout.blank_at_end, 'blank line')}")
    if layout.unfinished:
        odd.append("its last line has no line end")
    return odd


def share(pairs: int, of: int) -> str:
    """A share in per cent; of few pairs with more decimals."""
    percent = 100 * pairs / of
    return f"{percent:.1f} %" if percent >= 1 or not pairs else f"{percent:.2g} %" if percent >= 0.001 else "< 0.001 %"


def _table(facts: Facts) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for heading in ("pairs", "share", "source", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    for title, findings in (("problems", facts.problems), ("remarks", facts.remarks)):
        for place, finding in enumerate(findings):
            if not place:
                table.add_row(Text(title, style="bold"))
            sides = ("" if count is None else f"{count:,}" for count in (finding.source, finding.target))
            table.add_row(
                f"  {TITLES[finding.kind]}",
                f"{finding.pairs:,}",
                share(finding.pairs, facts.pairs),
                *sides,
                end_section=place == len(findings) - 1,
            )
    return table


def _rule(kind: Kind, facts: Facts) -> str:
    """What a finding of the kind is, where the title does not say it."""
    if kind is Kind.OVER_LONG:
        unit = "pieces" if facts.tokenizer else "words"
        return f" (more than {facts.max_source} {unit} in the source, {facts.max_target} in the target)"
    if kind is Kind.RATIO:
        usual, low, high = (number(value) for value in (facts.ratio.usual, facts.ratio.low, facts.ratio.high))
        return f" (source to target in characters: usually {usual}, odd below {low} and above {high})"
    if kind is Kind.SCRIPT:
        usual = ", ".join(
            f"{side} {script}"
            for side, script in zip(("source", "target"), facts.scripts, strict=True)
            if script is not None
        )
        return f" (usual: {usual})"
    if kind in (Kind.UNKNOWN, Kind.BYTES):
        return f" ({counted(facts[kind].units or 0, 'piece')})"
    return ""


def _examples(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=8)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for example in finding.examples:
        if beside := _beside(finding.kind, example):
            table.add_row(str(example.line), Text(beside))
        table.add_row("" if beside else str(example.line), _excerpt(finding.kind, example.source))
        table.add_row("", _excerpt(finding.kind, example.target))
    return table


def _excerpt(kind: Kind, text: str) -> Text:
    """The beginning of a text, or what is around the finding if that stands later."""
    place = PLACES[kind].search(text) if kind in PLACES else None
    if place and place.end() > WIDTH and place.start() > CONTEXT:
        text = f"… {text[place.start() - CONTEXT :]}"
    return shown(text, WIDTH)


def _beside(kind: Kind, example: Example) -> str:
    """What an example has besides its texts."""
    if example.times is not None:
        return f"{example.times:,} times"
    return "" if example.other is None else f"= {OTHERS[kind]} {example.other}"
