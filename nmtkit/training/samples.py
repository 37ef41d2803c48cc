"""Sample translations: a few lines of the dev set, always the same, with what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nmtkit.training.validation import DevSet

SAMPLES, EMPTY = 3, "(empty)"


def sample(sources: Sequence[str], references: Sequence[str], most: int = SAMPLES) -> list[int]:
    """The numbers (from 0) of `most` lines spread evenly over a text; lines with a blank side do not count."""
    pairs = enumerate(zip(sources, references, strict=True))
    filled = [number for number, (source, reference) in pairs if source.strip() and reference.strip()]
    places = dict.fromkeys((2 * part + 1) * len(filled) // (2 * most) for part in range(most))
    return [filled[place] for place in places] if filled else []


def samples(dev: DevSet, outputs: Sequence[str]) -> Iterator[str]:
    """Source, reference and output of each sample, a line each; `outputs` has a line for every line of the dev set."""
    for number in sample(dev.source_lines, dev.target_lines):
        yield f"  line {number + 1:<8}{dev.source_lines[number]}"
        yield f"    reference  {dev.target_lines[number]}"
        yield f"    output     {outputs[number] if outputs[number].strip() else EMPTY}"
