"""`nmtkit check-data`: what is wrong with a parallel text, before a model is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import SourceLang, TargetLang, count, takes, usage
from nmtkit.cli.streams import SECONDS, write_result
from nmtkit.console import Progress, note, stdout_console
from nmtkit.preflight.options import Options, Texts, Two, two_files
from nmtkit.settings import bounds
from nmtkit.words import counted

WITH_PROBLEMS = 1
"""The exit code of --strict if there are problems."""


@takes()
def check_data(
    train: Annotated[Path, paths.prefix("Prefix of the files to check: PREFIX.fr and PREFIX.en.")],
    source_lang: SourceLang,
    target_lang: TargetLang,
    dev: Annotated[Path | None, paths.prefix("Prefix of the dev files: are lines of them in the text?")] = None,
    test: Annotated[Path | None, paths.prefix("Prefix of the test files: likewise.")] = None,
    tokenizer: Annotated[
        Path | None,
        paths.option(
            paths.PATH_TO_READ,
            "A .model file or a folder with one: count lengths in its pieces, and what it does not know.",
            metavar="PATH",
        ),
    ] = None,
    max_source: Annotated[
        int, count("Longest source, in pieces, without a tokenizer in words.", bounds(Options, "max_source"))
    ] = Options.max_source,
    max_target: Annotated[int, count("Longest target, likewise.", bounds(Options, "max_target"))] = Options.max_target,
    examples: Annotated[
        int, count("Pairs shown of each kind of finding.", bounds(Options, "examples"))
    ] = Options.examples,
    json_file: Annotated[Path | None, paths.written("Write all of it as JSON.", "--json")] = None,
    write_clean: Annotated[
        Path | None, paths.prefix("Write PREFIX.fr and PREFIX.en without the pairs that have a problem.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 if a pair has a problem.")] = False,
) -> None:
    """Check a parallel text before training: what should be mended, left out or looked at?

    Problems are what a model should not learn: blank, broken, over-long, repeated, copied, swapped or misaligned
    pairs, and pairs that are in dev or test. Remarks are what may be right. Memory does not grow with the text; for
    each pair about 90 bytes of the folder for temporary files (TMPDIR) are used.
    """
    from nmtkit.preflight.check import check
    from nmtkit.report.preflight import left_out, render, to_json
    from nmtkit.tokenizer.tokenizer import Tokenizer

    with usage():
        texts = Texts.of(source_lang, target_lang, train, dev, test)
    copy = two_files(write_clean, source_lang, target_lang) if write_clean else None
    _keep_apart(texts, copy, json_file)
    options = Options(max_source, max_target, examples)
    with Progress(None, "checking", every=SECONDS) as progress:
        facts = check(texts, options, Tokenizer.load(tokenizer) if tokenizer else None, copy, progress.update)
    if copy:
        note(f"{copy[0]} and {copy[1]}: {left_out(facts)}")
    if json_file:
        text = json.dumps(to_json(facts), indent=1, ensure_ascii=False) + "\n"
        write_result(json_file, text, f"what was found in {counted(facts.pairs, 'pair')}")
    if json_file != paths.STANDARD:
        for part in render(facts):
            stdout_console().print(part)
    if strict and facts.problems:
        raise typer.Exit(WITH_PROBLEMS)


def _keep_apart(texts: Texts, copy: Two | None, json_file: Path | None) -> None:
    """Refuse to write over a text that is read, and names under which nothing can be written."""
    read = [paths.Named(f"--{name}", path) for name, two in vars(texts).items() for path in two or ()]
    written = [paths.Named("--write-clean", path) for path in copy or ()]
    for file in written:
        paths.check_writable(file)
    results = [*written, *paths.named(json=json_file)]
    paths.keep_apart(read, results)
