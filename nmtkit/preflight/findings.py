"""What a check finds: kinds of findings, counts and examples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What may be wrong with a pair of lines; problems first, then remarks."""

    EMPTY = "empty"
    INVALID = "invalid_utf8"
    OVER_LONG = "over_long"
    RATIO = "length_ratio"
    DUPLICATE = "duplicate"
    COPY = "copy"
    SCRIPT = "wrong_script"
    SWAPPED = "swapped"
    LANGUAGE = "wrong_language"
    CONTROL = "control_characters"
    REPLACEMENT = "replacement_characters"
    MOJIBAKE = "mojibake"
    IN_DEV = "in_dev"
    IN_TEST = "in_test"

    SAME_SOURCE = "same_source"
    SAME_TARGET = "same_target"
    FREQUENT_SOURCE = "frequent_source"
    FREQUENT_TARGET = "frequent_target"
    SOURCE_IN_DEV = "source_in_dev"
    TARGET_IN_DEV = "target_in_dev"
    SOURCE_IN_TEST = "source_in_test"
    TARGET_IN_TEST = "target_in_test"
    INVISIBLE = "invisible_characters"
    MARKUP = "markup"
    SPACES = "spaces"
    NOT_NFC = "not_nfc"
    NUMBERS = "numbers"
    UNKNOWN = "unknown_pieces"
    BYTES = "byte_pieces"

    @property
    def is_problem(self) -> bool:
        """Whether pairs with it are left out of a cleaned text."""
        return self in PROBLEMS

    @property
    def bit(self) -> int:
        """Its bit in the marks of a pair."""
        return 1 << _ORDER[self]


_ORDER = {kind: number for number, kind in enumerate(Kind)}
PROBLEMS = (*Kind,)[: _ORDER[Kind.SAME_SOURCE]]
"""What a model should not learn: pairs with a problem are left out of a cleaned text. All else are remarks."""
PROBLEM_BITS = sum(kind.bit for kind in PROBLEMS)


@dataclass(frozen=True)
class Example:
    """A pair that was found.

    Attributes:
        line: its line number, from 1.
        other: the line that it repeats, in the same text or in dev or test; or None.
        times: how often the text of the line occurs, of frequent lines; or None.
        source: the first characters of the text.
        target: the first characters of its translation.
    """

    line: int
    other: int | None = None
    times: int | None = None
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class Finding:
    """How many pairs have something.

    Attributes:
        pairs: pairs in which it was found, on either side.
        source: pairs in whose source it was found; None for what concerns the pair as a whole.
        target: pairs in whose target it was found, likewise.
        units: single occurrences, of pieces; or None.
        examples: the first pairs; of frequent lines the most frequent.
    """

    kind: Kind
    pairs: int
    source: int | None = None
    target: int | None = None
    units: int | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The lines of a file.

    Attributes:
        lines: all lines.
        crlf: lines that end in CR LF.
        mark: whether the file begins with a byte order mark.
        blank_at_end: blank lines at the end of the file.
        unfinished: whether the last line has no line end.
    """

    path: Path
    lines: int = 0
    crlf: int = 0
    mark: bool = False
    blank_at_end: int = 0
    unfinished: bool = False


@dataclass(frozen=True)
class Ratio:
    """The usual ratio of lengths, source to target, in characters, and the limits beyond which a ratio is odd."""

    usual: float
    low: float
    high: float


@dataclass(frozen=True)
class Facts:
    """All that was found in a parallel text.

    Attributes:
        pairs: pairs that were looked at.
        clean: pairs without a problem.
        whole: whether all pairs of the files were looked at.
        files: the files of both sides.
        findings: of every kind that was looked for, also where nothing was found; in the order of `Kind`.
        ratio: the usual ratio of lengths.
        scripts: the script of each side; None where no script has nine tenths of the lines.
        max_source: the greatest length that is not over-long.
        max_target: likewise for the target.
        tokenizer: the hash of the tokenizer in whose pieces lengths are counted; without it words are counted.
    """

    pairs: int
    clean: int
    whole: bool
    files: tuple[Layout, Layout]
    findings: tuple[Finding, ...]
    ratio: Ratio
    scripts: tuple[str | None, str | None]
    max_source: int
    max_target: int
    tokenizer: str | None = None

    def __getitem__(self, kind: Kind) -> Finding:
        """The finding of a kind; nothing was found of a kind that was not looked for."""
        return next((finding for finding in self.findings if finding.kind is kind), Finding(kind, 0))

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings for which pairs should be left out."""
        return tuple(finding for finding in self.findings if finding.kind.is_problem and finding.pairs)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """The findings that a person may want to look at."""
        return tuple(finding for finding in self.findings if not finding.kind.is_problem and finding.pairs)
