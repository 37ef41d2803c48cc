"""How to make a tokenizer; apart from SentencePiece, which takes long to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from nmtkit.settings import Within, check_bounds, nearest, to_mapping

KINDS = ("unigram", "bpe")
COVERAGE = Within(0.98, 1)
"""Share of the characters of a text that get a piece of their own."""


@dataclass(frozen=True)
class TokenizerOptions:
    """How to make a tokenizer.

    Attributes:
        vocab_size: pieces of each subword model, the 4 specials and 256 bytes among them.
        kind: "unigram" or "bpe".
        joint: one subword model for both languages; otherwise one for each.
        max_lines: learn from a random sample of this many lines; null: from all.
    """

    vocab_size: Annotated[int, Within(1, 1_000_000, usual=8000)] = 8000
    kind: str = "unigram"
    joint: bool = True
    max_lines: Annotated[int | None, Within(1, 1_000_000_000)] = None

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r} is not known;{nearest(self.kind, KINDS)}")


def made_by_to_mapping(options: TokenizerOptions) -> dict[str, Any]:
    """The options as a model folder has them."""
    return to_mapping(options)
