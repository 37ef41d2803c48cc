"""An export: a folder that CTranslate2 loads, with the tokenizer and a file that says how to use it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nmtkit import __version__
from nmtkit.files import sync, write_json
from nmtkit.interop import package
from nmtkit.interop.specification import Exportable, specification
from nmtkit.settings import nearest

FACTS = "nmtkit.json"
"""The file of an export that says what it is; it is written last."""
FORMAT = 1
"""Version of what an export holds; another version is made anew."""
USE = (
    "Split each line into pieces with the SentencePiece model, without an end of sentence, and call translate_batch "
    "with max_input_length=0, min_decoding_length=0 and a max_decoding_length. Scores are J = log P / "
    "length^length_penalty with the end of sentence counted if return_end_token=True; a hypothesis without it was cut "
    "off."
)


def export(
    exported: Exportable, output: Path, precision: str, verify: Callable[[Path], None] = lambda folder: None
) -> None:
    """Write an export into a new or empty folder, whole or not at all.

    Args:
        precision: one of `package.PRECISIONS`.
        verify: called with the folder before it has its name; if it raises, nothing is left.

    Raises:
        ValueError: for a folder that holds something, a precision that does not exist, and a missing package.
    """
    if precision not in package.PRECISIONS:
        raise ValueError(f"precision = {precision!r} is not known;{nearest(precision, package.PRECISIONS)}")
    refuse_folder(output)
    spec = specification(exported)
    spec.optimize(quantization=precision)
    with whole_folder(output) as folder:
        spec.save(str(folder))
        exported.tokenizer.save(folder)
        write_json(folder / FACTS, _facts(exported, precision))
        verify(folder)


def _facts(exported: Exportable, precision: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "nmtkit": __version__,
        "ctranslate2": package.version(),
        "model": exported.hash,
        "precision": precision,
        "positions": exported.positions,
        "tokenizer": sorted(exported.tokenizer.files()),
        "use": USE,
    }


def read_facts(folder: Path) -> dict[str, Any]:
    """What an export says of itself; empty if it is none of this version."""
    with suppress(OSError, ValueError):
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and facts.get("format") == FORMAT:
            return facts
    return {}


def refuse_folder(output: Path) -> None:
    """ValueError if an export cannot get this name."""
    if output.resolve() == Path.cwd():
        raise ValueError(f"{output}: is the current folder; name a new or empty folder below it for the export")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; name a new or empty folder for the export")
    if output.is_dir() and (first := next(iter(sorted(output.iterdir())), None)):
        raise ValueError(f"{output}: holds {first.name}; name a new or empty folder for the export")


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Yields a new folder beside `output`, which gets its name if the body succeeds and is removed if it does not."""
    output = Path(os.path.realpath(output))
    missing = [path for path in output.parents if not path.exists()]
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.parent / f".{output.name[:100]}.{secrets.token_hex(8)}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        for path in (*temporary.iterdir(), temporary):
            sync(path)
        os.replace(temporary, output)
        sync(output.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # something else has come into it
            for path in missing:
                path.rmdir()
        raise
