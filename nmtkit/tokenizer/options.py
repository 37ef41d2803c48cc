"""The options of a tokenizer, in a file without SentencePiece, which takes long to load."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from nmtkit.settings import Within, check_bounds, nearest, to_mapping

KINDS = ("unigram", "bpe")
SPECIAL = ("<pad>", "<s>", "<unk>", "</s>")
COVERAGE = Within(0.98, 1)
"""Share of the characters of a text that get a piece of their own."""


@dataclass(frozen=True)
class TokenizerOptions:
    """The options of a new tokenizer.

    Attributes:
        vocab_size: pieces of each subword model, including 4 special tokens and 256 bytes.
        kind: "unigram" or "bpe".
        joint: one subword model for both languages; otherwise one for each.
        max_lines: learn from a random sample of this many lines; null: from all, or from 2,000,000 of a longer text.
        symbols: texts that are one piece wherever they stand, such as tags; they count in vocab_size.
    """

    vocab_size: Annotated[int, Within(1, 1_000_000, usual=8000)] = 8000
    kind: str = "unigram"
    joint: bool = True
    max_lines: Annotated[int | None, Within(1, 1_000_000_000)] = None
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r} is not known;{nearest(self.kind, KINDS)}")
        check_symbols(self.symbols)


def made_by_to_mapping(options: TokenizerOptions) -> dict[str, Any]:
    """The options as a model folder stores them: without symbols if there are none, like folders of older versions."""
    return {key: value for key, value in to_mapping(options).items() if key != "symbols" or value}


def check_symbols(symbols: Sequence[str]) -> None:
    """ValueError for a text that cannot be a symbol."""
    for symbol in symbols:
        if reason := _no_symbol(symbol):
            raise ValueError(f"the symbol {symbol!r} {reason}")
    if twice := next((symbol for symbol in symbols if symbols.count(symbol) > 1), None):
        raise ValueError(f"the symbol {twice!r} is named twice; name it once")


def _no_symbol(text: str) -> str:
    if not text:
        return "is empty; leave it out"
    if "\0" in text:
        return "has a NUL in it; leave that out"
    if any(map(str.isspace, text)) or "▁" in text:
        return "has a space in it (or ▁, which stands for one); write it without"
    if text in SPECIAL or re.fullmatch("<0x[0-9A-F]{2}>", text):
        return "is a piece of every tokenizer already; choose another"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "is no valid text; save what names it as UTF-8"
    return ""
