"""The rule of blame: what is the same text, which reference judges, which of two J is higher, which verdict follows.

Verdicts, sweeps, widths, certificates, other exponents, traces and comparisons all use this rule.

    same text       the output is the reference or what the tokenizer makes of it; texts of nothing but white space are
                    the empty translation; pieces play no part
    who counts      where a source is not blank, the references that are not blank, if there are any; otherwise all
    who judges      the reference that counts and has the highest J in its best pieces; a reference that a search could
                    return goes before one that it could not; the first of equals
    which is higher J(a) > J(b) + tolerance; the same pieces are never higher than themselves, however they are rounded
    verdict         equal where the output is the text of a reference that counts; unreachable where no search could
                    return the judge; beam where the judge is higher than the output; model where it is not
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from nmtkit.blame.records import Obstacle, Rest, Verdict

if TYPE_CHECKING:
    from nmtkit.decoding.objective import Objective


class Scored(Protocol):
    """A translation in certain pieces: their ids (EOS last; empty where not known), their Σ log P and their number, and
    what of it follows a forced prefix (None: no prefix)."""

    @property
    def tokens(self) -> tuple[int, ...]: ...
    @property
    def total(self) -> float: ...
    @property
    def length(self) -> int: ...
    @property
    def rest(self) -> Rest | None: ...


class Form(Scored, Protocol):
    """A reference in certain pieces, and why no search could return them."""

    @property
    def obstacle(self) -> Obstacle: ...


F = TypeVar("F", bound=Form)


@dataclass(frozen=True)
class Reference(Generic[F]):
    """A reference of one source.

    Attributes:
        text: as given; empty if it is blank.
        written: the text that the tokenizer makes of it; the text as given where that is not certain.
        forms: the text in each segmentation that was scored.
    """

    text: str
    written: str
    forms: tuple[F, ...]

    def same_text(self, output: str) -> bool:
        """Whether an output is this reference."""
        return same_text(output, self.text) or same_text(output, self.written)


@dataclass(frozen=True)
class Judgement(Generic[F]):
    """The verdict on an output, the index of the reference that it rests on, and the pieces of that reference."""

    verdict: Verdict
    judge: int
    form: F


@dataclass(frozen=True)
class Rule:
    """The rule under one objective.

    Attributes:
        tolerance: tolerance on J: nats in all where α = 0, nats a piece where α = 1.
    """

    objective: Objective
    tolerance: float

    def j(self, translation: Scored) -> float:
        """The objective's value: that of what follows a forced prefix."""
        judged = translation.rest or translation
        return self.objective.final(judged.total, judged.length)

    def higher(self, one: Scored, other: Scored) -> bool:
        """Whether the J of one translation is higher than that of the other by more than the tolerance."""
        if one.tokens and one.tokens == other.tokens:
            return False
        return self.j(one) > self.j(other) + self.tolerance

    def best(self, forms: Sequence[F]) -> F:
        """The reachable form with the highest J; where none is reachable, the highest of all; the first of equals."""
        return max(forms, key=lambda form: (not form.obstacle, self.j(form)))

    def judging(self, source: str, references: Sequence[Reference[F]]) -> int:
        """The index of the reference that judges an output that differs from all of them."""
        counted = counting(source, [reference.text for reference in references])
        forms = [self.best(references[index].forms) for index in counted]
        judge = self.best(forms)
        return next(index for index, form in zip(counted, forms, strict=True) if form is judge)

    def judge(self, source: str, text: str, output: Scored, references: Sequence[Reference[F]]) -> Judgement[F]:
        """The verdict on an output, its text and its pieces."""
        counted = counting(source, [reference.text for reference in references])
        equal = next((index for index in counted if references[index].same_text(text)), None)
        judge = self.judging(source, references) if equal is None else equal
        form = self.best(references[judge].forms)
        if equal is not None:
            return Judgement(Verdict.EQUAL, judge, form)
        if form.obstacle:
            return Judgement(Verdict.UNREACHABLE, judge, form)
        return Judgement(Verdict.BEAM if self.higher(form, output) else Verdict.MODEL, judge, form)


def blank_as_empty(text: str) -> str:
    """The text; the empty translation where it is nothing but white space."""
    return text if text.strip() else ""


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same translation."""
    return blank_as_empty(one) == blank_as_empty(other)


def counting(source: str, texts: Sequence[str]) -> list[int]:
    """Indices of the references that count: blank ones do not, unless the source is blank or no other is left."""
    everything = range(len(texts))
    return [index for index in everything if texts[index].strip() or not source.strip()] or list(everything)


def preferable(forms: Sequence[F]) -> list[F]:
    """The reachable forms that some exponent could prefer to all others; the first of equals.

    J rises with Σ log P and, since that is at most 0, with the length under any exponent. So a form that is neither
    likelier nor longer than another is never better.
    """
    kept: list[F] = []
    for form in sorted(forms, key=lambda form: (-form.total, -form.length)):
        if not form.obstacle and all(form.length > other.length for other in kept):
            kept.append(form)
    return kept
