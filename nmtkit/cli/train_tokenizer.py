"""`nmtkit train-tokenizer`: text to a SentencePiece model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import choice, count, real, takes, usage
from nmtkit.cli.streams import write_bytes
from nmtkit.console import note
from nmtkit.settings import SEED, bounds
from nmtkit.tokenizer.options import COVERAGE, KINDS, TokenizerOptions, check_symbols
from nmtkit.words import counted


@takes()
def train_tokenizer(
    texts: Annotated[list[Path], paths.argument(paths.FILE_TO_READ, "Text files, one sentence per line.", "TEXT")],
    output: Annotated[
        Path,
        paths.option(paths.FILE_IN_NEW_FOLDERS, "File to write, usually tokenizer.model.", "--output", "-o"),
    ],
    vocab_size: Annotated[
        int, count("Number of pieces, including 4 special ones and 256 bytes.", bounds(TokenizerOptions, "vocab_size"))
    ] = 8000,
    kind: Annotated[str, choice("How it segments.", KINDS)] = "unigram",
    character_coverage: Annotated[
        float, real("Share of characters in the text that get a piece of their own.", COVERAGE)
    ] = 1.0,
    max_lines: Annotated[
        int | None,
        count(
            "Learn from a random sample of N lines.",
            bounds(TokenizerOptions, "max_lines"),
            default="all, 2,000,000 at most",
        ),
    ] = None,
    seed: Annotated[int, count("Seed of that sample.", SEED)] = 1,
    symbols: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A text that is always one piece, such as a tag; repeat for several."),
    ] = None,
) -> None:
    """Train a subword tokenizer.

    Give the files of both languages for a joint vocabulary. For one vocabulary a language, run it twice, write
    tokenizer.source.model and tokenizer.target.model into one folder, and give that folder to `nmtkit train`.
    """
    from nmtkit.files import Lines, read_lines
    from nmtkit.tokenizer.training import train_subwords

    with usage():
        check_symbols(symbols or [])
    lines = Lines(*(read_lines(path) if path == paths.STANDARD else path for path in texts))
    subwords = train_subwords(
        lines,
        vocab_size=vocab_size,
        kind=kind,
        character_coverage=character_coverage,
        max_lines=max_lines,
        seed=seed,
        symbols=symbols or (),
    )
    write_bytes(output, subwords.to_bytes())
    note(f"{output}: {subwords.size:,} pieces ({kind}) from {counted(sum(1 for _ in lines), 'line')}")
