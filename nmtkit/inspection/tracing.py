"""Search and note what the beam looked at: traces of each sentence, a given translation followed through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nmtkit import __version__
from nmtkit.blame.references import Known, scored, written
from nmtkit.console import warn
from nmtkit.decoding.beam import Watcher
from nmtkit.decoding.trace import Both, Follower, Recorder, ReferencePath
from nmtkit.decoding.trace import Step as SeenStep
from nmtkit.inspection.traces import Candidate, Header, Reference, Scored, Step, Trace

if TYPE_CHECKING:
    from nmtkit.batches.sources import Listener
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translation, Translator


def header(translator: Translator, settings: SearchSettings) -> Header:
    """What stands first in a trace file."""
    vocabulary = translator.tokenizer.target.size - 2  # PAD and BOS cannot be produced
    facts = (settings.beam, settings.length_alpha, settings.length_penalty, vocabulary)
    return Header(__version__, translator.folder_hash, *facts)


def trace(
    translator: Translator,
    lines: Sequence[str],
    settings: SearchSettings,
    references: Sequence[str] | None = None,
    first_line: int = 1,
    listener: Listener | None = None,
) -> list[tuple[list[Translation], Trace]]:
    """The translations of each line, as `Translator.search` gives them, and what the beam looked at on its way.

    Of every step the 2B best candidates are noted, at least ten, and what is on the way to the reference.

    Args:
        references: a known translation of each line, to be followed; a blank one of a line that is not is none, and
            one that is longer than any translation is not followed, with a warning.
        listener: hears how the lines fare; one that fails has no translation and no steps.
    """
    tokens = _followed(translator, lines, references, settings, first_line)
    found, seen = observe(translator, lines, tokens, settings, first_line, listener)
    limits = translator.limits(lines, settings)
    alone = [[one] if one else [] for one in tokens]
    forced = translator.score_tokens(lines, alone, settings, listener=_Deaf()) if references is not None else []
    results = []
    for index, line in enumerate(lines):
        steps, path = seen[index]
        reference = None
        if references is not None and path is not None and forced[index]:
            text, (own,) = references[index], forced[index]
            reference = _reference(translator, own, text, path)
            known = Known(text, written(translator, text, own.tokens), (scored(text, own),))
            if reference.ending != "finished" and any(known.same_text(one.text) for one in found[index]):
                reference = replace(reference, ending="same text")
        pieces = translator.tokenizer.source.pieces(translator.encode_source(line, settings)[:-1])
        outputs = tuple(_scored(translator, one, one.text) for one in found[index])
        traced = Trace(first_line + index, line, tuple(pieces), limits[index], steps, outputs, reference)
        results.append((found[index], traced))
    return results


def _followed(
    translator: Translator,
    lines: Sequence[str],
    references: Sequence[str] | None,
    settings: SearchSettings,
    first_line: int,
) -> list[tuple[int, ...] | None]:
    """The ids of what is followed for each line."""
    followed: list[tuple[int, ...] | None] = []
    for number, (line, text) in enumerate(zip(lines, references or [""] * len(lines), strict=True), start=first_line):
        tokens = translator.encode_target(text) if references and (text.strip() or not line.strip()) else None
        if tokens is not None and (excess := translator.excess(tokens, settings)):
            warn(f"line {number}: the reference is not followed: {excess}")
            tokens = None
        followed.append(tokens)
    return followed


Seen = tuple[tuple[Step, ...], ReferencePath | None]
"""Of a line: the steps of its search, and how far it went along the translation followed."""


def observe(
    translator: Translator,
    lines: Sequence[str],
    followed: Sequence[tuple[int, ...] | None],
    settings: SearchSettings,
    first_line: int | None = 1,
    listener: Listener | None = None,
) -> tuple[list[list[Translation]], list[Seen]]:
    """The translations of each line, and what the beam looked at.

    Args:
        followed: ids of a translation of each line, EOS last; None: nothing to follow.
        first_line: number of the first line, for warnings; None: no warnings.
    """
    notes: dict[int, tuple[Recorder, Follower, int]] = {}

    def watch(chosen: list[int], limits: list[int]) -> Watcher:
        recorder = Recorder(len(chosen), max(2 * settings.beam, 10), settings.objective)
        follower = Follower([followed[index] for index in chosen], limits)
        notes.update({index: (recorder, follower, row) for row, index in enumerate(chosen)})
        return Both(recorder, follower)

    found = translator.search(lines, settings, first_line, listener=listener, watch=watch)
    seen: list[Seen] = []
    for index, translations in enumerate(found):
        if not translations:
            seen.append(((), None))
            continue
        recorder, follower, row = notes[index]
        seen.append((_steps(translator, recorder.steps[row], followed[index] or ()), follower.path(row)))
    return found, seen


class _Deaf:
    """Hears nothing: a reference that cannot be scored is left out of its trace."""

    def done(self, results: Sequence[Any]) -> None: ...

    def failed(self, line: int, error: Exception) -> None: ...


def _steps(translator: Translator, steps: Sequence[SeenStep], reference: Sequence[int]) -> tuple[Step, ...]:
    """The steps with pieces for tokens, the prefixes of the reference marked."""
    named, on_way = [], 0  # rank of the reference's prefix in the step before; −1: not among those noted
    for step in steps:
        wanted = reference[step.length - 1] if step.length <= len(reference) else None
        before, on_way = on_way, -1
        candidates = []
        pieces = translator.tokenizer.target.pieces([one.token for one in step.candidates])
        for one, piece in zip(step.candidates, pieces, strict=True):
            marked = one.parent == before and one.token == wanted
            on_way = one.rank if marked else on_way
            facts = (one.rank, one.parent, piece, one.log_p, one.total, one.score, one.fate.value, marked)
            candidates.append(Candidate(*facts))
        named.append(Step(step.length, step.prefixes, tuple(candidates)))
    return tuple(named)


def _scored(translator: Translator, one: Hypothesis, text: str) -> Scored:
    return Scored(text, tuple(translator.tokenizer.target.pieces(one.tokens)), one.log_probs, one.total, one.score)


def _reference(translator: Translator, forced: Hypothesis, text: str, path: ReferencePath) -> Reference:
    ranks, margins = ([getattr(step, name) for step in path.steps] for name in ("rank", "margin"))
    return Reference(_scored(translator, forced, text), tuple(ranks), tuple(margins), path.ending.value)
