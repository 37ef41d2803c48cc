"""A model is exported once for each precision, recognised by its hash, and made anew if it is not whole."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.engine_toys import exportable, random_translator

from nmtkit.interop import cache
from nmtkit.interop.cache import cached, place
from nmtkit.interop.export import FACTS, export, read_facts
from nmtkit.models.options import TransformerOptions

OPTIONS = TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precision of every export that is made."""
    made: list[str] = []

    def counted(exported: Any, output: Path, precision: str, *more: Any) -> None:
        made.append(precision)
        export(exported, output, precision, *more)

    monkeypatch.setattr(cache, "export", counted)
    return made


def test_an_export_is_made_once_for_each_model_and_precision(tmp_path: Path, exports: list[str]) -> None:
    translator = random_translator(OPTIONS, 1)
    one, other = (exportable(translator, OPTIONS, name) for name in ("a", "b"))
    folders = [cached(one, "float32", tmp_path), cached(one, "int8", tmp_path), cached(other, "int8", tmp_path)]
    assert len({*folders}) == 3 and exports == ["float32", "int8", "int8"]
    assert [cached(one, "float32", tmp_path), cached(one, "int8", tmp_path)] == folders[:2] and len(exports) == 3
    assert [read_facts(folder)["model"] for folder in folders] == ["a", "a", "b"]


def test_the_usual_folder_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMTKIT_CACHE", str(tmp_path / "own"))
    assert cached(exportable(random_translator(OPTIONS, 1), OPTIONS), "int8").is_relative_to(tmp_path / "own")


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ValueError, match=r"file/ctranslate2-.*: cannot be made \(Not a directory\); set \$NMTKIT_CACHE"
    ):
        cached(exportable(random_translator(OPTIONS, 1), OPTIONS), "int8", tmp_path / "file")


def test_what_is_not_whole_is_made_anew(tmp_path: Path, exports: list[str]) -> None:
    """Half an export under the right name, and the leftover of a process that was killed."""
    exported = exportable(random_translator(OPTIONS, 1), OPTIONS)
    folder = cached(exported, "int8", tmp_path)
    (folder / FACTS).unlink()
    leftover = place(exported, "int8", tmp_path) / ".model.0123456789abcdef.tmp"
    leftover.mkdir()
    (leftover / "model.bin").write_bytes(b"half")
    assert cached(exported, "int8", tmp_path) == folder and exports == ["int8", "int8"]
    assert [path.name for path in place(exported, "int8", tmp_path).iterdir()] == ["model"]


def test_two_at_once_make_one_export(tmp_path: Path, exports: list[str]) -> None:
    exported = exportable(random_translator(OPTIONS, 1), OPTIONS)
    threads = [threading.Thread(target=cached, args=(exported, "int8", tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exports == ["int8"]
