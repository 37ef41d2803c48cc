"""Trains a tokenizer: one subword model for both sides of a parallel text, or one for each."""

from __future__ import annotations

from collections.abc import Iterable

from nmtkit.files import Lines
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.training import train_subwords
from nmtkit.tokenizer.vectors import VectorSide


def train_tokenizer(
    source: Iterable[str], target: Iterable[str], options: TokenizerOptions, seed: int, features: int | None = None
) -> Tokenizer:
    """Learn the subwords of both sides of a parallel text.

    Args:
        source, target: lines that can be read more than once.
        features: features per position if the source is vectors; then only the target has subwords.
    """
    if features is not None:
        sides: list[Iterable[str]] = [target]
    else:
        sides = [Lines(source, target)] if options.joint else [source, target]
    models = [
        train_subwords(
            lines,
            vocab_size=options.vocab_size,
            kind=options.kind,
            max_lines=options.max_lines,
            seed=seed,
            symbols=options.symbols,
        )
        for lines in sides
    ]
    return Tokenizer(models[0] if features is None else VectorSide(features), models[-1])
