"""`nmtkit prepare`: parallel text to ids on disk, for `nmtkit train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from nmtkit.cli import paths
from nmtkit.cli.parameters import SourceLang, TargetLang, count, takes, usage
from nmtkit.console import note
from nmtkit.settings import Within, bounds
from nmtkit.training.options import TrainingOptions
from nmtkit.words import counted

WORKERS = Within(1, 1024)


def _most(name: str, side: str) -> Any:
    return count(f"Leave out pairs with more {side} pieces.", bounds(TrainingOptions, name))


@takes()
def prepare(
    train: Annotated[Path, paths.prefix("Prefix of the files; with -, lines of source, tab and target are read.")],
    source_lang: SourceLang,
    target_lang: TargetLang,
    tokenizer: Annotated[
        Path, paths.option(paths.PATH_TO_READ, "A .model file, or a folder with one.", metavar="PATH")
    ],
    output: Annotated[Path, paths.output_folder("Folder to write.", "--output", "-o")],
    max_source: Annotated[int, _most("max_source", "source")] = TrainingOptions().max_source,
    max_target: Annotated[int, _most("max_target", "target")] = TrainingOptions().max_target,
    workers: Annotated[int | None, count("Processes.", WORKERS, default="one a processor")] = None,
) -> None:
    """Encode a parallel text once, ahead of the training, which then needs no memory for it.

    The same command goes on where a stopped one was, unless it reads standard input. `nmtkit train --train FOLDER`
    trains on the result.
    """
    from nmtkit.batches import preparation
    from nmtkit.devices import cores
    from nmtkit.files import open_text
    from nmtkit.tokenizer.tokenizer import Tokenizer
    from nmtkit.training.data import Data

    with usage():
        data = Data(train, train, source_lang, target_lang)
    if data.vectors:
        raise ValueError(f"{train}.{source_lang}: vectors are not prepared; name the files to nmtkit train")
    files = (train, train) if train == paths.STANDARD else data.files(train)
    for path in files:
        if path != paths.STANDARD:
            open_text(path).close()
    sides = Tokenizer.load(tokenizer)
    if sides.features is not None:
        raise ValueError(f"{tokenizer}: is for vectors, which are not prepared; name a tokenizer of text")
    job = preparation.Job(*files, (source_lang, target_lang), sides, max_source, max_target)
    facts = preparation.prepare(job, output, workers or cores())
    counts = facts.counts
    note(
        f"{output}: {counted(counts.pairs, 'pair')}, {counts.empty:,} empty, {counts.overlong:,} over-long, "
        f"{counted(counts.duplicates, 'duplicate')}; kept {counts.kept:,} ({facts.source.positions:,} source and "
        f"{counted(facts.target.positions, 'target piece')}, {preparation.size_of(output) / 1e6:,.1f} MB)"
    )
