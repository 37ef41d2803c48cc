"""`nmtkit train-tokenizer`: text to a SentencePiece model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli.parameters import choice, count, real, takes
from nmtkit.console import note
from nmtkit.settings import SEED, bounds
from nmtkit.tokenizer.options import COVERAGE, KINDS, TokenizerOptions
from nmtkit.words import counted


@takes()
def train_tokenizer(
    texts: Annotated[list[Path], typer.Argument(help="Text files, one sentence a line.", metavar="TEXT")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, usually tokenizer.model.")],
    vocab_size: Annotated[
        int, count("Pieces, 4 specials and 256 bytes among them.", bounds(TokenizerOptions, "vocab_size"))
    ] = 8000,
    kind: Annotated[str, choice("Of segmentation.", KINDS)] = "unigram",
    character_coverage: Annotated[
        float, real("Share of characters in the text that get a piece of their own.", COVERAGE)
    ] = 1.0,
    max_lines: Annotated[
        int | None,
        count("Learn from a random sample of so many lines.", bounds(TokenizerOptions, "max_lines"), default="all"),
    ] = None,
    seed: Annotated[int, count("Of that sample.", SEED)] = 1,
) -> None:
    """Train a subword tokenizer.

    Give the files of both languages for a joint vocabulary. For one vocabulary a language, run it twice, write
    tokenizer.source.model and tokenizer.target.model into one folder, and give that folder to `nmtkit train`.
    """
    from nmtkit.files import read_lines, replacing
    from nmtkit.tokenizer.training import train_subwords

    lines = [line for path in texts for line in read_lines(path)]
    subwords = train_subwords(
        lines, vocab_size=vocab_size, kind=kind, character_coverage=character_coverage, max_lines=max_lines, seed=seed
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as temporary:
        temporary.write_bytes(subwords.to_bytes())
    note(f"{output}: {subwords.size} pieces ({kind}) from {counted(len(lines), 'line')}")
