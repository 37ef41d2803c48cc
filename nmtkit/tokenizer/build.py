"""Options to tokenizer: one subword model for both sides of a parallel text, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmtkit.settings import nearest
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.training import KINDS, train_subwords


@dataclass(frozen=True)
class TokenizerOptions:
    """How to make a tokenizer.

    Attributes:
        vocab_size: pieces of each subword model, the 4 specials and 256 bytes among them.
        kind: "unigram" or "bpe".
        joint: one subword model for both languages; otherwise one for each.
        max_lines: learn from a random sample of this many lines; null: from all.
    """

    vocab_size: int = 8000
    kind: str = "unigram"
    joint: bool = True
    max_lines: int | None = None

    def __post_init__(self) -> None:
        if self.vocab_size < 1:
            raise ValueError(f"vocab_size = {self.vocab_size} is not possible: choose some thousands, for example 8000")
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r} is not known;{nearest(self.kind, KINDS)}")


def train_tokenizer(source: Sequence[str], target: Sequence[str], options: TokenizerOptions, seed: int) -> Tokenizer:
    """Learn the subwords of both sides of a parallel text."""
    sides = [[*source, *target]] if options.joint else [source, target]
    models = [
        train_subwords(lines, vocab_size=options.vocab_size, kind=options.kind, max_lines=options.max_lines, seed=seed)
        for lines in sides
    ]
    return Tokenizer(models[0], models[-1])
