"""The cache of exports: a model is exported once for each precision, and recognised by its hash."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

from nmtkit.batches.cache import default_root
from nmtkit.console import note
from nmtkit.interop.export import FORMAT, export, read_facts
from nmtkit.interop.specification import Exportable
from nmtkit.locks import locked

NAME = "model"
"""The folder of the export inside its folder of the cache, which holds the lock."""


def place(exported: Exportable, precision: str, root: Path) -> Path:
    """The folder of the cache that belongs to a model and a precision."""
    key = json.dumps([exported.hash, precision, exported.positions, FORMAT])
    return root / f"ctranslate2-{precision}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def cached(exported: Exportable, precision: str, root: Path | None = None) -> Path:
    """The folder of the export, which is made if it is not there; waits if another process makes it already.

    Args:
        root: folder of the cache; None: the usual one.
    """
    folder = place(exported, precision, root or default_root())
    target = folder / NAME
    if not _whole(target, exported):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"{folder}: cannot be made ({error.strerror}); set $NMTKIT_CACHE to a folder for exports"
            ) from None
        with locked(folder, "export", lambda: time.sleep(0.2)):
            if not _whole(target, exported):
                for leftover in (target, *folder.glob(f".{NAME}.*.tmp")):
                    shutil.rmtree(leftover, ignore_errors=True)
                note(f"exporting the model to {target}, once for this precision")
                export(exported, target, precision)
    return target


def _whole(target: Path, exported: Exportable) -> bool:
    return bool(read_facts(target).get("model") == exported.hash)
