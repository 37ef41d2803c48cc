"""The check of a parallel text: one pass over its lines, then over what was remembered of each pair."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nmtkit.preflight.cleaning import write_clean
from nmtkit.preflight.collecting import Collector
from nmtkit.preflight.columns import clean
from nmtkit.preflight.findings import Facts
from nmtkit.preflight.language import Profile
from nmtkit.preflight.options import Options, Texts, Two
from nmtkit.preflight.outliers import outliers
from nmtkit.preflight.overlap import DEV, TEST, HeldOut
from nmtkit.preflight.reading import lines_of, pairs

if TYPE_CHECKING:
    from nmtkit.tokenizer.tokenizer import Tokenizer

QUICK = 100_000
"""Pairs that a quick check looks at."""
LONGEST = 1000
"""Characters that are kept of the text of an example."""


def check(
    texts: Texts,
    options: Options | None = None,
    tokenizer: Tokenizer | None = None,
    copy: Two | None = None,
    watch: Callable[[int], None] = lambda pairs: None,
) -> Facts:
    """What is found in a text.

    Memory does not grow with the text: what must be remembered of a pair (about 90 bytes) lies in the folder for
    temporary files.

    Args:
        tokenizer: in whose pieces lengths are counted.
        copy: two files for the pairs without a problem; they are written whole or not at all.
        watch: hears how many pairs were read.

    Raises:
        ValueError: if a file cannot be read, the files do not belong together, the tokenizer
            is not one for text, or no pair is left for the copy.
    """
    options = options or Options()
    if tokenizer and tokenizer.features is not None:
        raise ValueError("the tokenizer is one for vectors, but a text is checked: name one for text")
    with pairs(*texts.train, options.most) as blocks:
        profile = Profile(blocks)
    held_out = [HeldOut(kinds, *two) for kinds, two in ((DEV, texts.dev), (TEST, texts.test)) if two]
    with _scratch() as folder, closing(Collector(options, folder, profile, held_out, tokenizer)) as run:
        with pairs(*texts.train, options.most) as train:
            for block in train:
                run.take(block)
                watch(block.first + block.pairs)
        run.finish()
        ratio, scripts = outliers(run.columns, run.tally)
        if copy:
            write_clean(run.columns, texts.train, copy)
        examples = sorted(run.tally.lines())
        source, target = (lines_of(path, examples) for path in texts.train)
        return Facts(
            pairs=run.columns.pairs,
            clean=sum(int(clean(rows).sum()) for _, rows in run.columns.parts()),
            whole=train.whole,
            files=train.layouts,
            findings=run.tally.findings((source, target), LONGEST),
            ratio=ratio,
            scripts=scripts,
            max_source=options.max_source,
            max_target=options.max_target,
            tokenizer=tokenizer.hash() if tokenizer else None,
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for temporary files; if the disk has no room for them, the error says where they were."""
    with tempfile.TemporaryDirectory(prefix="nmtkit-check-") as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno != errno.ENOSPC or not str(error.filename or folder).startswith(folder):
                raise
            what = f"{error.strerror}: temporary files lie here unless TMPDIR names another folder"
            raise OSError(error.errno, what, tempfile.gettempdir()) from None


def quick(texts: Texts, most: int = QUICK) -> Facts:
    """The findings in the first pairs of a text, without examples: a second or two."""
    return check(texts, Options(examples=0, most=most))
